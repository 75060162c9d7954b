/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the blocks ahead of the kernel free. When it comes near a block of packed packets that are not the oldest, they
 * move to a free block far from the kernel. At high rates most blocks are full and few are packed, and the block that
 * the kernel comes near is evicted: nothing moves.
 *
 * Taking a free block from the kernel is safe while it is not near: the kernel touches only its current block, and
 * cannot pass a retired block that is not taken over yet.
 */
#include "capture/timeline_internal.h"

#include <string.h>

/* The first held block ahead of the kernel within the reserve, or NO_BLOCK. */
static uint32_t find_blocking(const struct timeline *timeline)
{
	for (uint32_t ahead = 0; ahead <= timeline->reserve; ahead++) {
		const uint32_t index = (timeline->current + ahead) % timeline->block_count;

		if (timeline->blocks[index].held && timeline->blocks[index].extents)
			return index;
	}
	return NO_BLOCK;
}

/* The free block furthest ahead of the kernel, or NO_BLOCK. */
static uint32_t find_far_block(const struct timeline *timeline)
{
	for (uint32_t distance = 1; distance < timeline->block_count - timeline->reserve; distance++) {
		const uint32_t index = (timeline->current + timeline->block_count - distance) % timeline->block_count;

		if (!timeline->blocks[index].held)
			return index;
	}
	return NO_BLOCK;
}

/*
 * Takes a free block beyond the reserve from the kernel. False: the kernel may have come near (this thread did not run
 * for a while), and the block stays its own. The backlog is checked after taking the block, which makes it certain: a
 * kernel that is still far away has not opened the block, and will find it taken.
 */
static bool reclaim_block(struct timeline *timeline, uint32_t index)
{
	uint32_t *status = &block_at(timeline, index)->hdr.bh1.block_status;
	uint32_t expected = TP_STATUS_KERNEL;
	const uint32_t ahead = (index + timeline->block_count - timeline->current) % timeline->block_count;

	if (!__atomic_compare_exchange_n(status, &expected, STATUS_RECLAIMED, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return false;
/* gcc's thread sanitizer does not support fences. The two accesses are SEQ_CST and so ordered without one. */
#ifndef __SANITIZE_THREAD__
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
	if (timeline_backlog(timeline) + timeline->reserve / 2 < ahead)
		return true;
	expected = STATUS_RECLAIMED; /* anything else: the kernel has filled and retired it */
	__atomic_compare_exchange_n(status, &expected, TP_STATUS_KERNEL, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return false;
}

/* Copies a block's packets to another block and points its extents there. Readers that have it pinned continue on the
 * old copy. */
static void relocate(struct timeline *timeline, uint32_t from, uint32_t to)
{
	timeline_hold_block(timeline, to);
	struct block *source = &timeline->blocks[from], *target = &timeline->blocks[to];
	const uint32_t front = sizeof(struct tpacket_block_desc);
	memcpy((uint8_t *)block_at(timeline, to) + front, (uint8_t *)block_at(timeline, from) + front,
	       source->used_bytes - front);
	timeline->moved_bytes += source->used_bytes - front;
	target->used_bytes = source->used_bytes;
	for (size_t i = 0; target->extents < source->extents; i++) {
		struct extent *extent = extent_at(timeline, i);

		if (extent->block == from) {
			extent->block = to;
			target->extents++;
		}
	}
	source->extents = 0;
	if (timeline->tail == from)
		timeline->tail = to;
	timeline_release_block(timeline, from);
}

/*
 * Whether evicting a block's packets and all older ones leaves enough, so that it beats moving the block. Above a few
 * full blocks between two expiries of the timer this is always so: the gaps left by packing are then not worth copying
 * everything that passes by.
 */
static bool can_evict_through(const struct timeline *timeline, uint32_t index)
{
	const uint32_t wanted = timeline->blocks[index].extents;
	uint64_t left = timeline->held_bytes;
	uint32_t found = 0;

	for (size_t i = 0; found < wanted && left >= timeline->hold_min_bytes; i++) {
		const struct extent *extent = extent_at(timeline, i);

		left -= extent->bytes;
		found += extent->block == index;
	}
	return left >= timeline->hold_min_bytes;
}

void timeline_make_room(struct timeline *timeline)
{
	while (timeline->held_blocks > timeline->capacity && timeline->extent_count)
		timeline_evict(timeline);
	uint32_t index;
	while ((index = find_blocking(timeline)) != NO_BLOCK) {
		const uint32_t far = find_far_block(timeline);

		if (far != NO_BLOCK && !can_evict_through(timeline, index) && reclaim_block(timeline, far))
			relocate(timeline, index, far);
		else
			timeline_evict(timeline);
	}
}
