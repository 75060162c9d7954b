/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logging in is AUTH, PING and CLIENT SETNAME (best effort) in one go, and ROLE unless any role will do. Any answer to
 * PING but an error other than NOPERM shows that the server is there, lets us in, and has loaded its data. While up, a
 * PING (or ROLE) after which nothing arrives within the deadline means that the server hangs, even if its kernel still
 * answers the keep-alive.
 *
 * A server that was replaced may live on as a replica, and keep its connections: it takes PUBLISH, which reaches no
 * one, and PING. A Cluster's replicas are fine: they pass on messages and redirect commands.
 */
#include "redis/connection/redis_health.h"

#include <errno.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "redis/connection/redis_guard.h"
#include "redis/connection/redis_login.h"
#include "redis/connection/redis_options.h"

struct redis_health {
	const struct redis_options *options;
	struct redis_health_handler handler;
	bool up;	   /* logged in */
	bool pending;	   /* an answer is due */
	bool ping_denied;  /* by the user's ACL: only the TCP keep-alive is left */
	bool role_unknown; /* this server refuses to tell, or any role will do */
	uint64_t received; /* bytes, when the question was sent */
};

/* A subscriber may send only PING: for it, the Sentinels and other links watch which server is the master. */
static bool asks_role(const struct redis_health *health, const redisAsyncContext *redis)
{
	const struct redis_options *options = health->options;

	return (redis_options_need_master(options) || (!options->any_role && !health->role_unknown)) &&
	       !redis_guard_is_subscriber(redis);
}

static void report_good(struct redis_health *health)
{
	health->up = true;
	health->pending = false;
	health->handler.good(health->handler.ctx);
}

static void report_failure(struct redis_health *health, const char *reason)
{
	health->handler.failed(health->handler.ctx, reason);
}

static void on_auth(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_health *health = privdata;
	const redisReply *reply = data;
	struct error reason;

	if (!redis_guard_owner(redis) || !reply || reply->type != REDIS_REPLY_ERROR)
		return;
	redis_login_describe_refusal(health->options, reply->str, &reason);
	report_failure(health, reason.text);
}

static void on_ping(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_health *health = privdata;
	const redisReply *reply = data;

	if (!redis_guard_owner(redis) || !reply)
		return;
	health->pending = false;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0)
		health->ping_denied = true;
	else if (reply->type == REDIS_REPLY_ERROR) {
		report_failure(health, reply->str);
		return;
	}
	if (health->up || !asks_role(health, redis))
		report_good(health);
}

/* A replica's answer. */
static void on_cluster_info(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_health *health = privdata;
	const redisReply *reply = data;

	if (!redis_guard_owner(redis) || !reply)
		return;
	health->pending = false;
	health->role_unknown = redis_login_is_cluster(reply);
	if (health->role_unknown)
		report_good(health);
	else
		health->handler.replica(health->handler.ctx, "the server is a replica");
}

static void on_role(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_health *health = privdata;
	const redisReply *reply = data;
	struct error reason;

	if (!redis_guard_owner(redis) || !reply)
		return;
	switch (redis_login_read_role(reply, &reason)) {
	case REDIS_ROLE_MASTER:
		break;
	case REDIS_ROLE_UNKNOWN:
		if (redis_options_need_master(health->options)) {
			report_failure(health, reason.text);
			return;
		}
		health->role_unknown = true;
		break;
	case REDIS_ROLE_OTHER:
		if (redis_options_need_master(health->options))
			health->handler.replica(health->handler.ctx, reason.text);
		else if (redisAsyncCommand(redis, on_cluster_info, health, "INFO cluster") != REDIS_OK)
			report_failure(health, "out of memory");
		return;
	}
	report_good(health);
}

int redis_health_log_in(struct redis_health *health, redisAsyncContext *redis, const char *role)
{
	health->up = health->pending = health->ping_denied = health->role_unknown = false;
	/* PING before CLIENT: "max number of clients reached" may answer the first command, and nothing reads
	 * CLIENT's answer. */
	if (redis_login_send(redis, health->options, on_auth, health) != REDIS_OK ||
	    redisAsyncCommand(redis, on_ping, health, "PING") != REDIS_OK ||
	    redisAsyncCommand(redis, NULL, NULL, "CLIENT SETNAME pcapdaemon-%s", role) != REDIS_OK ||
	    (asks_role(health, redis) && redisAsyncCommand(redis, on_role, health, "ROLE") != REDIS_OK))
		return -ENOMEM;
	return 0;
}

static int ask(struct redis_health *health, redisAsyncContext *redis)
{
	if (asks_role(health, redis))
		return redisAsyncCommand(redis, on_role, health, "ROLE");
	return redisAsyncCommand(redis, on_ping, health, "PING");
}

int redis_health_check(struct redis_health *health, redisAsyncContext *redis, struct error *err, uint64_t *wait_ns)
{
	const uint64_t timeout_ns = health->options->ping_timeout_ns + health->options->block_ns;
	const uint64_t received = redis_guard_received_bytes(redis);

	if (health->pending && received == health->received)
		return error_set(err, -ETIMEDOUT, "no answer to %s within %" PRIu64 " ms",
				 asks_role(health, redis) ? "ROLE" : "PING", timeout_ns / NS_PER_MS);
	health->received = received;
	if (health->ping_denied && !asks_role(health, redis)) {
		*wait_ns = health->options->ping_interval_ns;
		return 0;
	}
	/* If anything else arrives while an answer is due, the server does not hang: allow another deadline. */
	if (!health->pending && ask(health, redis) != REDIS_OK)
		return error_set(err, -ENOMEM, "out of memory");
	health->pending = true;
	*wait_ns = timeout_ns;
	return 0;
}

struct redis_health *redis_health_new(const struct redis_options *options, struct redis_health_handler handler)
{
	struct redis_health *health = calloc(1, sizeof(*health));

	if (!health)
		return NULL;
	health->options = options;
	health->handler = handler;
	return health;
}

void redis_health_free(struct redis_health *health)
{
	free(health);
}
