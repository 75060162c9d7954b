/*
 * An attempt walks over endpoints and, of each, over the addresses its name resolves to:
 *
 *   begin ──> [asking the Sentinels] ──> endpoint ──resolve──> address ──failed──> next address, next endpoint …
 *
 * With Sentinels there is one endpoint, the master they name, asked for anew at each attempt. They are listened to as
 * long as the attempt (or the connection it led to) lasts: another name ends it.
 */
#include "redis/discovery/redis_discovery.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_options.h"
#include "redis/discovery/redis_sentinel.h"
#include "redis/discovery/resolve.h"

#define SENTINELS_TIMEOUT_S 10

enum discovery_state { DISCOVERY_IDLE, DISCOVERY_ASKING_SENTINELS, DISCOVERY_RESOLVING, DISCOVERY_CONNECTING };

struct redis_discovery {
	struct event_base *loop;
	const struct redis_options *options;
	struct redis_discovery_handler handler;

	enum discovery_state state;
	struct redis_endpoint endpoints[REDIS_ENDPOINTS_MAX];
	size_t count;
	size_t first;	/* where an attempt begins */
	size_t current; /* less than count, unless that is 0 */
	size_t tried;	/* endpoints of this attempt */

	struct resolve *resolve;
	struct resolve_result addresses;
	size_t next_address;

	struct error failure; /* of this attempt */
	int failure_progress;

	struct redis_sentinel *sentinel; /* NULL: there are none */
	struct event *timer;		 /* of their answer */
	struct error sentinel_failure;	 /* the last, since one answered */
};

static void note_failure(struct redis_discovery *route, int progress, const char *reason)
{
	const struct redis_endpoint *endpoint = redis_discovery_endpoint(route);

	/* The one that got furthest is the one to tell; among equals the first. */
	if (route->failure.text[0] && route->failure_progress >= progress)
		return;
	route->failure_progress = progress;
	error_set(&route->failure, 0, "%s", reason);
	if (route->count > 1)
		error_prefix(&route->failure, "%s port %u", endpoint->host, endpoint->port);
}

static void exhausted(struct redis_discovery *route, const char *reason)
{
	struct error copy;

	error_set(&copy, 0, "%s", reason);
	redis_discovery_stop(route);
	route->handler.exhausted(route->handler.ctx, copy.text);
}

/* --- addresses --- */

static bool connect_address(struct redis_discovery *route)
{
	struct error err;

	route->state = DISCOVERY_CONNECTING;
	while (route->next_address < route->addresses.count) {
		const char *address = route->addresses.address[route->next_address++];

		if (route->handler.connect(route->handler.ctx, address, redis_discovery_endpoint(route)->port, &err) ==
		    0)
			return true;
		note_failure(route, 0, err.text);
	}
	return false;
}

static void on_resolved(void *ctx, const struct resolve_result *answer);

/* The current endpoint; false: it leads nowhere. */
static bool connect_endpoint(struct redis_discovery *route)
{
	const char *host = redis_discovery_endpoint(route)->host;

	route->tried++;
	route->next_address = 0;
	route->addresses.count = 0;
	if (resolve_numeric(host, &route->addresses))
		return connect_address(route);
	route->state = DISCOVERY_RESOLVING;
	route->resolve = resolve_start(route->loop, host, on_resolved, route);
	if (!route->resolve)
		note_failure(route, 0, "no thread to resolve the host name");
	return route->resolve != NULL;
}

static void connect_next(struct redis_discovery *route)
{
	while (route->tried < route->count) {
		route->current = (route->current + 1) % route->count;
		if (connect_endpoint(route))
			return;
	}
	exhausted(route, route->failure.text);
}

static void connect_first(struct redis_discovery *route)
{
	if (!connect_endpoint(route))
		connect_next(route);
}

static void on_resolved(void *ctx, const struct resolve_result *answer)
{
	struct redis_discovery *route = ctx;
	struct error reason;

	route->resolve = NULL;
	if (!answer->error) {
		route->addresses = *answer;
		if (connect_address(route))
			return;
	} else {
		error_set(&reason, 0, "%s: %s", redis_discovery_endpoint(route)->host, answer->error);
		note_failure(route, 0, reason.text);
	}
	connect_next(route);
}

void redis_discovery_connect_failed(struct redis_discovery *route, int progress, const char *reason)
{
	if (route->state != DISCOVERY_CONNECTING)
		return;
	note_failure(route, progress, reason);
	if (!connect_address(route))
		connect_next(route);
}

/* --- Sentinels --- */

static void on_master(void *ctx, const struct redis_endpoint *endpoint)
{
	struct redis_discovery *route = ctx;
	struct error reason;

	route->sentinel_failure.text[0] = '\0';
	if (route->state == DISCOVERY_ASKING_SENTINELS) {
		event_del(route->timer);
		route->endpoints[0] = *endpoint;
		route->count = 1;
		return connect_first(route);
	}
	if (route->state == DISCOVERY_IDLE || redis_endpoint_equal(endpoint, redis_discovery_endpoint(route)))
		return;
	redis_discovery_stop(route);
	error_set(&reason, 0, "the master is now at %s port %u", endpoint->host, endpoint->port);
	route->handler.moved(route->handler.ctx, reason.text);
}

static void on_sentinels_failed(void *ctx, const char *reason)
{
	struct redis_discovery *route = ctx;

	error_set(&route->sentinel_failure, 0, "%s", reason);
	if (route->state == DISCOVERY_ASKING_SENTINELS)
		exhausted(route, reason);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_discovery *route = ctx;

	(void)fd;
	(void)what;
	/* The same failure in the same words: it is not news. */
	exhausted(route, route->sentinel_failure.text[0] ? route->sentinel_failure.text
							 : "no Sentinel has said within 10 s where the master is");
}

static void ask_sentinels(struct redis_discovery *route)
{
	const struct timeval patience = {.tv_sec = SENTINELS_TIMEOUT_S};

	route->state = DISCOVERY_ASKING_SENTINELS;
	event_add(route->timer, &patience);
	redis_sentinel_ask(route->sentinel);
}

/* --- an attempt --- */

void redis_discovery_start(struct redis_discovery *route)
{
	redis_discovery_stop(route);
	route->failure.text[0] = '\0';
	route->tried = 0;
	if (route->sentinel)
		return ask_sentinels(route);
	if (route->count == 0)
		return exhausted(route, "there is no host to connect to");
	route->current = route->first;
	connect_first(route);
}

void redis_discovery_stop(struct redis_discovery *route)
{
	route->state = DISCOVERY_IDLE;
	if (route->timer)
		event_del(route->timer);
	resolve_cancel(take(route->resolve));
}

void redis_discovery_connected(struct redis_discovery *route)
{
	route->first = route->current;
}

void redis_discovery_skip_current(struct redis_discovery *route)
{
	if (route->count > 0)
		route->first = (route->current + 1) % route->count;
}

const struct redis_endpoint *redis_discovery_endpoint(const struct redis_discovery *route)
{
	return &route->endpoints[route->current];
}

const char *redis_discovery_address(const struct redis_discovery *route)
{
	return route->next_address > 0 ? route->addresses.address[route->next_address - 1] : NULL;
}

/* --- life --- */

static int add_endpoint(struct redis_discovery *route, const struct redis_endpoint *endpoint)
{
	for (size_t i = 0; i < route->count; i++)
		if (redis_endpoint_equal(&route->endpoints[i], endpoint))
			return 0;
	if (route->count == REDIS_ENDPOINTS_MAX)
		return -ENOSPC;
	route->endpoints[route->count++] = *endpoint;
	return 0;
}

static int add_host(struct redis_discovery *route)
{
	struct redis_endpoint endpoint = {.port = route->options->port};
	const char *host = route->options->host;

	if (!host || !*host)
		return 0;
	if (strlen(host) >= sizeof(endpoint.host))
		return -ENAMETOOLONG;
	memcpy(endpoint.host, host, strlen(host) + 1);
	return add_endpoint(route, &endpoint);
}

static int add_nodes(struct redis_discovery *route)
{
	struct redis_endpoint endpoint;
	int r = add_host(route);

	for (size_t i = 0; r == 0 && i < route->options->node_count; i++) {
		r = redis_endpoint_parse(route->options->nodes[i], &endpoint);
		if (r == 0)
			r = add_endpoint(route, &endpoint);
	}
	return r;
}

struct redis_discovery *redis_discovery_new(struct event_base *loop, const struct redis_options *options,
					    struct redis_discovery_handler handler)
{
	cleanup(cleanup_redis_discovery) struct redis_discovery *route = calloc(1, sizeof(*route));
	const struct redis_sentinel_handler sentinel_handler = {.master = on_master,
								.failed = on_sentinels_failed,
								.ctx = route};

	if (!route)
		return NULL;
	route->loop = loop;
	route->options = options;
	route->handler = handler;
	if (options->sentinel_count == 0)
		return add_nodes(route) == 0 ? take(route) : NULL;
	route->timer = evtimer_new(loop, on_timer, route);
	if (route->timer)
		route->sentinel = redis_sentinel_new(loop, options, sentinel_handler);
	return route->sentinel ? take(route) : NULL;
}

void redis_discovery_free(struct redis_discovery *route)
{
	if (!route)
		return;
	redis_discovery_stop(route);
	redis_sentinel_free(route->sentinel);
	if (route->timer)
		event_free(route->timer);
	free(route);
}
