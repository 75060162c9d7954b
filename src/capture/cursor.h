/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cursor: a consumer's place on a timeline, what it wants, what it got. The scan runs the filters of several cursors
 * over one pinned span and copies what matches into their stores. A cursor is used by one worker at a time; the members
 * marked atomic may be read by anyone.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "capture/store.h"

struct filter;
struct retention_filter;
struct span;

/* Why a consumer ended; names as in the contract. */
enum end_reason {
	END_NONE,
	END_UNTIL, /* the scan has come to until_ns: whoever set that knows why */
	END_PACKETS,
	END_BYTES,
	END_TIMEOUT,
	END_IDLE,
	END_WINDOW,
	END_MEMORY,
	END_INTERFACE_GONE,
	END_STOPPED,
	END_SHUTDOWN,
};

/* A limit that several cursors share: together they stop soon after it is reached. Its owner cuts what is too much. */
struct quota {
	uint64_t max_packets, max_bytes;
	_Atomic uint64_t packets, bytes; /* relaxed: sums, nothing else hangs on them */
	_Atomic bool announced;
	void (*on_spent)(void *ctx); /* loop thread, once */
	void *ctx;
};

struct cursor {
	/* What it wants: fixed. */
	struct quota *quota;	     /* NULL: none */
	const struct filter *filter; /* NULL: every packet */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t from_ns; /* boot time: no packet before it */
	uint64_t idle_ns; /* 0: none */
	const struct retention_filter
		*retention;	     /* of packets before retention_until_ns only what this allows; NULL: everything */
	uint64_t retention_until_ns; /* boot time */
	_Atomic uint64_t until_ns;   /* boot time: no packet after it; may be lowered while it runs */

	/* Where it is and what it has: the worker's. */
	uint64_t next_number;
	struct store store;
	enum end_reason reason;
	bool quota_spent;	    /* this cursor's packet was the one */
	uint64_t examined;	    /* packets looked at */
	uint64_t first_ns, last_ns; /* real time of first and last packet taken */
	uint64_t lost_memory;	    /* packets that matched and found no memory */
	uint64_t memory_spent_ns;   /* boot time of that packet */
	bool clock_stepped;	    /* packets from before and after a step of the real-time clock */
	int64_t clock_offset_ns;    /* real time minus boot time of the first span; 0: none yet */
	uint64_t dropped_seen;	    /* the ring's drops up to where it is */

	/* For anyone to look at; relaxed: each is a number of its own. */
	_Atomic uint64_t packets, bytes;
	_Atomic uint64_t last_match_ns; /* boot time of the last match, or of the start */
};

/* What the scan needs besides the cursors: a worker's own. */
struct scan_context {
	bool loopback;	  /* skip outgoing copies */
	bool ethernet;	  /* stripped VLAN tags go back in */
	uint8_t *scratch; /* SCAN_SCRATCH_BYTES: a tagged packet made whole for the filters */
};

#define SCAN_SCRATCH_BYTES (1u << 20)
#define TIMELINE_ORDER_SLACK_NS (10 * NS_PER_MS)	  /* packets may lie this far from the order of time */
#define TIMELINE_CLOCK_STEP_NS (100 * (int64_t)NS_PER_MS) /* NTP's corrections are slower than this between two spans \
							   */
#define SCAN_GROUP_MAX 16				  /* cursors in one pass */

/*
 * Scans the span once for all `cursors` (each with reason END_NONE). Those that reach a stop condition get their
 * reason; the others stand behind the span afterwards. No allocation, lock or system call per packet (stores grow by
 * slabs).
 */
void cursor_scan(struct cursor *const *cursors, unsigned count, const struct span *span,
		 const struct scan_context *context);
