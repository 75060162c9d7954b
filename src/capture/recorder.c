/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recorders. A setting names an interface; what is recorded is the device that has this name. A worker checks after
 * each change of the host's interfaces that every setting's device has a source, and opens or binds one: it does what
 * may block, with `control_lock` held, so it never runs in the middle of consumer_start.
 *
 * A source follows its device through renames. When its setting comes to mean another device, or its device another
 * link type, the source is displaced: it keeps its packets, and records as long as its device exists, but a setting has
 * at most one such source.
 */
#include "capture/recorder.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own_traffic.h"
#include "base/packet.h"
#include "capture/engine_internal.h"

#define REBIND_RETRY_NS NS_PER_S
#define SETTINGS_RETRY_NS (5 * NS_PER_S)

/* --- which source records what; called with `lock` held --- */

static bool records(const struct source *source, const struct network_interface *interface)
{
	return source->recorder.on && !source->gone && !source->surplus && source_is_of(source, interface);
}

static bool had_name(const struct source *source, const char *name)
{
	return strcmp(source->name, name) == 0 || (source->setting && strcmp(source->setting->interface, name) == 0);
}

struct source *recorder_find(const struct engine *engine, const struct network_interface *interface)
{
	struct source *source = engine->sources;

	while (source && !records(source, interface))
		source = source->next;
	return source;
}

struct source *recorder_find_away(const struct engine *engine, const char *name)
{
	struct source *found = NULL;

	for (struct source *source = engine->sources; source; source = source->next) {
		if (source->recorder.on && source->gone && had_name(source, name) &&
		    (!found || source_gone_since(source) > source_gone_since(found)))
			found = source;
	}
	return found;
}

struct source *recorder_find_numbered(const struct engine *engine, uint64_t id)
{
	struct source *source = engine->sources;

	while (source && !(source->recorder.on && source->id == id))
		source = source->next;
	return source;
}

struct source *recorder_find_former(const struct engine *engine, int ifindex)
{
	struct source *source = engine->sources; /* the latest first */

	while (source && !(source->recorder.on && source->ring->ifindex == ifindex))
		source = source->next;
	return source;
}

bool engine_records(struct engine *engine, const struct engine_target *target)
{
	pthread_mutex_lock(&engine->lock);
	const struct source *away = target->source   ? recorder_find_numbered(engine, target->source)
				    : target->former ? recorder_find_away(engine, target->name)
						     : NULL;
	bool found = away;
	for (const struct source *source = engine->sources; target->ifindex && source; source = source->next)
		found |= source->recorder.on && !source->gone && !source->surplus &&
			 source->ring->ifindex == target->ifindex;
	pthread_mutex_unlock(&engine->lock);
	return found;
}

bool engine_find_away(struct engine *engine, const char *name, struct engine_target *found)
{
	pthread_mutex_lock(&engine->lock);
	const struct source *source = recorder_find_away(engine, name);
	if (source) {
		*found = (struct engine_target){.source = source->id};
		memcpy(found->name, source->name, sizeof(source->name));
	}
	pthread_mutex_unlock(&engine->lock);
	return source != NULL;
}

bool engine_had_name(struct engine *engine, uint64_t source, const char *name)
{
	pthread_mutex_lock(&engine->lock);
	const struct source *found = recorder_find_numbered(engine, source);
	const bool had = found && had_name(found, name);
	pthread_mutex_unlock(&engine->lock);
	return had;
}

/* The source of a setting's present device. Called with `lock` held. */
static bool has_source(const struct engine *engine, const struct recorder_setting *setting)
{
	const struct source *source = engine->sources;

	while (source && (source->setting != setting || source->displaced))
		source = source->next;
	return source;
}

/* The setting means another device now. Its source keeps what it has; an older such source gives way. */
static void displace(struct engine *engine, const struct recorder_setting *setting)
{
	if (!has_source(engine, setting))
		return; /* opening the new device's ring is tried again */
	for (struct source *source = engine->sources; source; source = source->next) {
		if (source->setting != setting)
			continue;
		source->surplus |= source->displaced;
		engine->links_changed |= source->surplus; /* its device may be another setting's by now */
		source->displaced = true;
	}
	engine_wake_ring_thread(engine); /* it closes them */
}

/* --- opening and binding; called with `control_lock` held --- */

/* Opens a recorder's ring. Called without `lock`. */
static int open_recorder(struct engine *engine, const struct recorder_setting *setting,
			 const struct network_interface *interface, struct error *err)
{
	const struct engine_recorder *options = &setting->options;
	struct source *source = NULL;

	pthread_mutex_lock(&engine->lock);
	engine_make_room(engine, options->memory_bytes);
	pthread_mutex_unlock(&engine->lock);
	int r = source_open_recorder(options, interface, &engine->allocation, err, &source);
	if (r < 0)
		return r;
	source->own_traffic_changed = options->exclude_own;
	source->setting = setting;
	source->by_alternative = strcmp(setting->interface, interface->name) != 0;
	const size_t bytes = source_ring_bytes(source);
	r = engine_add_source(engine, source, err);
	if (r < 0)
		return r;
	if (*source->ring->shortage)
		log_warning("recorder-shrunk", log_str("interface", interface->name), log_uint("bytes", bytes),
			    log_uint("asked", options->memory_bytes), log_str("reason", source->ring->shortage));
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	pthread_mutex_unlock(&engine->lock);
	log_notice("recording", log_str("interface", interface->name), log_uint("bytes", bytes),
		   log_num("seconds", (double)options->max_age_ns / NS_PER_S));
	engine_wake_ring_thread(engine);
	return 0;
}

static void bind_later(struct engine *engine, struct source *source, int error)
{
	source->retry_ns = clock_boottime_ns() + REBIND_RETRY_NS;
	if (log_rate_allow(&source->bind_rate, &(uint64_t){0}))
		log_error("recorder-not-bound", log_str("interface", source->name), log_str("error", strerror(-error)));
	engine_wake_ring_thread(engine);
}

/* Binds the ring of an interface that is back; it may vanish again at any time. Called with `lock` held; releases and
 * reacquires it. */
static void bind_source(struct engine *engine, struct source *source, const struct network_interface *interface)
{
	source->pins++;
	pthread_mutex_unlock(&engine->lock);
	const int r = ring_rebind(source->ring, interface, source->recorder.promiscuous);
	const enum ring_interface state = r == 0 ? ring_check_interface(source->ring) : RING_INTERFACE_GONE;
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	if (state == RING_INTERFACE_RETYPED) { /* since it was found; the ring must take none of its packets */
		source->retyped = source->filter_outdated = true;
	} else if (state == RING_INTERFACE_OK) {
		source->ring->ifindex = interface->index;
		source_mark_back(source, clock_boottime_ns());
		log_notice("recording-again", log_str("interface", interface->name));
	} else if (r < 0 && r != -ENODEV) {
		bind_later(engine, source, r);
	}
}

static bool waits_for(const struct source *source, const struct network_interface *interface)
{
	return source->recorder.on && source->gone && !source->displaced &&
	       strcmp(source->name, interface->name) == 0 &&
	       link_type_is_same(source->ring->hardware, interface->hardware);
}

/* The ring that waits for an interface of this name and link type. If its setting has an alternative name, it waits for
 * the device that has that: `setting` means the interface now (NULL: not known). Called with `lock` held. */
static struct source *find_waiting(const struct engine *engine, const struct network_interface *interface,
				   const struct recorder_setting *setting)
{
	struct source *source = engine->sources;

	while (source && !(waits_for(source, interface) && (!source->by_alternative || source->setting == setting)))
		source = source->next;
	return source;
}

/* Records the setting's device unless it is recorded. Called with `lock` held; releases and reacquires it. */
static int record(struct engine *engine, struct recorder_setting *setting, const struct network_interface *interface,
		  struct error *err)
{
	if (recorder_find(engine, interface))
		return 0;
	struct source *waiting = find_waiting(engine, interface, setting);
	if (waiting) {
		bind_source(engine, waiting, interface);
		return 0;
	}
	displace(engine, setting);
	pthread_mutex_unlock(&engine->lock);
	const int r = open_recorder(engine, setting, interface, err);
	pthread_mutex_lock(&engine->lock);
	return r;
}

/* --- settings --- */

static struct recorder_setting *new_setting(const struct engine_recorder *options)
{
	const char *bpf = options->bpf ? options->bpf : "";
	struct recorder_setting *setting = calloc(1, sizeof(*setting) + strlen(bpf) + 1);

	if (!setting)
		return NULL;
	memcpy(setting->bpf, bpf, strlen(bpf) + 1);
	snprintf(setting->interface, sizeof(setting->interface), "%s", options->interface);
	setting->options = *options;
	setting->options.interface = setting->interface;
	setting->options.bpf = setting->bpf;
	setting->failure_rate.burst = 1;
	return setting;
}

static int start_setting(struct engine *engine, struct recorder_setting *setting, struct error *err)
{
	struct network_interface interface;
	int r = network_interface_find(setting->interface, &interface);

	if (r == 0) {
		pthread_mutex_lock(&engine->lock);
		if (recorder_find(engine, &interface))
			log_notice("recorded-already", log_str("interface", setting->interface),
				   log_str("name", interface.name));
		r = record(engine, setting, &interface, err);
		pthread_mutex_unlock(&engine->lock);
	} else if (r != -ENODEV) {
		error_set(err, r, "interface %s: %s", setting->interface, strerror(-r));
	}
	if (r != -ENODEV)
		return r;
	log_warning("recorder-waits", log_str("interface", setting->interface), log_str("error", "no such interface"));
	return 0;
}

int engine_add_recorder(struct engine *engine, const struct engine_recorder *recorder, struct error *err)
{
	if (engine->recorder_count >= ENGINE_RECORDERS_MAX)
		return error_set(err, -ENOSPC, "more than %d recorders", ENGINE_RECORDERS_MAX);
	struct recorder_setting *setting = new_setting(recorder);
	if (!setting)
		return error_set(err, -ENOMEM, "interface %s: out of memory", recorder->interface);
	pthread_mutex_lock(&engine->control_lock);
	const int r = start_setting(engine, setting, err);
	setting->options.claims = 0;
	if (r == 0) {
		pthread_mutex_lock(&engine->lock);
		setting->next = engine->settings;
		engine->settings = setting;
		engine->recorder_count++;
		recorder_interfaces_changed(engine); /* its interface may have just appeared */
		pthread_mutex_unlock(&engine->lock);
	} else {
		free(setting);
	}
	pthread_mutex_unlock(&engine->control_lock);
	pthread_mutex_lock(&engine->lock);
	engine_wake_worker(engine); /* a worker that failed to get control_lock went to sleep */
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

void recorder_interfaces_changed(struct engine *engine)
{
	engine->links_changed = true;
	engine_wake_worker(engine);
}

/* --- what workers do; called with `control_lock` and `lock` held; releases and reacquires `lock` --- */

static void setting_failed(struct engine *engine, struct recorder_setting *setting, int code, const struct error *error)
{
	if (log_rate_allow(&setting->failure_rate, &(uint64_t){0}))
		log_error("recorder-failed", log_str("interface", setting->interface), log_str("error", error->text));
	if (code != -EINVAL) /* its filter is not for this link type */
		engine->settings_retry_ns = clock_boottime_ns() + SETTINGS_RETRY_NS;
	engine_wake_ring_thread(engine);
}

/* `only`: the device to record; NULL: all. Settings are only added with `control_lock` held. */
static void check_settings(struct engine *engine, const struct network_interface *only)
{
	for (struct recorder_setting *setting = engine->settings; setting; setting = setting->next) {
		struct network_interface interface;
		struct error error;

		pthread_mutex_unlock(&engine->lock);
		int r = network_interface_find(setting->interface, &interface);
		if (r < 0)
			error_set(&error, r, "%s", strerror(-r));
		pthread_mutex_lock(&engine->lock);
		if (r == 0 && (!only || only->index == interface.index))
			r = record(engine, setting, &interface, &error);
		if (r < 0 && r != -ENODEV)
			setting_failed(engine, setting, r, &error);
	}
}

static void note_name(struct source *source, const struct network_interface *interface)
{
	if (source->gone || strcmp(interface->name, source->name) == 0)
		return;
	log_notice("interface-renamed", log_str("interface", source->name), log_str("name", interface->name));
	memcpy(source->name, interface->name, sizeof(source->name));
}

/* Looks for renamed interfaces, and for those that are back under a name that no setting has. */
static void check_names(struct engine *engine)
{
	for (struct source *source = engine->sources; source; source = source->next) {
		struct network_interface interface;

		source->came_back |= source->gone && source->recorder.on && !source->displaced;
		if (source->gone)
			continue;
		source->pins++;
		pthread_mutex_unlock(&engine->lock);
		const int r = network_interface_read(source->ring->ifindex, &interface);
		pthread_mutex_lock(&engine->lock);
		source->pins--;
		pthread_cond_broadcast(&engine->sources_changed);
		if (r == 0)
			note_name(source, &interface);
	}
}

static bool check_links(struct engine *engine)
{
	if (!engine->links_changed)
		return false;
	engine->links_changed = false;
	check_names(engine);
	check_settings(engine, NULL);
	engine_wake_ring_thread(engine); /* for sources that were pinned meanwhile */
	return true;
}

static bool bind_returned(struct engine *engine)
{
	struct source *source = engine->sources;
	struct network_interface interface;
	char name[NETWORK_INTERFACE_NAME_SIZE];

	while (source && !source->came_back)
		source = source->next;
	if (!source)
		return false;
	source->came_back = false;
	source->pins++;
	memcpy(name, source->name, sizeof(name));
	pthread_mutex_unlock(&engine->lock);
	const int r = network_interface_find(name, &interface);
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	if (r == 0 && !recorder_find(engine, &interface) && find_waiting(engine, &interface, NULL) == source)
		bind_source(engine, source, &interface);
	else if (r < 0 && r != -ENODEV)
		bind_later(engine, source, r);
	return true;
}

void recorder_prepare(struct engine *engine, const struct network_interface *interface)
{
	struct source *waiting = find_waiting(engine, interface, NULL);

	if (recorder_find(engine, interface))
		return;
	if (waiting)
		bind_source(engine, waiting, interface);
	else
		check_settings(engine, interface);
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
	const int r = filter_compile(own_traffic_filter(text), source->ring->type.linktype, &error, &own_traffic);
	/* Other link types carry no IP, or none that a filter finds. */
	if (r < 0 && (r != -EINVAL || source->ring->type.linktype == LINKTYPE_ETHERNET))
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
	return check_links(engine) || bind_returned(engine) || renew_own_traffic_filter(engine);
}
