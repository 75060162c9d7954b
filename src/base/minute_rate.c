/* SPDX-License-Identifier: BSD-2-Clause */
/* The minute before counts as far as it is within the last 60 seconds, as if its events were spread evenly. */
#include "base/minute_rate.h"

#include "base/clock.h"

#define NS_PER_MINUTE (60 * NS_PER_S)

static struct minute_rate moved_to(const struct minute_rate *rate, uint64_t minute)
{
	if (minute == rate->minute)
		return *rate;
	return (struct minute_rate){.minute = minute, .before = minute == rate->minute + 1 ? rate->now : 0};
}

void minute_rate_count(struct minute_rate *rate, uint64_t now_ns)
{
	*rate = moved_to(rate, now_ns / NS_PER_MINUTE);
	rate->now++;
}

double minute_rate_per_second(const struct minute_rate *rate, uint64_t now_ns)
{
	const struct minute_rate moved = moved_to(rate, now_ns / NS_PER_MINUTE);
	const double elapsed = (double)(now_ns % NS_PER_MINUTE) / NS_PER_MINUTE;

	return ((double)moved.before * (1 - elapsed) + (double)moved.now) / 60;
}
