/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt walks over endpoints, and over the addresses that each name resolves to:
 *
 *   start ──> [asking the Sentinels] ──> endpoint ──resolve──> address ──failed──> next address, next endpoint …
 *
 * With Sentinels there is one endpoint, the master they name, asked for at each attempt. They are watched as long as
 * the attempt, or the connection it led to, lasts: another name ends it.
 */
#include "redis/discovery/redis_discovery.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/log.h"
#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_options.h"
#include "redis/discovery/redis_sentinel.h"
#include "redis/discovery/resolve.h"

#define SENTINEL_ANSWER_TIMEOUT_S 10

enum discovery_state { DISCOVERY_IDLE, DISCOVERY_ASKING_SENTINELS, DISCOVERY_RESOLVING, DISCOVERY_CONNECTING };

struct redis_discovery {
	struct event_base *loop;
	const struct redis_options *options;
	struct redis_discovery_handler handler;

	enum discovery_state state;
	struct redis_endpoint endpoints[REDIS_ENDPOINTS_MAX];
	size_t endpoint_count;
	size_t start_index;	/* where an attempt begins */
	size_t current_index;	/* less than endpoint_count, unless that is 0 */
	size_t endpoints_tried; /* in this attempt */

	struct resolve *resolve;
	struct resolve_result addresses;
	size_t next_address;

	struct error failure; /* of this attempt */
	int failure_progress;

	struct redis_sentinel *sentinel; /* NULL: none configured */
	struct event *timer;		 /* for their answer */
	struct error sentinel_failure;	 /* the last; empty once one answers */
};

static void record_failure(struct redis_discovery *discovery, int progress, const char *reason)
{
	const struct redis_endpoint *endpoint = redis_discovery_endpoint(discovery);

	/* Report the failure that got furthest; among equals the first. */
	if (discovery->failure.text[0] && discovery->failure_progress >= progress)
		return;
	discovery->failure_progress = progress;
	error_set(&discovery->failure, 0, "%s", reason);
	if (discovery->endpoint_count > 1)
		error_prefix(&discovery->failure, "%s port %u", endpoint->host, endpoint->port);
}

static void exhausted(struct redis_discovery *discovery, const char *reason)
{
	struct error copy;

	error_set(&copy, 0, "%s", reason);
	redis_discovery_stop(discovery);
	discovery->handler.exhausted(discovery->handler.ctx, copy.text);
}

/* --- addresses --- */

static bool connect_address(struct redis_discovery *discovery)
{
	struct error err;

	discovery->state = DISCOVERY_CONNECTING;
	while (discovery->next_address < discovery->addresses.count) {
		const char *address = discovery->addresses.address[discovery->next_address++];

		if (discovery->handler.connect(discovery->handler.ctx, address,
					       redis_discovery_endpoint(discovery)->port, &err) == 0)
			return true;
		record_failure(discovery, 0, err.text);
	}
	return false;
}

static void on_resolved(void *ctx, const struct resolve_result *result);

/* Tries the current endpoint. False if it leads nowhere. */
static bool connect_endpoint(struct redis_discovery *discovery)
{
	const char *host = redis_discovery_endpoint(discovery)->host;

	discovery->endpoints_tried++;
	discovery->next_address = 0;
	discovery->addresses.count = 0;
	if (resolve_numeric(host, &discovery->addresses))
		return connect_address(discovery);
	log_debug(redis, "redis-resolving", log_str("host", host));
	discovery->state = DISCOVERY_RESOLVING;
	discovery->resolve = resolve_start(discovery->loop, host, on_resolved, discovery);
	if (!discovery->resolve)
		record_failure(discovery, 0, "cannot start a thread to resolve the host name");
	return discovery->resolve != NULL;
}

static void connect_next(struct redis_discovery *discovery)
{
	while (discovery->endpoints_tried < discovery->endpoint_count) {
		discovery->current_index = (discovery->current_index + 1) % discovery->endpoint_count;
		if (connect_endpoint(discovery))
			return;
	}
	exhausted(discovery, discovery->failure.text);
}

static void connect_first(struct redis_discovery *discovery)
{
	if (!connect_endpoint(discovery))
		connect_next(discovery);
}

static void on_resolved(void *ctx, const struct resolve_result *result)
{
	struct redis_discovery *discovery = ctx;
	struct error reason;

	discovery->resolve = NULL;
	if (!result->error) {
		discovery->addresses = *result;
		if (connect_address(discovery))
			return;
	} else {
		error_set(&reason, 0, "%s: %s", redis_discovery_endpoint(discovery)->host, result->error);
		record_failure(discovery, 0, reason.text);
	}
	connect_next(discovery);
}

void redis_discovery_connect_failed(struct redis_discovery *discovery, int progress, const char *reason)
{
	if (discovery->state != DISCOVERY_CONNECTING)
		return;
	record_failure(discovery, progress, reason);
	if (!connect_address(discovery))
		connect_next(discovery);
}

/* --- Sentinels --- */

static void on_master(void *ctx, const struct redis_endpoint *endpoint)
{
	struct redis_discovery *discovery = ctx;
	const bool is_news = discovery->sentinel_failure.text[0] ||
			     !redis_endpoint_equal(endpoint, redis_discovery_endpoint(discovery));
	struct error reason;

	discovery->sentinel_failure.text[0] = '\0';
	log_debug(redis, "redis-master", log_str("host", endpoint->host), log_uint("port", endpoint->port));
	if (discovery->state == DISCOVERY_ASKING_SENTINELS) {
		event_del(discovery->timer);
		discovery->endpoints[0] = *endpoint;
		discovery->endpoint_count = 1;
		connect_first(discovery);
		return;
	}
	if (discovery->state == DISCOVERY_IDLE && is_news)
		discovery->handler.found(discovery->handler.ctx);
	if (discovery->state == DISCOVERY_IDLE || redis_endpoint_equal(endpoint, redis_discovery_endpoint(discovery)))
		return;
	redis_discovery_stop(discovery);
	error_set(&reason, 0, "the master is now at %s port %u", endpoint->host, endpoint->port);
	discovery->handler.moved(discovery->handler.ctx, reason.text);
}

static void on_sentinels_failed(void *ctx, const char *reason)
{
	struct redis_discovery *discovery = ctx;

	error_set(&discovery->sentinel_failure, 0, "%s", reason);
	log_debug(redis, "redis-sentinels-failed", log_str("reason", reason));
	if (discovery->state == DISCOVERY_ASKING_SENTINELS)
		exhausted(discovery, reason);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_discovery *discovery = ctx;

	(void)fd;
	(void)what;
	/* Repeat the last failure word for word, so that it is not logged again. */
	exhausted(discovery, discovery->sentinel_failure.text[0] ? discovery->sentinel_failure.text
								 : "no Sentinel named the master within 10 s");
}

static void ask_sentinels(struct redis_discovery *discovery)
{
	const struct timeval timeout = {.tv_sec = SENTINEL_ANSWER_TIMEOUT_S};

	discovery->state = DISCOVERY_ASKING_SENTINELS;
	event_add(discovery->timer, &timeout);
	redis_sentinel_ask(discovery->sentinel);
}

/* --- an attempt --- */

void redis_discovery_start(struct redis_discovery *discovery)
{
	redis_discovery_stop(discovery);
	discovery->failure.text[0] = '\0';
	discovery->endpoints_tried = 0;
	if (discovery->sentinel) {
		ask_sentinels(discovery);
		return;
	}
	if (discovery->endpoint_count == 0) {
		exhausted(discovery, "no host to connect to");
		return;
	}
	discovery->current_index = discovery->start_index;
	connect_first(discovery);
}

void redis_discovery_stop(struct redis_discovery *discovery)
{
	discovery->state = DISCOVERY_IDLE;
	if (discovery->timer)
		event_del(discovery->timer);
	resolve_cancel(take(discovery->resolve));
}

void redis_discovery_connected(struct redis_discovery *discovery)
{
	discovery->start_index = discovery->current_index;
}

void redis_discovery_skip_current(struct redis_discovery *discovery)
{
	if (discovery->endpoint_count > 0)
		discovery->start_index = (discovery->current_index + 1) % discovery->endpoint_count;
}

const struct redis_endpoint *redis_discovery_endpoint(const struct redis_discovery *discovery)
{
	return &discovery->endpoints[discovery->current_index];
}

const char *redis_discovery_address(const struct redis_discovery *discovery)
{
	return discovery->next_address > 0 ? discovery->addresses.address[discovery->next_address - 1] : NULL;
}

/* --- new and free --- */

static int add_endpoint(struct redis_discovery *discovery, const struct redis_endpoint *endpoint)
{
	for (size_t i = 0; i < discovery->endpoint_count; i++)
		if (redis_endpoint_equal(&discovery->endpoints[i], endpoint))
			return 0;
	if (discovery->endpoint_count == REDIS_ENDPOINTS_MAX)
		return -ENOSPC;
	discovery->endpoints[discovery->endpoint_count++] = *endpoint;
	return 0;
}

static int add_host(struct redis_discovery *discovery)
{
	struct redis_endpoint endpoint = {.port = discovery->options->port};
	const char *host = discovery->options->host;

	if (!host || !*host)
		return 0;
	if (strlen(host) >= sizeof(endpoint.host))
		return -ENAMETOOLONG;
	memcpy(endpoint.host, host, strlen(host) + 1);
	return add_endpoint(discovery, &endpoint);
}

static int add_nodes(struct redis_discovery *discovery)
{
	struct redis_endpoint endpoint;
	int r = add_host(discovery);

	for (size_t i = 0; r == 0 && i < discovery->options->node_count; i++) {
		r = redis_endpoint_parse(discovery->options->nodes[i], &endpoint);
		if (r == 0)
			r = add_endpoint(discovery, &endpoint);
	}
	return r;
}

struct redis_discovery *redis_discovery_new(struct event_base *loop, const struct redis_options *options,
					    struct redis_discovery_handler handler)
{
	cleanup(cleanup_redis_discovery) struct redis_discovery *discovery = calloc(1, sizeof(*discovery));
	const struct redis_sentinel_handler sentinel_handler = {.master = on_master,
								.failed = on_sentinels_failed,
								.ctx = discovery};

	if (!discovery)
		return NULL;
	discovery->loop = loop;
	discovery->options = options;
	discovery->handler = handler;
	if (options->sentinel_count == 0)
		return add_nodes(discovery) == 0 ? take(discovery) : NULL;
	discovery->timer = evtimer_new(loop, on_timer, discovery);
	if (discovery->timer)
		discovery->sentinel = redis_sentinel_new(loop, options, sentinel_handler);
	return discovery->sentinel ? take(discovery) : NULL;
}

void redis_discovery_free(struct redis_discovery *discovery)
{
	if (!discovery)
		return;
	redis_discovery_stop(discovery);
	redis_sentinel_free(discovery->sentinel);
	if (discovery->timer)
		event_free(discovery->timer);
	free(discovery);
}
