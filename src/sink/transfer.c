/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transfer's life:
 *
 *     waiting → running → ended (taken, or finally refused)
 *        ↑         ↓
 *        └──── back-off
 *
 * A destination runs at most `parallel` attempts at a time, and none while its breaker is open; the other transfers
 * wait in the order in which they became ready. Time that the breaker takes counts like time of attempts. A transfer
 * that has a next one does not wait for a breaker: it fails. Only a running attempt holds a stream of the file.
 * Back-off is exponential with full jitter (random between 0 and the ceiling), so that many daemons do not return to a
 * restarted server at the same moment. A Retry-After, itself capped (backoff.h), is added as a minimum.
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
#define HELD_BACK "the destination has been failing (last error: %s)"
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

static struct timeval timeval_of(uint64_t ns)
{
	return (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000)};
}

/* The time for all attempts begins, unless it has. */
static void start_clock(struct transfer *transfer)
{
	const uint64_t limit_ns = transfer->destination->options->give_up_after_ns, now_ns = clock_boottime_ns();

	if (!transfer->first_attempt_ns)
		transfer->first_attempt_ns = now_ns;
	const uint64_t spent_ns = now_ns - transfer->first_attempt_ns;
	const struct timeval left = timeval_of(limit_ns > spent_ns ? limit_ns - spent_ns : 0);

	if (limit_ns && !evtimer_pending(transfer->deadline, NULL))
		(void)event_add(transfer->deadline, &left);
}

static void enqueue(struct transfer *transfer)
{
	transfer->state = TRANSFER_WAITING;
	TAILQ_INSERT_TAIL(&transfer->destination->waiting, transfer, queue);
	if (transfer->first_attempt_ns)
		start_clock(transfer);
	event_active(transfer->destination->start_event, EV_TIMEOUT, 0);
}

/* It has left its queue. */
static void end_transfer(struct transfer *transfer)
{
	transfer->state = TRANSFER_ENDED;
	event_del(transfer->deadline);
	transfer->destination->files--;
	transfer->destination->bytes -= transfer->source->held_bytes;
}

static void finish_transfer(struct transfer *transfer)
{
	end_transfer(transfer);
	transfer->ended(transfer->ctx, transfer);
}

/* The breaker is open, and another destination can have the file. */
static void pass_on(struct transfer *transfer)
{
	const struct destination *destination = transfer->destination;
	struct error why;

	transfer->gave_up = true;
	error_set(&why, 0, HELD_BACK, transfer->error[0] ? transfer->error : destination->last_error);
	report_text_copy(transfer->error, sizeof(transfer->error), why.text);
	finish_transfer(transfer);
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

	if (transfer->next && !breaker_allows(&transfer->destination->breaker, clock_boottime_ns())) {
		transfer->gave_up = true;
		finish_transfer(transfer);
		return;
	}
	wait_ns = backoff_ns(options->first_backoff_ns, options->max_backoff_ns, transfer->attempts, retry_after_ns);
	if (transfer->once || (options->max_attempts && transfer->attempts >= options->max_attempts) ||
	    (options->give_up_after_ns &&
	     clock_boottime_ns() + wait_ns - transfer->first_attempt_ns > options->give_up_after_ns)) {
		transfer->gave_up = true;
		finish_transfer(transfer);
		return;
	}
	log_retry(transfer, wait_ns);
	wait = timeval_of(wait_ns);
	if (event_add(transfer->timer, &wait) != 0) {
		enqueue(transfer); /* no memory for a timer: better too early than never */
		return;
	}
	transfer->state = TRANSFER_BACKOFF;
	TAILQ_INSERT_TAIL(&transfer->destination->backing_off, transfer, queue);
}

static void on_backoff_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct transfer *transfer = ctx;

	(void)fd;
	(void)events;
	TAILQ_REMOVE(&transfer->destination->backing_off, transfer, queue);
	enqueue(transfer);
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

/* --- the breaker --- */

static enum breaker_result result_of(const struct sink_outcome *outcome)
{
	return outcome->verdict == SINK_RETRY ? BREAKER_FAILURE : BREAKER_SUCCESS;
}

static void log_breaker(const struct destination *destination)
{
	const struct breaker *breaker = &destination->breaker;
	const uint64_t now_ns = clock_boottime_ns();

	if (breaker->state == BREAKER_CLOSED)
		log_notice("breaker-closed", log_str("destination", destination->sink->name),
			   log_num("open_s", (double)(now_ns - breaker->opened_ns) / (double)NS_PER_S),
			   log_uint("waiting", destination->files));
	else
		log_warning("breaker-open", log_str("destination", destination->sink->name),
			    log_uint("failures", breaker->failures), log_str("error", destination->last_error),
			    log_num("wait_s", (double)(breaker->until_ns - now_ns) / (double)NS_PER_S),
			    log_uint("waiting", destination->files));
}

static void note_times(struct destination *destination, bool ok, const char *error)
{
	if (ok) {
		destination->last_success_ns = clock_realtime_ns();
		return;
	}
	report_text_copy(destination->last_error, sizeof(destination->last_error), error);
	destination->last_error_ns = clock_realtime_ns();
}

static void end_attempt(struct destination *destination, bool probe, enum breaker_result result,
			uint64_t retry_after_ns)
{
	if (breaker_end(&destination->breaker, &destination->options->breaker, probe, result, retry_after_ns,
			clock_boottime_ns()))
		log_breaker(destination);
	event_active(destination->start_event, EV_TIMEOUT, 0);
}

/* An attempt of the transfer has ended; `outcome` NULL: it was cut off. */
static void tell_breaker(struct transfer *transfer, enum breaker_result result, const struct sink_outcome *outcome)
{
	if (outcome)
		note_times(transfer->destination, outcome->verdict == SINK_OK, transfer->error);
	else if (result == BREAKER_FAILURE)
		note_times(transfer->destination, false, transfer->error[0] ? transfer->error : TOOK_TOO_LONG);
	end_attempt(transfer->destination, transfer->probe, result, outcome ? outcome->retry_after_ns : 0);
	transfer->probe = false;
}

void destination_note(struct destination *destination, const struct sink_outcome *outcome)
{
	const bool ok = outcome->verdict == SINK_OK;

	note_times(destination, ok, outcome->error);
	end_attempt(destination, false, ok ? BREAKER_SUCCESS : BREAKER_NO_RESULT, 0);
}

/* --- attempts --- */

static void stop(struct transfer *transfer, enum breaker_result result)
{
	struct destination *destination = transfer->destination;
	struct sink_outcome outcome = {0};

	switch (transfer->state) {
	case TRANSFER_WAITING:
		TAILQ_REMOVE(&destination->waiting, transfer, queue);
		break;
	case TRANSFER_RUNNING:
		if (destination->sink->class->cancel(destination->sink, take(transfer->attempt), &outcome)) {
			record_outcome(transfer, &outcome);
			result = outcome.verdict == SINK_OK ? BREAKER_SUCCESS : result;
		} else {
			transfer->copies += outcome.copies;
		}
		assert(transfer->open_streams == 0);
		destination->running--;
		tell_breaker(transfer, result, transfer->ok ? &outcome : NULL);
		break;
	case TRANSFER_BACKOFF:
		TAILQ_REMOVE(&destination->backing_off, transfer, queue);
		event_del(transfer->timer);
		break;
	case TRANSFER_ENDED:
		return;
	}
	end_transfer(transfer);
}

static void abandon(struct transfer *transfer, const char *reason, enum breaker_result result)
{
	struct error why;

	if (transfer->state == TRANSFER_ENDED)
		return;
	stop(transfer, result);
	if (transfer->ok)
		return;
	transfer->gave_up = true;
	if (transfer->error[0])
		error_set(&why, 0, "%s (last error: %s)", reason, transfer->error);
	else
		error_set(&why, 0, "%s", reason);
	report_text_copy(transfer->error, sizeof(transfer->error), why.text);
}

void transfer_stop(struct transfer *transfer)
{
	stop(transfer, BREAKER_NO_RESULT);
}

void transfer_abandon(struct transfer *transfer, const char *reason)
{
	abandon(transfer, reason, BREAKER_NO_RESULT);
}

/* An attempt that goes on and on holds the file's memory as a failing destination does. */
static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
	struct transfer *transfer = ctx;

	(void)fd;
	(void)events;
	if (transfer->state != TRANSFER_RUNNING && transfer->state != TRANSFER_WAITING)
		return;
	abandon(transfer, TOOK_TOO_LONG, BREAKER_FAILURE);
	transfer->ended(transfer->ctx, transfer);
}

static void attempt_done(void *ctx, const struct sink_outcome *outcome)
{
	struct transfer *transfer = ctx;

	assert(transfer->state == TRANSFER_RUNNING && transfer->open_streams == 0);
	transfer->attempt = NULL;
	event_del(transfer->deadline);
	transfer->destination->running--;

	record_outcome(transfer, outcome);
	tell_breaker(transfer, result_of(outcome), outcome);
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
	transfer->attempts++;
	start_clock(transfer);
	transfer->probe = breaker_begin(&transfer->destination->breaker);
	transfer->destination->running++;
	log_debug(sink, "delivery-attempt", log_str("id", transfer->source->id),
		  log_str("file", transfer->source->name), log_str("destination", sink->name),
		  log_uint("attempt", transfer->attempts), log_uint("running", transfer->destination->running));
	transfer->file.copies = transfer->copies;
	transfer->attempt = sink->class->start(sink, &transfer->file, attempt_done, transfer);
	if (transfer->attempt)
		return;
	assert(transfer->open_streams == 0);
	event_del(transfer->deadline);
	transfer->destination->running--;
	report_text_copy(transfer->error, sizeof(transfer->error), COULD_NOT_START);
	tell_breaker(transfer, BREAKER_NO_RESULT, NULL);
	back_off(transfer, 0);
}

void transfer_start(struct transfer *transfer, void (*ended)(void *ctx, struct transfer *transfer), void *ctx)
{
	transfer->ended = ended;
	transfer->ctx = ctx;
	transfer->started = true;
	transfer->destination->files++;
	transfer->destination->bytes += transfer->source->held_bytes;
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
		.copies = source->copies,
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

/* The breaker holds all of them back: those with another destination go there, the others' time runs. */
static void hold_back(struct destination *destination)
{
	const uint64_t now_ns = clock_boottime_ns(), until_ns = destination->breaker.until_ns;
	const struct timeval wait = timeval_of(until_ns > now_ns ? until_ns - now_ns : 0);
	struct transfer *transfer, *following;

	for (transfer = TAILQ_FIRST(&destination->backing_off); transfer; transfer = following) {
		following = TAILQ_NEXT(transfer, queue);
		if (transfer->next) {
			TAILQ_REMOVE(&destination->backing_off, transfer, queue);
			event_del(transfer->timer);
			pass_on(transfer);
		}
	}
	for (transfer = TAILQ_FIRST(&destination->waiting); transfer; transfer = following) {
		following = TAILQ_NEXT(transfer, queue);
		if (transfer->next) {
			TAILQ_REMOVE(&destination->waiting, transfer, queue);
			pass_on(transfer);
			continue;
		}
		start_clock(transfer);
		if (!transfer->error[0])
			report_text_copy(transfer->error, sizeof(transfer->error), destination->last_error);
	}
	if (destination->breaker.state == BREAKER_OPEN && !TAILQ_EMPTY(&destination->waiting))
		(void)event_add(destination->start_event, &wait);
}

static void start_attempts(evutil_socket_t fd, short events, void *ctx)
{
	struct destination *destination = ctx;
	struct transfer *transfer;
	bool allowed;

	(void)fd;
	(void)events;
	while ((allowed = breaker_allows(&destination->breaker, clock_boottime_ns())) &&
	       destination->running < destination->options->parallel && (transfer = TAILQ_FIRST(&destination->waiting)))
		start_attempt(transfer);
	if (!allowed)
		hold_back(destination);
}

int destination_init(struct destination *destination, struct event_base *loop, const struct delivery_options *options,
		     struct sink *sink)
{
	*destination = (struct destination){.options = options, .sink = sink, .retry_log_rate = {.burst = LOG_BURST}};
	TAILQ_INIT(&destination->waiting);
	TAILQ_INIT(&destination->backing_off);
	destination->start_event = event_new(loop, -1, 0, start_attempts, destination);
	return destination->start_event ? 0 : -ENOMEM;
}

void destination_deinit(struct destination *destination)
{
	event_free(destination->start_event);
}
