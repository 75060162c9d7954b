/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks a server whether it lets us in, answers and is a master: when a link logs in, and while it is up. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redisAsyncContext;
struct redis_health;
struct redis_options;

/* One of these follows each question, unless the guard's owner is gone before. It may free the health. */
struct redis_health_handler {
	void (*good)(void *ctx);
	void (*failed)(void *ctx, const char *reason);
	void (*replica)(void *ctx, const char *reason); /* only where a master is wanted */
	void *ctx;
};

/* For one connection after another. The options are not copied. NULL on ENOMEM. */
struct redis_health *redis_health_new(const struct redis_options *options, struct redis_health_handler handler);
void redis_health_free(struct redis_health *health);

/* Logs in on a new connection, as `role`. 0 or -ENOMEM. */
warn_unused int redis_health_log_in(struct redis_health *health, struct redisAsyncContext *redis, const char *role);

/*
 * Asks a connection that is up, unless an answer is due. 0, and `wait_ns` is when to call again unless `good` comes
 * first; or with the text in `err` -ETIMEDOUT if nothing arrived since the last call, -ENOMEM.
 */
warn_unused int redis_health_check(struct redis_health *health, struct redisAsyncContext *redis, struct error *err,
				   uint64_t *wait_ns);

CLEANUP_DEFINE(redis_health, struct redis_health, redis_health_free)
