/* SPDX-License-Identifier: BSD-2-Clause */
/* The next packet is the earliest of the readers' next packets; among equals, the first store's. */
#include "output/store_merge.h"

#include <stdlib.h>

#include "output/duplicates.h"

struct input {
	struct store_reader reader;
	struct packet_view next;
	bool has_next;
	uint64_t missing; /* before packets that were left out */
};

struct store_merge {
	struct store_merge_limits limits;
	uint64_t number; /* of the next packet, duplicates included */
	uint64_t packets, bytes;
	size_t count;
	struct input inputs[];
};

static void rewind_merge(void *ctx)
{
	struct store_merge *merge = ctx;

	merge->number = merge->packets = merge->bytes = 0;
	for (size_t i = 0; i < merge->count; i++) {
		struct input *input = &merge->inputs[i];

		input->missing = 0;
		store_reader_init(&input->reader, input->reader.store);
		input->has_next = store_reader_next(&input->reader, &input->next);
	}
}

static struct input *find_earliest(struct store_merge *merge)
{
	struct input *earliest = NULL;

	for (size_t i = 0; i < merge->count; i++) {
		struct input *input = &merge->inputs[i];

		if (input->has_next && (!earliest || input->next.arrived_ns < earliest->next.arrived_ns))
			earliest = input;
	}
	return earliest;
}

static void advance(struct input *input)
{
	input->has_next = store_reader_next(&input->reader, &input->next);
}

/* Skips duplicates; what was missing before them is missing before the interface's next packet. */
static struct input *find_next(struct store_merge *merge)
{
	struct input *input = find_earliest(merge);

	while (input && duplicates_has(merge->limits.duplicates, merge->number)) {
		input->missing += input->next.missing;
		merge->number++;
		advance(input);
		input = find_earliest(merge);
	}
	return input;
}

static bool next_of_merge(void *ctx, struct packet_view *packet)
{
	struct store_merge *merge = ctx;
	struct input *input = find_next(merge);

	if (!input || merge->packets >= merge->limits.packets || merge->bytes >= merge->limits.bytes)
		return false;
	*packet = input->next;
	packet->interface = (uint16_t)(input - merge->inputs);
	packet->missing += input->missing;
	input->missing = 0;
	merge->number++;
	merge->packets++;
	merge->bytes += packet->caplen;
	advance(input);
	return true;
}

struct store_merge *store_merge_new(const struct store *const *stores, size_t count,
				    const struct store_merge_limits *limits)
{
	struct store_merge *merge = calloc(1, sizeof(*merge) + count * sizeof(*merge->inputs));

	if (!merge)
		return NULL;
	merge->limits = *limits;
	merge->count = count;
	for (size_t i = 0; i < count; i++)
		merge->inputs[i].reader.store = stores[i];
	rewind_merge(merge);
	return merge;
}

void store_merge_free(struct store_merge *merge)
{
	free(merge);
}

struct packet_source store_merge_source(struct store_merge *merge)
{
	return (struct packet_source){.rewind = rewind_merge, .next = next_of_merge, .ctx = merge};
}
