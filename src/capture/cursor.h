/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cursor: a consumer's position on a timeline, what it wants, and what it has taken. The scan runs the filters of
 * several cursors over one pinned span and copies the matching packets into their stores. One worker at a time uses a
 * cursor; any thread may read the atomic members.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "capture/link_type.h"
#include "capture/store.h"

struct filter;
struct retention_filter;
struct span;

/* Why a consumer ended. end_reason_name() returns the names that events use. */
enum end_reason {
	END_NONE,
	END_UNTIL, /* the scan has reached until_ns; consumer.until_reason has the actual reason */
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

/* A limit shared by several cursors, which stop soon after they reach it together. The owner discards the excess. */
struct quota {
	uint64_t max_packets, max_bytes;
	_Atomic uint64_t packets, bytes; /* relaxed: sums that order no other memory */
	_Atomic bool announced;
	void (*on_spent)(void *ctx); /* loop thread, once */
	void *ctx;
};

struct cursor {
	/* What it wants. Constant, except for until_ns. */
	struct quota *quota;	     /* NULL: none */
	bool outlasts_memory;	     /* without memory for a packet it counts the packet and goes on */
	const struct filter *filter; /* NULL: every packet */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t from_ns; /* boot time: no packet before this */
	uint64_t idle_ns; /* 0: none */
	/* Limits what it may take of packets before retention_until_ns; NULL: no limit. */
	const struct retention_filter *retention;
	uint64_t retention_until_ns; /* boot time */
	_Atomic uint64_t until_ns;   /* boot time: no packet after this; may change while it runs */

	/* Where it is and what it has. Owned by the worker. */
	uint64_t next_number;
	uint64_t
		beyond_number; /* the first packet that it passed because it arrived after until_ns; UINT64_MAX: none */
	struct store store;
	enum end_reason reason;
	bool quota_spent;	    /* this cursor's packet used up the quota */
	uint64_t examined;	    /* packets examined */
	uint64_t outside;	    /* of these, packets outside its window */
	uint64_t first_ns, last_ns; /* real time of the first and last packet taken */
	uint64_t last_arrived_ns;   /* boot time of the last packet taken */
	uint64_t odd_stamps;	    /* packets taken whose stamps do not fit their arrival */
	bool edge_uncertain;	    /* packets near an end of the window may be on its wrong side */
	uint64_t truncated;	    /* packets of which the ring had less than `snaplen` wants */
	uint64_t lost_memory;	    /* matching packets for which there was no memory */
	uint64_t memory_spent_ns;   /* boot time of the last such packet */
	uint64_t retyped_ns;	    /* arrival of the first packet of another link type, which ended it; 0: none */
	bool clock_stepped;	    /* the real-time clock stepped between its packets */
	int64_t clock_offset_ns;    /* real time minus boot time, at its first span; 0: none yet */
	uint64_t dropped_at_start;  /* the ring's drops before its window */
	uint64_t dropped_seen;	    /* the ring's drops up to its position */
	uint64_t dropped_marked;    /* of these, the ones in `missing` or in a packet's count of missing ones */
	uint64_t missing;	    /* packets lost since the last one taken, as far as their place is known */

	/* Readable by any thread. Relaxed: each is independent. */
	_Atomic uint64_t packets, bytes;
	_Atomic uint64_t last_match_ns; /* boot time of the last match, or of the start */
};

/* What the scan needs besides the cursors. Owned by one worker. */
struct scan_context {
	bool loopback;	       /* skip outgoing copies */
	struct link_type type; /* of the ring */
	unsigned short hardware;
	uint8_t *scratch; /* SCAN_SCRATCH_BYTES: a packet that gets another header is rebuilt here for the filters */
};

#define SCAN_SCRATCH_BYTES (1u << 20)
#define SCAN_GROUP_MAX 16 /* cursors in one pass */

/* Scans the span once for all `cursors`, each with reason END_NONE. Those that reach a stop condition get their reason;
 * the others continue after the span. No allocation, lock or system call per packet (stores grow by slabs). */
void cursor_scan(struct cursor *const *cursors, unsigned count, const struct span *span,
		 const struct scan_context *context);
