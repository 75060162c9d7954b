/* SPDX-License-Identifier: BSD-2-Clause */
/* Full jitter, from zero to a bound that doubles with each failure until the link was stable. */
#include "redis/connection/redis_backoff.h"

#include <event2/util.h>

#define FIRST_NS (100 * NS_PER_MS)
#define DOUBLINGS_MAX 16
#define STABLE_NS (5 * NS_PER_S)
#define SHORT_UPTIMES_MAX 3

void redis_backoff_up(struct redis_backoff *backoff)
{
	backoff->up_since_ns = clock_boottime_ns();
}

bool redis_backoff_is_stable(struct redis_backoff *backoff)
{
	if (clock_boottime_ns() - backoff->up_since_ns < STABLE_NS)
		return false;
	backoff->failed_attempts = 0;
	backoff->short_uptimes = 0;
	return true;
}

uint64_t redis_backoff_next_ns(struct redis_backoff *backoff, bool was_up, uint64_t max_ns)
{
	if (was_up && !redis_backoff_is_stable(backoff))
		backoff->short_uptimes++;
	const unsigned failed = backoff->failed_attempts++;
	const uint64_t bound_ns = failed < DOUBLINGS_MAX ? FIRST_NS << failed : max_ns;

	return redis_backoff_jitter_ns(bound_ns < max_ns ? bound_ns : max_ns);
}

bool redis_backoff_flaps(const struct redis_backoff *backoff)
{
	return backoff->short_uptimes >= SHORT_UPTIMES_MAX;
}

uint64_t redis_backoff_jitter_ns(uint64_t max_ns)
{
	uint64_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return random % max_ns;
}
