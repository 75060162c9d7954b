/* SPDX-License-Identifier: BSD-2-Clause */
/* 128 bits cannot overflow: 64 bits of ticks times 30 bits of nanoseconds per second, plus an offset of the same size.
 */
#include "pcapng/timestamp.h"

#include <errno.h>

#include "base/clock.h"
#include "base/int128.h"

#define POWER_OF_2 0x80
#define POWER_MASK 0x7f
#define POWER_MAX_10 19
#define POWER_MAX_2 63
#define POWER_NS 9

bool timestamp_resolution_known(uint8_t tsresol)
{
	return (tsresol & POWER_MASK) <= (tsresol & POWER_OF_2 ? POWER_MAX_2 : POWER_MAX_10);
}

static uint64_t power_of_10(int n)
{
	uint64_t power = 1;

	while (n-- > 0)
		power *= 10;
	return power;
}

static uint128 scale(uint64_t ticks, uint8_t tsresol)
{
	const int power = tsresol & POWER_MASK;

	if (tsresol & POWER_OF_2)
		return (uint128)ticks * NS_PER_S >> power;
	if (power <= POWER_NS)
		return (uint128)ticks * power_of_10(POWER_NS - power);
	return ticks / power_of_10(power - POWER_NS);
}

int timestamp_to_ns(uint64_t ticks, uint8_t tsresol, int64_t offset_s, uint64_t *time_ns)
{
	const int128 total = (int128)scale(ticks, tsresol) + (int128)offset_s * (int64_t)NS_PER_S;

	/* The largest number means an unknown time: PACKET_UNKNOWN. */
	if (total < 0 || total >= UINT64_MAX)
		return -ERANGE;
	*time_ns = (uint64_t)total;
	return 0;
}
