/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a list that was just written outlives the master that took it. A master that was replaced goes on taking
 * writes until it hears of that, and they are gone with it; nor has a replica everything that a master took before it
 * died. Loop thread.
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
	REDIS_REPLICATED, /* on all replicas that are well, as far as may be known; or on the master after
			     REDIS_FAILOVER_SETTLE_NS */
	REDIS_LOST,	  /* the master has it no more, or not whole: it is another one now, say */
	REDIS_UNVERIFIED, /* nobody answered */
};

typedef void (*redis_replication_done)(void *ctx, enum redis_replication_verdict verdict);

/* `options` are copied; `commands` is the client that writes, and must outlive this. NULL on ENOMEM. */
struct redis_replication *redis_replication_new(struct event_base *loop, const struct redis_options *options,
						struct redis_commands *commands);
void redis_replication_free(struct redis_replication *replication); /* no check calls back any more */

/*
 * `length`: of the list at `key`; `ttl`: seconds after which it may expire, from now. `done` is called once, never from
 * within. Mostly that takes two answers; where a replica is behind or was promoted, half a second more and then
 * REDIS_FAILOVER_SETTLE_NS. NULL on ENOMEM.
 */
struct redis_replication_check *redis_replication_check(struct redis_replication *replication, const char *key,
							int64_t length, const char *ttl, redis_replication_done done,
							void *ctx);
void redis_replication_cancel(struct redis_replication_check *check); /* `done` is not called */

CLEANUP_DEFINE(redis_replication, struct redis_replication, redis_replication_free)
