/* SPDX-License-Identifier: BSD-2-Clause */
/* Collects what the merged file's head says about its inputs. */
#pragma once

#include "pcapng/merge_input.h"

struct merge_description {
	struct packet_interface *interfaces;
	size_t interface_count, interface_room;
	const char **comments; /* the first is the merged file's own */
	size_t comment_count, comment_room;

	/* Owns all texts that the above point to. */
	char **texts;
	size_t text_count, text_room;
};

/* Reads the input to its end, adds its interfaces and comments, and stores the results in the input. Texts beyond
 * `text_share` bytes are omitted. 0 or -ENOMEM. */
warn_unused int merge_scan(struct merge_description *description, struct merge_input *input, size_t text_share);

/* Makes the first comment, which lists the inputs and what is missing (NULL: nothing), after all scans. 0 or -ENOMEM.
 */
warn_unused int merge_describe(struct merge_description *description, const struct merge_input *inputs, size_t count,
			       const char *missing);

void merge_description_deinit(struct merge_description *description);
