/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishes this node's status in Redis with an expiry, so that clients know which nodes should answer. Keys:
 * {CHANNEL}:node:NODE (the JSON of node_status_json, for 15 s; after a clean stop that of
 * node_status_stopped_json, for a day) and {CHANNEL}:nodes (a sorted set of the times at which
 * nodes were last seen, by the server's clock). Notices another daemon with the same name. Loop thread.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

struct event_base;
struct node_status;
struct presence;
struct redis_clock;
struct redis_commands;

#define PRESENCE_PERIOD_S 5
#define PRESENCE_EXPIRY_S 15

struct presence_options {
	struct event_base *loop;
	const struct node_status *status;
	struct redis_commands *commands;
	const struct redis_clock *clock; /* the server's */
	const char *channel;
	/* Another daemon has this name: once, until it is gone. `host`: where it runs, "" if unknown. */
	void (*name_taken)(void *ctx, const char *host);
	void *ctx;
};

/* `channel` is copied; the rest must outlive it. NULL on ENOMEM. */
struct presence *presence_new(const struct presence_options *options);

/* Whether another daemon with this name was there at the last look. */
bool presence_name_taken(const struct presence *presence);

/* For a clean stop: publishes that this node is stopped, if Redis is up and the presence is its own, and nothing more.
 */
void presence_leave(struct presence *presence);
void presence_free(struct presence *presence); /* call after redis_commands_free */

CLEANUP_DEFINE(presence, struct presence, presence_free)
