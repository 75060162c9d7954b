/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishes this node's status in Redis with an expiry, so that clients know which nodes should answer. Keys:
 * {CHANNEL}:node:NODE (the JSON of node_status_json, for 15 s) and {CHANNEL}:nodes (a sorted set of the times at which
 * nodes were last seen). Loop thread.
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

/* For a clean stop: removes this node's presence, if Redis is up, and publishes nothing more. */
void presence_leave(struct presence *presence);
void presence_free(struct presence *presence);

CLEANUP_DEFINE(presence, struct presence, presence_free)
