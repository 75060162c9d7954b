/*
 * A capture's start, stop and report. Starting happens on the caller's thread, for it may block; what the capture wants
 * is in the kernel before its window opens.
 */
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "capture/engine_threads.h"

#define EXTEND_SLACK_NS (20 * NS_PER_MS) /* packets' stamps may lie this far from the order of time */

const char *capture_reason_name(enum capture_reason reason)
{
	static const char *const names[] = {
		[CAPTURE_RUNNING] = "running",
		[CAPTURE_UNTIL] = "until",
		[CAPTURE_PACKETS] = "packets",
		[CAPTURE_BYTES] = "bytes",
		[CAPTURE_TIMEOUT] = "timeout",
		[CAPTURE_IDLE] = "idle",
		[CAPTURE_WINDOW] = "window",
		[CAPTURE_MEMORY] = "memory",
		[CAPTURE_INTERFACE_GONE] = "interface-gone",
		[CAPTURE_STOPPED] = "stopped",
		[CAPTURE_SHUTDOWN] = "shutdown",
	};
	return names[reason];
}

void engine_unlink_capture(struct capture *capture)
{
	struct source *source = capture->source;
	for (struct capture **at = &source->captures; *at; at = &(*at)->next) {
		if (*at == capture) {
			*at = capture->next;
			break;
		}
	}
	capture->next = NULL;
	capture->source = NULL;
	source->refilter = true;
	capture->engine->capture_count--;
	if (--source->capture_count)
		return;
	source->idle_since_ns = clock_boottime_ns();
	engine_wake_ring_thread(capture->engine); /* it closes what is idle for long, or gone */
}

/* With the lock: the source that a name means now; a recorder before others. One whose interface is away still has its
 * past. */
static struct source *find_source(const struct engine *engine, const char *interface, int ifindex)
{
	struct source *live = NULL, *past = NULL;
	for (struct source *source = engine->sources; source; source = source->next) {
		const bool recorder = source->recorder.on;
		if (!source->gone && ifindex && source->ring->ifindex == ifindex && (recorder || !live))
			live = source;
		if (source->gone && recorder && strcmp(source->name, interface) == 0)
			past = source;
	}
	return ifindex ? live : past;
}

int engine_add_source(struct engine *engine, struct source *source, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = source};
	pthread_mutex_lock(&engine->lock);
	int r = engine->source_count >= ENGINE_SOURCES_MAX ? -ENOSPC : 0;
	if (r == 0 && epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, source->ring->fd, &event) < 0)
		r = -errno;
	if (r == 0) {
		source->users++;
		source->next = engine->sources;
		engine->sources = source;
		engine->source_count++;
		if (!source->recorder.on)
			engine->ring_bytes += source_bytes(source);
	}
	pthread_mutex_unlock(&engine->lock);
	if (r < 0) {
		error_set(err, r, "interface %s: %s", source->ring->name,
			  r == -ENOSPC ? "too many interfaces are open" : strerror(-r));
		source_close(source);
	}
	return r;
}

/* With admin and without the lock: the interface's source, opened if need be, with a user more. Only this and
 * recorders, under admin, add sources. */
static int get_source(struct engine *engine, const struct capture_spec *spec, struct error *err, struct source **result)
{
	const int ifindex = (int)if_nametoindex(spec->interface);
	pthread_mutex_lock(&engine->lock);
	if (ifindex)
		recorder_bind(engine, spec->interface); /* if it is back this very moment */
	struct source *source = find_source(engine, spec->interface, ifindex);
	if (source) {
		source->idle_since_ns = 0;
		source->users++;
	}
	const size_t ring_bytes = engine->ring_bytes;
	pthread_mutex_unlock(&engine->lock);
	int r = 0;
	if (!source) {
		r = source_open(spec->interface, spec->promiscuous, ring_bytes, &engine->ring_guard, err, &source);
		if (r == 0)
			r = engine_add_source(engine, source, err);
	}
	if (r == 0)
		*result = source;
	return r;
}

/* With admin: the capture's filter goes into the kernel, and what it wants counts from now on. */
static int arm(struct source *source, struct capture *capture, struct error *err)
{
	struct engine *engine = capture->engine;
	cleanup(cleanup_free) struct sock_filter *program = calloc(FILTER_UNION_MAX, sizeof(*program));
	if (!program)
		return error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&engine->lock);
	const bool gone = source->gone && !source->recorder.on;
	if (gone || engine->capture_count >= ENGINE_CAPTURES_MAX) {
		pthread_mutex_unlock(&engine->lock);
		return gone ? error_set(err, -ENODEV, "interface %s: gone", source->ring->name)
			    : error_set(err, -ENOSPC, "%u captures are running already", ENGINE_CAPTURES_MAX);
	}
	capture->source = source;
	capture->next = source->captures;
	source->captures = capture;
	const bool first = source->capture_count++ == 0;
	engine->capture_count++;
	const size_t size = source_union(source, program);
	source->refilter = false;
	pthread_mutex_unlock(&engine->lock);
	int r = source_apply(source, program, size);
	if (r < 0)
		error_set(err, r, "interface %s: kernel filter: %s", source->ring->name, strerror(-r));
	else if (first && !source->recorder.on)
		r = ring_start(source->ring, err); /* a second bind to the same interface changes nothing */
	pthread_mutex_lock(&engine->lock);
	if (r < 0) {
		engine_unlink_capture(capture);
	} else {
		ring_update_dropped(source->ring);
		source_place(source, capture, clock_boottime_ns(), clock_offset_ns());
	}
	pthread_mutex_unlock(&engine->lock);
	return r;
}

static struct capture *new_capture(struct engine *engine, const struct capture_spec *spec, capture_done done, void *ctx)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	if (!capture)
		return NULL;
	capture->engine = engine;
	capture->ended.capture = capture->quota_spent.capture = capture;
	capture->cursor.quota = spec->quota;
	capture->done = done;
	capture->ctx = ctx;
	capture->flush_number = NUMBER_NONE;
	capture->cursor.snaplen = spec->snaplen;
	capture->cursor.max_packets = spec->max_packets;
	capture->cursor.max_bytes = spec->max_bytes;
	capture->cursor.idle_ns = spec->idle_ns;
	capture->snaplen = spec->snaplen;
	capture->before_ns = spec->before_ns;
	capture->from_real_ns = spec->from_real_ns;
	capture->to_real_ns = spec->to_real_ns;
	capture->duration_ns = spec->duration_ns;
	capture->resume = spec->resume ? *spec->resume : (struct capture_place){};
	capture->until_reason = spec->to_real_ns ? CAPTURE_WINDOW : CAPTURE_TIMEOUT;
	store_init(&capture->cursor.store, &engine->budget);
	return capture;
}

static int start_on_source(struct engine *engine, const struct capture_spec *spec, uint16_t linktype,
			   struct capture *capture, struct error *err)
{
	struct source *source = NULL;
	pthread_mutex_lock(&engine->admin);
	int r = get_source(engine, spec, err, &source);
	if (r == 0 && source->ring->linktype != linktype)
		r = error_set(err, -ENODEV, "interface %s was replaced meanwhile", spec->interface);
	if (r == 0)
		r = arm(source, capture, err);
	pthread_mutex_unlock(&engine->admin);
	pthread_mutex_lock(&engine->lock);
	if (source && --source->users == 0 && !source->captures)
		source->idle_since_ns = clock_boottime_ns();
	engine_call_worker(engine); /* who wanted admin meanwhile went to sleep */
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
	return r;
}

/* Of the interface, or of what is recorded of one that is away. */
static int find_linktype(struct engine *engine, const char *interface, uint16_t *linktype, struct error *err)
{
	int r = ring_probe(interface, linktype, err);
	if (r != -ENODEV)
		return r;
	pthread_mutex_lock(&engine->lock);
	const struct source *source = find_source(engine, interface, 0);
	if (source) {
		*linktype = source->ring->linktype;
		r = 0;
	}
	pthread_mutex_unlock(&engine->lock);
	return r;
}

int capture_start(struct engine *engine, const struct capture_spec *spec, capture_done done, void *ctx,
		  struct error *err, const char **field, struct capture **result)
{
	uint16_t linktype;
	*field = "interface";
	int r = find_linktype(engine, spec->interface, &linktype, err);
	if (r < 0)
		return r;
	struct capture *capture = new_capture(engine, spec, done, ctx);
	if (!capture)
		return error_set(err, -ENOMEM, "out of memory");
	*field = "bpf";
	r = filter_compile(spec->bpf, linktype, err, &capture->filter);
	capture->cursor.filter = capture->filter;
	if (r < 0) {
		error_prefix(err, "bpf");
	} else {
		*field = "interface";
		*result = capture; /* before it can end */
		r = start_on_source(engine, spec, linktype, capture, err);
	}
	if (r < 0) {
		*result = NULL;
		capture_free(capture);
	}
	return r;
}

void capture_stop(struct capture *capture, enum capture_reason reason)
{
	struct engine *engine = capture->engine;
	pthread_mutex_lock(&engine->lock);
	if (capture->source)
		capture_end_at(capture, clock_boottime_ns(), reason);
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
}

/* Nothing stamped later than now has been scanned. So as long as the end lies ahead, no packet was left out for it. */
bool capture_extend(struct capture *capture, uint64_t until_ns)
{
	struct engine *engine = capture->engine;
	pthread_mutex_lock(&engine->lock);
	const uint64_t end_ns = atomic_load_explicit(&capture->cursor.until_ns, memory_order_relaxed);
	const bool goes_on = capture->source && capture->armed && capture->until_reason == CAPTURE_TIMEOUT &&
			     clock_boottime_ns() + EXTEND_SLACK_NS < end_ns;
	if (goes_on && until_ns > end_ns)
		atomic_store_explicit(&capture->cursor.until_ns, until_ns, memory_order_relaxed);
	pthread_mutex_unlock(&engine->lock);
	engine_wake_ring_thread(engine);
	return goes_on;
}

uint64_t capture_ends_ns(const struct capture *capture)
{
	pthread_mutex_lock(&capture->engine->lock);
	const uint64_t end_ns =
		capture->armed ? atomic_load_explicit(&capture->cursor.until_ns, memory_order_relaxed) : UINT64_MAX;
	pthread_mutex_unlock(&capture->engine->lock);
	return end_ns;
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	store_deinit(&capture->cursor.store);
	filter_free(capture->filter);
	free(capture);
}

struct capture_place capture_place(const struct capture *capture)
{
	return (struct capture_place){.number = capture->cursor.next_number, .dropped = capture->cursor.dropped_seen};
}

const struct store *capture_store(const struct capture *capture)
{
	return &capture->cursor.store;
}

uint64_t capture_window_end(const struct capture *capture)
{
	const struct cursor *cursor = &capture->cursor;
	const uint64_t until_ns = atomic_load_explicit(&cursor->until_ns, memory_order_relaxed);
	uint64_t end_ns = capture->end_ns;
	if (cursor->reason == CAPTURE_PACKETS || cursor->reason == CAPTURE_BYTES)
		end_ns = cursor->last_ns - (uint64_t)cursor->clock_offset_ns;
	else if (cursor->reason == CAPTURE_IDLE)
		end_ns = atomic_load_explicit(&cursor->active_ns, memory_order_relaxed) + cursor->idle_ns;
	else if (cursor->reason == CAPTURE_MEMORY)
		end_ns = cursor->refused_ns;
	return until_ns < end_ns ? until_ns : end_ns;
}

void capture_report(const struct capture *capture, struct capture_report *report)
{
	const struct cursor *cursor = &capture->cursor;
	*report = (struct capture_report){
		.packets = atomic_load_explicit(&cursor->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&cursor->bytes, memory_order_relaxed),
		.snaplen = capture->snaplen,
		.linktype = capture->linktype,
	};
	pthread_mutex_lock(&capture->engine->lock);
	const bool ended = !capture->source && capture->armed;
	pthread_mutex_unlock(&capture->engine->lock);
	const int64_t now_offset_ns = clock_offset_ns();
	const uint64_t offset_ns = (uint64_t)(ended ? capture->clock_offset_ns : now_offset_ns);
	report->from_ns = cursor->from_ns + offset_ns;
	const int64_t asked_ns = capture->asked_from_ns + (int64_t)offset_ns;
	report->asked_from_ns = asked_ns > 0 ? (uint64_t)asked_ns : 0;
	if (capture->from_real_ns) /* what was asked for is said as it was asked, whatever the clock did since */
		report->asked_from_ns = capture->from_real_ns;
	if (capture->from_real_ns && (int64_t)cursor->from_ns == capture->asked_from_ns)
		report->from_ns = capture->from_real_ns;
	if (!ended)
		return;
	report->reason = cursor->reason;
	report->first_ns = cursor->first_ns;
	report->last_ns = cursor->last_ns;
	/* A quota stops a capture for its packets before it has all of its own: that is no packet of its own. */
	const bool limit = (cursor->reason == CAPTURE_PACKETS || cursor->reason == CAPTURE_BYTES) && cursor->last_ns;
	const uint64_t end_ns = capture_window_end(capture);
	report->to_ns = limit ? cursor->last_ns : end_ns + offset_ns;
	if (!limit && capture->to_real_ns && end_ns == atomic_load_explicit(&cursor->until_ns, memory_order_relaxed))
		report->to_ns = capture->to_real_ns;
	if (report->from_ns > report->to_ns)
		report->from_ns = report->to_ns; /* all of the window lies before what can be reached */
	report->lost_kernel = cursor->dropped_seen - capture->dropped_at_start;
	report->lost_evicted = capture->lost_evicted;
	report->lost_memory = cursor->lost_memory;
	report->received = cursor->examined + report->lost_kernel;
	report->disordered = capture->disordered;
	report->complete = !report->lost_kernel && !report->lost_evicted && !report->lost_memory && !capture->gap &&
			   !capture->restricted && !cursor->clock_stepped &&
			   (int64_t)cursor->from_ns <= capture->asked_from_ns;
}
