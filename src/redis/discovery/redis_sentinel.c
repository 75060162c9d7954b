/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Sentinel is a Redis server with few commands. So the connection to the Sentinels is a link of its own, with them as
 * its nodes: TLS, login, hang detection and back-off are the link's. It stays up, because the query is repeated every
 * two seconds. That finds a master that still answers but was replaced (cut off from the Sentinels, or demoted while we
 * were subscribed and could not ask for its ROLE).
 *
 * All links of a process (options.links) share one such watcher, which passes each answer on to its listeners. They may
 * leave it meanwhile, or all: it is freed with the last.
 */
#include "redis/discovery/redis_sentinel.h"

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/error.h"
#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_link.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"

#define POLL_INTERVAL_NS (2 * NS_PER_S)
#define PING_MAX_NS (2 * NS_PER_S) /* interval and timeout: a failover must not wait for a Sentinel that hangs */

struct sentinel_watcher {
	struct redis_links *links; /* NULL: it is not shared */
	struct redis_link *link;
	struct event *timer; /* the next query */
	char *master;
	bool query_pending;
	LIST_HEAD(, redis_sentinel) listeners;
	struct redis_sentinel *next; /* of the listeners being called */
	bool *freed;		     /* set if it is freed while they are; NULL: they are not */
};

/* A listener. */
struct redis_sentinel {
	LIST_ENTRY(redis_sentinel) list;
	struct sentinel_watcher *watcher;
	struct redis_sentinel_handler handler;
};

/* --- telling the listeners --- */

struct news {
	const struct redis_endpoint *master; /* one of these three */
	const char *failure;
	const int *replicas;
};

static void tell(const struct redis_sentinel *listener, const struct news *news)
{
	const struct redis_sentinel_handler *handler = &listener->handler;

	if (news->master)
		handler->master(handler->ctx, news->master);
	else if (news->failure)
		handler->failed(handler->ctx, news->failure);
	else if (handler->replicas)
		handler->replicas(handler->ctx, *news->replicas);
}

/* The watcher may be gone after this. */
static void tell_all(struct sentinel_watcher *watcher, const struct news *news)
{
	bool freed = false;

	watcher->freed = &freed;
	for (struct redis_sentinel *listener = LIST_FIRST(&watcher->listeners); listener; listener = watcher->next) {
		watcher->next = LIST_NEXT(listener, list);
		tell(listener, news);
		if (freed)
			return;
	}
	watcher->freed = NULL;
}

static bool wants_replicas(const struct sentinel_watcher *watcher)
{
	const struct redis_sentinel *listener;

	LIST_FOREACH(listener, &watcher->listeners, list)
	{
		if (listener->handler.replicas)
			return true;
	}
	return false;
}

/* --- asking --- */

static bool parse_master(const redisReply *reply, struct redis_endpoint *endpoint)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	       reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_STRING &&
	       redis_endpoint_set(reply->element[0]->str, reply->element[1]->str, endpoint) == 0;
}

static void report_failure(struct sentinel_watcher *watcher, const redisReply *reply)
{
	struct error reason;

	if (reply->type == REDIS_REPLY_ERROR)
		error_set(&reason, 0, "the Sentinel refuses: %s", reply->str);
	else if (reply->type == REDIS_REPLY_NIL)
		error_set(&reason, 0, "the Sentinel does not know the master %s", watcher->master);
	else
		error_set(&reason, 0, "the Sentinel's answer is malformed");
	redis_link_try_next(watcher->link, reason.text);
	tell_all(watcher, &(struct news){.failure = reason.text});
}

static void on_master_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	const struct timeval again = {.tv_sec = POLL_INTERVAL_NS / NS_PER_S};
	struct sentinel_watcher *watcher = ctx;
	const redisReply *reply = data;
	struct redis_endpoint endpoint;

	if (redis_link_detached(redis) || !reply)
		return;
	watcher->query_pending = false;
	if (!parse_master(reply, &endpoint)) {
		report_failure(watcher, reply);
		return;
	}
	event_add(watcher->timer, &again);
	tell_all(watcher, &(struct news){.master = &endpoint});
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
	struct sentinel_watcher *watcher = ctx;
	const redisReply *reply = data;
	int count = -1;

	if (redis_link_detached(redis) || !reply)
		return;
	if (reply->type == REDIS_REPLY_ARRAY)
		count = 0;
	for (size_t i = 0; i < reply->elements && count >= 0; i++)
		count += is_replica_up(reply->element[i]);
	tell_all(watcher, &(struct news){.replicas = &count});
}

static void watcher_ask(struct sentinel_watcher *watcher)
{
	redisAsyncContext *redis = redis_link_context(watcher->link);

	if (!redis || watcher->query_pending)
		return;
	watcher->query_pending = true;
	if (redisAsyncCommand(redis, on_master_reply, watcher, "SENTINEL get-master-addr-by-name %s",
			      watcher->master) != REDIS_OK ||
	    (wants_replicas(watcher) &&
	     redisAsyncCommand(redis, on_replicas_reply, watcher, "SENTINEL replicas %s", watcher->master) != REDIS_OK))
		redis_link_restart(watcher->link, "out of memory");
}

void redis_sentinel_ask(struct redis_sentinel *sentinel)
{
	watcher_ask(sentinel->watcher);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	watcher_ask(ctx);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct sentinel_watcher *watcher = ctx;

	(void)redis;
	watcher->query_pending = false;
	watcher_ask(watcher);
}

static void on_down(void *ctx)
{
	struct sentinel_watcher *watcher = ctx;

	watcher->query_pending = false;
	event_del(watcher->timer);
}

static void on_failed(void *ctx, const char *reason)
{
	struct error text;

	error_set(&text, 0, "no Sentinel answers: %s", reason);
	tell_all(ctx, &(struct news){.failure = text.text});
}

/* --- new and free --- */

static uint64_t capped(uint64_t value, uint64_t max)
{
	return value && value < max ? value : max;
}

static void watcher_free(struct sentinel_watcher *watcher)
{
	if (!watcher)
		return;
	if (watcher->freed)
		*watcher->freed = true;
	if (watcher->links)
		redis_links_set_watcher(watcher->links, NULL);
	redis_link_free(watcher->link);
	if (watcher->timer)
		event_free(watcher->timer);
	free(watcher->master);
	free(watcher);
}

CLEANUP_DEFINE(watcher, struct sentinel_watcher, watcher_free)

static struct sentinel_watcher *watcher_new(struct event_base *loop, const struct redis_options *options)
{
	cleanup(cleanup_watcher) struct sentinel_watcher *watcher = calloc(1, sizeof(*watcher));
	const struct redis_link_handler link_handler = {.up = on_up,
							.down = on_down,
							.failed = on_failed,
							.ctx = watcher};
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

	if (!watcher)
		return NULL;
	LIST_INIT(&watcher->listeners);
	watcher->master = strdup(options->master ? options->master : "");
	watcher->timer = evtimer_new(loop, on_timer, watcher);
	if (watcher->master && watcher->timer)
		watcher->link = redis_link_new(loop, "sentinel", &link_options, link_handler);
	if (!watcher->link)
		return NULL;
	watcher->links = options->links;
	if (watcher->links)
		redis_links_set_watcher(watcher->links, watcher);
	return take(watcher);
}

struct redis_sentinel *redis_sentinel_new(struct event_base *loop, const struct redis_options *options,
					  struct redis_sentinel_handler handler)
{
	struct redis_sentinel *sentinel = calloc(1, sizeof(*sentinel));
	struct sentinel_watcher *shared = options->links ? redis_links_watcher(options->links) : NULL;

	if (!sentinel)
		return NULL;
	sentinel->handler = handler;
	sentinel->watcher = shared ? shared : watcher_new(loop, options);
	if (!sentinel->watcher) {
		free(sentinel);
		return NULL;
	}
	LIST_INSERT_HEAD(&sentinel->watcher->listeners, sentinel, list);
	return sentinel;
}

void redis_sentinel_free(struct redis_sentinel *sentinel)
{
	struct sentinel_watcher *watcher;

	if (!sentinel)
		return;
	watcher = sentinel->watcher;
	if (watcher->freed && watcher->next == sentinel)
		watcher->next = LIST_NEXT(sentinel, list);
	LIST_REMOVE(sentinel, list);
	free(sentinel);
	if (LIST_EMPTY(&watcher->listeners))
		watcher_free(watcher);
}
