/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One upload for each destination:
 *
 *     idle → running → ended (the whole file is taken, or it failed)
 *              ↓  ↑
 *            back-off, at byte 0
 *
 * Each has a reader of the bytes, which holds what it has not read. The number of uploads is bounded by the input: the
 * job layer's cap on captures times SINKS_MAX. They do not wait for each other, as transfers do, since packets come
 * whether or not there is an attempt.
 *
 * Results are reported from an event of their own, so that no callback runs inside a caller's call.
 */
#include "sink/stream_delivery.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/growing_bytes.h"
#include "base/log.h"
#include "sink/backoff.h"
#include "sink/report_text.h"

#define COULD_NOT_START "cannot start the attempt: out of memory, or too many are running"
#define UNKNOWN_DESTINATION "no destination has this name"
#define MEMORY_WANTED_TEXT "its first bytes had to make room"

enum upload_state { UPLOAD_IDLE, UPLOAD_RUNNING, UPLOAD_BACKOFF, UPLOAD_ENDED };

struct upload {
	struct stream_delivery *delivery;
	struct sink *sink;
	char *name;
	struct sink_file file;
	enum upload_state state;
	struct growing_reader *reader; /* NULL once it has ended */
	struct sink_attempt *attempt;  /* while running */
	bool open;		       /* the attempt has its stream */
	bool last;		       /* no other attempt follows */
	unsigned attempts;
	uint64_t first_attempt_ns;   /* boot time */
	uint64_t moved_ns, moved_to; /* when the reader last moved, and where to */
	struct event *timer;	     /* while backing off */
	bool ok;
	uint64_t sent_bytes; /* of the last attempt, if it failed */
	uint64_t delivered;
	char url[sizeof(((struct sink_outcome *)0)->url)];
	char error[sizeof(((struct sink_outcome *)0)->error)];
	char warning[sizeof(((struct sink_outcome *)0)->warning)];
};

struct stream_delivery {
	struct deliveries *deliveries;
	const struct delivery_options *options;
	struct stream_file file;
	delivery_done done;
	void *ctx;
	struct event *finish_event;
	struct delivery_result *results; /* filled for `done` */
	size_t unfinished, upload_count;
	struct upload uploads[];
};

/* --- the stream that a sink reads --- */

static size_t read_stream(void *ctx, uint8_t *into, size_t room)
{
	const struct upload *upload = ctx;

	return growing_reader_read(upload->reader, into, room);
}

static bool stream_ended(void *ctx)
{
	const struct upload *upload = ctx;

	return growing_reader_ended(upload->reader);
}

static bool open_stream(void *ctx, struct byte_stream *stream)
{
	struct upload *upload = ctx;

	assert(!upload->open);
	upload->open = true;
	*stream = (struct byte_stream){.size_bytes = BYTE_STREAM_GROWS,
				       .read = read_stream,
				       .ended = stream_ended,
				       .ctx = upload};
	return true;
}

static void close_stream(void *ctx, struct byte_stream *stream)
{
	struct upload *upload = ctx;

	(void)stream;
	assert(upload->open);
	upload->open = false;
}

static bool restarts(void *ctx);

/* --- an upload --- */

static void check_done(const struct stream_delivery *delivery)
{
	if (!delivery->unfinished && growing_bytes_ended(delivery->file.bytes))
		event_active(delivery->finish_event, EV_TIMEOUT, 0);
}

static void finish_upload(struct upload *upload)
{
	upload->state = UPLOAD_ENDED;
	upload->delivered = upload->ok ? growing_reader_position(upload->reader) : upload->sent_bytes;
	growing_reader_free(take(upload->reader));
	upload->delivery->unfinished--;
	check_done(upload->delivery);
}

static void record_outcome(struct upload *upload, const struct sink_outcome *outcome)
{
	upload->ok = outcome->verdict == SINK_OK;
	upload->sent_bytes = outcome->sent_bytes;
	report_text_copy(upload->url, sizeof(upload->url), outcome->url);
	report_text_copy(upload->error, sizeof(upload->error), upload->ok ? "" : outcome->error);
	report_text_copy(upload->warning, sizeof(upload->warning), upload->ok ? outcome->warning : "");
}

static void fail_upload(struct upload *upload, const char *why)
{
	struct error text;

	if (upload->error[0])
		error_set(&text, 0, "%s (last error: %s)", why, upload->error);
	else
		error_set(&text, 0, "%s", why);
	report_text_copy(upload->error, sizeof(upload->error), text.text);
	finish_upload(upload);
}

/* Whether no time or attempt is left after this wait. */
static bool is_over(const struct upload *upload, uint64_t wait_ns)
{
	const struct delivery_options *options = upload->delivery->options;

	return (options->max_attempts && upload->attempts >= options->max_attempts) ||
	       (options->give_up_after_ns &&
		clock_boottime_ns() + wait_ns - upload->first_attempt_ns > options->give_up_after_ns);
}

static bool restarts(void *ctx)
{
	const struct upload *upload = ctx;

	return !upload->last && !is_over(upload, 0) && growing_bytes_has_first(upload->delivery->file.bytes);
}

static void back_off(struct upload *upload, uint64_t retry_after_ns)
{
	const struct delivery_options *options = upload->delivery->options;
	const uint64_t wait_ns =
		backoff_ns(options->first_backoff_ns, options->max_backoff_ns, upload->attempts, retry_after_ns);
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	/* With a url, what was sent is there. */
	if (upload->url[0] || is_over(upload, wait_ns) || !growing_bytes_has_first(upload->delivery->file.bytes)) {
		finish_upload(upload);
		return;
	}
	(void)growing_reader_rewind(upload->reader);
	log_warning("delivery-retry", log_str("id", upload->file.id), log_str("file", upload->file.name),
		    log_str("destination", upload->name), log_uint("attempt", upload->attempts),
		    log_num("wait_s", (double)wait_ns / (double)NS_PER_S), log_str("error", upload->error));
	upload->state = UPLOAD_BACKOFF;
	(void)event_add(upload->timer, &wait);
}

static void attempt_done(void *ctx, const struct sink_outcome *outcome)
{
	struct upload *upload = ctx;

	assert(upload->state == UPLOAD_RUNNING && !upload->open);
	upload->attempt = NULL;
	record_outcome(upload, outcome);
	log_debug(sink, "delivery-attempt-over", log_str("id", upload->file.id), log_str("file", upload->file.name),
		  log_str("destination", upload->name), log_uint("attempt", upload->attempts),
		  log_bool("ok", upload->ok), log_uint("bytes", growing_reader_position(upload->reader)),
		  log_str("error", upload->error));
	if (outcome->verdict == SINK_RETRY)
		back_off(upload, outcome->retry_after_ns);
	else
		finish_upload(upload);
}

static void start_attempt(struct upload *upload)
{
	upload->state = UPLOAD_RUNNING;
	upload->moved_ns = clock_boottime_ns();
	upload->moved_to = 0;
	if (upload->attempts++ == 0)
		upload->first_attempt_ns = upload->moved_ns;
	log_debug(sink, "delivery-attempt", log_str("id", upload->file.id), log_str("file", upload->file.name),
		  log_str("destination", upload->name), log_uint("attempt", upload->attempts), log_bool("grows", true));
	upload->attempt = upload->sink->class->start_growing(upload->sink, &upload->file, attempt_done, upload);
	if (upload->attempt)
		return;
	assert(!upload->open);
	report_text_copy(upload->error, sizeof(upload->error), COULD_NOT_START);
	back_off(upload, 0);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	start_attempt(ctx);
}

/* Ends the upload in any state. If its attempt has already ended, that outcome counts. */
static void cancel_upload(struct upload *upload, const char *why)
{
	struct sink_outcome outcome = {0};

	if (upload->state == UPLOAD_ENDED)
		return;
	upload->last = true;
	if (upload->state == UPLOAD_RUNNING &&
	    upload->sink->class->cancel(upload->sink, take(upload->attempt), &outcome))
		record_outcome(upload, &outcome);
	upload->sent_bytes = outcome.sent_bytes;
	assert(!upload->open);
	(void)event_del(upload->timer);
	if (upload->ok)
		finish_upload(upload);
	else
		fail_upload(upload, why);
}

static bool is_stalled(struct upload *upload, uint64_t now_ns)
{
	const uint64_t limit_ns = upload->delivery->options->give_up_after_ns;
	const uint64_t stall_ns = limit_ns && limit_ns < STREAM_STALL_NS ? limit_ns : STREAM_STALL_NS;
	const uint64_t position = growing_reader_position(upload->reader);

	if (position != upload->moved_to || !growing_reader_unread(upload->reader)) {
		upload->moved_ns = now_ns;
		upload->moved_to = position;
	}
	return now_ns - upload->moved_ns > stall_ns;
}

static void end_stalled(struct upload *upload, uint64_t now_ns)
{
	struct sink_outcome outcome = {0};
	struct error text;

	error_set(&text, 0, "it took no bytes for %.3g s", (double)(now_ns - upload->moved_ns) / NS_PER_S);
	report_text_copy(outcome.error, sizeof(outcome.error), text.text);
	outcome.verdict = SINK_RETRY;
	(void)upload->sink->class->cancel(upload->sink, take(upload->attempt), &outcome);
	attempt_done(upload, &outcome);
}

/* Whether another one has taken bytes that this one keeps in memory. */
static bool holds_up_another(const struct upload *upload)
{
	const struct stream_delivery *delivery = upload->delivery;
	bool found = false;

	for (size_t i = 0; i < delivery->upload_count; i++) {
		const struct upload *other = &delivery->uploads[i];

		found |= other->state == UPLOAD_RUNNING && growing_reader_position(other->reader) > 0;
	}
	return found;
}

/* --- the delivery --- */

static void report(struct stream_delivery *delivery)
{
	for (size_t i = 0; i < delivery->upload_count; i++) {
		const struct upload *upload = &delivery->uploads[i];

		delivery->results[i] = (struct delivery_result){
			.name = upload->name,
			.ok = upload->ok,
			.url = upload->url[0] ? upload->url : NULL,
			.error = upload->error[0] ? upload->error : NULL,
			.warning = upload->warning[0] ? upload->warning : NULL,
			.attempts = upload->attempts,
			.streamed = true,
			.delivered = upload->delivered,
		};
	}
	delivery->done(delivery->ctx, delivery->results, delivery->upload_count);
	stream_delivery_free(delivery);
}

static void on_all_ended(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	report(ctx);
}

static bool has_upload(const struct stream_delivery *delivery, const char *name)
{
	for (size_t i = 0; i < delivery->upload_count; i++)
		if (strcmp(delivery->uploads[i].name, name) == 0)
			return true;
	return false;
}

static int add_upload(struct stream_delivery *delivery, const char *name)
{
	struct upload *upload = &delivery->uploads[delivery->upload_count++];
	const struct stream_file *file = &delivery->file;

	upload->delivery = delivery;
	upload->sink = deliveries_sink(delivery->deliveries, name);
	upload->name = strdup(name);
	upload->timer = evtimer_new(deliveries_loop(delivery->deliveries), on_timer, upload);
	upload->reader = growing_bytes_add_reader(file->bytes);
	upload->file = (struct sink_file){
		.name = file->name,
		.tags = file->tags,
		.comment = file->comment,
		.id = file->id,
		.capture = file->capture,
		.ctx = upload,
		.open = open_stream,
		.close = close_stream,
		.restarts = restarts,
	};
	return upload->name && upload->timer && upload->reader ? 0 : -ENOMEM;
}

static int add_uploads(struct stream_delivery *delivery, char *const *destinations, size_t count)
{
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_destination_names(delivery->deliveries, names);
	int r = 0;

	for (size_t i = 0; r == 0 && destinations && i < count; i++)
		if (!has_upload(delivery, destinations[i]))
			r = add_upload(delivery, destinations[i]);
	for (size_t i = 0; r == 0 && !destinations && i < name_count; i++)
		if (deliveries_is_enabled(delivery->deliveries, names[i]))
			r = add_upload(delivery, names[i]);
	return r;
}

struct stream_delivery *stream_delivery_new(struct deliveries *deliveries, const struct stream_file *file,
					    char *const *destinations, size_t destination_count, delivery_done done,
					    void *ctx)
{
	const size_t count = destinations ? destination_count : SINKS_MAX;
	cleanup(cleanup_stream_delivery) struct stream_delivery *delivery =
		calloc(1, sizeof(*delivery) + count * sizeof(struct upload));

	if (!delivery)
		return NULL;
	delivery->deliveries = deliveries;
	delivery->options = deliveries_options(deliveries);
	delivery->file = *file;
	delivery->done = done;
	delivery->ctx = ctx;
	delivery->results = calloc(count + 1, sizeof(*delivery->results));
	delivery->finish_event = event_new(deliveries_loop(deliveries), -1, 0, on_all_ended, delivery);
	if (!delivery->results || !delivery->finish_event || add_uploads(delivery, destinations, destination_count) < 0)
		return NULL;
	delivery->unfinished = delivery->upload_count;
	return take(delivery);
}

void stream_delivery_free(struct stream_delivery *delivery)
{
	if (!delivery)
		return;
	for (size_t i = 0; i < delivery->upload_count; i++) {
		struct upload *upload = &delivery->uploads[i];
		struct sink_outcome ignored;

		if (upload->state == UPLOAD_RUNNING)
			(void)upload->sink->class->cancel(upload->sink, upload->attempt, &ignored);
		if (upload->timer)
			event_free(upload->timer);
		growing_reader_free(upload->reader);
		free(upload->name);
	}
	if (delivery->finish_event)
		event_free(delivery->finish_event);
	free(delivery->results);
	free(delivery);
}

void stream_delivery_more(struct stream_delivery *delivery)
{
	for (size_t i = 0; i < delivery->upload_count; i++) {
		struct upload *upload = &delivery->uploads[i];

		if (upload->state == UPLOAD_IDLE && upload->sink)
			start_attempt(upload);
		else if (upload->state == UPLOAD_IDLE)
			fail_upload(upload, UNKNOWN_DESTINATION);
		else if (upload->state == UPLOAD_RUNNING)
			upload->sink->class->more(upload->sink, upload->attempt);
	}
	check_done(delivery);
}

void stream_delivery_check(struct stream_delivery *delivery, bool memory_spent)
{
	const uint64_t now_ns = clock_boottime_ns();

	for (size_t i = 0; i < delivery->upload_count; i++) {
		struct upload *upload = &delivery->uploads[i];

		if (upload->state == UPLOAD_RUNNING && is_stalled(upload, now_ns))
			end_stalled(upload, now_ns);
		else if (upload->state == UPLOAD_RUNNING)
			upload->sink->class->more(upload->sink, upload->attempt); /* it may have had no room */
		else if (upload->state == UPLOAD_BACKOFF && memory_spent && holds_up_another(upload))
			cancel_upload(upload, MEMORY_WANTED_TEXT);
	}
}

bool stream_delivery_is_hopeless(const struct stream_delivery *delivery)
{
	return delivery->upload_count && !delivery->unfinished;
}

uint64_t stream_delivery_delivered(const struct stream_delivery *delivery)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < delivery->upload_count; i++) {
		const struct upload *upload = &delivery->uploads[i];
		const uint64_t delivered = upload->reader ? growing_reader_position(upload->reader) : upload->delivered;

		if ((upload->reader || upload->ok) && delivered < least)
			least = delivered;
	}
	return least == UINT64_MAX ? 0 : least;
}

void stream_delivery_abandon(struct stream_delivery *delivery, const char *error)
{
	for (size_t i = 0; i < delivery->upload_count; i++)
		cancel_upload(&delivery->uploads[i], error);
	event_del(delivery->finish_event);
	report(delivery);
}
