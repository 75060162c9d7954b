/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a capture file. Read whole or in pieces, they give the same items. Merged with itself, the file is
 * complete and has all packets, in time order except for those reported as late.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/pcapng/read_all.h"
#include "../unit/pcapng/read_items.h"
#include "pcapng/pcapng_merge.h"

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	uint64_t items, packets, interfaces, bytes, sum;
	uint64_t last_ns, late;
	int end;
	struct error error;
};

static void add(struct found *found, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		found->sum = (found->sum ^ at[i]) * UINT64_C(0x100000001b3);
	found->bytes += size;
}

static void add_text(struct found *found, const char *text)
{
	if (text)
		add(found, text, strlen(text) + 1);
}

static void add_item(struct found *found, const struct pcapng_item *item)
{
	found->items++;
	add(found, &item->kind, sizeof(item->kind));
	add(found, &item->interface, sizeof(item->interface));
	for (size_t i = 0; i < item->comment_count; i++)
		add_text(found, item->comments[i]);
	if (item->kind == PCAPNG_SECTION) {
		add_text(found, item->section.hardware);
		add_text(found, item->section.os);
		add_text(found, item->section.application);
	} else if (item->kind == PCAPNG_INTERFACE) {
		found->interfaces++;
		add_text(found, item->description.name);
		add_text(found, item->description.description);
		add_text(found, item->description.filter);
		add_text(found, item->description.os);
	} else if (item->kind == PCAPNG_STATISTICS) {
		add(found, &item->statistics, sizeof(item->statistics));
	} else {
		found->packets++;
		found->late += item->packet.time_ns < found->last_ns;
		if (item->packet.time_ns > found->last_ns)
			found->last_ns = item->packet.time_ns;
		add(found, &item->packet.time_ns, sizeof(item->packet.time_ns));
		add(found, item->packet.data, item->packet.caplen);
		if (item->packet.caplen > PCAPNG_PACKET_MAX || item->interface >= found->interfaces)
			abort();
	}
}

static void find(struct piecewise *source, struct found *found)
{
	struct pcapng_reader *reader = pcapng_reader_new(piecewise_bytes(source));
	struct pcapng_item item;

	*found = (struct found){0};
	if (!reader)
		abort();
	while ((found->end = next_item(reader, &item, &found->error)) == 1)
		add_item(found, &item);
	pcapng_reader_free(reader);
}

/* Merges the input with itself, so that packets have equal times. */
static void check_merge(const uint8_t *data, size_t size, const struct found *once)
{
	const struct byte_range range = {.fd = -1, .bytes = data, .size_bytes = size};
	const struct pcapng_merge_input inputs[] = {{"a", range}, {"b", range}};
	struct pcapng_merge *merge = NULL;
	struct found found;

	if (pcapng_merge_new(inputs, 2, &(const struct pcapng_merge_maker){.application = "fuzz"}, &merge, NULL) < 0)
		abort();
	struct byte_stream stream = pcapng_merge_stream(merge);
	size_t merged_size;
	uint8_t *merged = read_all(&stream, 4096, &merged_size);
	if (merged_size != stream.size_bytes || pcapng_merge_failed(merge, NULL) < 0)
		abort();
	struct piecewise source = {.bytes = merged, .size = merged_size, .piece = SIZE_MAX};
	find(&source, &found);
	if (found.end != 0 || found.packets != 2 * once->packets || found.interfaces != 2 * once->interfaces ||
	    found.late != pcapng_merge_late(merge) || (found.late > 0 && once->packets < PCAPNG_MERGE_WINDOW / 2))
		abort();
	for (size_t i = 0; i < 2; i++)
		if (pcapng_merge_report(merge, i).error_code != once->end)
			abort();
	free(merged);
	pcapng_merge_free(merge);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct piecewise whole = {.bytes = data, .size = size, .piece = SIZE_MAX};
	struct piecewise pieces = {.bytes = data, .size = size, .piece = 1 + size % 37, .stalls = true};
	struct found once, again;

	if (size > INPUT_MAX)
		return 0;
	find(&whole, &once);
	find(&pieces, &again);
	if (once.items != again.items || once.sum != again.sum || once.end != again.end ||
	    strcmp(once.error.text, again.error.text) != 0)
		abort();
	check_merge(data, size, &once);
	return 0;
}
