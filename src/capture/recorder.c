/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recorders: opened at start, opened later if their interface did not exist, bound again when it comes back. A worker
 * does what may block, with `control_lock` held, so it never runs in the middle of consumer_start.
 */
#include "capture/recorder.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own_traffic.h"
#include "capture/engine_internal.h"

/* Opens a recorder's ring. Called with `control_lock` held, without `lock`. */
static int open_recorder(struct engine *engine, const struct engine_recorder *options, struct error *err)
{
	struct source *source = NULL;
	int r = source_open_recorder(options, &engine->ring_guard, err, &source);

	if (r < 0)
		return r;
	source->own_traffic_changed = options->exclude_own;
	const size_t bytes = source_ring_bytes(source);
	r = engine_add_source(engine, source, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	pthread_mutex_unlock(&engine->lock);
	if (bytes < options->memory_bytes / 4 * 3)
		log_warning("recorder-shrunk", log_str("interface", options->interface), log_uint("bytes", bytes),
			    log_uint("asked", options->memory_bytes));
	log_notice("recording", log_str("interface", options->interface), log_uint("bytes", bytes),
		   log_num("seconds", (double)options->max_age_ns / NS_PER_S));
	engine_wake_ring_thread(engine);
	return 0;
}

static int wait_for_interface(struct engine *engine, const struct engine_recorder *options)
{
	const char *bpf = options->bpf ? options->bpf : "";
	struct pending_recorder *pending = calloc(1, sizeof(*pending) + strlen(bpf) + 1);

	if (!pending)
		return -ENOMEM;
	memcpy(pending->bpf, bpf, strlen(bpf) + 1);
	snprintf(pending->interface, sizeof(pending->interface), "%s", options->interface);
	pending->options = *options;
	pending->options.interface = pending->interface;
	pending->options.bpf = pending->bpf;
	pthread_mutex_lock(&engine->lock);
	pending->next = engine->pending;
	engine->pending = pending;
	recorder_interfaces_changed(engine); /* it may have just appeared */
	pthread_mutex_unlock(&engine->lock);
	log_warning("recorder-waits", log_str("interface", options->interface), log_str("error", "no such interface"));
	return 0;
}

int engine_add_recorder(struct engine *engine, const struct engine_recorder *recorder, struct error *err)
{
	pthread_mutex_lock(&engine->control_lock);
	int r = -ENOSPC;
	if (engine->recorder_count < ENGINE_RECORDERS_MAX)
		r = open_recorder(engine, recorder, err);
	else
		error_set(err, r, "more than %d recorders", ENGINE_RECORDERS_MAX);
	if (r == -ENODEV)
		r = wait_for_interface(engine, recorder);
	if (r == 0)
		engine->recorder_count++;
	pthread_mutex_unlock(&engine->control_lock);
	pthread_mutex_lock(&engine->lock);
	engine_wake_worker(engine);
	pthread_mutex_unlock(&engine->lock);
	return r;
}

void engine_own_traffic_changed(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next)
		source->own_traffic_changed |= source->recorder.exclude_own;
	engine_wake_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

/* Unless that can't be known: then the worker that tries reports why. */
static bool may_exist(const char *interface)
{
	int ifindex;

	return ring_find_interface(interface, &ifindex) != -ENODEV;
}

void recorder_interfaces_changed(struct engine *engine)
{
	char name[IF_NAMESIZE];

	for (struct pending_recorder *pending = engine->pending; pending; pending = pending->next)
		pending->due = may_exist(pending->interface);
	for (struct source *source = engine->sources; source; source = source->next) {
		if (source->gone) {
			source->came_back = source->recorder.on && may_exist(source->name);
		} else if (if_indextoname((unsigned)source->ring->ifindex, name) && strcmp(name, source->name) != 0) {
			log_notice("interface-renamed", log_str("interface", source->name), log_str("name", name));
			snprintf(source->name, sizeof(source->name), "%s", name);
		}
	}
	engine_wake_worker(engine);
}

/* --- what workers do; called with `control_lock` and `lock` held; releases and reacquires `lock` --- */

static bool open_pending(struct engine *engine)
{
	struct pending_recorder **at = &engine->pending;

	while (*at && !(*at)->due)
		at = &(*at)->next;
	struct pending_recorder *pending = *at;
	if (!pending)
		return false;
	struct error error;
	pending->due = false;
	pthread_mutex_unlock(&engine->lock);
	const int r = open_recorder(engine, &pending->options, &error);
	if (r < 0 && r != -ENODEV)
		log_error("recorder-failed", log_str("interface", pending->interface), log_str("error", error.text));
	pthread_mutex_lock(&engine->lock);
	if (r == 0) {
		for (at = &engine->pending; *at != pending;)
			at = &(*at)->next;
		*at = pending->next;
		free(pending);
	}
	return true;
}

#define REBIND_RETRY_NS NS_PER_S

/* Binds the ring of an interface that is back; it may vanish again at any time. */
static void bind_source(struct engine *engine, struct source *source)
{
	char name[sizeof(source->name)];
	int ifindex = 0;

	source->came_back = false;
	source->pins++;
	memcpy(name, source->name, sizeof(name));
	pthread_mutex_unlock(&engine->lock);
	const int r = ring_rebind(source->ring, name, source->recorder.promiscuous, &ifindex);
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	if (r == 0 && !ring_interface_gone(source->ring)) {
		source->ring->ifindex = ifindex;
		source_mark_back(source, clock_boottime_ns());
		log_notice("recording-again", log_str("interface", name));
	} else if (r != -ENODEV) {
		source->retry_ns = clock_boottime_ns() + REBIND_RETRY_NS;
		if (log_rate_allow(&source->bind_rate, &(uint64_t){0}))
			log_error("recorder-not-bound", log_str("interface", name),
				  log_str("error", r == -EPFNOSUPPORT ? "its link type has changed" : strerror(-r)));
		engine_wake_ring_thread(engine);
	}
}

static bool bind_returned(struct engine *engine)
{
	struct source *source = engine->sources;

	while (source && !source->came_back)
		source = source->next;
	if (source)
		bind_source(engine, source);
	return source != NULL;
}

void recorder_bind(struct engine *engine, const char *interface)
{
	for (struct source *source = engine->sources; source; source = source->next) {
		if (source->gone && source->recorder.on && strcmp(source->name, interface) == 0) {
			bind_source(engine, source);
			return;
		}
	}
}

static bool renew_own_traffic_filter(struct engine *engine)
{
	struct source *source = engine->sources;

	while (source && !source->own_traffic_changed)
		source = source->next;
	if (!source)
		return false;
	char text[OWN_TRAFFIC_TEXT_SIZE];
	struct error error;
	struct filter *own_traffic = NULL;
	source->own_traffic_changed = false;
	source->pins++;
	pthread_mutex_unlock(&engine->lock);
	if (filter_compile(own_traffic_filter(text), source->ring->linktype, &error, &own_traffic) < 0)
		log_error("own-traffic-filter-failed", log_str("interface", source->ring->name),
			  log_str("error", error.text));
	pthread_mutex_lock(&engine->lock);
	filter_free(source->own_traffic);
	source->own_traffic = own_traffic;
	source->filter_outdated = true;
	source->pins--;
	return true;
}

bool recorder_run_maintenance(struct engine *engine)
{
	return open_pending(engine) || bind_returned(engine) || renew_own_traffic_filter(engine);
}
