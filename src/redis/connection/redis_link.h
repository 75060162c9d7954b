/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a Redis server, kept up: it connects, verifies the host name by TLS, logs in (password or ACL
 * user), backs off exponentially with jitter, detects hangs by TCP keep-alive and PING, and logs each change of state
 * once. All parts that speak Redis use it. RESP2 only (a malformed RESP3 push overflows the heap in hiredis 1.2.0). All
 * calls on the loop's thread.
 *
 * Which server: `host`; or with `nodes` the first of all these that lets us in, beginning with the last that was up; or
 * with `sentinels` the master they name. While the link is up, the server (by ROLE, at each ping_interval_ns) and the
 * Sentinels are asked again. If they name another master, or this one is no master any more, the link moves to the new
 * one. With Sentinels a master must confirm its role before the link is up; else one that refuses ROLE is taken for a
 * master until it answers READONLY.
 *
 * TLS: the certificate must be for the host connected to, as configured or as named by the Sentinel or the Cluster.
 * Those mostly name addresses, while one certificate for the service's name is common on all its servers. So a
 * certificate for `tls_name` is accepted as well, or if that is NULL, with Sentinels, one for `host`; but only if that
 * is a name and not an address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct event_base;
struct redisAsyncContext;
struct redis_endpoint;
struct redis_link;
struct redis_options;

/*
 * How long after a promotion a link may still lead to the old master and trust it. The Sentinel that promotes a replica
 * polls it every second (INFO) until it is a master, the other Sentinels learn of it within two more seconds, and they
 * are asked every two seconds; the rest is for slow networks.
 */
#define REDIS_FAILOVER_SETTLE_NS (8 * NS_PER_S)

struct redis_link_handler {
	/* Connected, logged in, usable: send commands on `redis`. */
	void (*up)(void *ctx, struct redisAsyncContext *redis);
	/* The connection is gone; do not use the `redis` of the last `up` any more. A new attempt is scheduled. */
	void (*down)(void *ctx);
	/* An attempt failed; the next one is scheduled. May be NULL. */
	void (*failed)(void *ctx, const char *reason);
	/* Precedes `down`, with its reason: a refused SUBSCRIBE ends the connection. Must not free the link. May be
	 * NULL. */
	void (*lost)(void *ctx, const char *reason);
	void *ctx;
};

/* `role` names the connection in logs and in CLIENT SETNAME ("subscriber", "publisher"). Options are copied. NULL on
 * ENOMEM, or if a node or Sentinel is no valid endpoint. */
struct redis_link *redis_link_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_link_handler handler);
void redis_link_free(struct redis_link *link); /* no handler is called any more */

/* Drops a connection that is no good (an impossible answer, a lost subscription) and starts over; logs `reason`. Does
 * nothing while not up. */
void redis_link_restart(struct redis_link *link, const char *reason);

/* The same for a server that turned out to be a replica (READONLY): the process's other links leave it, too. */
void redis_link_replaced(struct redis_link *link, const char *reason);

/* How many times the link has left a server because that was no master (any more). */
unsigned redis_link_replacements(const struct redis_link *link);

/* The same as redis_link_restart, but begins with the next node. */
void redis_link_try_next(struct redis_link *link, const char *reason);

/* The endpoint of the current connection or attempt, or else of the last or the next. */
const struct redis_endpoint *redis_link_endpoint(const struct redis_link *link);

/* NULL while not up. */
struct redisAsyncContext *redis_link_context(struct redis_link *link);

/*
 * Call it first in every callback given to hiredis. True means that the link has dropped this connection (`down` was
 * called, or the link is freed): the callback must touch nothing and return. Otherwise a NULL reply means that the
 * connection is about to end; `down` follows.
 */
bool redis_link_detached(const struct redisAsyncContext *redis);

/*
 * Sends SUBSCRIBE: once per connection, only while up. `reply` (a redisCallbackFn) gets the confirmation and every
 * message as arrays of three. A pub/sub answer that does not fit the channel ends the connection: hiredis would abort
 * the process on it. 0, -ENOTCONN, -EALREADY or -ENOMEM.
 */
warn_unused int redis_link_subscribe(struct redis_link *link, const char *channel,
				     void (*reply)(struct redisAsyncContext *, void *, void *), void *ctx);

CLEANUP_DEFINE(redis_link, struct redis_link, redis_link_free)
