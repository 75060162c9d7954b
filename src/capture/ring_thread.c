/*
 * The ring thread: one for all rings. It waits for blocks (edge-triggered, because a packet socket is readable for as
 * long as the block before the current one is held), for its timer, for news of interfaces, and to be woken.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/engine_threads.h"
#include "capture/link_watch.h"

#define EPOLL_EVENTS 64

/*
 * At high rates the thread takes blocks over in batches: a wake-up for each costs the sender's core 11 µs and this
 * thread 20. A batch stays below half of what the kernel may be ahead.
 */
#define PAUSE_LEAST_NS 500000
#define PAUSE_MOST_NS 8000000

static struct source *first_source(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct source *first = engine->sources; /* others only put new ones in front of it */
	pthread_mutex_unlock(&engine->lock);
	return first;
}

static void check_interface(struct engine *engine, struct source *source)
{
	pthread_mutex_lock(&engine->lock);
	const bool gone = source->gone;
	pthread_mutex_unlock(&engine->lock);
	if (gone || !ring_interface_gone(source->ring))
		return;
	source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	source_mark_gone(source, clock_boottime_ns());
	pthread_mutex_unlock(&engine->lock);
	log_notice("interface-gone", log_str("interface", source->ring->name));
}

static void check_interfaces(struct engine *engine)
{
	for (struct source *source = first_source(engine); source; source = source->next)
		check_interface(engine, source);
	pthread_mutex_lock(&engine->lock);
	recorder_interfaces_changed(engine);
	pthread_mutex_unlock(&engine->lock);
}

static bool expired(const struct source *source, uint64_t now_ns)
{
	if (source->captures || source->users || source->recorder.on)
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
		const uint64_t look_ns = source_next_look(source);
		next_ns = look_ns < next_ns ? look_ns : next_ns;
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
	for (struct source *source = first_source(engine); source; source = source->next)
		source_collect(source, &engine->lock);
	pthread_mutex_lock(&engine->lock);
	for (struct source *source = engine->sources; source; source = source->next) {
		source_look(source, now_ns);
		source_trim(source);
	}
	retire_sources(engine, now_ns);
	set_timer(engine, next_look(engine));
	engine_call_worker(engine);
	pthread_mutex_unlock(&engine->lock);
}

static void handle_source(struct engine *engine, struct source *source, uint32_t events)
{
	if (source_collect(source, &engine->lock)) {
		pthread_mutex_lock(&engine->lock);
		source_trim(source);
		if (source->captures)
			engine_call_worker(engine);
		pthread_mutex_unlock(&engine->lock);
	}
	if (events & (EPOLLERR | EPOLLHUP)) {
		int error = 0;
		socklen_t size = sizeof(error);
		getsockopt(source->ring->fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
		check_interface(engine, source);
	}
}

/* How near the last batches came to what the kernel may be ahead: 100 is all of it. 0: nothing is busy, or a ring is
 * too small to wait. */
static unsigned strain(struct engine *engine)
{
	unsigned most = 0;
	bool small = false;
	pthread_mutex_lock(&engine->lock);
	for (const struct source *source = engine->sources; source; source = source->next) {
		const unsigned percent = source->batch * 100 / timeline_lag(source->timeline) + 1;
		if (source_is_busy(source) && percent > most)
			most = percent;
		small |= source_is_small(source) && (source->captures || source->recorder.on);
	}
	pthread_mutex_unlock(&engine->lock);
	return small ? 0 : most;
}

static void pause_if_busy(struct engine *engine, uint64_t *pause_ns)
{
	const unsigned percent = strain(engine);
	if (!percent)
		*pause_ns = PAUSE_LEAST_NS;
	else if (percent > 50)
		*pause_ns /= 2;
	else if (percent < 35 && *pause_ns < PAUSE_MOST_NS)
		*pause_ns += *pause_ns / 4 + 1;
	if (percent && *pause_ns >= PAUSE_LEAST_NS / 4) {
		const struct timespec pause = {.tv_nsec = (long)*pause_ns};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

void *ring_thread_run(void *arg)
{
	struct engine *engine = arg;
	pthread_setname_np(pthread_self(), "pcapd-ring");
	struct epoll_event events[EPOLL_EVENTS];
	uint64_t pause_ns = PAUSE_LEAST_NS;
	for (;;) {
		const int count = epoll_wait(engine->epoll_fd, events, EPOLL_EVENTS, -1);
		bool look = false, news = false;
		for (int i = 0; i < count; i++) {
			uint64_t ticks;
			if (events[i].data.ptr == &engine->wake_fd)
				look |= read(engine->wake_fd, &ticks, sizeof(ticks)) > 0;
			else if (events[i].data.ptr == &engine->timer_fd)
				look |= read(engine->timer_fd, &ticks, sizeof(ticks)) > 0;
			else if (events[i].data.ptr == &engine->link_fd)
				news |= link_watch_read(engine->link_fd);
			else
				handle_source(engine, events[i].data.ptr, events[i].events);
			news |= (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
		}
		pause_if_busy(engine, &pause_ns);
		if (!look && !news)
			continue;
		pthread_mutex_lock(&engine->lock);
		const bool stop = engine->stop;
		pthread_mutex_unlock(&engine->lock);
		if (stop)
			return NULL;
		if (news)
			check_interfaces(engine);
		look_at_clock(engine);
	}
}
