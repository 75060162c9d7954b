/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Creates and frees the engine: its threads, descriptors and rings. engine_internal.h describes how the threads work
 * together.
 */
#include "capture/engine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/link_table.h"
#include "base/log.h"
#include "base/quantity.h"
#include "capture/engine_internal.h"
#include "capture/ring_size.h"

/* libpcap's parser recurses, and workers compile the own-traffic filter. Memory is touched as needed. */
#define WORKER_STACK_BYTES (8u << 20)
#define RING_MEMORY_MAX (1024 * (uint64_t)MIB)

void engine_wake_ring_thread(struct engine *engine)
{
	const uint64_t one = 1;

	if (write(engine->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("engine-wake-failed", log_str("error", strerror(errno)));
}

void engine_wake_worker(struct engine *engine)
{
	if (engine->idle_workers)
		pthread_cond_signal(&engine->work_available);
}

static_assert(WORKERS_MAX + 2 <= CPU_ISOLATION_MAX, "the ring thread, all workers and the counter thread");

/* Called without `lock`. */
static void begin_ring_allocation(void *ctx)
{
	struct engine *engine = ctx;

	pthread_mutex_lock(&engine->allocation_lock);
	cpu_isolation_begin(&engine->isolation);
	cpu_isolation_keep_off(&engine->isolation, engine->ring_thread);
	for (unsigned i = 0; i < engine->worker_count; i++)
		cpu_isolation_keep_off(&engine->isolation, engine->workers[i]);
	cpu_isolation_keep_off(&engine->isolation, engine->counter_thread);
	/*
	 * A thread preempted on this CPU may hold `lock`, and the ring thread would wait for it: take the lock once to
	 * make that thread finish. The loop may still run here, but is unlikely to be preempted with the lock before
	 * the allocation starts.
	 */
	pthread_mutex_lock(&engine->lock);
	pthread_mutex_unlock(&engine->lock);
}

static void end_ring_allocation(void *ctx)
{
	struct engine *engine = ctx;

	cpu_isolation_end(&engine->isolation);
	pthread_mutex_unlock(&engine->allocation_lock);
}

static void deliver_message(void *ctx, struct mailbox_message *message)
{
	const struct consumer_message *received = container_of(message, struct consumer_message, message);
	struct consumer *consumer = received->consumer;

	(void)ctx;
	if (received == &consumer->fed) {
		consumer_feed_packets(consumer);
	} else if (received == &consumer->ended) {
		if (consumer->feed && consumer->cursor.store.packets)
			consumer->feed->handler(consumer->ctx, &consumer->cursor.store);
		consumer->done(consumer->ctx, consumer);
	} else {
		consumer->cursor.quota->on_spent(consumer->cursor.quota->ctx);
	}
}

int engine_may_capture(struct error *err)
{
	return ring_may_open(err);
}

size_t engine_memory_used(struct engine *engine)
{
	return atomic_load_explicit(&engine->budget.used_bytes, memory_order_relaxed);
}

void engine_feed_has_room(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	engine_wake_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

void engine_init_budget(struct engine *engine, struct budget *budget, size_t limit_bytes)
{
	*budget = (struct budget){.limit_bytes = limit_bytes, .slabs = engine->budget.slabs, .parent = &engine->budget};
}

size_t engine_plan_rings(struct engine *engine, size_t interfaces)
{
	pthread_mutex_lock(&engine->lock);
	size_t used = engine->ring_bytes - engine->given_up_bytes;
	for (const struct source *source = engine->sources; source; source = source->next)
		used -= source_is_idle(source) && !source->given_up ? source_ring_bytes(source) : 0;
	const size_t open = engine->ring_bytes, limit = engine->rings_limit_bytes;
	pthread_mutex_unlock(&engine->lock);
	/* Plans go by what the host has left, too. */
	const uint64_t left = ring_room_estimate(&engine->room);
	return ring_size_plan(limit > open && limit - open > left ? open + left : limit, used, interfaces);
}

struct engine_shortages engine_shortages(const struct engine *engine)
{
	return (struct engine_shortages){
		.refused = atomic_load_explicit(&engine->room.refused, memory_order_relaxed),
		.shrunk = atomic_load_explicit(&engine->room.shrunk, memory_order_relaxed),
	};
}

void engine_give_up(struct engine *engine, struct source *source)
{
	source->given_up = true;
	engine->given_up_bytes += source_ring_bytes(source);
	engine->given_up_count++;
	engine_wake_ring_thread(engine);
}

struct source *engine_longest_idle(const struct engine *engine)
{
	struct source *oldest = NULL;

	for (struct source *source = engine->sources; source; source = source->next) {
		if (source_is_idle(source) && !source->given_up &&
		    (!oldest || source->idle_since_ns < oldest->idle_since_ns))
			oldest = source;
	}
	return oldest;
}

void engine_close_source(struct engine *engine)
{
	struct source *source = engine->closing;

	engine->closing = source->next;
	pthread_mutex_unlock(&engine->lock);
	const size_t bytes = source_ring_bytes(source);
	const bool recorder = source->recorder.on;
	log_debug(capture, "ring-closed", log_str("interface", source->ring->name), log_uint("bytes", bytes));
	source_close(source);
	pthread_mutex_lock(&engine->lock);
	engine->ring_bytes -= recorder ? 0 : bytes;
	engine->given_up_bytes -= recorder ? 0 : bytes;
	engine->ring_count -= !recorder;
	engine->given_up_count -= !recorder;
	pthread_cond_broadcast(&engine->sources_changed);
}

void engine_make_room(struct engine *engine, size_t bytes)
{
	struct source *idle = engine_longest_idle(engine);

	while (idle || engine->given_up_bytes) {
		pthread_mutex_unlock(&engine->lock);
		const bool fits = ring_room_free(&engine->room) >= bytes;
		pthread_mutex_lock(&engine->lock);
		if (fits)
			return;
		idle = engine_longest_idle(engine);
		if (idle)
			engine_give_up(engine, idle);
		if (engine->closing)
			engine_close_source(engine);
		else if (engine->given_up_bytes)
			pthread_cond_wait(&engine->sources_changed, &engine->lock);
		idle = engine_longest_idle(engine);
	}
}

bool engine_memory_charge(struct engine *engine, size_t bytes)
{
	return budget_charge(&engine->budget, bytes);
}

void engine_memory_return(struct engine *engine, size_t bytes)
{
	budget_return(&engine->budget, bytes);
}

int engine_add_source(struct engine *engine, struct source *source, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = source};

	pthread_mutex_lock(&engine->lock);
	const int r = epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, source->ring->fd, &event) < 0 ? -errno : 0;
	if (r == 0) {
		source->pins++;
		source->id = ++engine->source_count_ever;
		source->next = engine->sources;
		engine->sources = source;
	}
	pthread_mutex_unlock(&engine->lock);
	if (r < 0) {
		error_set(err, r, "interface %s: %s", source->ring->name, strerror(-r));
		source_close(source);
	}
	return r;
}

size_t engine_interfaces(struct engine *engine, struct engine_interface *interfaces, size_t room)
{
	size_t count = 0;

	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next, count++) {
		if (count >= room)
			continue;
		const uint64_t now_ns = clock_boottime_ns();
		struct engine_interface *entry = &interfaces[count];
		ring_update_dropped(source->ring);
		*entry = (struct engine_interface){
			.recorder = source->recorder.on,
			.gone = source->gone,
			.consumers = source->consumer_count,
			.packets = timeline_next_number(source->timeline),
			.dropped = source->ring->dropped,
			.reach_ns = now_ns - source_reachable_since(source, now_ns),
			.held_bytes = timeline_stats(source->timeline).held_bytes,
			.ring_bytes = source_ring_bytes(source),
			.asked_bytes = *source->ring->shortage ? source->ring->asked_bytes : source_ring_bytes(source),
		};
		memcpy(entry->name, source->name, sizeof(entry->name));
	}
	pthread_mutex_unlock(&engine->lock);
	return count;
}

static unsigned choose_worker_count(unsigned requested)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = requested ? requested : cpus < 2 ? 2 : cpus > 4 ? 4 : (unsigned)cpus;

	return count > WORKERS_MAX ? WORKERS_MAX : count;
}

static int start_worker(struct engine *engine, const pthread_attr_t *attributes)
{
	const unsigned index = engine->worker_count;
	struct worker_context *context = calloc(1, sizeof(*context));

	if (!context)
		return ENOMEM;
	context->engine = engine;
	engine->worker_contexts[index] = context;
	const int r = pthread_create(&engine->workers[index], attributes, worker_run, context);
	if (r == 0) {
		pthread_setname_np(engine->workers[index], "pcapd-worker");
		engine->worker_count++;
	}
	return r;
}

/* Blocks all signals in the threads: the loop handles them. */
static int start_threads(struct engine *engine, unsigned workers)
{
	sigset_t all, previous;

	pthread_attr_t attributes;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &previous);
	int r = pthread_create(&engine->ring_thread, &attributes, ring_thread_run, engine);
	engine->ring_thread_started = r == 0;
	if (r == 0)
		pthread_setname_np(engine->ring_thread, "pcapd-ring");
	if (r == 0)
		r = pthread_create(&engine->counter_thread, &attributes, counter_thread_run, engine);
	engine->counter_thread_started = engine->ring_thread_started && r == 0;
	if (r == 0)
		pthread_setname_np(engine->counter_thread, "pcapd-counter");
	while (r == 0 && engine->worker_count < workers)
		r = start_worker(engine, &attributes);
	pthread_sigmask(SIG_SETMASK, &previous, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

static int open_fds(struct engine *engine)
{
	engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	engine->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (engine->epoll_fd < 0 || engine->wake_fd < 0 || engine->timer_fd < 0)
		return -errno; /* of the last that failed: all for the same reason */
	engine->link_fd = link_table_watch();
	if (engine->link_fd < 0)
		return engine->link_fd;
	int *const watched[] = {&engine->wake_fd, &engine->timer_fd, &engine->link_fd};
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched[i]};

		if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, *watched[i], &event) < 0)
			return -errno;
	}
	return 0;
}

uint64_t engine_ring_memory(const struct host_memory *memory)
{
	const uint64_t left_bytes = memory->cgroup_left_bytes < memory->available_bytes ? memory->cgroup_left_bytes
											: memory->available_bytes;

	return left_bytes / 4 < RING_MEMORY_MAX ? left_bytes / 4 : RING_MEMORY_MAX;
}

static int start_room(struct engine *engine, const struct engine_options *options, struct error *err)
{
	struct host_memory memory;
	int r = ring_room_init(&engine->room, "", options->ring_reserve_bytes, err);

	if (r == 0)
		r = host_memory_read(engine->room.files, &memory);
	if (r == 0)
		engine->rings_limit_bytes =
			options->ring_memory_bytes ? options->ring_memory_bytes : engine_ring_memory(&memory);
	return r;
}

struct engine *engine_new(struct event_base *loop, const struct engine_options *options, struct error *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	engine->budget.limit_bytes = options->memory_bytes;
	engine->budget.slabs = options->slabs;
	engine->allocation = (struct ring_allocation){.room = &engine->room,
						      .begin = begin_ring_allocation,
						      .end = end_ring_allocation,
						      .ctx = engine};
	engine->shrunk_rate.burst = engine->refused_rate.burst = 1;
	engine->epoll_fd = engine->wake_fd = engine->timer_fd = engine->link_fd = -1;
	engine->rings_max = options->rings ? options->rings : ENGINE_RINGS_MAX;
	pthread_mutex_init(&engine->control_lock, NULL);
	pthread_mutex_init(&engine->allocation_lock, NULL);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_cond_init(&engine->work_available, NULL);
	pthread_cond_init(&engine->sources_changed, NULL);
	pthread_cond_init(&engine->ended_available, NULL);
	engine->ended_last = &engine->ended;
	engine->mailbox = mailbox_new(loop, deliver_message, engine);
	int r = start_room(engine, options, err);
	if (r == 0)
		r = engine->mailbox ? open_fds(engine) : -ENOMEM;
	if (r == 0)
		r = start_threads(engine, choose_worker_count(options->workers));
	if (r < 0) {
		error_set(err, r, "capture engine: %s", strerror(-r));
		engine_free(engine);
		return NULL;
	}
	return engine;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* No thread may be opening a ring, which moves all threads off a CPU. */
	pthread_mutex_lock(&engine->control_lock);
	pthread_mutex_lock(&engine->allocation_lock);
	pthread_mutex_lock(&engine->lock);
	engine->stop = true;
	pthread_cond_broadcast(&engine->work_available);
	pthread_cond_broadcast(&engine->ended_available);
	pthread_mutex_unlock(&engine->lock);
	pthread_mutex_unlock(&engine->allocation_lock);
	pthread_mutex_unlock(&engine->control_lock);
	if (engine->ring_thread_started) {
		engine_wake_ring_thread(engine);
		pthread_join(engine->ring_thread, NULL);
	}
	for (unsigned i = 0; i < engine->worker_count; i++)
		pthread_join(engine->workers[i], NULL);
	if (engine->counter_thread_started)
		pthread_join(engine->counter_thread, NULL);
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		free(engine->worker_contexts[i]);
	source_close_all(engine->sources);
	source_close_all(engine->closing);
	ring_room_deinit(&engine->room);
	for (struct recorder_setting *setting = engine->settings, *next; setting; setting = next) {
		next = setting->next;
		free(setting);
	}
	mailbox_free(engine->mailbox);
	cleanup_close(&engine->epoll_fd);
	cleanup_close(&engine->wake_fd);
	cleanup_close(&engine->timer_fd);
	link_table_unwatch(&engine->link_fd);
	pthread_cond_destroy(&engine->work_available);
	pthread_cond_destroy(&engine->sources_changed);
	pthread_cond_destroy(&engine->ended_available);
	pthread_mutex_destroy(&engine->lock);
	pthread_mutex_destroy(&engine->allocation_lock);
	pthread_mutex_destroy(&engine->control_lock);
	free(engine);
}
