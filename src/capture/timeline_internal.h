/* SPDX-License-Identifier: BSD-2-Clause */
/* The data of a timeline: its blocks and the extents in them. Internal to timeline.c and timeline_relocate.c. */
#pragma once

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/timeline.h"

#define NO_BLOCK UINT32_MAX
/* Ours: the kernel checks only TP_STATUS_USER and never sets the other bit. */
#define STATUS_RECLAIMED (TP_STATUS_USER | 1u << 24)

struct extent {
	uint64_t number;
	uint64_t begin_ns, end_ns; /* see struct span; end_ns never falls from one extent to the next */
	struct arrival_bounds bounds;
	bool ambiguous;
	uint64_t dropped_before, dropped; /* drops: at least before its first packet, at most up to its last */
	uint32_t block;
	uint32_t offset_bytes; /* of the first packet in the block */
	uint32_t bytes;
	uint32_t packets;
};

struct block {
	bool held;	  /* not the kernel's */
	uint32_t extents; /* that lie in it */
	uint32_t pins;
	uint32_t used_bytes; /* up to the end of its last packet */
	/* Packets dropped before the kernel opened the block with this sequence number. */
	uint64_t dropped_before, sequence;
};

/* A run of packets from the retired block, at its place after packing. */
struct run {
	uint32_t block, offset_bytes, bytes, packets;
	uint64_t begin_ns, end_ns; /* see struct span */
};

struct timeline {
	uint8_t *memory;
	uint32_t block_bytes, block_count;
	uint32_t backlog_max;	 /* blocks that may wait to be taken over */
	uint32_t reserve;	 /* blocks ahead of the kernel that must be its own */
	uint32_t capacity;	 /* blocks that may be held */
	uint64_t hold_min_bytes; /* below this, move a block rather than evict its packets */
	bool keep_history;
	uint64_t extent_max_ns;
	uint32_t current;  /* the block to be taken over next: the kernel fills it or has filled it */
	uint64_t sequence; /* that block's number in the kernel's count */
	uint32_t tail;	   /* held block to which packed packets are appended */
	uint32_t held_blocks;
	struct block *blocks;
	struct extent *extents; /* ring buffer */
	size_t extent_capacity, extent_first, extent_count;
	uint64_t next_number;
	uint64_t held_bytes, moved_bytes;
	struct timeline_moment (*now)(void *ctx);
	void *now_ctx;
	struct timeline_moment opened;	    /* when `current` was known to be without packets */
	struct timeline_moment next_opened; /* when the block after it was known not to be open */
	struct arrival_bounds bounds;	    /* of the block being retired */
	uint64_t complete_since_ns;	    /* boot time */
	uint64_t dropped_before;	    /* at least this many drops before the last block taken over */
	uint64_t dropped, dropped_noted_ns; /* all drops, and when they were last noted (boot time) */
	uint64_t packed_bytes;		    /* copied while retiring the current block */
	struct run runs[2];		    /* of that block: what was appended to the tail, what stayed */
	unsigned run_count;
	bool retired_in_place; /* the retired block stays held */
	uint32_t full_streak;  /* full blocks since the last sparse one */
	bool packing;	       /* the retired block is sparse and packed: later packets may be appended to it */
};

static inline struct tpacket_block_desc *block_at(const struct timeline *timeline, uint32_t index)
{
	return (void *)(timeline->memory + (size_t)index * timeline->block_bytes);
}

static inline bool kernel_owns(const struct timeline *timeline, uint32_t index)
{
	const uint32_t *status = &block_at(timeline, index)->hdr.bh1.block_status;

	/* Acquires the block. Sequentially consistent for reclaim_block, which checks only after taking. */
	return !(__atomic_load_n(status, __ATOMIC_SEQ_CST) & TP_STATUS_USER);
}

static inline void set_status(struct timeline *timeline, uint32_t index, uint32_t status)
{
	__atomic_store_n(&block_at(timeline, index)->hdr.bh1.block_status, status, __ATOMIC_RELEASE);
}

static inline struct extent *extent_at(const struct timeline *timeline, size_t index)
{
	return &timeline->extents[(timeline->extent_first + index) % timeline->extent_capacity];
}

/* Blocks that the kernel has retired and that are not taken over yet. */
uint32_t timeline_backlog(const struct timeline *timeline);

/* Holds a block that the kernel has given up; it has no packets yet. */
void timeline_hold_block(struct timeline *timeline, uint32_t index);

/* Gives a held block back to the kernel if it has no extents and no pins. */
void timeline_release_block(struct timeline *timeline, uint32_t index);

/* Evicts the oldest extent, which must exist. */
void timeline_evict(struct timeline *timeline);

/* Keeps the blocks just ahead of the kernel free: moves packets worth keeping, evicts the oldest. In
 * timeline_relocate.c. */
void timeline_make_room(struct timeline *timeline);
