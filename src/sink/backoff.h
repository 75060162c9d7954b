/* SPDX-License-Identifier: BSD-2-Clause */
/* How long to wait before the next attempt. Pure except for the random number; any thread. */
#pragma once

#include <stdint.h>

/* A server must not delay a file, and hold its memory, for longer. */
#define BACKOFF_RETRY_AFTER_MAX_NS UINT64_C(300000000000)

/*
 * Exponential with full jitter: a random time below first_ns · 2^(attempts - 1), at most max_ns. `retry_after_ns` (0:
 * none), capped, is added: clients that were given the same second must not all return in it. `attempts` counts failed
 * attempts.
 */
uint64_t backoff_ns(uint64_t first_ns, uint64_t max_ns, unsigned attempts, uint64_t retry_after_ns);
