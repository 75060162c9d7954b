/* SPDX-License-Identifier: BSD-2-Clause */
/* Full jitter (between 0 and the ceiling, not around it) best spreads a fleet's daemons over a server that has just
 * returned: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
#include "sink/backoff.h"

#include <sys/random.h>
#include <sys/types.h>

static uint64_t random_below(uint64_t ceiling)
{
	uint64_t value;

	if (ceiling == 0 || getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		return ceiling;
	return value % ceiling;
}

uint64_t backoff_ns(uint64_t first_ns, uint64_t max_ns, unsigned attempts, uint64_t retry_after_ns)
{
	uint64_t ceiling = first_ns;

	for (unsigned i = 1; i < attempts && ceiling < max_ns; i++)
		if (__builtin_mul_overflow(ceiling, UINT64_C(2), &ceiling))
			ceiling = max_ns;
	if (ceiling > max_ns)
		ceiling = max_ns;
	if (retry_after_ns > BACKOFF_RETRY_AFTER_MAX_NS)
		retry_after_ns = BACKOFF_RETRY_AFTER_MAX_NS;
	return retry_after_ns + random_below(ceiling);
}
