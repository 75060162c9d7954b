/* SPDX-License-Identifier: BSD-2-Clause */
/* Trigger: a Redis pub/sub channel. Stays subscribed through outages, and logs each change of state once. */
#pragma once

#include <stdbool.h>

#include "trigger/trigger.h"

struct event_base;
struct redis_options;
struct redis_pubsub;

/* Starts to connect at once; an absent server is no failure. `options` and `channel` are copied. NULL on ENOMEM. Loop
 * thread. */
struct redis_pubsub *redis_pubsub_new(struct event_base *loop, const struct redis_options *options, const char *channel,
				      struct trigger_handler handler);
void redis_pubsub_free(struct redis_pubsub *pubsub);

/* True while the server has confirmed the subscription. */
bool redis_pubsub_subscribed(const struct redis_pubsub *pubsub);
