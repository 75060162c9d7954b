/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One interface's packets as they lie in its ring: a sequence of extents (runs of packets inside a block), numbered in
 * order of arrival. Knows which blocks the kernel owns and which are held, gives the oldest back, and packs sparse
 * blocks together so that bytes, not blocks, bound what can be reached.
 *
 * The ring thread retires, expires and relocates; workers look up, pin and unpin. Every function is called with the
 * engine's `lock` held unless its comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "capture/arrival.h"

struct timeline;

/* Both clocks, read at one moment. */
struct timeline_moment {
	uint64_t boottime_ns;
	int64_t clock_offset_ns; /* real time minus boot time */
};

/* Packets stamped by different CPUs may be this far out of time order. */
#define TIMELINE_ORDER_SLACK_NS (10 * NS_PER_MS)
/* A larger difference is a step of the real-time clock: disorder is a tenth of it, and NTP slews less between two
 * spans. */
#define TIMELINE_CLOCK_STEP_NS (10 * (int64_t)TIMELINE_ORDER_SLACK_NS)

struct timeline_options {
	uint8_t *memory; /* the ring's */
	uint32_t block_bytes;
	uint32_t block_count;
	bool keep_history; /* keep packets before any consumer wants them (recorder) */
	/* Reads the clocks. Ring thread, and timeline_new's caller. */
	struct timeline_moment (*now)(void *ctx);
	void *now_ctx;
	/* A packed extent covers no more than this, so that it expires in time; 0: no limit. */
	uint64_t extent_max_ns;
};

/* A pinned run of packets: safe to read without `lock` until it is unpinned. */
struct span {
	const uint8_t *first; /* the first packet's struct tpacket3_hdr */
	uint32_t packets;
	uint32_t block;
	uint64_t number; /* of the first packet, counted since the ring was opened */
	/* No packet arrived earlier or later, in boot time. */
	uint64_t begin_ns, end_ns;
	struct arrival_bounds bounds; /* of packets that have no noted arrival */
	bool ambiguous;		      /* see arrival_is_ambiguous */
	/* Drops of this ring when it was taken over; includes all before its last packet. */
	uint64_t dropped;
	uint64_t dropped_before; /* drops that certainly lie before its first packet */
};

struct timeline *timeline_new(const struct timeline_options *options);
void timeline_free(struct timeline *timeline);

/*
 * Ring thread. Checks whether the kernel has retired its current block and, if so, packs a sparse one with its
 * predecessor. True: timeline_publish must follow. Called without `lock` if `keep_history` (then only this thread
 * evicts), otherwise with `lock` held.
 */
bool timeline_retire(struct timeline *timeline);

/*
 * Ring thread. Makes the packets of the retired block visible, evicts what no longer fits, and keeps the blocks ahead
 * of the kernel free. `dropped`: packets dropped so far.
 */
void timeline_publish(struct timeline *timeline, uint64_t dropped);

/* Ring thread, after timeline_retire was false: whether the kernel's open block may hold a packet that arrived at or
 * before this moment. */
bool timeline_open_block_may_hold(const struct timeline *timeline, uint64_t boottime_ns);

/* How many blocks may wait to be taken over before the kernel comes near held ones. Constant. */
uint32_t timeline_backlog_max(const struct timeline *timeline);

/* Ring thread. Evicts packets older than `oldest_boottime_ns`. */
void timeline_expire(struct timeline *timeline, uint64_t oldest_boottime_ns);

/* Gives back blocks whose packets all have numbers below `number`. No effect with `keep_history`. */
void timeline_trim(struct timeline *timeline, uint64_t number);

/* The number that the next packet will get, and that of the oldest packet held (equal: none is held). */
uint64_t timeline_next_number(const struct timeline *timeline);
uint64_t timeline_oldest_number(const struct timeline *timeline);

/* Boot time of the last packet of the oldest extent, which timeline_expire evicts next; 0: no extent. */
uint64_t timeline_oldest_end(const struct timeline *timeline);

/* Boot time since when every packet that the kernel did not drop is here: the last evicted one is certainly older.
 * Initially when it was made. */
uint64_t timeline_complete_since(const struct timeline *timeline);

/* Boot time at which the oldest packet held arrived, by its stamp; UINT64_MAX: none is held. Earlier than
 * timeline_complete_since, if the ring thread was late. */
uint64_t timeline_oldest_arrival(const struct timeline *timeline);

/* Pins the extent that holds packet `number`, which must be at least the oldest and below the next. The span may begin
 * before it. */
struct span timeline_pin(struct timeline *timeline, uint64_t number);
void timeline_unpin(struct timeline *timeline, const struct span *span);

/* Where to start reading. */
struct timeline_position {
	/* Of the first packet of the first extent that may hold packets at or after the given time. */
	uint64_t number;
	uint64_t dropped; /* packets that the kernel had certainly dropped by then */
};

/* The position from which to read packets at or after `boottime_ns`. */
struct timeline_position timeline_find(const struct timeline *timeline, uint64_t boottime_ns);

struct timeline_stats {
	uint64_t held_blocks;
	uint64_t held_bytes; /* packet memory that can be read, including headers */
	uint64_t extents;
	uint64_t moved_bytes; /* copied by packing and relocation so far */
};
struct timeline_stats timeline_stats(const struct timeline *timeline);

CLEANUP_DEFINE(timeline, struct timeline, timeline_free)
