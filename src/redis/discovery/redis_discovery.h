/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a link connects next: its host, then the other nodes it was given, or the master that the Sentinels name; of
 * each all addresses, in turn. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct event_base;
struct redis_endpoint;
struct redis_options;
struct redis_discovery;

/* `exhausted` and `moved` may free the discovery; none is called before redis_discovery_start. */
struct redis_discovery_handler {
	/* Try this one; 0, or -errno with the text in `err` if that failed at once: then the next one follows. */
	int (*connect)(void *ctx, const char *address, uint16_t port, struct error *err);
	/* Nothing is left to try. The attempt is over. */
	void (*exhausted)(void *ctx, const char *reason);
	/* The Sentinels name another master than the one this attempt led to. The attempt is over. */
	void (*moved)(void *ctx, const char *reason);
	void *ctx;
};

/* `options` must outlive the discovery. NULL on ENOMEM. */
struct redis_discovery *redis_discovery_new(struct event_base *loop, const struct redis_options *options,
					    struct redis_discovery_handler handler);
void redis_discovery_free(struct redis_discovery *discovery);

/* A new attempt; handlers may be called from within. */
void redis_discovery_start(struct redis_discovery *discovery);

/* The connection last asked for failed after `progress` steps, of whatever kind: the next one, or exhausted with the
 * reason that got furthest. Handlers may be called from within. */
void redis_discovery_connect_failed(struct redis_discovery *discovery, int progress, const char *reason);

/* The attempt succeeded: the next one begins where this one led to. */
void redis_discovery_connected(struct redis_discovery *discovery);

/* No attempt is under way any more. */
void redis_discovery_stop(struct redis_discovery *discovery);

/* The next attempt begins with the node after the current one. */
void redis_discovery_skip_current(struct redis_discovery *discovery);

/* The current node and its numeric address; "" and NULL before there was one. */
const struct redis_endpoint *redis_discovery_endpoint(const struct redis_discovery *discovery);
const char *redis_discovery_address(const struct redis_discovery *discovery);

CLEANUP_DEFINE(redis_discovery, struct redis_discovery, redis_discovery_free)
