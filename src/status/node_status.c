/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports are built anew for each caller, which is rare. Only rates need a timer, because they compare two samples. */
#include "status/node_status.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/engine.h"
#include "config/config.h"
#include "sink/delivery.h"
#include "status/node_destinations.h"

#define SAMPLE_S 5
#define STATUS_VERSION 1
#define INSTANCE_DIGITS 16
#define HOST_NAME_SIZE 256

struct node_status {
	struct node_status_options options;
	struct node_interfaces *interfaces;
	struct event *timer;
	uint64_t started_ns; /* real time */
	char instance[INSTANCE_DIGITS + 1];
	char host[HOST_NAME_SIZE];
};

static void on_sample_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct node_status *status = ctx;

	(void)fd;
	(void)what;
	node_interfaces_sample(status->interfaces);
}

/* What tells this run from others, and its host from others with the same node name. */
static void set_identity(struct node_status *status)
{
	uint64_t number;

	evutil_secure_rng_get_bytes(&number, sizeof(number));
	snprintf(status->instance, sizeof(status->instance), "%0*" PRIx64, INSTANCE_DIGITS, number);
	if (gethostname(status->host, sizeof(status->host) - 1) < 0)
		status->host[0] = '\0';
}

struct node_status *node_status_new(const struct node_status_options *options)
{
	cleanup(cleanup_node_status) struct node_status *status = calloc(1, sizeof(*status));
	const struct timeval period = {.tv_sec = SAMPLE_S};

	if (!status)
		return NULL;
	status->options = *options;
	status->started_ns = clock_realtime_ns();
	set_identity(status);
	status->interfaces = node_interfaces_new(options->config, options->engine);
	status->timer = event_new(options->loop, -1, EV_PERSIST, on_sample_timer, status);
	if (!status->interfaces || !status->timer || event_add(status->timer, &period) < 0)
		return NULL;
	node_interfaces_sample(status->interfaces);
	return take(status);
}

void node_status_free(struct node_status *status)
{
	if (!status)
		return;
	if (status->timer)
		event_free(status->timer);
	node_interfaces_free(status->interfaces);
	free(status);
}

struct node_load node_status_load(const struct node_status *status)
{
	return (struct node_load){
		.jobs = jobs_counts(status->options.jobs),
		.memory_bytes = engine_memory_used(status->options.engine),
		.memory_limit_bytes = status->options.config->limits.memory_bytes,
		.shortages = engine_shortages(status->options.engine),
		.warm_memory_bytes = slab_pool_usage(status->options.slabs).warm_bytes,
		.kept = status->options.memory ? memory_sink_usage(status->options.memory)
					       : (struct memory_sink_usage){0},
		.redis = status->options.redis ? status->options.redis(status->options.redis_ctx)
					       : (struct node_redis){0},
		.spool = spool_usage(status->options.spool),
		.started_ns = status->started_ns,
	};
}

const struct node_interfaces *node_status_interfaces(const struct node_status *status)
{
	return status->interfaces;
}

const char *node_status_instance(const struct node_status *status)
{
	return status->instance;
}

const char *node_status_node(const struct node_status *status)
{
	return status->options.config->general.node;
}

/* --- JSON: json_pack() returns NULL at the first failure --- */

static json_t *number(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *time_json(uint64_t realtime_ns)
{
	char text[CLOCK_TEXT_SIZE];

	return json_string(clock_format(realtime_ns, text));
}

/* Seconds with three digits: more would only show how long the answer took. */
static json_t *seconds_json(uint64_t ns)
{
	const uint64_t ms = ns / NS_PER_MS;

	return json_real((double)ms / 1000);
}

static json_t *strings_json(const struct config_strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; strings && i < strings->count; i++)
		json_array_append_new(array, json_string(strings->items[i]));
	return array;
}

static json_t *interface_json(const struct node_interface *interface, bool detailed)
{
	json_t *json = json_pack("{ss so sb sb}", "name", interface->name, "aliases", strings_json(interface->aliases),
				 "up", interface->up, "recorder", interface->recorder);

	if (json && interface->ring)
		json_object_update_new(json,
				       json_pack("{so so so}", "captures", number(interface->captures), "packets",
						 number(interface->packets), "dropped", number(interface->dropped)));
	if (json && interface->recorder)
		json_object_set_new(json, "reach", seconds_json(interface->reach_ns));
	if (json && !interface->present && interface->ring)
		json_object_set_new(json, "gone", json_true());
	if (json && interface->waiting)
		json_object_set_new(json, "waiting", json_true());
	const bool shrunk = interface->ring && interface->asked_bytes > interface->ring_bytes;
	if (json && shrunk)
		json_object_set_new(json, "ring_asked", number(interface->asked_bytes));
	if (json && interface->ring && (detailed || shrunk))
		json_object_set_new(json, "ring", number(interface->ring_bytes));
	if (json && detailed && interface->ring)
		json_object_set_new(json, "held", number(interface->held_bytes));
	if (json && detailed)
		json_object_set_new(json, "rate",
				    json_pack("{so so}", "packets", number((uint64_t)(interface->packets_per_s + 0.5)),
					      "bytes", number((uint64_t)(interface->bytes_per_s + 0.5))));
	return json;
}

static json_t *interfaces_json(const struct node_interface_list *list, bool detailed)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, interface_json(&list->items[i], detailed));
	return array;
}

static json_t *load_json(const struct node_status *status)
{
	const struct node_load load = node_status_load(status);

	json_t *json = json_pack("{so so so so so so}", "captures", number(load.jobs.running), "delivering",
				 number(load.jobs.delivering), "memory", number(load.memory_bytes), "memory_limit",
				 number(load.memory_limit_bytes), "kept_files", number(load.kept.files), "kept_bytes",
				 number(load.kept.bytes));

	if (json && load.spool.files)
		json_object_update_new(json, json_pack("{so so}", "spool_files", number(load.spool.files),
						       "spool_bytes", number(load.spool.bytes)));
	return json;
}

static void add_capture(void *ctx, const struct capture_view *view)
{
	json_t *array = ctx;

	if (strcmp(view->state, "running") == 0 && json_array_size(array) < NODE_CAPTURES_MAX)
		json_array_append_new(array, json_pack("{ss so so}", "capture", view->capture, "packets",
						       number(view->packets), "bytes", number(view->bytes)));
}

static json_t *captures_json(const struct node_status *status)
{
	json_t *array = json_array();

	jobs_visit_all(status->options.jobs, add_capture, array);
	return array;
}

static json_t *redis_json(const struct node_redis *redis)
{
	json_t *json = json_pack("{sb sb so}", "requests", redis->requests, "events", redis->events, "waiting",
				 number(redis->waiting));

	if (json && redis->clock_known)
		json_object_set_new(json, "clock",
				    json_pack("{sf sf}", "offset", (double)redis->clock_offset_ns / NS_PER_S,
					      "uncertainty", (double)redis->clock_uncertainty_ns / NS_PER_S));
	return json;
}

static json_t *destinations_json(const struct node_status *status)
{
	const char *names[SINKS_MAX];
	const size_t count = deliveries_destination_names(status->options.deliveries, names);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(names[i]));
	return array;
}

static char *dump(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;

	json_decref(json);
	return text;
}

char *node_status_stopped_json(const struct node_status *status)
{
	return dump(json_pack("{si ss ss ss ss so so}", "v", STATUS_VERSION, "node",
			      status->options.config->general.node, "instance", status->instance, "host", status->host,
			      "version", PCAPDAEMON_VERSION, "started", time_json(status->started_ns), "stopped",
			      time_json(clock_realtime_ns())));
}

char *node_status_json(const struct node_status *status)
{
	const struct config *config = status->options.config;
	const struct node_redis redis = node_status_load(status).redis;
	cleanup(node_interface_list_deinit) struct node_interface_list list;
	const int r = node_interfaces_list(status->interfaces, NODE_STATUS_INTERFACES_MAX, &list);
	json_t *json =
		json_pack("{si ss ss ss ss so so so so so so}", "v", STATUS_VERSION, "node", config->general.node,
			  "instance", status->instance, "host", status->host, "version", PCAPDAEMON_VERSION, "time",
			  time_json(clock_realtime_ns()), "started", time_json(status->started_ns), "interfaces",
			  interfaces_json(&list, false), "load", load_json(status), "captures", captures_json(status),
			  "destinations", destinations_json(status));

	json_t *failing = node_destinations_failing_json(status->options.deliveries);
	if (failing)
		json_object_set_new(json, "failing", failing);
	struct error cannot;
	if (json && engine_may_capture(&cannot) < 0)
		json_object_set_new(json, "cannot_capture", json_string(cannot.text));
	if (json && redis.name_taken)
		json_object_set_new(json, "name_taken", json_true());
	if (json && list.total > list.count)
		json_object_set_new(json, "interfaces_total", number(list.total));
	if (json && r < 0)
		json_object_set_new(json, "interfaces_error", json_string(strerror(-r)));
	if (json && redis.wanted)
		json_object_set_new(json, "redis", redis_json(&redis));
	if (json && config->redis.listen && *config->redis.stream)
		json_object_set_new(json, "stream", json_string(config->redis.stream));
	return dump(json);
}

char *node_status_interfaces_json(const struct node_status *status, size_t limit, struct error *err)
{
	cleanup(node_interface_list_deinit) struct node_interface_list list;
	const int r = node_interfaces_list(status->interfaces, limit, &list);
	if (r < 0) {
		error_set(err, r, "listing the interfaces: %s", strerror(-r));
		return NULL;
	}
	json_t *json = json_pack("{ss so}", "node", status->options.config->general.node, "interfaces",
				 interfaces_json(&list, true));
	if (json && list.total > list.count)
		json_object_update_new(json, json_pack("{sb so}", "truncated", true, "total", number(list.total)));
	char *text = dump(json);
	if (!text)
		error_set(err, -ENOMEM, "out of memory");
	return text;
}
