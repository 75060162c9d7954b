/* SPDX-License-Identifier: BSD-2-Clause */
/* One input file of a merge. */
#pragma once

#include "base/byte_range.h"
#include "pcapng/pcapng_reader.h"

struct merge_input {
	char *label;
	struct byte_range range;
	struct pcapng_reader *reader;

	/* The reader's position, and for a file a window of bytes read ahead. */
	uint64_t at;
	uint8_t *window; /* NULL: the range is in memory */
	uint64_t window_at;
	size_t window_size;

	/* What merge_scan() found. */
	size_t first_interface, interface_count; /* in the merged file */
	uint64_t packets;
	bool in_order;
	uint64_t texts_omitted;
	int error_code;
	struct error error;
};

/* 0 or -ENOMEM; deinitialise in either case. Must not move. */
int merge_input_init(struct merge_input *input, const char *label, const struct byte_range *range);
void merge_input_deinit(struct merge_input *input);

void merge_input_rewind(struct merge_input *input);
