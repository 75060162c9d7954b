/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishes what this node says of itself to Redis, with an expiry: who asks for many nodes can know which of them
 * should answer. Keys: {CHANNEL}:node:NODE (the JSON of node_status_json, 15 s) and {CHANNEL}:nodes (a sorted set, when
 * each was seen last). Loop thread.
 */
#pragma once

#include "base/cleanup.h"

struct event_base;
struct node_status;
struct presence;
struct redis_commands;

#define PRESENCE_PERIOD_S 5
#define PRESENCE_EXPIRY_S 15

/* `channel` is copied; `status` and `commands` must outlive it. NULL on ENOMEM. */
struct presence *presence_new(struct event_base *loop, const struct node_status *status,
			      struct redis_commands *commands, const char *channel);

/* A clean stop: says good-bye, if Redis is there, and publishes nothing more. */
void presence_leave(struct presence *presence);
void presence_free(struct presence *presence);

CLEANUP_DEFINE(presence, struct presence, presence_free)
