/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subscriber that publishes events on a Redis channel, over a connection of its own. During an outage up to
 * EVENT_REDIS_BACKLOG_BYTES of events wait; beyond that the oldest are dropped, counted and logged. When another
 * server answers than before, the events that the old one took within REDIS_FAILOVER_SETTLE_NS are published again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"

struct event_base;
struct redis_options;
struct event_redis;

#define EVENT_REDIS_BACKLOG_BYTES (4u << 20)

/* Options and channel are copied. NULL on ENOMEM. Loop thread. */
struct event_redis *event_redis_new(struct event_base *loop, const struct redis_options *options, const char *channel);
void event_redis_free(struct event_redis *publisher);

void event_redis_subscriber(void *publisher, const struct event *event, const char *json);

bool event_redis_up(const struct event_redis *publisher); /* connected and logged in */

/* Events that the server has not taken yet. A stopping daemon waits, within its grace time, until this is 0. */
uint64_t event_redis_pending(const struct event_redis *publisher);
