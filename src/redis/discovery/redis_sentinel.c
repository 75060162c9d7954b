/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Sentinel is a Redis server with few commands. So the connection to the Sentinels is a link of its own, with them as
 * its nodes: TLS, login, hang detection and back-off are the link's. It stays up, because the query is repeated every
 * two seconds. That finds a master that still answers but was replaced (cut off from the Sentinels, or demoted while we
 * were subscribed and could not ask for its ROLE).
 */
#include "redis/discovery/redis_sentinel.h"

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_link.h"
#include "redis/connection/redis_options.h"

#define POLL_INTERVAL_NS (2 * NS_PER_S)
#define PING_MAX_NS (2 * NS_PER_S) /* interval and timeout: a failover must not wait for a Sentinel that hangs */

struct redis_sentinel {
	struct redis_link *link;
	struct event *timer; /* the next query */
	char *master;
	bool query_pending;
	struct redis_sentinel_handler handler;
};

static bool parse_master(const redisReply *reply, struct redis_endpoint *endpoint)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	       reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_STRING &&
	       redis_endpoint_set(reply->element[0]->str, reply->element[1]->str, endpoint) == 0;
}

static void report_failure(struct redis_sentinel *sentinel, const redisReply *reply)
{
	struct error reason;

	if (reply->type == REDIS_REPLY_ERROR)
		error_set(&reason, 0, "the Sentinel refuses: %s", reply->str);
	else if (reply->type == REDIS_REPLY_NIL)
		error_set(&reason, 0, "the Sentinel does not know the master %s", sentinel->master);
	else
		error_set(&reason, 0, "the Sentinel's answer is malformed");
	redis_link_try_next(sentinel->link, reason.text);
	sentinel->handler.failed(sentinel->handler.ctx, reason.text);
}

static void on_master_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	const struct timeval again = {.tv_sec = POLL_INTERVAL_NS / NS_PER_S};
	struct redis_sentinel *sentinel = ctx;
	const redisReply *reply = data;
	struct redis_endpoint endpoint;

	if (redis_link_detached(redis) || !reply)
		return;
	sentinel->query_pending = false;
	if (!parse_master(reply, &endpoint)) {
		report_failure(sentinel, reply);
		return;
	}
	event_add(sentinel->timer, &again);
	sentinel->handler.master(sentinel->handler.ctx, &endpoint);
}

/* A replica is an array of alternating names and values; its flags are words with commas between them. "disconnected"
 * is no bad sign: every replica that a Sentinel has just discovered has it, as after a failover. */
static bool is_replica_up(const redisReply *replica)
{
	static const char *const bad[] = {"s_down", "o_down"};

	if (replica->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i + 1 < replica->elements; i += 2) {
		const redisReply *name = replica->element[i], *flags = replica->element[i + 1];

		if (name->type != REDIS_REPLY_STRING || flags->type != REDIS_REPLY_STRING ||
		    strcmp(name->str, "flags") != 0)
			continue;
		for (size_t j = 0; j < sizeof(bad) / sizeof(*bad); j++)
			if (strstr(flags->str, bad[j]))
				return false;
		return true;
	}
	return false;
}

static void on_replicas_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	struct redis_sentinel *sentinel = ctx;
	const redisReply *reply = data;
	int count = 0;

	if (redis_link_detached(redis) || !reply)
		return;
	if (reply->type != REDIS_REPLY_ARRAY) {
		sentinel->handler.replicas(sentinel->handler.ctx, -1);
		return;
	}
	for (size_t i = 0; i < reply->elements; i++)
		count += is_replica_up(reply->element[i]);
	sentinel->handler.replicas(sentinel->handler.ctx, count);
}

void redis_sentinel_ask(struct redis_sentinel *sentinel)
{
	redisAsyncContext *redis = redis_link_context(sentinel->link);

	if (!redis || sentinel->query_pending)
		return;
	sentinel->query_pending = true;
	if (redisAsyncCommand(redis, on_master_reply, sentinel, "SENTINEL get-master-addr-by-name %s",
			      sentinel->master) != REDIS_OK ||
	    (sentinel->handler.replicas && redisAsyncCommand(redis, on_replicas_reply, sentinel, "SENTINEL replicas %s",
							     sentinel->master) != REDIS_OK))
		redis_link_restart(sentinel->link, "out of memory");
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	redis_sentinel_ask(ctx);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct redis_sentinel *sentinel = ctx;

	(void)redis;
	sentinel->query_pending = false;
	redis_sentinel_ask(sentinel);
}

static void on_down(void *ctx)
{
	struct redis_sentinel *sentinel = ctx;

	sentinel->query_pending = false;
	event_del(sentinel->timer);
}

static void on_failed(void *ctx, const char *reason)
{
	struct redis_sentinel *sentinel = ctx;
	struct error text;

	error_set(&text, 0, "no Sentinel answers: %s", reason);
	sentinel->handler.failed(sentinel->handler.ctx, text.text);
}

static uint64_t capped(uint64_t value, uint64_t max)
{
	return value && value < max ? value : max;
}

struct redis_sentinel *redis_sentinel_new(struct event_base *loop, const struct redis_options *options,
					  struct redis_sentinel_handler handler)
{
	cleanup(cleanup_redis_sentinel) struct redis_sentinel *sentinel = calloc(1, sizeof(*sentinel));
	const struct redis_link_handler link_handler = {.up = on_up,
							.down = on_down,
							.failed = on_failed,
							.ctx = sentinel};
	const struct redis_options link_options = {
		.nodes = options->sentinels,
		.node_count = options->sentinel_count,
		.username = options->sentinel_username,
		.auth = options->sentinel_auth,
		.secret = options->sentinel_secret,
		.tls = options->tls,
		.tls_name = options->tls_name,
		.ca_file = options->ca_file,
		.cert_file = options->cert_file,
		.key_file = options->key_file,
		.any_role = true,
		.quiet = options->quiet,
		.ping_interval_ns = capped(options->ping_interval_ns, PING_MAX_NS),
		.ping_timeout_ns = capped(options->ping_timeout_ns, PING_MAX_NS),
	};

	if (!sentinel)
		return NULL;
	sentinel->handler = handler;
	sentinel->master = strdup(options->master ? options->master : "");
	sentinel->timer = evtimer_new(loop, on_timer, sentinel);
	if (sentinel->master && sentinel->timer)
		sentinel->link = redis_link_new(loop, "sentinel", &link_options, link_handler);
	return sentinel->link ? take(sentinel) : NULL;
}

void redis_sentinel_free(struct redis_sentinel *sentinel)
{
	if (!sentinel)
		return;
	redis_link_free(sentinel->link);
	if (sentinel->timer)
		event_free(sentinel->timer);
	free(sentinel->master);
	free(sentinel);
}
