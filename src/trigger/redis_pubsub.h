/* SPDX-License-Identifier: BSD-2-Clause */
/* Trigger: a Redis pub/sub channel. Subscribes, stays subscribed through every kind of bad day, and says each change of
 * state once. */
#pragma once

#include <stdbool.h>

#include "trigger/trigger.h"

struct event_base;
struct redis_options;
struct redis_pubsub;

/* Starts connecting at once, never fails for want of a server. `options` and `channel` are copied. NULL on ENOMEM. Loop
 * thread. */
struct redis_pubsub *redis_pubsub_new(struct event_base *loop, const struct redis_options *options, const char *channel,
				      struct trigger_handler handler);
void redis_pubsub_free(struct redis_pubsub *pubsub);

/* True while the subscription is confirmed by the server. */
bool redis_pubsub_subscribed(const struct redis_pubsub *pubsub);
