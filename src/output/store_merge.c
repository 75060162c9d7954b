/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The next packet is the earliest of the readers' next packets; among equals, the first store's. There may be thousands
 * of stores, most of them empty: those that have a packet are in a heap.
 */
#include "output/store_merge.h"

#include <stdlib.h>

#include "output/duplicates.h"

struct input {
	struct store_reader reader;
	struct packet_view next;
	uint64_t missing; /* before packets that were left out */
};

struct store_merge {
	struct store_merge_limits limits;
	uint64_t number; /* of the next packet, duplicates included */
	uint64_t packets, bytes;
	size_t count;
	struct input **heap; /* by next packet; the first is the earliest */
	size_t heap_size;
	struct input inputs[];
};

static bool is_earlier(const struct input *input, const struct input *than)
{
	return input->next.arrived_ns != than->next.arrived_ns ? input->next.arrived_ns < than->next.arrived_ns
							       : input < than;
}

/* Puts the input into its place below `at`, which is free. */
static void sift_down(struct store_merge *merge, size_t at, struct input *input)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= merge->heap_size)
			break;
		if (child + 1 < merge->heap_size && is_earlier(merge->heap[child + 1], merge->heap[child]))
			child++;
		if (!is_earlier(merge->heap[child], input))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = input;
}

static void rewind_merge(void *ctx)
{
	struct store_merge *merge = ctx;

	merge->number = merge->packets = merge->bytes = merge->heap_size = 0;
	for (size_t i = 0; i < merge->count; i++) {
		struct input *input = &merge->inputs[i];

		input->missing = 0;
		store_reader_init(&input->reader, input->reader.store);
		if (store_reader_next(&input->reader, &input->next))
			merge->heap[merge->heap_size++] = input;
	}
	for (size_t i = merge->heap_size / 2; i > 0; i--)
		sift_down(merge, i - 1, merge->heap[i - 1]);
}

static struct input *find_earliest(struct store_merge *merge)
{
	return merge->heap_size ? merge->heap[0] : NULL;
}

/* Moves the earliest input on. */
static void advance(struct store_merge *merge)
{
	struct input *input = merge->heap[0];

	if (!store_reader_next(&input->reader, &input->next))
		input = merge->heap[--merge->heap_size]; /* the last takes its place */
	if (merge->heap_size)
		sift_down(merge, 0, input);
}

/* Skips duplicates; what was missing before them is missing before the interface's next packet. */
static struct input *find_next(struct store_merge *merge)
{
	struct input *input = find_earliest(merge);

	while (input && duplicates_has(merge->limits.duplicates, merge->number)) {
		input->missing += input->next.missing;
		merge->number++;
		advance(merge);
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
	advance(merge);
	return true;
}

struct store_merge *store_merge_new(const struct store *const *stores, size_t count,
				    const struct store_merge_limits *limits)
{
	struct store_merge *merge = calloc(1, sizeof(*merge) + count * sizeof(*merge->inputs));

	if (!merge)
		return NULL;
	merge->heap = calloc(count + 1, sizeof(struct input *));
	if (!merge->heap) {
		free(merge);
		return NULL;
	}
	merge->limits = *limits;
	merge->count = count;
	for (size_t i = 0; i < count; i++)
		merge->inputs[i].reader.store = stores[i];
	rewind_merge(merge);
	return merge;
}

void store_merge_free(struct store_merge *merge)
{
	if (!merge)
		return;
	free(merge->heap);
	free(merge);
}

struct packet_source store_merge_source(struct store_merge *merge)
{
	return (struct packet_source){.rewind = rewind_merge, .next = next_of_merge, .ctx = merge};
}
