/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds where a link connects next: its host, then its other nodes, or the master that the Sentinels name; of each all
 * addresses, in turn. Loop thread.
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
	/* Connect to this address. 0, or -errno with the text in `err` if that failed at once; the next follows. */
	int (*connect)(void *ctx, const char *address, uint16_t port, struct error *err);
	/* Nothing is left to try; the attempt is over. */
	void (*exhausted)(void *ctx, const char *reason);
	/* The Sentinels name another master than this attempt led to; the attempt is over. */
	void (*moved)(void *ctx, const char *reason);
	/* Between attempts: the Sentinels name another master than the last attempt led to, or answer again. */
	void (*found)(void *ctx);
	void *ctx;
};

/* `options` must outlive the discovery. NULL on ENOMEM or an invalid endpoint. */
struct redis_discovery *redis_discovery_new(struct event_base *loop, const struct redis_options *options,
					    struct redis_discovery_handler handler);
void redis_discovery_free(struct redis_discovery *discovery);

/* Starts a new attempt. May call handlers before it returns. */
void redis_discovery_start(struct redis_discovery *discovery);

/* The last connection that was requested failed after `progress` steps (of any kind): tries the next, or reports
 * exhausted with the reason that got furthest. May call handlers before it returns. */
void redis_discovery_connect_failed(struct redis_discovery *discovery, int progress, const char *reason);

/* The attempt succeeded: the next one begins with the same node. */
void redis_discovery_connected(struct redis_discovery *discovery);

/* Ends the attempt. */
void redis_discovery_stop(struct redis_discovery *discovery);

/* The next attempt begins with the node after the current one. */
void redis_discovery_skip_current(struct redis_discovery *discovery);

/* The current node and its numeric address; host "" and NULL before the first. */
const struct redis_endpoint *redis_discovery_endpoint(const struct redis_discovery *discovery);
const char *redis_discovery_address(const struct redis_discovery *discovery);

CLEANUP_DEFINE(redis_discovery, struct redis_discovery, redis_discovery_free)
