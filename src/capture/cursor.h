/*
 * A cursor: a capture's place on a timeline, what it wants, what it got. The scan runs the filters of several cursors
 * over one pinned span and copies what matches into their stores. A cursor is used by one worker at a time; the members
 * marked atomic may be read by anyone.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/store.h"

struct filter;
struct span;

/* Why a capture ended; names as in the contract. */
enum capture_reason {
	CAPTURE_RUNNING,
	CAPTURE_PACKETS,
	CAPTURE_BYTES,
	CAPTURE_TIMEOUT,
	CAPTURE_IDLE,
	CAPTURE_WINDOW,
	CAPTURE_MEMORY,
	CAPTURE_INTERFACE_GONE,
	CAPTURE_STOPPED,
	CAPTURE_SHUTDOWN,
};

struct cursor {
	/* What it wants: fixed. */
	const struct filter *filter; /* NULL: every packet */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t from_ns;  /* boot time: no packet before it */
	uint64_t until_ns; /* boot time: none after it */
	uint64_t idle_ns;  /* 0: none */
	enum capture_reason until_reason;

	/* Where it is and what it has: the worker's. */
	uint64_t next_number;
	struct store store;
	enum capture_reason reason;
	uint64_t examined;	    /* packets looked at */
	uint64_t first_ns, last_ns; /* real time of first and last packet taken */
	uint64_t lost_memory;	    /* packets that matched and found no memory */
	uint64_t dropped_seen;	    /* the ring's drops up to where it is */

	/* For anyone to look at; relaxed: each is a number of its own. */
	_Atomic uint64_t packets, bytes;
	_Atomic uint64_t active_ns; /* boot time of the last match, or of the start */
};

/* What the scan needs besides the cursors: a worker's own. */
struct scan_context {
	bool loopback;	  /* skip outgoing copies */
	bool ethernet;	  /* stripped VLAN tags go back in */
	uint8_t *scratch; /* SCAN_SCRATCH_BYTES: a tagged packet made whole for the filters */
};

#define SCAN_SCRATCH_BYTES (1u << 20)
#define SCAN_GROUP_MAX 16 /* cursors in one pass */

/*
 * Scans the span once for all `cursors` (each with reason CAPTURE_RUNNING). Those that reach a stop condition get their
 * reason; the others stand behind the span afterwards. No allocation, lock or system call per packet (stores grow by
 * slabs).
 */
void cursor_scan(struct cursor *const *cursors, unsigned count, const struct span *span,
		 const struct scan_context *context);
