/*
 * One connection to a Redis server, kept up: connect, TLS with the host name verified, AUTH (password or ACL user),
 * jittered exponential back-off, TCP keep-alive and PING against hangs, one log line per change of state. Used by every
 * part that speaks Redis. RESP2 only (a malformed RESP3 push overflows the heap in hiredis 1.2.0). All calls on the
 * loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct redisAsyncContext;
struct redis_link;

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
