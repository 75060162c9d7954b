/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader asks for a few bytes at a time; a file is read in larger steps. */
#include "pcapng/merge_input.h"

#include <errno.h>
#include <string.h>

#define WINDOW_BYTES 16384

static ssize_t read_window(struct merge_input *input, uint8_t *into, size_t room)
{
	if (input->at < input->window_at || input->at >= input->window_at + input->window_size) {
		const ssize_t got = byte_range_read(&input->range, input->at, input->window, WINDOW_BYTES);

		if (got <= 0)
			return got;
		input->window_at = input->at;
		input->window_size = (size_t)got;
	}
	const size_t from = (size_t)(input->at - input->window_at), left = input->window_size - from;
	const size_t size = left < room ? left : room;
	memcpy(into, input->window + from, size);
	return (ssize_t)size;
}

static ssize_t read_input(void *ctx, uint8_t *into, size_t room)
{
	struct merge_input *input = ctx;
	ssize_t got;

	if (input->window && room < WINDOW_BYTES)
		got = read_window(input, into, room);
	else
		got = byte_range_read(&input->range, input->at, into, room);
	if (got > 0)
		input->at += (uint64_t)got;
	return got;
}

int merge_input_init(struct merge_input *input, const char *label, const struct byte_range *range)
{
	*input = (struct merge_input){.range = *range, .in_order = true};
	input->label = strdup(label);
	input->window = range->bytes ? NULL : malloc(WINDOW_BYTES);
	input->reader = pcapng_reader_new((struct pcapng_bytes){.read = read_input, .ctx = input});
	return input->label && (range->bytes || input->window) && input->reader ? 0 : -ENOMEM;
}

void merge_input_deinit(struct merge_input *input)
{
	pcapng_reader_free(take(input->reader));
	free(take(input->window));
	free(take(input->label));
}

void merge_input_rewind(struct merge_input *input)
{
	pcapng_reader_rewind(input->reader);
	input->at = 0;
}
