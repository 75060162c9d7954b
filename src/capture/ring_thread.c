/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring thread, one for all rings. It waits for blocks, its timer, interface changes and wake-ups. Blocks are
 * watched edge-triggered, because a packet socket stays readable while the block before the current one is held.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/link_table.h"
#include "base/log.h"
#include "capture/engine_internal.h"
#include "capture/recorder.h"

#define EPOLL_EVENTS 64

/*
 * At high rates the thread takes blocks over in batches: a wake-up per block costs the sender's core 11 µs and this
 * thread 20. It pauses only if several blocks arrive within the longest pause, because a pause that saves no wake-up
 * only adds one. A batch stays below half of the backlog that the ring allows.
 */
#define PAUSE_MIN_NS 500000
#define PAUSE_MAX_NS 8000000
#define PAUSE_WORTH_NS 6000000 /* pause only if blocks arrive faster than this */
#define PACE_SCALE 256	       /* fixed-point scale of `blocks`; each wake-up decays the sums by an eighth */
#define PACE_SPAN_MAX_NS (4 * PAUSE_MAX_NS)

struct pace {
	uint64_t pause_ns;	  /* length of the next pause */
	uint64_t woken_ns;	  /* when blocks were last taken over */
	uint64_t span_ns, blocks; /* time and blocks of recent wake-ups, older ones decayed */
};

static struct source *first_source(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct source *first = engine->sources; /* other threads only prepend */
	pthread_mutex_unlock(&engine->lock);
	return first;
}

static void check_interface(struct engine *engine, struct source *source)
{
	pthread_mutex_lock(&engine->lock);
	const bool gone = source->gone;
	pthread_mutex_unlock(&engine->lock);
	const enum ring_interface state = gone ? RING_INTERFACE_OK : ring_check_interface(source->ring);
	if (state == RING_INTERFACE_OK)
		return;
	source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	if (!source->gone)
		source_mark_gone(source, state == RING_INTERFACE_RETYPED, clock_boottime_ns());
	pthread_mutex_unlock(&engine->lock);
	log_notice(state == RING_INTERFACE_GONE ? "interface-gone" : "interface-retyped",
		   log_str("interface", source->name));
}

/*
 * Looking at all interfaces takes a while if there are hundreds, and each ring that is opened changes one (promiscuous
 * mode). So at most a tenth of the thread's time goes into that.
 */
struct interface_check {
	bool due;
	uint64_t not_before_ns;
};

#define INTERFACE_CHECK_SHARE 10
#define INTERFACE_CHECK_PAUSE_MAX_NS NS_PER_S /* the thread may have been held up while it looked */

static void check_interfaces(struct engine *engine, struct interface_check *check)
{
	const uint64_t begin_ns = clock_boottime_ns();

	if (!check->due || begin_ns < check->not_before_ns)
		return;
	check->due = false;
	for (struct source *source = first_source(engine); source; source = source->next)
		check_interface(engine, source);
	pthread_mutex_lock(&engine->lock);
	recorder_interfaces_changed(engine);
	pthread_mutex_unlock(&engine->lock);
	const uint64_t end_ns = clock_boottime_ns();
	const uint64_t pause_ns = INTERFACE_CHECK_SHARE * (end_ns - begin_ns);
	check->not_before_ns =
		end_ns + (pause_ns < INTERFACE_CHECK_PAUSE_MAX_NS ? pause_ns : INTERFACE_CHECK_PAUSE_MAX_NS);
}

static bool may_close(const struct source *source, uint64_t now_ns)
{
	if (source->consumers || source->pins)
		return false;
	if (source->recorder.on)
		return source->surplus ||
		       (source->gone && source->displaced && !timeline_stats(source->timeline).extents);
	return source->gone || source->given_up ||
	       (source->idle_since_ns && now_ns >= source->idle_since_ns + SOURCE_LINGER_NS);
}

/* Moves sources that may be closed from the list to `closing`, for a worker to close. Called with `lock` held. */
static void close_idle_sources(struct engine *engine, uint64_t now_ns)
{
	for (struct source **at = &engine->sources; *at;) {
		struct source *source = *at;

		if (!may_close(source, now_ns)) {
			at = &source->next;
			continue;
		}
		epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, source->ring->fd, NULL);
		if (!source->given_up && !source->recorder.on) {
			engine->given_up_bytes += source_ring_bytes(source);
			engine->given_up_count++;
		}
		source->given_up = true;
		*at = source->next;
		source->next = engine->closing;
		engine->closing = source;
		pthread_cond_broadcast(&engine->sources_changed);
	}
}

static uint64_t next_deadline(const struct engine *engine)
{
	uint64_t next_ns = engine->settings_retry_ns ? engine->settings_retry_ns : UINT64_MAX;

	for (const struct source *source = engine->sources; source; source = source->next) {
		const uint64_t deadline_ns = source_next_deadline(source);

		next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
	}
	return next_ns;
}

static void set_timer(const struct engine *engine, uint64_t at_ns)
{
	struct itimerspec when = {0};

	if (at_ns != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at_ns / NS_PER_S);
		when.it_value.tv_nsec = (long)(at_ns % NS_PER_S);
	}
	timerfd_settime(engine->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Acts on time limits. All retired blocks are taken over first, so that a consumer ends after the last packet of its
 * window. */
static void check_deadlines(struct engine *engine, const struct interface_check *check)
{
	const uint64_t now_ns = clock_boottime_ns();

	for (struct source *source = first_source(engine); source; source = source->next)
		source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next) {
		source_check_deadlines(source, now_ns);
		source_trim(source);
	}
	close_idle_sources(engine, now_ns);
	if (engine->settings_retry_ns && engine->settings_retry_ns <= now_ns) {
		engine->settings_retry_ns = 0;
		recorder_interfaces_changed(engine);
	}
	const uint64_t next_ns = next_deadline(engine);
	set_timer(engine, check->due && check->not_before_ns < next_ns ? check->not_before_ns : next_ns);
	engine_wake_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

static void handle_source(struct engine *engine, struct source *source, uint32_t events)
{
	if (source_collect(source, &engine->lock)) {
		pthread_mutex_lock(&engine->lock);
		source_trim(source);
		if (source->consumers)
			engine_wake_worker(engine);
		pthread_mutex_unlock(&engine->lock);
	}
	if (events & (EPOLLERR | EPOLLHUP)) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(source->ring->fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
		check_interface(engine, source);
	}
}

/* How close the last batch came to the largest backlog, in percent. */
static unsigned backlog_percent(const struct source *source)
{
	return source->batch * 100 / timeline_backlog_max(source->timeline);
}

/* Whether a ring in use may fill up during a pause. */
static bool must_not_pause(struct engine *engine)
{
	bool small = false;

	pthread_mutex_lock(&engine->lock);
	for (const struct source *source = engine->sources; source && !small; source = source->next)
		small |= source_is_small(source) && (source->consumers || source->recorder.on);
	pthread_mutex_unlock(&engine->lock);
	return small;
}

static void update_pace(struct pace *pace, unsigned blocks, uint64_t now_ns)
{
	const uint64_t elapsed_ns = now_ns - pace->woken_ns;

	pace->woken_ns = now_ns;
	pace->span_ns += (elapsed_ns < PACE_SPAN_MAX_NS ? elapsed_ns : PACE_SPAN_MAX_NS) - pace->span_ns / 8;
	pace->blocks += (uint64_t)blocks * PACE_SCALE - pace->blocks / 8;
}

/* `blocks`: just taken over; `percent`: the highest backlog_percent of their rings. */
static void pause_if_busy(struct engine *engine, struct pace *pace, unsigned blocks, unsigned percent)
{
	update_pace(pace, blocks, clock_boottime_ns());
	if (pace->span_ns * PACE_SCALE > pace->blocks * PAUSE_WORTH_NS || must_not_pause(engine)) {
		pace->pause_ns = PAUSE_MIN_NS;
		return;
	}
	if (percent > 50)
		pace->pause_ns /= 2;
	else if (percent < 35 && pace->pause_ns < PAUSE_MAX_NS)
		pace->pause_ns += pace->pause_ns / 4 + 1;
	if (pace->pause_ns >= PAUSE_MIN_NS / 4) {
		const struct timespec pause = {.tv_nsec = (long)pace->pause_ns};

		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

void *ring_thread_run(void *arg)
{
	struct engine *engine = arg;
	struct epoll_event events[EPOLL_EVENTS];
	struct pace pace = {.pause_ns = PAUSE_MIN_NS};
	struct interface_check check = {0};

	for (;;) {
		unsigned blocks = 0, percent = 0;
		const int count = epoll_wait(engine->epoll_fd, events, EPOLL_EVENTS, -1);
		bool check_time = false, interfaces_changed = false;

		for (int i = 0; i < count; i++) {
			uint64_t ticks;

			if (events[i].data.ptr == &engine->wake_fd)
				check_time |= read(engine->wake_fd, &ticks, sizeof(ticks)) > 0;
			else if (events[i].data.ptr == &engine->timer_fd)
				check_time |= read(engine->timer_fd, &ticks, sizeof(ticks)) > 0;
			else if (events[i].data.ptr == &engine->link_fd)
				interfaces_changed |= link_table_has_changed(engine->link_fd);
			else {
				const struct source *source = events[i].data.ptr;

				handle_source(engine, events[i].data.ptr, events[i].events);
				blocks += source->batch;
				percent = backlog_percent(source) > percent ? backlog_percent(source) : percent;
			}
			interfaces_changed |= (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
		}
		if (blocks)
			pause_if_busy(engine, &pace, blocks, percent);
		if (!check_time && !interfaces_changed)
			continue;
		pthread_mutex_lock(&engine->lock);
		const bool stop = engine->stop;
		pthread_mutex_unlock(&engine->lock);
		if (stop)
			return NULL;
		check.due |= interfaces_changed;
		check_interfaces(engine, &check);
		check_deadlines(engine, &check);
	}
}
