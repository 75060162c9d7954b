/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One interface's packets in the order of time, as they lie in its ring: a sequence of extents (runs of packets inside
 * a block), numbered by packet. Knows which blocks are the kernel's and which are held, gives the oldest back, and
 * packs sparse blocks together so that what can be reached is bounded by bytes, not by blocks.
 *
 * One thread, the ring thread, retires, expires and relocates; workers look up, pin and unpin. The caller's lock is
 * held around every call unless its comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct timeline;

struct timeline_options {
	uint8_t *memory; /* the ring's */
	uint32_t block_bytes;
	uint32_t block_count;
	bool keep_history;	    /* keep packets that nobody has asked for yet (the recorder) */
	uint64_t since_boottime_ns; /* now */
	uint64_t extent_max_ns;	    /* packed packets further apart than this expire apart; 0: they never expire */
};

/* A pinned run of packets: safe to read, without the lock, until it is unpinned. */
struct span {
	const uint8_t *first; /* the first packet's struct tpacket3_hdr */
	uint32_t packets;
	uint32_t block;
	uint64_t number;	    /* of the first packet, counted since the ring was opened */
	uint64_t first_ns, last_ns; /* real time */
	int64_t clock_offset_ns;    /* real time minus boot time when it was retired */
	uint64_t dropped;	    /* packets the kernel had dropped on this ring when it was taken over, at least
				     * those before its last */
};

struct timeline *timeline_new(const struct timeline_options *options);
void timeline_free(struct timeline *timeline);

/*
 * Ring thread, without the lock if `keep_history` (then only this thread evicts), with it otherwise: looks whether the
 * kernel has retired its current block and, if so, packs a sparse one together with its predecessor. True:
 * timeline_publish must follow.
 */
bool timeline_retire(struct timeline *timeline);

/*
 * Ring thread: makes the packets of the retired block visible, evicts what no longer fits and keeps the blocks ahead of
 * the kernel free. `dropped`: packets dropped so far; `clock_offset_ns`: real time minus boot time
 * now; `boottime_ns`: now.
 */
void timeline_publish(struct timeline *timeline, uint64_t dropped, int64_t clock_offset_ns, uint64_t boottime_ns);

/* How many blocks the kernel may retire before they are taken over, without coming near held ones. Constant. */
uint32_t timeline_backlog_max(const struct timeline *timeline);

/* Ring thread: forgets packets older than `oldest_boottime_ns`. */
void timeline_expire(struct timeline *timeline, uint64_t oldest_boottime_ns);

/* Gives back blocks whose packets all have numbers below `number`: nobody needs them. No effect with `keep_history`. */
void timeline_trim(struct timeline *timeline, uint64_t number);

/* The number that the next packet will get; and that of the oldest packet still here (equal: none is). */
uint64_t timeline_next_number(const struct timeline *timeline);
uint64_t timeline_oldest_number(const struct timeline *timeline);

/* Boot time of the last packet of the oldest extent: when timeline_expire can next do something. 0: there is none. */
uint64_t timeline_oldest_end(const struct timeline *timeline);

/*
 * Boot time from which on every packet is here that the kernel did not drop: the last one that was given up lies before
 * it. At first the time it was made (`since_boottime_ns` of the options).
 */
uint64_t timeline_complete_since(const struct timeline *timeline);

/* Pins the extent that holds packet `number`, which must be between oldest and next. The span may begin before it. */
struct span timeline_pin(struct timeline *timeline, uint64_t number);
void timeline_unpin(struct timeline *timeline, const struct span *span);

/* Where to start reading. */
struct timeline_position {
	uint64_t number; /* of the first packet of the first extent that may hold packets at or after the time asked for
			  */
	uint64_t dropped; /* packets that the kernel had dropped by then, of which it is certain */
};

struct timeline_position timeline_find(const struct timeline *timeline, uint64_t boottime_ns);

struct timeline_stats {
	uint64_t held_blocks;
	uint64_t held_bytes; /* packet memory that can be reached, headers included */
	uint64_t extents;
	uint64_t moved_bytes; /* copied by packing and relocation so far */
};
struct timeline_stats timeline_stats(const struct timeline *timeline);

CLEANUP_DEFINE(timeline, struct timeline, timeline_free)
