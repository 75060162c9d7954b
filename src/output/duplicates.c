/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latest frames stand in a ring, and those with the same hash in a chain from the newest back. A frame's duplicate
 * is found by walking its chain: the frames of the same interface tell which originals it has seen already.
 */
#include "output/duplicates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output/store_merge.h"

#define NONE UINT64_MAX
#define HASH_MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

struct duplicates {
	uint8_t *bits; /* by packet number */
	uint64_t *counts;
	uint64_t count;
};

struct frame {
	struct packet_view packet; /* its data lies in a sealed store */
	uint64_t hash;
	uint64_t older;	   /* number of the next frame in the chain */
	uint64_t original; /* number of the frame that it duplicates; its own: none */
};

struct search {
	struct frame *frames; /* by number, modulo their count */
	uint64_t *newest;     /* by hash, modulo the same: number of the newest frame */
	uint64_t mask;
	struct duplicates *duplicates;
};

static uint64_t hash_frame(const struct packet_view *packet)
{
	uint64_t hash = (uint64_t)packet->wirelen << 32 | packet->caplen, word;
	uint32_t at = 0;

	for (; at + sizeof(word) <= packet->caplen; at += sizeof(word)) {
		memcpy(&word, packet->data + at, sizeof(word));
		hash = (hash ^ word) * HASH_MULTIPLIER;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, packet->data + at, packet->caplen - at);
	hash = (hash ^ word) * HASH_MULTIPLIER;
	return hash ^ hash >> 32;
}

static bool is_identical(const struct packet_view *one, const struct packet_view *other)
{
	return one->wirelen == other->wirelen && one->caplen == other->caplen &&
	       memcmp(one->data, other->data, one->caplen) == 0;
}

static bool is_among(const uint64_t *numbers, unsigned count, uint64_t number)
{
	bool found = false;

	for (unsigned i = 0; i < count; i++)
		found |= numbers[i] == number;
	return found;
}

/* The frame that this one duplicates; NONE: it is an original. */
static uint64_t find_original(const struct search *search, const struct frame *frame, uint64_t number)
{
	uint64_t seen[DUPLICATES_CHAIN_MAX]; /* originals that this frame's interface has seen */
	unsigned seen_count = 0;
	uint64_t at = search->newest[frame->hash & search->mask];

	for (unsigned i = 0; i < DUPLICATES_CHAIN_MAX && at != NONE && number - at <= search->mask; i++) {
		const struct frame *other = &search->frames[at & search->mask];

		if (other->packet.arrived_ns + DUPLICATES_WITHIN_NS < frame->packet.arrived_ns)
			break;
		if (other->hash != frame->hash) {
			at = other->older;
			continue;
		}
		if (other->packet.interface == frame->packet.interface)
			seen[seen_count++] = other->original;
		else if (other->original == at && !is_among(seen, seen_count, at) &&
			 is_identical(&other->packet, &frame->packet))
			return at;
		at = other->older;
	}
	return NONE;
}

static void examine(struct search *search, const struct packet_view *packet, uint64_t number)
{
	struct frame frame = {.packet = *packet, .hash = hash_frame(packet), .original = number};
	uint64_t *newest = &search->newest[frame.hash & search->mask];
	const uint64_t original = find_original(search, &frame, number);
	struct duplicates *duplicates = search->duplicates;

	if (original != NONE) {
		frame.original = original;
		duplicates->bits[number / 8] |= (uint8_t)(1u << number % 8);
		duplicates->counts[packet->interface]++;
		duplicates->count++;
	}
	frame.older = *newest;
	*newest = number;
	search->frames[number & search->mask] = frame;
}

static int search_all(const struct store *const *stores, size_t count, uint64_t packets, struct search *search)
{
	const struct store_merge_limits no_limits = {.packets = UINT64_MAX, .bytes = UINT64_MAX};
	uint64_t frames = 1;

	while (frames < packets && frames < DUPLICATES_FRAMES_MAX)
		frames *= 2;
	search->mask = frames - 1;
	cleanup(cleanup_free) struct frame *ring = calloc(frames, sizeof(*ring));
	cleanup(cleanup_free) uint64_t *newest = malloc(frames * sizeof(*newest));
	cleanup(cleanup_store_merge) struct store_merge *merge = store_merge_new(stores, count, &no_limits);
	if (!ring || !newest || !merge)
		return -ENOMEM;
	memset(newest, 0xff, frames * sizeof(*newest));
	search->frames = ring;
	search->newest = newest;
	const struct packet_source source = store_merge_source(merge);
	struct packet_view packet;
	for (uint64_t number = 0; source.next(source.ctx, &packet); number++)
		examine(search, &packet, number);
	return 0;
}

int duplicates_find(const struct store *const *stores, size_t count, struct duplicates **result)
{
	cleanup(cleanup_duplicates) struct duplicates *duplicates = calloc(1, sizeof(*duplicates));
	uint64_t packets = 0;

	if (!duplicates)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		packets += stores[i]->packets;
	duplicates->bits = calloc(packets / 8 + 1, 1);
	duplicates->counts = calloc(count + 1, sizeof(*duplicates->counts));
	if (!duplicates->bits || !duplicates->counts)
		return -ENOMEM;
	const int r = search_all(stores, count, packets, &(struct search){.duplicates = duplicates});
	if (r == 0)
		*result = take(duplicates);
	return r;
}

void duplicates_free(struct duplicates *duplicates)
{
	if (!duplicates)
		return;
	free(duplicates->bits);
	free(duplicates->counts);
	free(duplicates);
}

bool duplicates_has(const struct duplicates *duplicates, uint64_t number)
{
	return duplicates && duplicates->bits[number / 8] >> number % 8 & 1;
}

uint64_t duplicates_of(const struct duplicates *duplicates, size_t store)
{
	return duplicates ? duplicates->counts[store] : 0;
}

uint64_t duplicates_count(const struct duplicates *duplicates)
{
	return duplicates ? duplicates->count : 0;
}
