/*
 * One connection to a Redis server, kept up: connect, TLS with the host name verified, AUTH (password or ACL user),
 * jittered exponential back-off, TCP keep-alive and PING against hangs, one log line per change of state. Used by every
 * part that speaks Redis. RESP2 only (a malformed RESP3 push overflows the heap in hiredis 1.2.0). All calls on the
 * loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct redisAsyncContext;
struct redis_link;

/* What a server can make us hold at most: a reply beyond these ends the connection. */
#define REDIS_REPLY_BYTES_MAX (64u << 20)   /* of one reply, received or parsed */
#define REDIS_REPLY_ELEMENTS_MAX (1u << 16) /* of one array */
#define REDIS_REPLY_DEPTH_MAX 8		    /* arrays in arrays */

struct redis_options {
	const char *host;
	uint16_t port;
	const char *username; /* NULL or "": default user */
	const char *auth;     /* NULL or "": none */
	bool tls;
	const char *ca_file;   /* NULL or "": the system's */
	const char *cert_file; /* client certificate, NULL or "": none */
	const char *key_file;
	bool quiet; /* nobody asked for Redis (embedded form): a server that was never there is mentioned once only */
	uint64_t ping_interval_ns; /* 0: 10 s */
	uint64_t ping_timeout_ns;  /* 0: 5 s; a connection that answers nothing for so long after a PING is dropped */
};

struct redis_link_handler {
	/* Connected, authenticated, usable: issue commands on `redis`. */
	void (*up)(void *ctx, struct redisAsyncContext *redis);
	/* The connection that was up is gone; `redis` of the last `up` must not be used any more. A new attempt is
	 * scheduled already. */
	void (*down)(void *ctx);
	void *ctx;
};

/* `role` names the connection in logs and in CLIENT SETNAME ("subscriber", "publisher"). Options are copied. NULL on
 * ENOMEM. */
struct redis_link *redis_link_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_link_handler handler);
void redis_link_free(struct redis_link *link); /* no handler is called any more */

/* The connection is no good (a protocol answer that cannot be, a lost subscription): drop it and start over, with
 * `reason` in the log. */
void redis_link_restart(struct redis_link *link, const char *reason);

/* NULL while not up. */
struct redisAsyncContext *redis_link_context(struct redis_link *link);

/*
 * First thing in every callback given to hiredis: true means that the link has let go of this connection (`down` was
 * called, or the link is freed) and that the callback must touch nothing and return. Otherwise a NULL reply means that
 * the connection is about to go; `down` follows.
 */
bool redis_link_gone(const struct redisAsyncContext *redis);

/*
 * SUBSCRIBE on the link's connection, once per connection, only while up. `reply` (a redisCallbackFn) gets the
 * confirmation and every message as arrays of three. Pub/sub answers that do not fit the channel end the connection
 * before hiredis sees them: it aborts the process on them. 0, -ENOTCONN, -EALREADY or -ENOMEM.
 */
warn_unused int redis_link_subscribe(struct redis_link *link, const char *channel,
				     void (*reply)(struct redisAsyncContext *, void *, void *), void *ctx);

CLEANUP_DEFINE(redis_link, struct redis_link, redis_link_free)
