/* SPDX-License-Identifier: BSD-2-Clause */
/* When a link tries again, and whether it flaps. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct redis_backoff {
	unsigned failed_attempts; /* since it was last stable */
	unsigned short_uptimes;	  /* in a row */
	uint64_t up_since_ns;	  /* boot time */
};

void redis_backoff_up(struct redis_backoff *backoff);
/* Whether it has been up long enough for the next failure to be a new one. Only while up. */
bool redis_backoff_is_stable(struct redis_backoff *backoff);
/* After a failed attempt, or an end of the connection (`was_up`): the time to wait, less than `max_ns`. */
uint64_t redis_backoff_next_ns(struct redis_backoff *backoff, bool was_up, uint64_t max_ns);
/* Whether the last connections were short, so that only a stable one is worth a line in the log. */
bool redis_backoff_flaps(const struct redis_backoff *backoff);

/* Less than `max_ns`: many daemons lose and find the same Redis at the same time. */
uint64_t redis_backoff_jitter_ns(uint64_t max_ns);
