/* SPDX-License-Identifier: BSD-2-Clause */
/* What the merged file says of its inputs. */
#pragma once

#include "pcapng/merge_input.h"

struct merge_facts {
	struct packet_interface *interfaces;
	size_t interface_count, interface_room;
	const char **comments; /* the first is the merged file's own */
	size_t comment_count, comment_room;

	/* All texts that the above points to. */
	char **texts;
	size_t text_count, text_room;
};

/* Reads the input to its end, adds what is in it and notes in the input what was found. It may take `text_share` bytes
 * of texts; what doesn't fit is left out. 0 or -ENOMEM. */
warn_unused int merge_scan(struct merge_facts *facts, struct merge_input *input, size_t text_share);

/* The first comment: what was merged. After all scans. 0 or -ENOMEM. */
warn_unused int merge_describe(struct merge_facts *facts, const struct merge_input *inputs, size_t count);

void merge_facts_deinit(struct merge_facts *facts);
