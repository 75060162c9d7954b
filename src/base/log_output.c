/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue is a ring of bytes: each line's head (struct log_line without its text), then its text. Copying a line into
 * it under the lock takes less than a microsecond, so putting a line never waits for more than another such copy. The
 * array is touched only as far as it is used.
 *
 * Dropped lines are reported in their place: after the lines that were queued before them.
 */
#include "base/log_output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"

#define HEAD_BYTES offsetof(struct log_line, text)
#define REPORT_BYTES 128 /* room that a report needs at most */
#define STACK_BYTES ((size_t)128 * 1024)

/* --- the ring; with the lock held --- */

static void copy_in(struct log_output *output, const void *bytes, size_t size)
{
	const size_t at = (output->head + output->used) % LOG_QUEUE_BYTES;
	const size_t first = size < LOG_QUEUE_BYTES - at ? size : LOG_QUEUE_BYTES - at;

	memcpy(output->queue + at, bytes, first);
	memcpy(output->queue, (const uint8_t *)bytes + first, size - first);
	output->used += size;
}

static void copy_out(struct log_output *output, void *bytes, size_t size)
{
	const size_t first = size < LOG_QUEUE_BYTES - output->head ? size : LOG_QUEUE_BYTES - output->head;

	memcpy(bytes, output->queue + output->head, first);
	memcpy((uint8_t *)bytes + first, output->queue, size - first);
	output->head = (output->head + size) % LOG_QUEUE_BYTES;
	output->used -= size;
}

static void push(struct log_output *output, const struct log_line *line)
{
	copy_in(output, line, HEAD_BYTES + line->size);
}

static void make_report(struct log_output *output, struct log_line *line)
{
	char now[CLOCK_TEXT_SIZE];

	line->severity = LOG_WARNING;
	line->stamp_bytes = (uint8_t)snprintf(line->text, REPORT_BYTES, "%s ", clock_format(clock_realtime_ns(), now));
	line->size = (uint16_t)(line->stamp_bytes + snprintf(line->text + line->stamp_bytes,
							     REPORT_BYTES - line->stamp_bytes,
							     "warning log-dropped output=%s lines=%" PRIu64,
							     output->name, output->dropped - output->dropped_reported));
	output->dropped_reported = output->dropped;
}

/* The next line to write. False: the queue is empty, and stopping. */
static bool pop(struct log_output *output, struct log_line *line)
{
	while (!output->used && output->dropped == output->dropped_reported && !output->stopping)
		pthread_cond_wait(&output->changed, &output->lock);
	if (output->used) {
		copy_out(output, line, HEAD_BYTES);
		copy_out(output, line->text, line->size);
		line->text[line->size] = '\0';
		return true;
	}
	if (output->dropped == output->dropped_reported)
		return false;
	make_report(output, line);
	return true;
}

/* --- the thread --- */

static void *write_lines(void *ctx)
{
	struct log_output *output = ctx;
	struct log_line line;

	pthread_setname_np(pthread_self(), "pcapd-log");
	pthread_mutex_lock(&output->lock);
	while (pop(output, &line)) {
		pthread_mutex_unlock(&output->lock);
		output->write(&line);
		pthread_mutex_lock(&output->lock);
		output->written++;
		pthread_cond_broadcast(&output->changed);
	}
	output->ended = true;
	pthread_cond_broadcast(&output->changed);
	pthread_mutex_unlock(&output->lock);
	return NULL;
}

static int init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int r = pthread_condattr_init(&attributes);

	if (r != 0)
		return -r;
	r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return -r;
}

int log_output_start(struct log_output *output)
{
	sigset_t all, before;
	pthread_attr_t attributes;

	if (init_condition(&output->changed) < 0 || pthread_attr_init(&attributes) != 0)
		return -EAGAIN;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	output->stopping = output->ended = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	output->started = pthread_create(&output->thread, &attributes, write_lines, output) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!output->started)
		pthread_cond_destroy(&output->changed);
	return output->started ? 0 : -EAGAIN;
}

/* Waits for a change, until a moment of monotonic time; false: it has come. With the lock held. */
static bool wait_until(struct log_output *output, uint64_t when_ns)
{
	const struct timespec when = {.tv_sec = (time_t)(when_ns / NS_PER_S), .tv_nsec = (long)(when_ns % NS_PER_S)};

	return pthread_cond_timedwait(&output->changed, &output->lock, &when) != ETIMEDOUT;
}

void log_output_stop(struct log_output *output, uint64_t timeout_ns)
{
	const uint64_t until_ns = clock_monotonic_ns() + timeout_ns;
	bool in_time = true;

	pthread_mutex_lock(&output->lock);
	if (!output->started) {
		pthread_mutex_unlock(&output->lock);
		return;
	}
	output->stopping = true;
	pthread_cond_broadcast(&output->changed);
	while (!output->ended && in_time)
		in_time = wait_until(output, until_ns);
	const bool ended = output->ended;
	output->started = !ended;
	pthread_mutex_unlock(&output->lock);
	if (!ended) {
		pthread_detach(output->thread);
		return;
	}
	pthread_join(output->thread, NULL);
	pthread_cond_destroy(&output->changed);
}

/* --- lines --- */

void log_output_put(struct log_output *output, struct log_line *line)
{
	struct log_line report;

	pthread_mutex_lock(&output->lock);
	if (!output->started) { /* lines of threads must not mix, so the lock stays */
		output->write(line);
		pthread_mutex_unlock(&output->lock);
		return;
	}
	const bool report_first = output->dropped != output->dropped_reported;
	const size_t size = HEAD_BYTES + line->size + (report_first ? HEAD_BYTES + REPORT_BYTES : 0);
	if (output->stopping || output->used + size > LOG_QUEUE_BYTES) {
		output->dropped++;
	} else {
		if (report_first) {
			make_report(output, &report);
			push(output, &report);
		}
		push(output, line);
		pthread_cond_broadcast(&output->changed);
	}
	pthread_mutex_unlock(&output->lock);
}

bool log_output_wait(struct log_output *output, uint64_t stall_ns)
{
	uint64_t written, until_ns;
	bool flows = true;

	pthread_mutex_lock(&output->lock);
	while (output->started && !output->stopping && output->used > LOG_QUEUE_BYTES / 2 && flows) {
		written = output->written;
		until_ns = clock_monotonic_ns() + stall_ns;
		while (output->written == written && flows)
			flows = wait_until(output, until_ns);
	}
	pthread_mutex_unlock(&output->lock);
	return flows;
}

uint64_t log_output_dropped(struct log_output *output)
{
	pthread_mutex_lock(&output->lock);
	const uint64_t dropped = output->dropped;
	pthread_mutex_unlock(&output->lock);
	return dropped;
}
