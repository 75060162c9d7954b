/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far the server's clock is from this host's: entries of a stream and presence carry the server's time. The server
 * is asked (TIME) when the connection comes up and each minute after that. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct redis_clock;
struct redis_commands;

struct redis_clock_offset {
	bool known;
	int64_t offset_ns;	 /* the server's real time minus this host's */
	uint64_t uncertainty_ns; /* half the time that the answer took */
};

/* `commands` must outlive the clock, or be freed just before it. NULL on ENOMEM. */
struct redis_clock *redis_clock_new(struct event_base *loop, struct redis_commands *commands);
void redis_clock_free(struct redis_clock *clock);

/* Right even if this host's clock was set since the server was asked. */
struct redis_clock_offset redis_clock_offset(const struct redis_clock *clock);

/* The server's real time now; 0: unknown. */
uint64_t redis_clock_now_ns(const struct redis_clock *clock);

CLEANUP_DEFINE(redis_clock, struct redis_clock, redis_clock_free)
