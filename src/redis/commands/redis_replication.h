/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks whether a list that was just written survives a failover. A replaced master keeps taking writes until it
 * learns that it was replaced, and those are lost; nor does a promoted replica have everything that the master took
 * before it died. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct redis_commands;
struct redis_options;
struct redis_replication;
struct redis_replication_check;

enum redis_replication_verdict {
	/* On all replicas that are up, as far as known; or still on the master after REDIS_FAILOVER_SETTLE_NS. */
	REDIS_REPLICATED,
	REDIS_LOST,	  /* gone from the master, or incomplete: another server may be the master now */
	REDIS_UNVERIFIED, /* no answer */
};

typedef void (*redis_replication_done)(void *ctx, enum redis_replication_verdict verdict);

/* `options` are copied; `commands` is the client that writes, and must outlive this. NULL on ENOMEM. */
struct redis_replication *redis_replication_new(struct event_base *loop, const struct redis_options *options,
						struct redis_commands *commands);
void redis_replication_free(struct redis_replication *replication); /* no `done` is called any more */

/*
 * The list at `key` has `length` entries and may expire `ttl` seconds from now. `done` is called once, never before
 * this returns. Usually two answers suffice; if a replica lags or was promoted, it takes half a second more and then
 * REDIS_FAILOVER_SETTLE_NS. NULL on ENOMEM.
 */
struct redis_replication_check *redis_replication_check(struct redis_replication *replication, const char *key,
							int64_t length, const char *ttl, redis_replication_done done,
							void *ctx);
void redis_replication_cancel(struct redis_replication_check *check); /* `done` is not called */

CLEANUP_DEFINE(redis_replication, struct redis_replication, redis_replication_free)
