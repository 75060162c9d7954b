/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks Redis Sentinels where the master is: at once when told to, and every two seconds as long as one of them is
 * reachable. The Sentinels are tried in turn; the one that answered stays the first. Loop thread.
 */
#pragma once

#include "base/cleanup.h"

struct event_base;
struct redis_endpoint;
struct redis_options;
struct redis_sentinel;

/* Handlers may free the object. */
struct redis_sentinel_handler {
	void (*master)(void *ctx, const struct redis_endpoint *endpoint); /* a Sentinel's answer, each time */
	/* How many replicas the same Sentinel does not hold to be down, each time; -1: it does not say. NULL: it is not
	 * asked.
	 */
	void (*replicas)(void *ctx, int count);
	/* None of them could be asked, or the one that was does not know the master; the next try follows by itself. */
	void (*failed)(void *ctx, const char *reason);
	void *ctx;
};

/* Takes sentinels, master, sentinel_username, sentinel_auth and all that concerns TLS and patience from `options`; they
 * are copied. NULL on ENOMEM. */
struct redis_sentinel *redis_sentinel_new(struct event_base *loop, const struct redis_options *options,
					  struct redis_sentinel_handler handler);
void redis_sentinel_free(struct redis_sentinel *sentinel); /* no handler is called any more */

/* An answer (or a failure) follows as soon as there is one, never from within. */
void redis_sentinel_ask(struct redis_sentinel *sentinel);

CLEANUP_DEFINE(redis_sentinel, struct redis_sentinel, redis_sentinel_free)
