/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a Redis server, kept up: connect, TLS with the host name verified, AUTH (password or ACL user),
 * jittered exponential back-off, TCP keep-alive and PING against hangs, one log line per change of state. Used by every
 * part that speaks Redis. RESP2 only (a malformed RESP3 push overflows the heap in hiredis 1.2.0). All calls on the
 * loop's thread.
 *
 * Which server: `host`, or with `nodes` the first of them all that lets us in, beginning with the one that was up last;
 * or with `sentinels` the master they name. A master must say so itself (ROLE, which its user must be allowed) before
 * the link is up; it is asked again, and the Sentinels are, while it is. When they name another one, or this one is no
 * master any more, the link goes over to the new one.
 *
 * TLS: the certificate must be for the host that is connected to, as configured or as the Sentinel or Cluster said it.
 * They mostly say addresses, and one certificate for the service's name is usual on all its servers: so a certificate
 * for `tls_name` is taken, too, and with Sentinels one for `host`, if those are names and not addresses.
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
 * How long after a replica was promoted a link may still lead to the old master, and take it at its word: the Sentinel
 * that promotes it looks every second whether that is done (its INFO), the others hear of it within two more, and they
 * are asked every two seconds; the rest is for slow networks.
 */
#define REDIS_FAILOVER_SETTLE_NS (8 * NS_PER_S)

struct redis_link_handler {
	/* Connected, authenticated, usable: issue commands on `redis`. */
	void (*up)(void *ctx, struct redisAsyncContext *redis);
	/* The connection that was up is gone; `redis` of the last `up` must not be used any more. A new attempt is
	 * scheduled already. */
	void (*down)(void *ctx);
	/* An attempt led nowhere; the next one is scheduled already. NULL: nobody cares. */
	void (*failed)(void *ctx, const char *reason);
	void *ctx;
};

/* `role` names the connection in logs and in CLIENT SETNAME ("subscriber", "publisher"). Options are copied. NULL on
 * ENOMEM, or if a node or Sentinel is no endpoint. */
struct redis_link *redis_link_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_link_handler handler);
void redis_link_free(struct redis_link *link); /* no handler is called any more */

/* The connection is no good (a protocol answer that cannot be, a lost subscription): drop it and start over, with
 * `reason` in the log. */
void redis_link_restart(struct redis_link *link, const char *reason);

/* The same, and begin with the next of the nodes. */
void redis_link_try_next(struct redis_link *link, const char *reason);

/* Where it is connected to, or was or will be. */
const struct redis_endpoint *redis_link_endpoint(const struct redis_link *link);

/* NULL while not up. */
struct redisAsyncContext *redis_link_context(struct redis_link *link);

/*
 * First thing in every callback given to hiredis: true means that the link has let go of this connection (`down` was
 * called, or the link is freed) and that the callback must touch nothing and return. Otherwise a NULL reply means that
 * the connection is about to go; `down` follows.
 */
bool redis_link_detached(const struct redisAsyncContext *redis);

/*
 * SUBSCRIBE on the link's connection, once per connection, only while up. `reply` (a redisCallbackFn) gets the
 * confirmation and every message as arrays of three. Pub/sub answers that do not fit the channel end the connection
 * before hiredis sees them: it aborts the process on them. 0, -ENOTCONN, -EALREADY or -ENOMEM.
 */
warn_unused int redis_link_subscribe(struct redis_link *link, const char *channel,
				     void (*reply)(struct redisAsyncContext *, void *, void *), void *ctx);

CLEANUP_DEFINE(redis_link, struct redis_link, redis_link_free)
