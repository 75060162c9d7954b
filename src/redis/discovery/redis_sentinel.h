/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks Redis Sentinels where the master is: on request, and every two seconds while one of them is reachable. They are
 * tried in turn, beginning with the last one that answered. All that have the same options.links share one connection
 * and its answers. Loop thread.
 */
#pragma once

#include "base/cleanup.h"

struct event_base;
struct redis_endpoint;
struct redis_options;
struct redis_sentinel;

/* Handlers may free the object. */
struct redis_sentinel_handler {
	void (*master)(void *ctx, const struct redis_endpoint *endpoint); /* after each answer */
	/* After each answer: how many replicas the same Sentinel does not consider down; -1: it refuses. NULL: do not
	 * ask. */
	void (*replicas)(void *ctx, int count);
	/* No Sentinel is reachable, or the one asked does not know the master; the next try follows by itself. */
	void (*failed)(void *ctx, const char *reason);
	void *ctx;
};

/* Uses options.links unless that is NULL, and copies sentinels, master, sentinel_username, sentinel_auth, the TLS
 * options and the PING times from `options`. NULL on ENOMEM, or if a Sentinel is no valid endpoint. */
struct redis_sentinel *redis_sentinel_new(struct event_base *loop, const struct redis_options *options,
					  struct redis_sentinel_handler handler);
void redis_sentinel_free(struct redis_sentinel *sentinel); /* no handler is called any more */

/* Asks at once, or as soon as a Sentinel is connected. Never calls a handler before it returns. */
void redis_sentinel_ask(struct redis_sentinel *sentinel);

CLEANUP_DEFINE(redis_sentinel, struct redis_sentinel, redis_sentinel_free)
