/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A destination's circuit breaker:
 *
 *     closed ──N failures in a row──> open ──wait over──> half-open ──success──> closed
 *                                      ↑                      │
 *                                      └──failure, longer wait┘
 *
 * While it is open no attempt begins; half-open, one does. A success of any attempt closes it. Times are boot time, and
 * are passed in. Pure, except for the random number; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

enum breaker_result {
	BREAKER_SUCCESS, /* the destination answers, even if it refuses this file */
	BREAKER_FAILURE, /* not the file's fault */
	BREAKER_NO_RESULT,
};

struct breaker_options {
	unsigned failures;	/* in a row open it; 0: it never opens */
	uint64_t first_wait_ns; /* doubles with each failure of a half-open one … */
	uint64_t max_wait_ns;	/* … up to this. Half of a wait is random */
};

struct breaker {
	enum breaker_state state;
	unsigned failures;   /* in a row, while closed */
	unsigned waits;	     /* since it was closed */
	bool probing;	     /* half-open: an attempt is under way */
	uint64_t opened_ns;  /* when it was last closed no more */
	uint64_t until_ns;   /* open: to then */
	uint64_t open_count; /* how often it has opened from closed */
};

const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half-open" */

/* Whether an attempt may begin. */
bool breaker_allows(const struct breaker *breaker, uint64_t now_ns);

/* An attempt begins, which is allowed. Whether it is the one that a half-open breaker allows. */
bool breaker_begin(struct breaker *breaker);

/* The attempt ends; `probe` as breaker_begin returned. `retry_after_ns`: what the server asked for, or 0. Whether the
 * breaker has opened, or closed, by that; a half-open one that opens again does not count. */
bool breaker_end(struct breaker *breaker, const struct breaker_options *options, bool probe, enum breaker_result result,
		 uint64_t retry_after_ns, uint64_t now_ns);
