/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link is a state machine with one timer, whose meaning depends on the state:
 *
 *   waiting ──retry──> discovering ──> connecting ──> logging in ──PONG──> up
 *      ^                                    │  next address ^ │             │
 *      └────────────── no address left, refused, silent ──────┴─────────────┘
 *
 * The discovery (redis_discovery.c) finds where to connect: names, addresses, other nodes, Sentinels. Logging in is the
 * TLS handshake and what redis_health.c asks, here and while up. A link leaves a server that is a replica by ROLE or
 * READONLY, tells the process's other links (redis_links.c), and looks the name up again.
 *
 * hiredis frees its contexts itself, and late if it is inside a callback. So the link reaches a context only through
 * `redis`, and a context reaches the link only through its guard, which forgets the link as soon as the link drops the
 * connection. Handlers may free the link, so calling one is the last thing a function does.
 *
 * With Sentinels there is a link inside the link: the discovery asks them over one of its own, which has no Sentinels.
 */
#include "redis/connection/redis_link.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/own_traffic.h"
#include "redis/connection/redis_backoff.h"
#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_guard.h"
#include "redis/connection/redis_health.h"
#include "redis/connection/redis_link_log.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"
#include "redis/connection/redis_socket.h"
#include "redis/connection/redis_tls_cache.h"
#include "redis/discovery/redis_discovery.h"

#define BACKOFF_MAX_NS (30 * NS_PER_S)
#define FOUND_MAX_NS NS_PER_S		       /* until an attempt at a master that the Sentinels have just named */
#define BACKOFF_REPLACED_MAX_NS (5 * NS_PER_S) /* until the name leads to a master */
#define CONNECT_TIMEOUT_NS (5 * NS_PER_S)      /* for TCP, and again for logging in */

enum redis_link_state { LINK_WAITING, LINK_DISCOVERING, LINK_CONNECTING, LINK_LOGGING_IN, LINK_UP };

struct redis_link {
	struct event_base *loop;
	struct redis_link_handler handler;
	struct redis_options options; /* owns its strings */
	char *role;

	enum redis_link_state state;
	struct event *timer;
	struct redis_discovery *discovery;
	redisAsyncContext *redis; /* from LINK_CONNECTING on */
	struct redis_tls_cache *tls;
	struct redis_health *health;

	struct redis_links_member member; /* of options.links, unless that is NULL */

	struct redis_backoff backoff;
	bool must_leave;       /* another link found that the server was replaced */
	bool replaced;	       /* the last server became a replica, and no attempt has succeeded since */
	unsigned replacements; /* since the start */

	struct redis_link_log log;
};

static void link_fail(struct redis_link *link, const char *reason);

static void log_up(struct redis_link *link)
{
	redis_link_log_up(&link->log, redis_discovery_endpoint(link->discovery),
			  redis_discovery_address(link->discovery));
}

/* --- time --- */

static void set_timer(struct redis_link *link, uint64_t ns)
{
	const struct timeval after = {.tv_sec = (time_t)(ns / NS_PER_S),
				      .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000)};

	event_add(link->timer, &after);
}

/* --- going down --- */

static void drop_connection(struct redis_link *link)
{
	redisAsyncContext *redis = take(link->redis);

	event_del(link->timer);
	if (!redis)
		return;
	redis_guard_release(redis);
	redisAsyncFree(redis); /* at once, or when the current hiredis callback returns */
}

static uint64_t backoff_max_ns(const struct redis_link *link)
{
	if (link->options.backoff_max_ns)
		return link->options.backoff_max_ns;
	return link->replaced ? BACKOFF_REPLACED_MAX_NS : BACKOFF_MAX_NS;
}

static void go_down(struct redis_link *link, const char *reason)
{
	bool was_up = link->state == LINK_UP;

	drop_connection(link);
	redis_discovery_stop(link->discovery);
	if (!was_up)
		redis_tls_cache_forget(link->tls);
	const uint64_t retry_ns = redis_backoff_next_ns(&link->backoff, was_up, backoff_max_ns(link));
	link->state = LINK_WAITING;
	set_timer(link, retry_ns);
	log_debug(redis, "redis-waiting", log_str("role", link->role), log_str("reason", reason),
		  log_bool("was_up", was_up), log_uint("attempts", link->backoff.failed_attempts),
		  log_uint("retry_ms", retry_ns / NS_PER_MS));
	redis_link_log_down(&link->log, redis_discovery_endpoint(link->discovery), reason, retry_ns);
	if (was_up && link->handler.lost)
		link->handler.lost(link->handler.ctx, reason);
	if (was_up)
		link->handler.down(link->handler.ctx);
	else if (link->handler.failed)
		link->handler.failed(link->handler.ctx, reason);
}

/* --- logging in --- */

static void go_up(struct redis_link *link)
{
	link->state = LINK_UP;
	link->log.was_up = true;
	log_debug(redis, "redis-logged-in", log_str("role", link->role));
	redis_backoff_up(&link->backoff);
	link->must_leave = false;
	link->replaced = false;
	redis_discovery_connected(link->discovery);
	set_timer(link, link->options.ping_interval_ns);
	if (!redis_backoff_flaps(&link->backoff))
		log_up(link);
	link->handler.up(link->handler.ctx, link->redis);
}

/* The server is no master, or no more. May free the link. */
static void leave_replica(struct redis_link *link, const char *reason)
{
	if (link->state == LINK_UP) {
		link->replaced = true;
		link->replacements++;
		if (link->options.links)
			redis_links_tell_replaced(link->options.links, &link->member);
	}
	link_fail(link, reason);
}

static void on_told_replaced(struct redis_links_member *member)
{
	struct redis_link *link = container_of(member, struct redis_link, member);

	if (link->state != LINK_UP)
		return;
	link->must_leave = true;
	set_timer(link, 0);
}

static void on_good(void *ctx)
{
	struct redis_link *link = ctx;

	if (link->state != LINK_UP)
		go_up(link);
	else if (!link->must_leave) /* else the timer is due */
		set_timer(link, link->options.ping_interval_ns);
}

static void on_bad(void *ctx, const char *reason)
{
	link_fail(ctx, reason);
}

static void on_replica(void *ctx, const char *reason)
{
	leave_replica(ctx, reason);
}

/* --- connecting --- */

static void on_connect(redisAsyncContext *redis, int status)
{
	struct redis_link *link = redis_guard_owner(redis);
	struct redis_tls_names names;
	struct error reason;

	if (!link)
		return;
	if (status != REDIS_OK) { /* hiredis frees the context after this */
		redis_guard_failure(redis, &reason);
		redis_guard_release(redis);
		link->redis = NULL;
		link_fail(link, reason.text);
		return;
	}
	own_traffic_add(redis->c.fd);
	link->state = LINK_LOGGING_IN;
	names.host = redis_discovery_endpoint(link->discovery)->host;
	names.alternative = link->options.tls_name			? link->options.tls_name
			    : redis_options_need_master(&link->options) ? link->options.host
									: NULL;
	if (redis_socket_start_tls(redis, redis_tls_cache_context(link->tls), &names, &reason) < 0) {
		link_fail(link, reason.text);
		return;
	}
	set_timer(link, CONNECT_TIMEOUT_NS);
	if (redis_health_log_in(link->health, redis, link->role) < 0)
		link_fail(link, "out of memory");
}

static void on_disconnect(const redisAsyncContext *redis, int status)
{
	struct redis_link *link = redis_guard_owner(redis);
	struct error reason;

	(void)status;
	if (!link)
		return;
	redis_guard_failure(redis, &reason);
	redis_guard_release(redis);
	link->redis = NULL;
	link_fail(link, reason.text);
}

static int connect_address(void *ctx, const char *address, uint16_t port, struct error *err)
{
	struct redis_link *link = ctx;
	redisAsyncContext *redis = redis_socket_connect(link->loop, address, port, link, err);

	log_debug(redis, "redis-connecting", log_str("role", link->role), log_str("address", address),
		  log_uint("port", port), log_bool("tls", link->options.tls));
	if (!redis)
		return -ECONNREFUSED;
	redisAsyncSetConnectCallbackNC(redis, on_connect);
	redisAsyncSetDisconnectCallback(redis, on_disconnect);
	link->redis = redis;
	link->state = LINK_CONNECTING;
	set_timer(link, CONNECT_TIMEOUT_NS);
	return 0;
}

static void on_discovery_ended(void *ctx, const char *reason)
{
	go_down(ctx, reason);
}

/* Many daemons learn of it at the same time. */
static void on_master_found(void *ctx)
{
	struct redis_link *link = ctx;

	if (link->state == LINK_WAITING)
		set_timer(link, redis_backoff_jitter_ns(FOUND_MAX_NS));
}

/* Ends every failed attempt and connection. May free the link. */
static void link_fail(struct redis_link *link, const char *reason)
{
	struct error copy; /* `reason` may belong to the connection dropped below */
	int progress;

	error_set(&copy, 0, "%s", reason);
	if (link->state != LINK_CONNECTING && link->state != LINK_LOGGING_IN) {
		go_down(link, copy.text);
		return;
	}
	drop_connection(link);
	progress = (int)link->state;
	link->state = LINK_DISCOVERING;
	redis_discovery_connect_failed(link->discovery, progress, copy.text);
}

static void start_attempt(struct redis_link *link)
{
	struct error err;

	if (redis_tls_cache_update(link->tls, &err) < 0) {
		go_down(link, err.text);
		return;
	}
	link->state = LINK_DISCOVERING;
	redis_discovery_start(link->discovery);
}

/* --- health --- */

static void check_health(struct redis_link *link)
{
	struct error reason;
	uint64_t wait_ns;

	if (link->must_leave) {
		link->replaced = true;
		link->replacements++;
		link_fail(link, "another connection found that the server was replaced");
		return;
	}
	if (redis_backoff_is_stable(&link->backoff))
		log_up(link);
	if (redis_health_check(link->health, link->redis, &reason, &wait_ns) < 0)
		link_fail(link, reason.text);
	else
		set_timer(link, wait_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct redis_link *link = data;

	(void)fd;
	(void)what;
	switch (link->state) {
	case LINK_WAITING:
		start_attempt(link);
		return;
	case LINK_DISCOVERING:
		return;
	case LINK_CONNECTING:
		link_fail(link, "no connection within 5 s");
		return;
	case LINK_LOGGING_IN:
		link_fail(link, link->options.tls && !redis_guard_tls_ready(link->redis)
					? "no TLS handshake within 5 s: does the server expect TLS on this port?"
					: "no answer within 5 s");
		return;
	case LINK_UP:
		check_health(link);
		return;
	}
}

/* --- the interface --- */

struct redis_link *redis_link_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_link_handler handler)
{
	cleanup(cleanup_redis_link) struct redis_link *link = calloc(1, sizeof(*link));
	const struct redis_discovery_handler discovery_handler = {.connect = connect_address,
								  .exhausted = on_discovery_ended,
								  .moved = on_discovery_ended,
								  .found = on_master_found,
								  .ctx = link};

	if (!link)
		return NULL;
	link->loop = loop;
	link->handler = handler;
	link->role = strdup(role);
	link->timer = evtimer_new(loop, on_timer, link);
	if (redis_options_copy(&link->options, options) < 0 || !link->role || !link->timer)
		return NULL;
	link->discovery = redis_discovery_new(loop, &link->options, discovery_handler);
	link->tls = redis_tls_cache_new(&link->options);
	link->health = redis_health_new(&link->options, (struct redis_health_handler){.good = on_good,
										      .failed = on_bad,
										      .replica = on_replica,
										      .ctx = link});
	if (!link->discovery || !link->tls || !link->health)
		return NULL;
	link->log = (struct redis_link_log){
		.role = link->role,
		.master = redis_options_need_master(&link->options) ? link->options.master : NULL,
		.tls = link->options.tls,
		.quiet = link->options.quiet,
	};
	link->member.replaced = on_told_replaced;
	if (link->options.links)
		redis_links_add(link->options.links, &link->member);
	set_timer(link, 0);
	return take(link);
}

void redis_link_free(struct redis_link *link)
{
	if (!link)
		return;
	if (link->member.replaced && link->options.links)
		redis_links_remove(&link->member);
	if (link->timer)
		drop_connection(link);
	redis_discovery_free(link->discovery);
	if (link->timer)
		event_free(link->timer);
	redis_health_free(link->health);
	redis_tls_cache_free(link->tls);
	redis_options_free(&link->options);
	free(link->role);
	free(link);
}

void redis_link_restart(struct redis_link *link, const char *reason)
{
	if (link->state == LINK_UP)
		link_fail(link, reason);
}

void redis_link_try_next(struct redis_link *link, const char *reason)
{
	redis_discovery_skip_current(link->discovery);
	redis_link_restart(link, reason);
}

void redis_link_replaced(struct redis_link *link, const char *reason)
{
	struct error copy; /* `reason` may belong to the connection that is dropped */

	if (link->state != LINK_UP || link->options.any_role)
		return;
	error_set(&copy, 0, "%s", reason);
	leave_replica(link, copy.text);
}

unsigned redis_link_replacements(const struct redis_link *link)
{
	return link->replacements;
}

const struct redis_endpoint *redis_link_endpoint(const struct redis_link *link)
{
	return redis_discovery_endpoint(link->discovery);
}

redisAsyncContext *redis_link_context(struct redis_link *link)
{
	return link->state == LINK_UP ? link->redis : NULL;
}

bool redis_link_detached(const redisAsyncContext *redis)
{
	return !redis_guard_owner(redis);
}

int redis_link_subscribe(struct redis_link *link, const char *channel, redisCallbackFn *reply, void *ctx)
{
	int code;

	if (link->state != LINK_UP)
		return -ENOTCONN;
	code = redis_guard_set_channel(link->redis, channel);
	if (code < 0)
		return code;
	return redisAsyncCommand(link->redis, reply, ctx, "SUBSCRIBE %s", channel) == REDIS_OK ? 0 : -ENOMEM;
}
