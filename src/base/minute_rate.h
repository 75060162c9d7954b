/* SPDX-License-Identifier: BSD-2-Clause */
/* How often something happened during the last minute: an estimate from two counters. The caller locks. */
#pragma once

#include <stdint.h>

/* Zeroed: nothing happened yet. */
struct minute_rate {
	uint64_t minute;      /* boot time, minutes */
	uint64_t before, now; /* counts of the minute before it, and of it */
};

void minute_rate_count(struct minute_rate *rate, uint64_t now_ns);

/* A second, on average over the last minute. */
double minute_rate_per_second(const struct minute_rate *rate, uint64_t now_ns);
