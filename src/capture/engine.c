/*
 * Who does what:
 *   the ring thread    takes over retired blocks, watches time limits and the interface; nothing per packet, no system
 * call that may block; workers            move cursors: pin a span, scan it for a group of captures without the lock,
 * unpin; and see to what may block for a while (filters, closing rings); the caller's thread of capture_start opens
 * rings; the loop           gets the ends of captures by mailbox. One lock covers all state that threads share; nobody
 * holds it for longer than a block takes to be noted. `admin` is held over the slow things so that kernel filters are
 * replaced in the order of the states they were made from. Order: admin, then lock.
 */
#include "capture/engine.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/source.h"

#define WORKERS_MAX 16
#define WORKER_STACK_BYTES (512u << 10)
#define EPOLL_EVENTS 64

struct engine {
	struct budget budget;
	struct mailbox *ended;
	pthread_mutex_t admin;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool stop;
	struct source *sources;
	struct source *closing; /* taken off the ring thread's list; a worker closes them */
	size_t ring_bytes;
	uint64_t turn;
	unsigned source_count, capture_count, sleeping;
	int epoll_fd, wake_fd, timer_fd;
	bool ring_thread_started;
	pthread_t ring_thread;
	unsigned worker_count;
	pthread_t workers[WORKERS_MAX];
};

const char *capture_reason_name(enum capture_reason reason)
{
	static const char *const names[] = {
		[CAPTURE_RUNNING] = "running",
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

static void wake_ring_thread(struct engine *engine)
{
	const uint64_t one = 1;
	if (write(engine->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("engine-wake-failed", log_str("error", strerror(errno)));
}

/* With the lock: something can be done. One sleeper is enough: it wakes the next if there is more. */
static void call_worker(struct engine *engine)
{
	if (engine->sleeping)
		pthread_cond_signal(&engine->work);
}

/* --- the end of a capture
 * ----------------------------------------------------------------------------------------------------------- */

/* With the lock: takes the capture off its source. */
static void unlink_capture(struct capture *capture)
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
	if (--source->capture_count == 0)
		source->idle_since_ns = clock_boottime_ns();
	capture->engine->capture_count--;
}

/* With the lock, by the worker that had it: true if the capture has ended. Its end is settled then. */
static bool settle(struct capture *capture)
{
	struct cursor *cursor = &capture->cursor;
	const bool flushed = cursor->next_number >= capture->flush_number;
	if (cursor->reason == CAPTURE_RUNNING && flushed) {
		const uint64_t active_ns = atomic_load_explicit(&cursor->active_ns, memory_order_relaxed);
		if (capture->flush_reason == CAPTURE_IDLE &&
		    active_ns + cursor->idle_ns + SOURCE_FLUSH_NS > capture->flush_ns) {
			capture->flush_number = NUMBER_NONE; /* it was not idle after all */
			wake_ring_thread(capture->engine);
			return false;
		}
		cursor->reason = capture->flush_reason;
		cursor->dropped_seen = capture->flush_dropped;
		capture->end_ns = capture->flush_ns;
	}
	if (cursor->reason == CAPTURE_RUNNING)
		return false;
	capture->clock_offset_ns = clock_offset_ns();
	if (!capture->end_ns)
		capture->end_ns = clock_boottime_ns();
	unlink_capture(capture);
	return true;
}

static void post_end(struct engine *engine, struct capture *capture)
{
	if (store_seal(&capture->cursor.store) < 0)
		log_error("capture-order-failed",
			  log_str("error", "out of memory: packets of different CPUs may be slightly out of order"));
	mailbox_post(engine->ended, &capture->letter);
}

/* --- workers
 * ------------------------------------------------------------------------------------------------------------------------
 */

struct task {
	struct source *source;
	struct capture *captures[SCAN_GROUP_MAX];
	unsigned count;
	bool scan; /* false: they only have to be settled */
	struct span span;
};

/* What was given back before the capture got there is lost to it. */
static void catch_up(struct capture *capture, uint64_t oldest)
{
	if (capture->position >= oldest)
		return;
	capture->lost_evicted += oldest - capture->position;
	capture->position = capture->cursor.next_number = oldest;
}

/* The runnable capture that is furthest behind: the one whose packets go first. */
static struct capture *find_last(const struct source *source)
{
	struct capture *last = NULL;
	for (struct capture *capture = source->captures; capture; capture = capture->next) {
		if (source_runnable(source, capture) && (!last || capture->position < last->position))
			last = capture;
	}
	return last;
}

/* With the lock: takes the furthest behind and all that stand in the same span. */
static bool pick_from(struct source *source, struct task *task)
{
	struct capture *last = find_last(source);
	if (!last)
		return false;
	const uint64_t oldest = timeline_oldest_number(source->timeline);
	catch_up(last, oldest);
	task->source = source;
	task->count = 0;
	task->scan = last->position < timeline_next_number(source->timeline);
	if (!task->scan) {
		last->busy = true;
		task->captures[task->count++] = last;
		return true;
	}
	task->span = timeline_pin(source->timeline, last->position);
	const uint64_t end = task->span.number + task->span.packets;
	for (struct capture *capture = source->captures; capture && task->count < SCAN_GROUP_MAX;
	     capture = capture->next) {
		if (!source_runnable(source, capture))
			continue;
		catch_up(capture, oldest);
		if (capture->position < task->span.number || capture->position >= end)
			continue;
		capture->busy = true;
		task->captures[task->count++] = capture;
	}
	return true;
}

/* With the lock: the source with work that has waited longest. */
static struct source *find_waiting(const struct engine *engine)
{
	struct source *waiting = NULL;
	for (struct source *source = engine->sources; source; source = source->next) {
		if ((!waiting || source->turn < waiting->turn) && find_last(source))
			waiting = source;
	}
	return waiting;
}

static bool pick(struct engine *engine, struct task *task)
{
	struct source *source = find_waiting(engine);
	if (!source || !pick_from(source, task))
		return false;
	source->turn = ++engine->turn;
	if (engine->sleeping && find_waiting(engine))
		call_worker(engine);
	return true;
}

static void scan(const struct task *task, uint8_t *scratch)
{
	const struct scan_context context = {
		.loopback = task->source->ring->loopback,
		.ethernet = task->source->ring->linktype == 1,
		.scratch = scratch,
	};
	struct cursor *cursors[SCAN_GROUP_MAX];
	for (unsigned i = 0; i < task->count; i++)
		cursors[i] = &task->captures[i]->cursor;
	cursor_scan(cursors, task->count, &task->span, &context);
}

/* With the lock: lets go of the span and the captures. Those that have ended are left in the task. */
static void finish(struct task *task)
{
	if (task->scan)
		timeline_unpin(task->source->timeline, &task->span);
	unsigned ended = 0;
	for (unsigned i = 0; i < task->count; i++) {
		struct capture *capture = task->captures[i];
		capture->busy = false;
		capture->position = capture->cursor.next_number;
		if (settle(capture))
			task->captures[ended++] = capture;
	}
	task->count = ended;
	source_trim(task->source);
}

/* With the lock, given up meanwhile: closes rings that nobody needs and renews kernel filters. True if something was
 * done. */
static bool keep_house(struct engine *engine, struct sock_filter *program)
{
	if (engine->closing) {
		struct source *source = engine->closing;
		engine->closing = source->next;
		engine->ring_bytes -= source_bytes(source);
		engine->source_count--;
		pthread_mutex_unlock(&engine->lock);
		source_close(source);
		pthread_mutex_lock(&engine->lock);
		return true;
	}
	for (struct source *source = engine->sources; source; source = source->next) {
		if (!source->refilter || source->gone || pthread_mutex_trylock(&engine->admin) != 0)
			continue;
		source->refilter = false;
		source->users++;
		const size_t size = source_union(source, program);
		pthread_mutex_unlock(&engine->lock);
		if (source_apply(source, program, size) < 0)
			log_warning("kernel-filter-failed", log_str("interface", source->ring->name));
		pthread_mutex_unlock(&engine->admin);
		pthread_mutex_lock(&engine->lock);
		source->users--;
		if (!source->captures)
			wake_ring_thread(engine); /* it closes what is idle for long */
		return true;
	}
	return false;
}

static void *run_worker(void *arg)
{
	struct engine *engine = arg;
	pthread_setname_np(pthread_self(), "pcapd-worker");
	cleanup(cleanup_free) uint8_t *scratch = malloc(SCAN_SCRATCH_BYTES);
	cleanup(cleanup_free) struct sock_filter *program = calloc(FILTER_UNION_MAX, sizeof(*program));
	if (!scratch || !program) {
		log_error("worker-failed", log_str("error", "out of memory"));
		return NULL;
	}
	struct task task;
	pthread_mutex_lock(&engine->lock);
	while (!engine->stop) {
		if (pick(engine, &task)) {
			pthread_mutex_unlock(&engine->lock);
			if (task.scan)
				scan(&task, scratch);
			pthread_mutex_lock(&engine->lock);
			finish(&task);
			pthread_mutex_unlock(&engine->lock);
			for (unsigned i = 0; i < task.count; i++)
				post_end(engine, task.captures[i]);
			pthread_mutex_lock(&engine->lock);
		} else if (!keep_house(engine, program)) {
			engine->sleeping++;
			pthread_cond_wait(&engine->work, &engine->lock);
			engine->sleeping--;
		}
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

/* --- the ring thread
 * ---------------------------------------------------------------------------------------------------------------- */

static void check_interface(struct engine *engine, struct source *source)
{
	int error = 0;
	socklen_t size = sizeof(error);
	getsockopt(source->ring->fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
	if (source->gone || !ring_interface_gone(source->ring))
		return;
	source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	source_mark_gone(source, clock_boottime_ns());
	pthread_mutex_unlock(&engine->lock);
	log_notice("interface-gone", log_str("interface", source->ring->name));
}

static bool expired(const struct source *source, uint64_t now_ns)
{
	if (source->captures || source->users)
		return false;
	return source->gone || (source->idle_since_ns && now_ns - source->idle_since_ns >= SOURCE_LINGER_NS);
}

/* With the lock: what is idle for long leaves the list, and a worker closes it. */
static void retire_sources(struct engine *engine, uint64_t now_ns)
{
	for (struct source **at = &engine->sources; *at;) {
		struct source *source = *at;
		if (!expired(source, now_ns)) {
			at = &source->next;
			continue;
		}
		epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, source->ring->fd, NULL);
		*at = source->next;
		source->next = engine->closing;
		engine->closing = source;
	}
}

static uint64_t next_look(const struct engine *engine)
{
	uint64_t next_ns = UINT64_MAX;
	for (const struct source *source = engine->sources; source; source = source->next) {
		if (!source->captures && source->idle_since_ns && source->idle_since_ns + SOURCE_LINGER_NS < next_ns)
			next_ns = source->idle_since_ns + SOURCE_LINGER_NS;
		for (const struct capture *capture = source->captures; capture; capture = capture->next) {
			const uint64_t deadline_ns = source_deadline(capture);
			next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
		}
	}
	return next_ns;
}

static void set_timer(const struct engine *engine, uint64_t at_ns)
{
	struct itimerspec when = {};
	if (at_ns != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at_ns / NS_PER_S);
		when.it_value.tv_nsec = (long)(at_ns % NS_PER_S);
	}
	timerfd_settime(engine->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Time limits: everything retired is taken over first, so that a capture ends behind the last packet of its time. */
static void look_at_clock(struct engine *engine)
{
	const uint64_t now_ns = clock_boottime_ns();
	pthread_mutex_lock(&engine->lock);
	struct source *first = engine->sources; /* others only put new ones in front of it */
	pthread_mutex_unlock(&engine->lock);
	for (struct source *source = first; source; source = source->next)
		source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next) {
		source_flush_due(source, now_ns);
		source_trim(source);
	}
	retire_sources(engine, now_ns);
	set_timer(engine, next_look(engine));
	call_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

static void handle_source(struct engine *engine, struct source *source, uint32_t events)
{
	if (source_collect(source, &engine->lock)) {
		pthread_mutex_lock(&engine->lock);
		source_trim(source);
		if (source->captures)
			call_worker(engine);
		pthread_mutex_unlock(&engine->lock);
	}
	if (events & (EPOLLERR | EPOLLHUP))
		check_interface(engine, source);
}

static void *run_ring_thread(void *arg)
{
	struct engine *engine = arg;
	pthread_setname_np(pthread_self(), "pcapd-ring");
	struct epoll_event events[EPOLL_EVENTS];
	for (;;) {
		const int count = epoll_wait(engine->epoll_fd, events, EPOLL_EVENTS, -1);
		bool look = false;
		for (int i = 0; i < count; i++) {
			uint64_t ticks;
			if (events[i].data.ptr == &engine->wake_fd)
				look |= read(engine->wake_fd, &ticks, sizeof(ticks)) > 0;
			else if (events[i].data.ptr == &engine->timer_fd)
				look |= read(engine->timer_fd, &ticks, sizeof(ticks)) > 0;
			else
				handle_source(engine, events[i].data.ptr, events[i].events);
			look |= (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
		}
		if (!look)
			continue;
		pthread_mutex_lock(&engine->lock);
		const bool stop = engine->stop;
		pthread_mutex_unlock(&engine->lock);
		if (stop)
			return NULL;
		look_at_clock(engine);
	}
}

/* --- starting and stopping captures
 * ------------------------------------------------------------------------------------------------- */

/* With admin and without the lock: the interface's source, opened if need be, with a user more. Only this, under admin,
 * adds sources. */
static int get_source(struct engine *engine, const struct capture_spec *spec, struct error *err, struct source **result)
{
	const int ifindex = (int)if_nametoindex(spec->interface);
	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next) {
		if (!source->gone && source->ring->ifindex == ifindex) {
			source->idle_since_ns = 0;
			source->users++;
			*result = source;
			pthread_mutex_unlock(&engine->lock);
			return 0;
		}
	}
	const size_t ring_bytes = engine->ring_bytes;
	const bool full = engine->source_count >= ENGINE_SOURCES_MAX;
	pthread_mutex_unlock(&engine->lock);
	if (full)
		return error_set(err, -ENOSPC, "interface %s: %u interfaces are open already", spec->interface,
				 ENGINE_SOURCES_MAX);
	struct source *source = NULL;
	int r = source_open(spec->interface, spec->promiscuous, ring_bytes, err, &source);
	if (r < 0)
		return r;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = source};
	pthread_mutex_lock(&engine->lock);
	r = epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, source->ring->fd, &event) < 0 ? -errno : 0;
	if (r == 0) {
		source->users++;
		source->next = engine->sources;
		engine->sources = source;
		engine->source_count++;
		engine->ring_bytes += source_bytes(source);
		*result = source;
	}
	pthread_mutex_unlock(&engine->lock);
	if (r < 0) {
		error_set(err, r, "interface %s: epoll: %s", spec->interface, strerror(-r));
		source_close(source);
	}
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
	if (engine->capture_count >= ENGINE_CAPTURES_MAX) {
		pthread_mutex_unlock(&engine->lock);
		return error_set(err, -ENOSPC, "%u captures are running already", ENGINE_CAPTURES_MAX);
	}
	capture->source = source;
	capture->next = source->captures;
	source->captures = capture;
	const bool first = source->capture_count++ == 0;
	engine->capture_count++;
	const size_t size = source_union(source, program);
	pthread_mutex_unlock(&engine->lock);
	int r = source_apply(source, program, size);
	if (r < 0)
		error_set(err, r, "interface %s: kernel filter: %s", source->ring->name, strerror(-r));
	else if (first)
		r = ring_start(source->ring, err); /* a second bind to the same interface changes nothing */
	pthread_mutex_lock(&engine->lock);
	source->refilter = false;
	if (r < 0) {
		unlink_capture(capture);
	} else {
		struct cursor *cursor = &capture->cursor;
		ring_update_dropped(source->ring);
		capture->dropped_at_start = cursor->dropped_seen = source->ring->dropped;
		capture->position = cursor->next_number = timeline_next_number(source->timeline);
		capture->asked_from_ns = cursor->from_ns = clock_boottime_ns();
		cursor->until_ns += cursor->from_ns;
		atomic_store_explicit(&cursor->active_ns, cursor->from_ns, memory_order_relaxed);
		capture->linktype = source->ring->linktype;
		capture->armed = true;
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
	capture->done = done;
	capture->ctx = ctx;
	capture->flush_number = NUMBER_NONE;
	capture->cursor.snaplen = spec->snaplen;
	capture->cursor.max_packets = spec->max_packets;
	capture->cursor.max_bytes = spec->max_bytes;
	capture->cursor.until_ns = spec->duration_ns; /* becomes a point in time when it is armed */
	capture->cursor.until_reason = spec->duration_reason;
	capture->cursor.idle_ns = spec->idle_ns;
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
	call_worker(engine); /* who wanted admin meanwhile went to sleep */
	pthread_mutex_unlock(&engine->lock);
	wake_ring_thread(engine);
	return r;
}

int capture_start(struct engine *engine, const struct capture_spec *spec, capture_done done, void *ctx,
		  struct error *err, const char **field, struct capture **result)
{
	uint16_t linktype;
	*field = "interface";
	int r = ring_probe(spec->interface, &linktype, err);
	if (r < 0)
		return r;
	struct capture *capture = new_capture(engine, spec, done, ctx);
	if (!capture)
		return error_set(err, -ENOMEM, "out of memory");
	*field = "bpf";
	r = filter_compile(spec->bpf, linktype, err, &capture->filter);
	capture->cursor.filter = capture->filter;
	if (r == 0) {
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
	if (capture->source && capture->stop_reason == CAPTURE_RUNNING) {
		capture->stop_reason = reason;
		capture->stop_ns = clock_boottime_ns();
	}
	pthread_mutex_unlock(&engine->lock);
	wake_ring_thread(engine);
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	store_deinit(&capture->cursor.store);
	filter_free(capture->filter);
	free(capture);
}

const struct store *capture_store(const struct capture *capture)
{
	return &capture->cursor.store;
}

/* Where the window that the packets cover ends, in boot time. */
static uint64_t window_end(const struct capture *capture)
{
	const struct cursor *cursor = &capture->cursor;
	if (cursor->reason == cursor->until_reason && cursor->until_ns < capture->end_ns)
		return cursor->until_ns;
	return capture->end_ns;
}

void capture_report(const struct capture *capture, struct capture_report *report)
{
	const struct cursor *cursor = &capture->cursor;
	*report = (struct capture_report){
		.packets = atomic_load_explicit(&cursor->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&cursor->bytes, memory_order_relaxed),
		.snaplen = cursor->snaplen,
		.linktype = capture->linktype,
	};
	pthread_mutex_lock(&capture->engine->lock);
	const bool ended = !capture->source && capture->armed;
	pthread_mutex_unlock(&capture->engine->lock);
	const int64_t now_offset_ns = clock_offset_ns();
	const uint64_t offset_ns = (uint64_t)(ended ? capture->clock_offset_ns : now_offset_ns);
	report->from_ns = cursor->from_ns + offset_ns;
	report->asked_from_ns = capture->asked_from_ns + offset_ns;
	if (!ended)
		return;
	report->reason = cursor->reason;
	report->first_ns = cursor->first_ns;
	report->last_ns = cursor->last_ns;
	const bool limit = cursor->reason == CAPTURE_PACKETS || cursor->reason == CAPTURE_BYTES;
	report->to_ns = limit ? cursor->last_ns : window_end(capture) + offset_ns;
	report->lost_kernel = cursor->dropped_seen - capture->dropped_at_start;
	report->lost_evicted = capture->lost_evicted;
	report->lost_memory = cursor->lost_memory;
	report->received = cursor->examined + report->lost_kernel;
	report->complete = !report->lost_kernel && !report->lost_evicted && !report->lost_memory &&
			   report->from_ns <= report->asked_from_ns;
}

/* --- the engine's own life
 * ---------------------------------------------------------------------------------------------------------- */

static void deliver_end(void *ctx, struct letter *letter)
{
	(void)ctx;
	struct capture *capture = (struct capture *)letter;
	capture->done(capture->ctx, capture);
}

size_t engine_memory_used(struct engine *engine)
{
	return atomic_load_explicit(&engine->budget.used_bytes, memory_order_relaxed);
}

static unsigned choose_workers(unsigned asked)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = asked ? asked : cpus < 2 ? 2 : cpus > 4 ? 4 : (unsigned)cpus;
	return count > WORKERS_MAX ? WORKERS_MAX : count;
}

/* Signals belong to the loop. */
static int start_threads(struct engine *engine, unsigned workers)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&engine->ring_thread, &attributes, run_ring_thread, engine);
	engine->ring_thread_started = r == 0;
	for (; r == 0 && engine->worker_count < workers; engine->worker_count++) {
		r = pthread_create(&engine->workers[engine->worker_count], &attributes, run_worker, engine);
		if (r)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

static int open_fds(struct engine *engine)
{
	engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	engine->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event wake = {.events = EPOLLIN, .data.ptr = &engine->wake_fd};
	struct epoll_event timer = {.events = EPOLLIN, .data.ptr = &engine->timer_fd};
	if (engine->epoll_fd < 0 || engine->wake_fd < 0 || engine->timer_fd < 0 ||
	    epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->wake_fd, &wake) < 0 ||
	    epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->timer_fd, &timer) < 0)
		return -errno;
	return 0;
}

struct engine *engine_new(struct event_base *loop, const struct engine_options *options, struct error *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	engine->budget.limit_bytes = options->memory_bytes;
	engine->epoll_fd = engine->wake_fd = engine->timer_fd = -1;
	pthread_mutex_init(&engine->admin, NULL);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_cond_init(&engine->work, NULL);
	engine->ended = mailbox_new(loop, deliver_end, engine);
	int r = engine->ended ? open_fds(engine) : -ENOMEM;
	if (r == 0)
		r = start_threads(engine, choose_workers(options->workers));
	if (r < 0) {
		error_set(err, r, "capture engine: %s", strerror(-r));
		engine_free(engine);
		return NULL;
	}
	return engine;
}

static void close_all(struct source *source)
{
	while (source) {
		struct source *next = source->next;
		source_close(source);
		source = next;
	}
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	pthread_mutex_lock(&engine->lock);
	engine->stop = true;
	pthread_cond_broadcast(&engine->work);
	pthread_mutex_unlock(&engine->lock);
	if (engine->ring_thread_started) {
		wake_ring_thread(engine);
		pthread_join(engine->ring_thread, NULL);
	}
	for (unsigned i = 0; i < engine->worker_count; i++)
		pthread_join(engine->workers[i], NULL);
	close_all(engine->sources);
	close_all(engine->closing);
	mailbox_free(engine->ended);
	cleanup_close(&engine->epoll_fd);
	cleanup_close(&engine->wake_fd);
	cleanup_close(&engine->timer_fd);
	pthread_cond_destroy(&engine->work);
	pthread_mutex_destroy(&engine->lock);
	pthread_mutex_destroy(&engine->admin);
	free(engine);
}
