/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts, stops and reports on consumers. consumer_start runs on the caller's thread because it may block; the kernel
 * filter covers what the consumer wants before its window opens.
 */
#include "capture/consumer.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/quantity.h"
#include "bpf/filter_cache.h"
#include "capture/engine_internal.h"
#include "capture/recorder.h"
#include "capture/ring_size.h"

#define MUCH_SMALLER 4 /* an idle ring of at most this part of what is planned is not used again */
/* Twice the order slack: once for packets stamped ahead of the clock, once for a worker yet to see the new end. */
#define EXTEND_SLACK_NS (2 * TIMELINE_ORDER_SLACK_NS)

const char *end_reason_name(enum end_reason reason)
{
	static const char *const names[] = {
		[END_NONE] = "running",	   [END_UNTIL] = "until",	[END_PACKETS] = "packets",
		[END_BYTES] = "bytes",	   [END_TIMEOUT] = "timeout",	[END_IDLE] = "idle",
		[END_WINDOW] = "window",   [END_MEMORY] = "memory",	[END_INTERFACE_GONE] = "interface-gone",
		[END_STOPPED] = "stopped", [END_SHUTDOWN] = "shutdown",
	};

	return names[reason];
}

const char *interface_state_name(enum interface_state state)
{
	static const char *const names[] = {
		[INTERFACE_UNKNOWN] = NULL, [INTERFACE_UP] = "up",     [INTERFACE_NO_CARRIER] = "no-carrier",
		[INTERFACE_DOWN] = "down",  [INTERFACE_GONE] = "gone",
	};

	return names[state];
}

void consumer_unlink(struct consumer *consumer)
{
	struct source *source = consumer->source;

	for (struct consumer **at = &source->consumers; *at; at = &(*at)->next) {
		if (*at == consumer) {
			*at = consumer->next;
			break;
		}
	}
	consumer->next = NULL;
	consumer->source = NULL;
	source->filter_outdated = true;
	consumer->engine->consumer_count--;
	if (--source->consumer_count)
		return;
	source->idle_since_ns = clock_boottime_ns();
	engine_wake_ring_thread(consumer->engine); /* it closes sources that are gone or idle too long */
}

/* The device that the spec means now; index 0: there is none. */
static int find_device(const struct consumer_spec *spec, struct network_interface *device, struct error *err)
{
	const int r = spec->source    ? -ENODEV
		      : spec->ifindex ? network_interface_read(spec->ifindex, device)
				      : network_interface_find(spec->interface, device);

	if (r == -ENODEV)
		*device = (struct network_interface){0};
	return r < 0 && r != -ENODEV ? error_set(err, r, "interface %s: %s", spec->interface, strerror(-r)) : 0;
}

/* The open source of a device; its recorder takes precedence. Called with `lock` held. */
static struct source *find_live(const struct engine *engine, const struct network_interface *device)
{
	struct source *live = recorder_find(engine, device);

	for (struct source *source = engine->sources; source && !live; source = source->next) {
		if (!source->recorder.on && !source->gone && !source->given_up && source_is_of(source, device))
			live = source;
	}
	return live;
}

/*
 * The source that a spec means now. A recorder whose interface is away still has its history; so has one whose
 * interface was replaced, for windows from before that. Called with `lock` held.
 */
static struct source *find_source(const struct engine *engine, const struct consumer_spec *spec,
				  const struct network_interface *device)
{
	if (spec->source)
		return recorder_find_numbered(engine, spec->source);
	if (!device->index) {
		struct source *former = spec->ifindex ? recorder_find_former(engine, spec->ifindex) : NULL;

		return former || !spec->former ? former : recorder_find_away(engine, spec->interface);
	}
	struct source *live = find_live(engine, device);
	if (!spec->to_real_ns || !spec->former)
		return live;
	const int64_t offset_ns = clock_offset_ns();
	const uint64_t now_ns = clock_boottime_ns(), to_ns = spec->to_real_ns - (uint64_t)offset_ns;
	struct source *away = to_ns < now_ns ? recorder_find_away(engine, device->name) : NULL;
	const bool held = away && spec->from_real_ns - (uint64_t)offset_ns < source_gone_since(away);
	return held && (!live || source_reachable_since(live, now_ns) >= to_ns) ? away : live;
}

/* Whether a ring that nothing reads is only pinned for a moment, as by a worker that renews its filter. Called with
 * `lock` held. */
static bool has_busy_idle(const struct engine *engine)
{
	const struct source *source = engine->sources;

	while (source && (source->recorder.on || source->consumers || !source->pins || !source->idle_since_ns ||
			  source->given_up))
		source = source->next;
	return source;
}

/* Whether one more ring is allowed once the rings that are given up are closed. Called with `lock` held. */
static bool has_place(const struct engine *engine)
{
	return engine->ring_count - engine->given_up_count < engine->rings_max;
}

/* Whether a new ring of this size fits in once the rings that are given up are closed. Called with `lock` held. */
static bool will_fit(const struct engine *engine, size_t bytes)
{
	return has_place(engine) && engine->ring_bytes - engine->given_up_bytes + bytes <= engine->rings_limit_bytes;
}

/*
 * Takes a place and bytes for a new ring, at most `planned`, out of what is allowed; idle rings give way. Returns 0,
 * -ENOSPC (rings) or -ENOMEM. Called with `lock` held; releases and reacquires it while rings are closed.
 */
static int reserve_ring(struct engine *engine, size_t planned, size_t *bytes)
{
	for (;;) {
		struct source *idle;

		while (!will_fit(engine, planned) && (idle = engine_longest_idle(engine)))
			engine_give_up(engine, idle);
		const size_t used = engine->ring_bytes - engine->given_up_bytes;
		*bytes = ring_size_fit(engine->rings_limit_bytes, used, planned);
		const bool possible = *bytes && has_place(engine);
		if (!possible && !has_busy_idle(engine))
			return *bytes ? -ENOSPC : -ENOMEM;
		if (!possible) {
			pthread_cond_wait(&engine->sources_changed, &engine->lock);
			continue;
		}
		if (engine->ring_bytes + *bytes <= engine->rings_limit_bytes && engine->ring_count < engine->rings_max)
			break;
		if (engine->closing)
			engine_close_source(engine);
		else
			pthread_cond_wait(&engine->sources_changed, &engine->lock);
	}
	engine->ring_bytes += *bytes;
	engine->ring_count++;
	return 0;
}

static void ring_refused(const struct engine *engine, const char *interface, int code, struct error *err)
{
	if (code == -ENOSPC)
		error_set(err, code, "interface %s: rings of %u other interfaces are in use", interface,
			  engine->rings_max);
	else
		error_set(err, code,
			  "interface %s: other interfaces' rings use all of the %zu MiB for rings (limits.ring_memory)",
			  interface, engine->rings_limit_bytes / MIB);
}

static bool is_being_opened(const struct engine *engine, int ifindex)
{
	const struct opening *opening = engine->openings;

	while (opening && opening->ifindex != ifindex)
		opening = opening->next;
	return opening;
}

static void end_opening(struct engine *engine, const struct opening *opening)
{
	struct opening **at = &engine->openings;

	while (*at != opening)
		at = &(*at)->next;
	*at = opening->next;
	pthread_cond_broadcast(&engine->sources_changed);
}

/* Logs that there was not the memory for a ring. Called with `lock` held. */
static void log_shortage(struct engine *engine, const char *interface, const struct ring *ring, const char *refusal)
{
	uint64_t suppressed;

	if (ring && log_rate_allow(&engine->shrunk_rate, &suppressed))
		log_warning("ring-shrunk", log_str("interface", interface), log_uint("bytes", ring_bytes(ring)),
			    log_uint("asked", ring->asked_bytes), log_str("reason", ring->shortage),
			    log_uint("suppressed", suppressed));
	else if (!ring && log_rate_allow(&engine->refused_rate, &suppressed))
		log_warning("ring-refused", log_str("interface", interface), log_str("error", refusal),
			    log_uint("suppressed", suppressed));
}

/* Opens the interface's source, with a pin for the caller. Called with `lock` held; releases and reacquires it. */
static int open_source(struct engine *engine, const struct consumer_spec *spec, size_t planned,
		       const struct network_interface *device, struct error *err, struct source **result)
{
	struct opening opening = {.next = engine->openings, .ifindex = device->index};
	struct source *source = NULL;
	size_t bytes = 0;

	engine->openings = &opening;
	int r = reserve_ring(engine, planned, &bytes);
	const bool reserved = r == 0;
	if (reserved)
		engine_make_room(engine, bytes);
	pthread_mutex_unlock(&engine->lock);
	const struct source_options options = {device, spec->promiscuous, bytes};
	if (!reserved)
		ring_refused(engine, spec->interface, r, err);
	else
		r = source_open(&options, &engine->allocation, err, &source);
	const size_t opened = r == 0 ? source_ring_bytes(source) : 0;
	const bool refused = r == -ENOMEM;
	if (r == 0)
		r = engine_add_source(engine, source, err);
	pthread_mutex_lock(&engine->lock);
	if (reserved) {
		engine->ring_bytes -= bytes - (r == 0 ? opened : 0); /* there may not have been memory for it all */
		engine->ring_count -= r < 0;
	}
	end_opening(engine, &opening);
	if (refused || (r == 0 && *source->ring->shortage))
		log_shortage(engine, spec->interface, refused ? NULL : source->ring, err->text);
	if (r == 0)
		*result = source;
	return r;
}

/* The interface's source, pinned, if it is open; waits while another thread opens it. An idle one that is much smaller
 * than planned gives way. Called with `lock` held; releases and reacquires it. */
static struct source *pin_open_source(struct engine *engine, const struct consumer_spec *spec, size_t planned,
				      const struct network_interface *device)
{
	while (device->index && is_being_opened(engine, device->index))
		pthread_cond_wait(&engine->sources_changed, &engine->lock);
	struct source *source = find_source(engine, spec, device);
	if (source && source_is_idle(source) && source_ring_bytes(source) <= planned / MUCH_SMALLER) {
		engine_give_up(engine, source);
		source = NULL;
	}
	if (source) {
		source->idle_since_ns = 0;
		source->pins++;
	}
	return source;
}

/* Finds or opens the interface's source and pins it. Called without locks. */
static int acquire_source(struct engine *engine, const struct consumer_spec *spec, struct error *err,
			  struct source **result)
{
	const size_t planned = spec->ring_bytes ? spec->ring_bytes : engine_plan_rings(engine, 1);
	struct network_interface device;
	int r = find_device(spec, &device, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&engine->control_lock);
	pthread_mutex_lock(&engine->lock);
	if (device.index)
		recorder_prepare(engine, &device); /* it may have just come back */
	pthread_mutex_unlock(&engine->control_lock);
	engine_wake_worker(engine); /* a worker that failed to get control_lock went to sleep */
	*result = pin_open_source(engine, spec, planned, &device);
	if (!*result && device.index)
		r = open_source(engine, spec, planned, &device, err, result);
	else if (!*result)
		r = error_set(err, -ENODEV, "interface %s: no such interface", spec->interface);
	pthread_mutex_unlock(&engine->lock);
	return r;
}

/* Adds the consumer to the source, puts its filter into the kernel and starts it. Called with `control_lock` held,
 * without `lock`. */
static int arm(struct source *source, struct consumer *consumer, struct error *err)
{
	struct engine *engine = consumer->engine;
	/* Not cleared: it is as large as the largest filter. */
	cleanup(cleanup_free) struct sock_filter *program = malloc(FILTER_UNION_MAX * sizeof(*program));

	if (!program)
		return error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&engine->lock);
	const uint64_t resumes = consumer->resume.number ? consumer->resume.source : source->id;
	const bool gone = (source->gone && !source->recorder.on) || resumes != source->id;
	if (gone || engine->consumer_count >= ENGINE_CONSUMERS_MAX) {
		pthread_mutex_unlock(&engine->lock);
		return gone ? error_set(err, -ENODEV, "interface %s: gone", source->ring->name)
			    : error_set(err, -ENOSPC, "%u captures are running already", ENGINE_CONSUMERS_MAX);
	}
	consumer->source = source;
	consumer->source_id = source->id;
	consumer->next = source->consumers;
	source->consumers = consumer;
	const bool first = source->consumer_count++ == 0;
	engine->consumer_count++;
	const size_t size = source_build_filter(source, program);
	source->filter_outdated = false;
	pthread_mutex_unlock(&engine->lock);
	int r = source_attach_filter(source, program, size);
	if (r < 0)
		error_set(err, r, "interface %s: kernel filter: %s", source->ring->name, strerror(-r));
	else if (first && !source->recorder.on)
		r = ring_start(source->ring, err); /* binding again to the same interface changes nothing */
	pthread_mutex_lock(&engine->lock);
	uint64_t number = 0, newest = 0;
	if (r < 0) {
		consumer_unlink(consumer);
	} else {
		ring_update_dropped(source->ring);
		source_start_consumer(source, consumer, clock_boottime_ns(), clock_offset_ns());
		number = consumer->position;
		newest = timeline_next_number(source->timeline);
	}
	pthread_mutex_unlock(&engine->lock);
	if (r == 0)
		log_debug(capture, "consumer-started", log_str("interface", source->ring->name),
			  log_uint("number", number), log_uint("newest", newest),
			  log_bool("recorder", source->recorder.on), log_uint("filter_instructions", size));
	return r;
}

static struct consumer *new_consumer(struct engine *engine, const struct consumer_spec *spec, consumer_done done,
				     void *ctx)
{
	struct consumer *consumer = calloc(1, sizeof(*consumer));

	if (!consumer)
		return NULL;
	consumer->engine = engine;
	consumer->ended.consumer = consumer->quota_spent.consumer = consumer->fed.consumer = consumer;
	consumer->feed = spec->feed;
	consumer->cursor.outlasts_memory = spec->feed;
	consumer->cursor.quota = spec->quota;
	consumer->done = done;
	consumer->ctx = ctx;
	consumer->end_number = NUMBER_NONE;
	consumer->cursor.snaplen = spec->snaplen;
	consumer->cursor.max_packets = spec->max_packets;
	consumer->cursor.max_bytes = spec->max_bytes;
	consumer->cursor.idle_ns = spec->idle_ns;
	consumer->snaplen = spec->snaplen;
	consumer->before_ns = spec->before_ns;
	consumer->from_real_ns = spec->from_real_ns;
	consumer->to_real_ns = spec->to_real_ns;
	consumer->not_before_ns = spec->not_before_ns;
	consumer->duration_ns = spec->duration_ns;
	consumer->until_ns = spec->until_ns;
	consumer->own_only = !spec->former;
	consumer->resume = spec->resume ? *spec->resume : (struct resume_point){0};
	consumer->series_reason = spec->to_real_ns ? END_WINDOW : END_TIMEOUT;
	consumer->series_to_real_ns = spec->to_real_ns;
	consumer->part_ns = spec->part_ns;
	consumer->continued = spec->continued;
	consumer->cursor.beyond_number = NUMBER_NONE;
	store_init(&consumer->cursor.store, spec->feed ? spec->feed->budget : &engine->budget);
	store_init(&consumer->handed_over, consumer->cursor.store.budget);
	return consumer;
}

/* Once the ring is open: whether no packet can have passed before. Those since then are counted, too, so this errs
 * towards false. */
static bool has_seen_everything(int ifindex)
{
	struct nic_counters counters = {0};

	nic_counters_read(ifindex, &counters);
	return counters.known && !counters.packets;
}

/* Before it is armed. In a window that is over the NIC can lose nothing more. */
static void read_nic_counters(struct consumer *consumer, const struct consumer_spec *spec, int ifindex)
{
	const bool past = spec->to_real_ns && spec->to_real_ns <= clock_realtime_ns();

	if (past || !ifindex)
		return;
	consumer->nic_ifindex = ifindex;
	nic_counters_read(ifindex, &consumer->nic_begin);
}

static int start_on_source(struct engine *engine, const struct consumer_spec *spec, uint16_t linktype,
			   struct consumer *consumer, struct error *err)
{
	struct source *source = NULL;

	int r = acquire_source(engine, spec, err, &source);
	if (r == 0 && source->ring->type.linktype != linktype)
		r = error_set(err, -ENODEV, "interface %s was replaced while the capture was starting",
			      spec->interface);
	if (r == 0) {
		pthread_mutex_lock(&engine->control_lock);
		r = arm(source, consumer, err);
		pthread_mutex_unlock(&engine->control_lock);
	}
	pthread_mutex_lock(&engine->lock);
	if (source) {
		source->pins--;
		if (!source->consumers)
			source->idle_since_ns = clock_boottime_ns();
		pthread_cond_broadcast(&engine->sources_changed);
	}
	engine_wake_worker(engine); /* a worker that failed to get control_lock went to sleep */
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
	return r;
}

/* Of the device or, if it is away, of its recorder. */
static int find_linktype(struct engine *engine, const struct consumer_spec *spec,
			 const struct network_interface *device, uint16_t *linktype, struct error *err)
{
	const uint16_t of_device = device->index ? link_type_read(device).linktype : 0;

	pthread_mutex_lock(&engine->lock);
	const struct source *source = find_source(engine, spec, device);
	*linktype = source ? source->ring->type.linktype : of_device;
	pthread_mutex_unlock(&engine->lock);
	return source || device->index ? 0
				       : error_set(err, -ENODEV, "interface %s: no such interface", spec->interface);
}

/* Whether a filter may depend on the netmask. Reading that waits for the kernel's RTNL lock. */
static bool has_broadcast(const struct consumer_spec *spec)
{
	const char *const filters[] = {spec->bpf, spec->inner, spec->required};
	bool found = false;

	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		found |= filters[i] && strstr(filters[i], "broadcast");
	return found;
}

int consumer_start(struct engine *engine, const struct consumer_spec *spec, consumer_done done, void *ctx,
		   struct error *err, const char **field, struct consumer **result)
{
	struct network_interface device;
	uint16_t linktype = 0;

	*field = "interface";
	int r = find_device(spec, &device, err);
	if (r == 0)
		r = find_linktype(engine, spec, &device, &linktype, err);
	if (r < 0)
		return r;
	struct consumer *consumer = new_consumer(engine, spec, done, ctx);
	if (!consumer)
		return error_set(err, -ENOMEM, "out of memory");
	const struct filter_options options = {
		.bpf = spec->bpf,
		.inner = spec->inner,
		.required = spec->required,
		.no_names = spec->no_names,
		.linktype = linktype,
		.netmask = has_broadcast(spec) ? ring_netmask(device.name) : 0,
	};
	r = spec->filters ? filter_cache_get(spec->filters, &options, err, field, &consumer->filter)
			  : filter_new(&options, err, field, &consumer->filter);
	consumer->cursor.filter = consumer->filter;
	if (r == 0) {
		*field = "interface";
		*result = consumer; /* before it can end */
		read_nic_counters(consumer, spec, device.index);
		r = start_on_source(engine, spec, linktype, consumer, err);
	}
	if (r == 0 && spec->since_appearance && !has_seen_everything(device.index))
		atomic_store(&consumer->began_late, true);
	if (r < 0) {
		*result = NULL;
		consumer_free(consumer);
	}
	return r;
}

/* --- a series --- */

void consumer_set_part_end(struct consumer *consumer, uint64_t begin_ns)
{
	const bool in_part = consumer->part_ns && consumer->part_ns < consumer->series_until_ns - begin_ns;
	const uint64_t until_ns = in_part && begin_ns < consumer->series_until_ns ? begin_ns + consumer->part_ns
										  : consumer->series_until_ns;

	consumer->until_reason = until_ns < consumer->series_until_ns ? END_TIMEOUT : consumer->series_reason;
	consumer->to_real_ns = until_ns < consumer->series_until_ns ? 0 : consumer->series_to_real_ns;
	consumer->planned_end_ns = until_ns;
	atomic_store_explicit(&consumer->cursor.until_ns, until_ns, memory_order_relaxed);
}

/* Whether it has ended where another one goes on. */
static bool is_rotated(const struct consumer *consumer)
{
	const struct cursor *cursor = &consumer->cursor;
	const bool part_over =
		cursor->reason == END_TIMEOUT &&
		atomic_load_explicit(&cursor->until_ns, memory_order_relaxed) < consumer->series_until_ns;

	return consumer->continued && (cursor->reason == END_PACKETS || cursor->reason == END_BYTES || part_over);
}

/* Starts the one that follows at the packet after the last one of `before`. By time, that is the first one that came
 * after its end; packets of both may be mixed there, and each takes its own. Called with `lock` held. */
static void begin_successor(struct consumer *before)
{
	struct source *source = before->source;
	struct consumer *consumer = before->successor;
	const struct cursor *from = &before->cursor;
	struct cursor *cursor = &consumer->cursor;
	const bool by_time = from->reason == END_TIMEOUT;
	struct consumer **at = &source->consumers;

	while (*at != before)
		at = &(*at)->next;
	consumer->next = before->next;
	*at = consumer;
	before->next = NULL;
	before->source = NULL;
	before->holds_place = false;
	consumer->predecessor = NULL;
	consumer->source = source;
	consumer->source_id = before->source_id;
	consumer->linktype = before->linktype;
	consumer->live_number = before->live_number;
	consumer->series_until_ns = before->series_until_ns;
	consumer->retention_may_hide = before->retention_may_hide;
	consumer->begin_ns = consumer_window_end(before) + by_time;
	consumer->begin_real_ns =
		by_time ? consumer_window_end(before) + (uint64_t)before->clock_offset_ns : from->last_ns;
	consumer->asked_from_ns = (int64_t)consumer->begin_ns;
	cursor->from_ns = by_time ? consumer->begin_ns : from->from_ns;
	cursor->retention = from->retention;
	cursor->retention_until_ns = from->retention_until_ns;
	cursor->next_number = consumer->position = consumer->needed = before->needed;
	cursor->dropped_at_start = cursor->dropped_seen = from->dropped_seen;
	cursor->dropped_marked = from->dropped_marked;
	cursor->missing = from->missing;
	cursor->clock_offset_ns = from->clock_offset_ns;
	atomic_store_explicit(&cursor->last_match_ns, atomic_load_explicit(&from->last_match_ns, memory_order_relaxed),
			      memory_order_relaxed);
	consumer_set_part_end(consumer, consumer->begin_ns);
	consumer->armed = true;
	if (source->gone)
		consumer_end_at(consumer, clock_boottime_ns(), END_INTERFACE_GONE);
	engine_wake_worker(consumer->engine);
	engine_wake_ring_thread(consumer->engine); /* it has a time limit of its own */
}

void consumer_leave(struct consumer *consumer)
{
	consumer->rotated = is_rotated(consumer);
	if (!consumer->rotated) {
		consumer_unlink(consumer);
		return;
	}
	consumer->holds_place = true;
}

void consumer_pass_on(struct consumer *consumer)
{
	consumer->passes_on = true;
	if (consumer->holds_place && consumer->successor)
		begin_successor(consumer);
}

struct consumer *consumer_continue(struct consumer *before, bool last, const struct consumer_feed *feed,
				   consumer_done done, void *ctx)
{
	struct engine *engine = before->engine;
	const struct consumer_spec spec = {
		.snaplen = before->snaplen,
		.max_packets = before->cursor.max_packets,
		.max_bytes = before->cursor.max_bytes,
		.idle_ns = before->cursor.idle_ns,
		.to_real_ns = before->series_to_real_ns,
		.part_ns = before->part_ns,
		.continued = !last,
		.feed = feed,
	};
	struct consumer *consumer = new_consumer(engine, &spec, done, ctx);

	if (!consumer)
		return NULL;
	consumer->filter = filter_share(before->filter);
	consumer->cursor.filter = consumer->filter;
	pthread_mutex_lock(&engine->lock);
	consumer->nic_ifindex = before->nic_ifindex;
	consumer->nic_begin = before->nic_end.known ? before->nic_end : before->nic_begin;
	consumer->predecessor = before;
	before->successor = consumer;
	if (before->holds_place && before->passes_on)
		begin_successor(before);
	pthread_mutex_unlock(&engine->lock);
	return consumer;
}

/* The last packets may still be in the open block, so this end is handled like any other time limit. */
void consumer_end_at(struct consumer *consumer, uint64_t boottime_ns, enum end_reason reason)
{
	struct cursor *cursor = &consumer->cursor;

	if (!consumer->armed || consumer->holds_place ||
	    boottime_ns >= atomic_load_explicit(&cursor->until_ns, memory_order_relaxed))
		return;
	atomic_store_explicit(&cursor->until_ns, boottime_ns, memory_order_relaxed);
	consumer->until_reason = reason;
}

void consumer_stop(struct consumer *consumer, enum end_reason reason)
{
	struct engine *engine = consumer->engine;

	pthread_mutex_lock(&engine->lock);
	if (consumer->source)
		consumer_end_at(consumer, clock_boottime_ns(), reason);
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
}

/* No packet stamped later than now has been scanned, so while the end is in the future it has excluded none. */
bool consumer_extend(struct consumer *consumer, uint64_t until_ns)
{
	struct engine *engine = consumer->engine;

	pthread_mutex_lock(&engine->lock);
	const uint64_t end_ns = consumer->series_until_ns;
	const bool extendable = consumer->source && consumer->armed && consumer->until_reason == END_TIMEOUT &&
				consumer->series_reason == END_TIMEOUT &&
				clock_boottime_ns() + EXTEND_SLACK_NS < end_ns;
	if (extendable && until_ns > end_ns) {
		const uint64_t begin_ns = consumer->begin_ns ? consumer->begin_ns : consumer->cursor.from_ns;

		consumer->series_until_ns = until_ns;
		if (!consumer->holds_place)
			consumer_set_part_end(consumer, begin_ns);
	}
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
	return extendable;
}

uint64_t consumer_ends_ns(const struct consumer *consumer)
{
	pthread_mutex_lock(&consumer->engine->lock);
	const uint64_t end_ns =
		consumer->armed ? atomic_load_explicit(&consumer->cursor.until_ns, memory_order_relaxed) : UINT64_MAX;
	pthread_mutex_unlock(&consumer->engine->lock);
	return end_ns;
}

void consumer_feed_packets(struct consumer *consumer)
{
	struct engine *engine = consumer->engine;

	consumer->feed->handler(consumer->ctx, &consumer->handed_over);
	store_deinit(&consumer->handed_over);
	atomic_store_explicit(&consumer->handing_over, false, memory_order_release);
	pthread_mutex_lock(&engine->lock);
	if (consumer->source && source_runnable(consumer->source, consumer))
		engine_wake_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

/* Nothing follows it any more, and it follows nothing. */
static void leave_series(struct consumer *consumer)
{
	struct engine *engine = consumer->engine;

	pthread_mutex_lock(&engine->lock);
	if (consumer->holds_place)
		consumer_unlink(consumer);
	if (consumer->successor && consumer->successor->predecessor == consumer)
		consumer->successor->predecessor = NULL;
	if (consumer->predecessor)
		consumer->predecessor->successor = NULL;
	pthread_mutex_unlock(&engine->lock);
}

void consumer_free(struct consumer *consumer)
{
	if (!consumer)
		return;
	if (consumer->continued || consumer->predecessor)
		leave_series(consumer);
	store_deinit(&consumer->cursor.store);
	store_deinit(&consumer->handed_over);
	filter_free(consumer->filter);
	free(consumer);
}

struct resume_point consumer_resume_point(const struct consumer *consumer)
{
	const struct cursor *cursor = &consumer->cursor;

	return (struct resume_point){.source = consumer->source_id,
				     .number = cursor->next_number,
				     .dropped = cursor->dropped_seen,
				     .dropped_marked = cursor->dropped_marked,
				     .missing = cursor->missing};
}

const struct store *consumer_store(const struct consumer *consumer)
{
	return &consumer->cursor.store;
}

uint64_t consumer_window_end(const struct consumer *consumer)
{
	const struct cursor *cursor = &consumer->cursor;
	const uint64_t until_ns = atomic_load_explicit(&cursor->until_ns, memory_order_relaxed);
	uint64_t end_ns = consumer->end_ns;

	if (cursor->reason == END_PACKETS || cursor->reason == END_BYTES)
		end_ns = cursor->last_arrived_ns;
	else if (cursor->reason == END_IDLE)
		end_ns = atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed) + cursor->idle_ns;
	else if (cursor->reason == END_MEMORY && cursor->memory_spent_ns) /* else another one's end was its end */
		end_ns = cursor->memory_spent_ns;
	else if (cursor->retyped_ns)
		end_ns = cursor->retyped_ns;
	return until_ns < end_ns ? until_ns : end_ns;
}

static enum interface_state state_at_end(const struct consumer *consumer)
{
	const struct nic_counters *nic = &consumer->nic_growth;

	return consumer->cursor.reason == END_INTERFACE_GONE ? INTERFACE_GONE
	       : !nic->known				     ? INTERFACE_UNKNOWN
	       : !nic->up				     ? INTERFACE_DOWN
	       : !nic->carrier				     ? INTERFACE_NO_CARRIER
							     : INTERFACE_UP;
}

/* Packets that it has seen and that the one that follows it sees again: those from the first beyond its window on. */
static uint64_t passed_on(const struct consumer *consumer)
{
	const struct cursor *cursor = &consumer->cursor;
	const uint64_t count = consumer->rotated && cursor->beyond_number < cursor->next_number
				       ? cursor->next_number - cursor->beyond_number
				       : 0;

	return count < cursor->examined ? count : cursor->examined;
}

void consumer_report(const struct consumer *consumer, struct consumer_report *report)
{
	const struct cursor *cursor = &consumer->cursor;

	*report = (struct consumer_report){
		.packets = atomic_load_explicit(&cursor->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&cursor->bytes, memory_order_relaxed),
		.snaplen = consumer->snaplen,
		.linktype = consumer->linktype,
	};
	pthread_mutex_lock(&consumer->engine->lock);
	const bool ended = consumer->settled;
	pthread_mutex_unlock(&consumer->engine->lock);
	const int64_t now_offset_ns = clock_offset_ns();
	const uint64_t offset_ns = (uint64_t)(ended ? consumer->clock_offset_ns : now_offset_ns);
	report->from_ns = cursor->from_ns + offset_ns;
	const int64_t asked_ns = consumer->asked_from_ns + (int64_t)offset_ns;
	report->asked_from_ns = asked_ns > 0 ? (uint64_t)asked_ns : 0;
	if (consumer->from_real_ns) /* report the window as requested, even if the clock has changed since */
		report->asked_from_ns = consumer->from_real_ns;
	if (consumer->from_real_ns && (int64_t)cursor->from_ns == consumer->asked_from_ns)
		report->from_ns = consumer->from_real_ns;
	if (consumer->begin_real_ns)
		report->from_ns = report->asked_from_ns = consumer->begin_real_ns;
	if (!ended)
		return;
	report->reason = cursor->reason;
	report->rotated = consumer->rotated;
	report->first_ns = cursor->first_ns;
	report->last_ns = cursor->last_ns;
	/* A shared quota may end a consumer that has no packet of its own. */
	const bool by_packets = (cursor->reason == END_PACKETS || cursor->reason == END_BYTES) && cursor->last_ns;
	const uint64_t end_ns = consumer_window_end(consumer);
	report->to_ns = by_packets ? cursor->last_ns : end_ns + offset_ns;
	if (!by_packets && consumer->to_real_ns &&
	    end_ns == atomic_load_explicit(&cursor->until_ns, memory_order_relaxed))
		report->to_ns = consumer->to_real_ns;
	report->asked_to_ns = consumer->to_real_ns ? consumer->to_real_ns : consumer->planned_end_ns + offset_ns;
	if (report->from_ns > report->to_ns)
		report->from_ns = report->to_ns; /* the whole window is older than what can be reached */
	report->lost_kernel = cursor->dropped_seen - cursor->dropped_at_start;
	report->lost_evicted = consumer->lost_evicted;
	report->lost_memory = cursor->lost_memory;
	report->truncated = cursor->truncated;
	report->received = cursor->examined - passed_on(consumer) + report->lost_kernel;
	report->nic = consumer->nic_growth;
	/* What the kernel's filter rejects, only the interface counts. */
	const uint64_t within = cursor->examined + report->lost_kernel - cursor->outside;
	report->seen = within > report->nic.packets ? within : report->nic.packets;
	report->interface_state = state_at_end(consumer);
	report->retention_may_hide = consumer->retention_may_hide;
	report->unsorted = consumer->unsorted;
	report->clock_offset_ns = consumer->clock_offset_ns;
	report->odd_stamps = cursor->odd_stamps;
	/* Only an absolute window means other packets once the clock was set. */
	const bool by_clock = consumer->from_real_ns || consumer->to_real_ns;
	report->complete = !report->lost_kernel && !report->lost_evicted && !report->lost_memory &&
			   !consumer->interface_was_away && !consumer->retention_may_hide && !cursor->edge_uncertain &&
			   !consumer->begin_uncertain && !consumer->end_uncertain &&
			   !atomic_load(&consumer->began_late) && !(by_clock && cursor->clock_stepped) &&
			   (int64_t)cursor->from_ns <= consumer->asked_from_ns;
}
