/* SPDX-License-Identifier: BSD-2-Clause */
/* How long to wait before the next try. Pure but for the random number; any thread. */
#pragma once

#include <stdint.h>

#define BACKOFF_RETRY_AFTER_MAX_NS                                                         \
	UINT64_C(300000000000) /* a server may not park a file, and its memory, for longer \
				*/

/*
 * Exponential with full jitter: a random time below first_ns · 2^(tries - 1), at most max_ns. `retry_after_ns` (0:
 * none), capped, comes on top: those who were all told the same second don't all come back in it. `tries` counts those
 * that failed so far.
 */
uint64_t backoff_ns(uint64_t first_ns, uint64_t max_ns, unsigned tries, uint64_t retry_after_ns);
