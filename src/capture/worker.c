/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers take the consumer that is furthest behind, with all others in the same span, and move them through it. When
 * there is nothing to scan they do what may block for a while: renew kernel filters, open recorders, close rings.
 *
 * Reading the NIC's counters waits for the kernel's RTNL lock, which would keep all workers from scanning when many
 * captures end: a thread of its own does it.
 */
#include <linux/filter.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/engine_internal.h"
#include "capture/recorder.h"

/* Ends a consumer that has reached end_number. False: it turned out not to be idle. Called with `lock` held. */
static bool confirm_end(struct consumer *consumer)
{
	struct cursor *cursor = &consumer->cursor;
	const uint64_t last_match_ns = atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed);

	if (consumer->end_reason == END_IDLE &&
	    last_match_ns + cursor->idle_ns + consumer->source->retire_delay_ns > consumer->end_set_ns) {
		consumer->end_number = NUMBER_NONE;
		consumer->end_uncertain = false;
		engine_wake_ring_thread(consumer->engine);
		return false;
	}
	cursor->reason = consumer->end_reason;
	cursor->dropped_seen =
		consumer->end_dropped > cursor->dropped_at_start ? consumer->end_dropped : cursor->dropped_at_start;
	consumer->end_ns = consumer->end_set_ns;
	return true;
}

/*
 * Settles the end of a consumer that has one, on the worker that moved it. True: it has ended. Called with `lock` held.
 */
static bool settle_end(struct consumer *consumer)
{
	struct cursor *cursor = &consumer->cursor;

	if (cursor->reason == END_NONE && (cursor->next_number < consumer->end_number || !confirm_end(consumer)))
		return false;
	if (cursor->reason == END_UNTIL)
		cursor->reason = consumer->until_reason;
	consumer->clock_offset_ns = clock_offset_ns();
	if (!consumer->end_ns)
		consumer->end_ns = clock_boottime_ns();
	consumer->interface_was_away =
		source_was_away(consumer->source, cursor->from_ns, consumer_window_end(consumer));
	if (cursor->clock_offset_ns &&
	    llabs(consumer->clock_offset_ns - cursor->clock_offset_ns) > TIMELINE_CLOCK_STEP_NS)
		cursor->clock_stepped = true;
	consumer_leave(consumer);
	return true;
}

/* The last step. Called with `lock` held: the end of the consumer that follows is posted later. */
static void post_end(const struct engine *engine, struct consumer *consumer)
{
	consumer->settled = true; /* the loop may ask for a report before it gets the message */
	log_debug(capture, "consumer-ended", log_str("reason", end_reason_name(consumer->cursor.reason)),
		  log_uint("next_number", consumer->cursor.next_number),
		  log_uint("examined", consumer->cursor.examined), log_uint("packets", consumer->cursor.packets),
		  log_uint("lost_evicted", consumer->lost_evicted),
		  log_uint("lost_memory", consumer->cursor.lost_memory));
	mailbox_post(engine->mailbox, &consumer->ended.message);
}

/* Sorts the packets of a consumer that has ended. Called without `lock`. */
static void end_consumer(struct engine *engine, struct consumer *consumer)
{
	const bool unsorted = store_seal(&consumer->cursor.store) < 0;
	const bool has_nic = consumer->nic_begin.known;

	pthread_mutex_lock(&engine->lock);
	consumer->unsorted |= unsorted;
	consumer_pass_on(consumer);
	if (has_nic) {
		*engine->ended_last = consumer;
		engine->ended_last = &consumer->ended_next;
		pthread_cond_signal(&engine->ended_available);
	} else {
		post_end(engine, consumer);
	}
	pthread_mutex_unlock(&engine->lock);
}

/* Waits for a consumer that has ended, and takes it. NULL: the engine stops. Called with `lock` held. */
static struct consumer *take_ended(struct engine *engine)
{
	while (!engine->ended && !engine->stop)
		pthread_cond_wait(&engine->ended_available, &engine->lock);
	struct consumer *consumer = engine->ended;
	if (consumer) {
		engine->ended = consumer->ended_next;
		consumer->ended_next = NULL;
		if (!engine->ended)
			engine->ended_last = &engine->ended;
	}
	return consumer;
}

void *counter_thread_run(void *arg)
{
	struct engine *engine = arg;
	struct consumer *consumer;

	pthread_mutex_lock(&engine->lock);
	while ((consumer = take_ended(engine))) {
		struct nic_counters end;

		pthread_mutex_unlock(&engine->lock);
		nic_counters_read(consumer->nic_ifindex, &end);
		pthread_mutex_lock(&engine->lock);
		consumer->nic_growth = nic_counters_since(&consumer->nic_begin, &end);
		consumer->nic_end = end;
		if (consumer->successor)
			consumer->successor->nic_begin = end;
		post_end(engine, consumer);
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

struct scan_task {
	struct source *source;
	struct consumer *consumers[SCAN_GROUP_MAX];
	unsigned count;
	bool scan; /* false: they only have to be settled */
	struct span span;
};

/* Counts as lost what was evicted before the consumer read it, unless it was older than the consumer's window, and
 * moves the consumer on. */
static void skip_evicted(struct consumer *consumer, uint64_t oldest)
{
	if (consumer->position >= oldest)
		return;
	if (timeline_complete_since(consumer->source->timeline) > consumer->cursor.from_ns) {
		consumer->lost_evicted += oldest - consumer->position;
		consumer->cursor.missing += oldest - consumer->position;
	}
	consumer->position = consumer->cursor.next_number = oldest;
	consumer->needed = consumer->needed < oldest ? oldest : consumer->needed;
}

/* One turn in this many goes to the consumer furthest ahead, so that history does not starve live traffic. */
#define LIVE_EVERY 4

/* The runnable consumer that is furthest behind; every LIVE_EVERY turns the one furthest ahead. */
static struct consumer *furthest_behind(const struct source *source)
{
	const bool ahead = source->served_count % LIVE_EVERY == LIVE_EVERY - 1;
	struct consumer *chosen = NULL;

	for (struct consumer *consumer = source->consumers; consumer; consumer = consumer->next) {
		if (source_runnable(source, consumer) && (!chosen || (consumer->position < chosen->position) != ahead))
			chosen = consumer;
	}
	return chosen;
}

/* Takes the consumer furthest behind and all others in the same span. Called with `lock` held. */
static bool pick_from_source(struct source *source, struct scan_task *task)
{
	struct consumer *chosen = furthest_behind(source);

	if (!chosen)
		return false;
	const uint64_t oldest = timeline_oldest_number(source->timeline);
	skip_evicted(chosen, oldest);
	task->source = source;
	task->count = 0;
	task->scan = chosen->position < timeline_next_number(source->timeline) && !consumer_must_wait(chosen);
	if (!task->scan) {
		chosen->busy = true;
		task->consumers[task->count++] = chosen;
		return true;
	}
	task->span = timeline_pin(source->timeline, chosen->position);
	const uint64_t end = task->span.number + task->span.packets;
	for (struct consumer *consumer = source->consumers; consumer && task->count < SCAN_GROUP_MAX;
	     consumer = consumer->next) {
		if (!source_runnable(source, consumer) || consumer_must_wait(consumer))
			continue;
		skip_evicted(consumer, oldest);
		if (consumer->position < task->span.number || consumer->position >= end)
			continue;
		consumer->busy = true;
		task->consumers[task->count++] = consumer;
	}
	return true;
}

/* The source with work that has waited longest. Called with `lock` held. */
static struct source *longest_waiting(const struct engine *engine)
{
	struct source *waiting = NULL;

	for (struct source *source = engine->sources; source; source = source->next) {
		if ((!waiting || source->last_served < waiting->last_served) && furthest_behind(source))
			waiting = source;
	}
	return waiting;
}

static bool pick_task(struct engine *engine, struct scan_task *task)
{
	struct source *source = longest_waiting(engine);

	if (!source || !pick_from_source(source, task))
		return false;
	source->last_served = ++engine->served_count;
	source->served_count++;
	if (engine->idle_workers && longest_waiting(engine))
		engine_wake_worker(engine);
	return true;
}

static void run_scan(const struct scan_task *task, uint8_t *scratch)
{
	const struct scan_context context = {
		.loopback = task->source->ring->loopback,
		.type = task->source->ring->type,
		.hardware = task->source->ring->hardware,
		.scratch = scratch,
	};
	struct cursor *cursors[SCAN_GROUP_MAX];

	for (unsigned i = 0; i < task->count; i++)
		cursors[i] = &task->consumers[i]->cursor;
	cursor_scan(cursors, task->count, &task->span, &context);
}

/* Moves packets to where the feeds' handlers get them. While the consumers are busy; without `lock`. */
static void hand_over(const struct scan_task *task)
{
	for (unsigned i = 0; i < task->count; i++) {
		struct consumer *consumer = task->consumers[i];

		if (!consumer_may_hand_over(consumer))
			continue;
		consumer->unsorted |= store_seal(&consumer->cursor.store) < 0;
		store_move(&consumer->handed_over, &consumer->cursor.store);
		atomic_store_explicit(&consumer->handing_over, true, memory_order_relaxed);
		consumer->must_post_fed = true;
	}
}

/* Releases the span and the consumers. Those that have ended remain in the task. Called with `lock` held. */
static void finish_task(struct scan_task *task)
{
	if (task->scan)
		timeline_unpin(task->source->timeline, &task->span);
	unsigned ended = 0;
	for (unsigned i = 0; i < task->count; i++) {
		struct consumer *consumer = task->consumers[i];

		consumer->busy = false;
		consumer->needed = consumer->position = consumer->cursor.next_number;
		if (consumer->continued && consumer->cursor.beyond_number < consumer->needed)
			consumer->needed = consumer->cursor.beyond_number;
		if (consumer->cursor.quota_spent) {
			consumer->cursor.quota_spent = false;
			mailbox_post(consumer->engine->mailbox, &consumer->quota_spent.message);
		}
		if (consumer->must_post_fed) {
			consumer->must_post_fed = false;
			mailbox_post(consumer->engine->mailbox, &consumer->fed.message);
		}
		if (settle_end(consumer))
			task->consumers[ended++] = consumer;
	}
	task->count = ended;
	source_trim(task->source);
}

/* Called with `control_lock` and `lock` held; releases and reacquires `lock`. */
static void renew_filter(struct engine *engine, struct source *source, struct sock_filter *program)
{
	source->filter_outdated = false;
	source->pins++;
	const size_t size = source_build_filter(source, program);
	pthread_mutex_unlock(&engine->lock);
	if (source_attach_filter(source, program, size) < 0)
		log_warning("kernel-filter-failed", log_str("interface", source->ring->name));
	else
		log_debug(capture, "kernel-filter-renewed", log_str("interface", source->ring->name),
			  log_uint("instructions", size));
	pthread_mutex_lock(&engine->lock);
	source->pins--;
	if (source->consumers)
		return;
	engine_wake_ring_thread(engine); /* it closes sources that are idle too long */
	pthread_cond_broadcast(&engine->sources_changed);
}

/* Does one task that needs control_lock. True: did one. A thread that holds control_lock wakes a worker when it
 * releases it. Called with `lock` held; releases and reacquires it. */
static bool run_controlled(struct engine *engine, struct sock_filter *program)
{
	if (pthread_mutex_trylock(&engine->control_lock) != 0)
		return false;
	bool done = recorder_run_maintenance(engine);
	for (struct source *source = engine->sources; source && !done; source = source->next) {
		done = source->filter_outdated && (!source->gone || source->retyped);
		if (done)
			renew_filter(engine, source, program);
	}
	pthread_mutex_unlock(&engine->control_lock);
	return done;
}

/* Does one task that may block for a while. True: did one. One worker at a time: the kernel's RTNL lock may hold it up,
 * and the others go on scanning. Called with `lock` held; releases and reacquires it. */
static bool run_maintenance(struct engine *engine, struct sock_filter *program)
{
	if (engine->worker_maintains)
		return false;
	engine->worker_maintains = true;
	bool done = run_controlled(engine, program);
	if (!done && engine->closing) {
		engine_close_source(engine);
		done = true;
	}
	engine->worker_maintains = false;
	if (done)
		engine_wake_worker(engine); /* there may be more, and this one may find packets to scan */
	return done;
}

void *worker_run(void *arg)
{
	struct worker_context *context = arg;
	struct engine *engine = context->engine;
	struct scan_task task;

	pthread_mutex_lock(&engine->lock);
	while (!engine->stop) {
		if (pick_task(engine, &task)) {
			pthread_mutex_unlock(&engine->lock);
			if (task.scan)
				run_scan(&task, context->scratch);
			hand_over(&task);
			pthread_mutex_lock(&engine->lock);
			finish_task(&task);
			pthread_mutex_unlock(&engine->lock);
			for (unsigned i = 0; i < task.count; i++)
				end_consumer(engine, task.consumers[i]);
			pthread_mutex_lock(&engine->lock);
		} else if (!run_maintenance(engine, context->program)) {
			engine->idle_workers++;
			pthread_cond_wait(&engine->work_available, &engine->lock);
			engine->idle_workers--;
		}
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}
