/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transfer's life:
 *
 *     waiting → running → ended (taken, or finally refused)
 *        ↑         ↓
 *        └──── back-off
 *
 * A destination runs at most `parallel` attempts at a time; the other transfers wait in the order in which they became
 * ready. Only a running attempt holds a stream of the file. Back-off is exponential with full jitter (random between 0
 * and the ceiling), so that many daemons do not return to a restarted server at the same moment. A Retry-After, itself
 * capped (backoff.h), is added as a minimum.
 *
 * Attempts start from an event of their own, never from inside a call of the caller or the sink, so that no callback
 * runs inside one.
 */
#include "sink/transfer.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "sink/backoff.h"
#include "sink/report_text.h"

#define LOG_BURST 10 /* "delivery-retry" lines per second and destination */

#define COPY_WAIT_FACTOR 5
#define COULD_NOT_START "cannot start the attempt: out of memory, or too many are running"
#define TOOK_TOO_LONG "the time to retry (limits.retry) is over"
#define UNKNOWN_DESTINATION "no destination has this name"

static bool stream_open(void *ctx, struct byte_stream *stream)
{
	struct transfer *transfer = ctx;
	const struct sink_file *file = transfer->source;

	assert(transfer->open_streams == 0);
	if (!file->open(file->ctx, stream))
		return false;
	transfer->open_streams++;
	return true;
}

static void stream_close(void *ctx, struct byte_stream *stream)
{
	struct transfer *transfer = ctx;
	const struct sink_file *file = transfer->source;

	assert(transfer->open_streams == 1);
	transfer->open_streams--;
	file->close(file->ctx, stream);
}

static void enqueue(struct transfer *transfer)
{
	transfer->state = TRANSFER_WAITING;
	TAILQ_INSERT_TAIL(&transfer->destination->waiting, transfer, queue);
	event_active(transfer->destination->start_event, EV_TIMEOUT, 0);
}

static void finish_transfer(struct transfer *transfer)
{
	transfer->state = TRANSFER_ENDED;
	transfer->ended(transfer->ctx);
}

static void log_retry(struct transfer *transfer, uint64_t wait_ns)
{
	uint64_t suppressed = 0;

	if (!log_rate_allow(&transfer->destination->retry_log_rate, &suppressed))
		return;
	log_warning("delivery-retry", log_str("id", transfer->source->id), log_str("file", transfer->source->name),
		    log_str("destination", transfer->destination->sink->name), log_uint("attempt", transfer->attempts),
		    log_num("wait_s", (double)wait_ns / (double)NS_PER_S), log_str("error", transfer->error),
		    log_uint("suppressed", suppressed));
}

static void back_off(struct transfer *transfer, uint64_t retry_after_ns)
{
	const struct delivery_options *options = transfer->destination->options;
	uint64_t wait_ns;
	struct timeval wait;

	wait_ns = backoff_ns(options->first_backoff_ns, options->max_backoff_ns, transfer->attempts, retry_after_ns);
	if ((options->max_attempts && transfer->attempts >= options->max_attempts) ||
	    (options->give_up_after_ns &&
	     clock_boottime_ns() + wait_ns - transfer->first_attempt_ns > options->give_up_after_ns)) {
		finish_transfer(transfer);
		return;
	}
	log_retry(transfer, wait_ns);
	wait.tv_sec = (time_t)(wait_ns / NS_PER_S);
	wait.tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000);
	transfer->state = TRANSFER_BACKOFF;
	if (event_add(transfer->timer, &wait) != 0)
		enqueue(transfer); /* no memory for a timer: better too early than never */
}

static void on_backoff_timer(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	enqueue(ctx);
}

static void record_outcome(struct transfer *transfer, const struct sink_outcome *outcome)
{
	transfer->ok = outcome->verdict == SINK_OK;
	report_text_copy(transfer->url, sizeof(transfer->url), outcome->url);
	report_text_copy(transfer->error, sizeof(transfer->error), transfer->ok ? "" : outcome->error);
	report_text_copy(transfer->warning, sizeof(transfer->warning), transfer->ok ? outcome->warning : "");
}

/* The whole file was sent, and no answer came: each further attempt may make one more copy, so they are few. */
static void retry_copy(struct transfer *transfer, const struct sink_outcome *outcome)
{
	const uint64_t wait_ns = transfer->destination->options->copy_wait_ns;
	struct error text;

	transfer->copies += outcome->copies;
	if (transfer->copies < DELIVERY_COPIES_MAX) {
		back_off(transfer, transfer->copies == 1 ? wait_ns : COPY_WAIT_FACTOR * wait_ns);
		return;
	}
	error_set(&text, 0, "the whole file was sent %u times and no answer came; it may be there (last error: %s)",
		  transfer->copies, transfer->error);
	report_text_copy(transfer->error, sizeof(transfer->error), text.text);
	finish_transfer(transfer);
}

/* An attempt that goes on and on holds the file's memory as a failing destination does. */
static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
	struct transfer *transfer = ctx;

	(void)fd;
	(void)events;
	if (transfer->state != TRANSFER_RUNNING)
		return;
	transfer_abandon(transfer, TOOK_TOO_LONG);
	transfer->ended(transfer->ctx);
}

static void start_deadline(struct transfer *transfer)
{
	const uint64_t limit_ns = transfer->destination->options->give_up_after_ns;
	const uint64_t spent_ns = clock_boottime_ns() - transfer->first_attempt_ns;
	const uint64_t left_ns = limit_ns > spent_ns ? limit_ns - spent_ns : 0;
	const struct timeval left = {.tv_sec = (time_t)(left_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(left_ns % NS_PER_S / 1000)};

	if (limit_ns)
		(void)event_add(transfer->deadline, &left);
}

static void attempt_done(void *ctx, const struct sink_outcome *outcome)
{
	struct transfer *transfer = ctx;

	assert(transfer->state == TRANSFER_RUNNING && transfer->open_streams == 0);
	transfer->attempt = NULL;
	event_del(transfer->deadline);
	transfer->destination->running--;
	event_active(transfer->destination->start_event, EV_TIMEOUT, 0);

	record_outcome(transfer, outcome);
	log_debug(sink, "delivery-attempt-over", log_str("id", transfer->source->id),
		  log_str("file", transfer->source->name), log_str("destination", transfer->destination->sink->name),
		  log_uint("attempt", transfer->attempts), log_bool("ok", transfer->ok),
		  log_bool("retry", outcome->verdict == SINK_RETRY), log_str("url", transfer->url),
		  log_str("error", transfer->error));
	if (outcome->verdict == SINK_RETRY && outcome->copies)
		retry_copy(transfer, outcome);
	else if (outcome->verdict == SINK_RETRY)
		back_off(transfer, outcome->retry_after_ns);
	else
		finish_transfer(transfer);
}

static void start_attempt(struct transfer *transfer)
{
	struct sink *sink = transfer->destination->sink;

	TAILQ_REMOVE(&transfer->destination->waiting, transfer, queue);
	transfer->state = TRANSFER_RUNNING;
	if (transfer->attempts++ == 0)
		transfer->first_attempt_ns = clock_boottime_ns();
	transfer->destination->running++;
	log_debug(sink, "delivery-attempt", log_str("id", transfer->source->id),
		  log_str("file", transfer->source->name), log_str("destination", sink->name),
		  log_uint("attempt", transfer->attempts), log_uint("running", transfer->destination->running));
	transfer->file.copies = transfer->copies;
	transfer->attempt = sink->class->start(sink, &transfer->file, attempt_done, transfer);
	if (transfer->attempt) {
		start_deadline(transfer);
		return;
	}
	assert(transfer->open_streams == 0);
	transfer->destination->running--;
	report_text_copy(transfer->error, sizeof(transfer->error), COULD_NOT_START);
	back_off(transfer, 0);
}

void transfer_stop(struct transfer *transfer)
{
	struct destination *destination = transfer->destination;
	struct sink_outcome outcome = {0};

	switch (transfer->state) {
	case TRANSFER_WAITING:
		TAILQ_REMOVE(&destination->waiting, transfer, queue);
		break;
	case TRANSFER_RUNNING:
		event_del(transfer->deadline);
		if (destination->sink->class->cancel(destination->sink, take(transfer->attempt), &outcome))
			record_outcome(transfer, &outcome);
		assert(transfer->open_streams == 0);
		destination->running--;
		event_active(destination->start_event, EV_TIMEOUT, 0);
		break;
	case TRANSFER_BACKOFF:
		event_del(transfer->timer);
		break;
	case TRANSFER_ENDED:
		break;
	}
	transfer->state = TRANSFER_ENDED;
}

void transfer_abandon(struct transfer *transfer, const char *reason)
{
	struct error why;

	if (transfer->state == TRANSFER_ENDED)
		return;
	transfer_stop(transfer);
	if (transfer->ok)
		return;
	if (transfer->error[0])
		error_set(&why, 0, "%s (last error: %s)", reason, transfer->error);
	else
		error_set(&why, 0, "%s", reason);
	report_text_copy(transfer->error, sizeof(transfer->error), why.text);
}

void transfer_start(struct transfer *transfer, void (*ended)(void *ctx), void *ctx)
{
	transfer->ended = ended;
	transfer->ctx = ctx;
	enqueue(transfer);
}

int transfer_init(struct transfer *transfer, struct event_base *loop, struct destination *destination, const char *name,
		  const struct sink_file *source)
{
	*transfer = (struct transfer){
		.destination = destination,
		.name = strdup(name),
		.source = source,
		.file = *source,
		.state = TRANSFER_ENDED,
	};
	transfer->file.ctx = transfer;
	transfer->file.open = stream_open;
	transfer->file.close = stream_close;
	if (!destination)
		report_text_copy(transfer->error, sizeof(transfer->error), UNKNOWN_DESTINATION);
	if (destination) {
		transfer->timer = evtimer_new(loop, on_backoff_timer, transfer);
		transfer->deadline = evtimer_new(loop, on_deadline, transfer);
	}
	return transfer->name && ((transfer->timer && transfer->deadline) || !destination) ? 0 : -ENOMEM;
}

void transfer_deinit(struct transfer *transfer)
{
	free(transfer->name);
	if (transfer->timer)
		event_free(transfer->timer);
	if (transfer->deadline)
		event_free(transfer->deadline);
}

/* --- a destination --- */

static void start_attempts(evutil_socket_t fd, short events, void *ctx)
{
	struct destination *destination = ctx;
	struct transfer *transfer;

	(void)fd;
	(void)events;
	while (destination->running < destination->options->parallel && (transfer = TAILQ_FIRST(&destination->waiting)))
		start_attempt(transfer);
}

int destination_init(struct destination *destination, struct event_base *loop, const struct delivery_options *options,
		     struct sink *sink)
{
	*destination = (struct destination){.options = options, .sink = sink, .retry_log_rate = {.burst = LOG_BURST}};
	TAILQ_INIT(&destination->waiting);
	destination->start_event = event_new(loop, -1, 0, start_attempts, destination);
	return destination->start_event ? 0 : -ENOMEM;
}

void destination_deinit(struct destination *destination)
{
	event_free(destination->start_event);
}
