/*
 * Delivery: one finished file goes to all its destinations at once. Each (file, destination) pair is a "leg" with a
 * life of its own:
 *
 *     waiting → running → ended (taken, or finally refused)
 *        ↑         ↓
 *        └──── back-off
 *
 * A destination runs at most `parallel` tries at a time; the other legs wait in the order in which they became ready.
 * Only a running try holds a stream of the file. Back-off is exponential with full jitter (random between 0 and the
 * ceiling), so that many daemons do not come back to a restarted server at the same moment; a Retry-After is a floor
 * below the jitter, itself capped (backoff.h).
 *
 * Tries are started and results are handed out from events of their own, never from inside a caller's or a sink's call:
 * nobody is called back while he calls. The number of legs is bounded by what comes in: the job layer's cap on captures
 * times SINKS_MAX.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "sink/backoff.h"
#include "sink/report_text.h"
#include "sink/sink.h"

#define DEFAULT_FIRST_BACKOFF_NS NS_PER_S
#define DEFAULT_MAX_BACKOFF_NS (60 * NS_PER_S)
#define DEFAULT_MAX_ATTEMPTS 8
#define DEFAULT_PARALLEL 8
#define LOG_BURST 10 /* "delivery-retry" lines a second and destination */

#define COULD_NOT_START "the try could not be started: out of memory, or too many are under way"
#define UNKNOWN_DESTINATION "there is no destination of this name"

enum leg_state { LEG_WAITING, LEG_RUNNING, LEG_BACKOFF, LEG_ENDED };

struct leg {
	struct delivery *delivery;
	struct destination *destination; /* NULL: the name is unknown */
	char *unknown_name;		 /* then the name */
	enum leg_state state;
	unsigned attempts;
	uint64_t first_try_ns;	      /* boot time */
	struct sink_attempt *attempt; /* while running */
	unsigned streams;	      /* the try's open streams */
	struct event *timer;	      /* while backing off */
	TAILQ_ENTRY(leg) queue;	      /* while waiting */
	bool ok;
	char url[sizeof(((struct sink_outcome *)0)->url)];
	char error[sizeof(((struct sink_outcome *)0)->error)];
	struct sink_file file; /* what the sink sees: the caller's file with counted streams */
};

struct destination {
	struct deliveries *deliveries;
	struct sink *sink;
	unsigned running;
	TAILQ_HEAD(, leg) waiting;
	struct event *start; /* starts tries while there is room */
	struct log_rate log_rate;
};

struct delivery {
	struct deliveries *deliveries;
	LIST_ENTRY(delivery) list;
	const struct sink_file *file;
	delivery_done done;
	void *ctx;
	struct event *finish;
	struct delivery_result *results; /* filled for `done` */
	size_t unfinished;
	size_t leg_count;
	struct leg legs[];
};

struct deliveries {
	struct event_base *loop;
	struct delivery_options options;
	LIST_HEAD(, delivery) deliveries;
	size_t destination_count;
	struct destination destinations[SINKS_MAX];
};

/* --- a leg ------------------------------------------------------------------------------------------------------- */

static bool leg_stream_open(void *ctx, struct byte_stream *stream)
{
	struct leg *leg = ctx;
	const struct sink_file *file = leg->delivery->file;

	assert(leg->streams == 0);
	if (!file->open(file->ctx, stream))
		return false;
	leg->streams++;
	return true;
}

static void leg_stream_close(void *ctx, struct byte_stream *stream)
{
	struct leg *leg = ctx;
	const struct sink_file *file = leg->delivery->file;

	assert(leg->streams == 1);
	leg->streams--;
	file->close(file->ctx, stream);
}

static void leg_wait(struct leg *leg)
{
	leg->state = LEG_WAITING;
	TAILQ_INSERT_TAIL(&leg->destination->waiting, leg, queue);
	event_active(leg->destination->start, EV_TIMEOUT, 0);
}

static void leg_end(struct leg *leg)
{
	struct delivery *delivery = leg->delivery;

	leg->state = LEG_ENDED;
	if (--delivery->unfinished == 0)
		event_active(delivery->finish, EV_TIMEOUT, 0);
}

static void log_retry(struct leg *leg, uint64_t wait_ns)
{
	uint64_t suppressed = 0;

	if (!log_rate_allow(&leg->destination->log_rate, &suppressed))
		return;
	log_warning("delivery-retry", log_str("id", leg->delivery->file->id),
		    log_str("file", leg->delivery->file->name), log_str("destination", leg->destination->sink->name),
		    log_uint("attempt", leg->attempts), log_num("wait_s", (double)wait_ns / (double)NS_PER_S),
		    log_str("error", leg->error), log_uint("suppressed", suppressed));
}

static void leg_back_off(struct leg *leg, uint64_t retry_after_ns)
{
	const struct delivery_options *options = &leg->delivery->deliveries->options;
	uint64_t wait_ns;
	struct timeval wait;

	wait_ns = backoff_ns(options->first_backoff_ns, options->max_backoff_ns, leg->attempts, retry_after_ns);
	if ((options->max_attempts && leg->attempts >= options->max_attempts) ||
	    (options->give_up_ns && clock_boottime_ns() + wait_ns - leg->first_try_ns > options->give_up_ns)) {
		leg_end(leg);
		return;
	}
	log_retry(leg, wait_ns);
	wait.tv_sec = (time_t)(wait_ns / NS_PER_S);
	wait.tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000);
	leg->state = LEG_BACKOFF;
	if (event_add(leg->timer, &wait) != 0)
		leg_wait(leg); /* no memory for a timer: rather too early than never */
}

static void leg_backoff_over(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	leg_wait(ctx);
}

static void leg_note(struct leg *leg, const struct sink_outcome *outcome)
{
	leg->ok = outcome->verdict == SINK_OK;
	report_text_put(leg->url, sizeof(leg->url), outcome->url);
	report_text_put(leg->error, sizeof(leg->error), leg->ok ? "" : outcome->error);
}

static void leg_attempt_done(void *ctx, const struct sink_outcome *outcome)
{
	struct leg *leg = ctx;

	assert(leg->state == LEG_RUNNING && leg->streams == 0);
	leg->attempt = NULL;
	leg->destination->running--;
	event_active(leg->destination->start, EV_TIMEOUT, 0);

	leg_note(leg, outcome);
	if (outcome->verdict == SINK_RETRY)
		leg_back_off(leg, outcome->retry_after_ns);
	else
		leg_end(leg);
}

static void leg_start(struct leg *leg)
{
	struct sink *sink = leg->destination->sink;

	TAILQ_REMOVE(&leg->destination->waiting, leg, queue);
	leg->state = LEG_RUNNING;
	if (leg->attempts++ == 0)
		leg->first_try_ns = clock_boottime_ns();
	leg->destination->running++;
	leg->attempt = sink->class->start(sink, &leg->file, leg_attempt_done, leg);
	if (leg->attempt)
		return;
	assert(leg->streams == 0);
	leg->destination->running--;
	report_text_put(leg->error, sizeof(leg->error), COULD_NOT_START);
	leg_back_off(leg, 0);
}

/* Whatever the leg is doing, it does it no more. What its try has come to meanwhile counts. */
static void leg_stop(struct leg *leg)
{
	struct destination *destination = leg->destination;
	struct sink_outcome outcome = {};

	switch (leg->state) {
	case LEG_WAITING:
		TAILQ_REMOVE(&destination->waiting, leg, queue);
		break;
	case LEG_RUNNING:
		if (destination->sink->class->cancel(destination->sink, take(leg->attempt), &outcome))
			leg_note(leg, &outcome);
		assert(leg->streams == 0);
		destination->running--;
		event_active(destination->start, EV_TIMEOUT, 0);
		break;
	case LEG_BACKOFF:
		event_del(leg->timer);
		break;
	case LEG_ENDED:
		break;
	}
	leg->state = LEG_ENDED;
}

static void leg_deinit(struct leg *leg)
{
	free(leg->unknown_name);
	if (leg->timer)
		event_free(leg->timer);
}

static int leg_init(struct leg *leg, struct delivery *delivery, struct destination *destination, const char *name)
{
	leg->delivery = delivery;
	leg->destination = destination;
	leg->state = LEG_ENDED;
	if (!destination) {
		report_text_put(leg->error, sizeof(leg->error), UNKNOWN_DESTINATION);
		leg->unknown_name = strdup(name);
		return leg->unknown_name ? 0 : -ENOMEM;
	}
	leg->file = *delivery->file;
	leg->file.ctx = leg;
	leg->file.open = leg_stream_open;
	leg->file.close = leg_stream_close;
	leg->timer = evtimer_new(delivery->deliveries->loop, leg_backoff_over, leg);
	return leg->timer ? 0 : -ENOMEM;
}

/* --- a delivery -------------------------------------------------------------------------------------------------- */

static void delivery_free(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->leg_count; i++)
		leg_deinit(&delivery->legs[i]);
	if (delivery->finish)
		event_free(delivery->finish);
	free(delivery->results);
	free(delivery);
}

CLEANUP_DEFINE(delivery, struct delivery, delivery_free)

/* Hands out the results and forgets the delivery. After `done` nothing is touched but the delivery itself, so `done`
 * may start deliveries, and free them all. */
static void delivery_report(struct delivery *delivery)
{
	LIST_REMOVE(delivery, list);
	for (size_t i = 0; i < delivery->leg_count; i++) {
		const struct leg *leg = &delivery->legs[i];

		delivery->results[i] = (struct delivery_result){
			.name = leg->destination ? leg->destination->sink->name : leg->unknown_name,
			.ok = leg->ok,
			.url = leg->url[0] ? leg->url : NULL,
			.error = leg->error[0] ? leg->error : NULL,
			.attempts = leg->attempts,
		};
	}
	delivery->done(delivery->ctx, delivery->results, delivery->leg_count);
	delivery_free(delivery);
}

static void delivery_finish(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	delivery_report(ctx);
}

static struct destination *find_destination(struct deliveries *deliveries, const char *name)
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		if (strcmp(deliveries->destinations[i].sink->name, name) == 0)
			return &deliveries->destinations[i];
	return NULL;
}

static bool has_leg(const struct delivery *delivery, const struct destination *destination)
{
	for (size_t i = 0; i < delivery->leg_count; i++)
		if (delivery->legs[i].destination == destination)
			return true;
	return false;
}

/* `names` NULL: all destinations but those on request. A name given twice is one destination. */
static int delivery_add_legs(struct delivery *delivery, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct destination *destination = names ? find_destination(delivery->deliveries, names[i])
							: &delivery->deliveries->destinations[i];
		int r;

		if (destination && (has_leg(delivery, destination) || (!names && destination->sink->on_request)))
			continue;
		r = leg_init(&delivery->legs[delivery->leg_count], delivery, destination, names ? names[i] : NULL);
		delivery->leg_count++;
		if (r < 0)
			return r;
	}
	return 0;
}

struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file, char *const *destinations,
				size_t destination_count, delivery_done done, void *ctx)
{
	size_t count = destinations ? destination_count : deliveries->destination_count;
	cleanup(cleanup_delivery) struct delivery *delivery = NULL;
	size_t legs_size, size;

	if (__builtin_mul_overflow(count, sizeof(struct leg), &legs_size) ||
	    __builtin_add_overflow(sizeof(*delivery), legs_size, &size))
		return NULL;
	delivery = calloc(1, size);
	if (!delivery)
		return NULL;
	delivery->deliveries = deliveries;
	delivery->file = file;
	delivery->done = done;
	delivery->ctx = ctx;
	delivery->results = calloc(count ? count : 1, sizeof(*delivery->results));
	delivery->finish = event_new(deliveries->loop, -1, 0, delivery_finish, delivery);
	if (!delivery->results || !delivery->finish || delivery_add_legs(delivery, destinations, count) < 0)
		return NULL;

	LIST_INSERT_HEAD(&deliveries->deliveries, delivery, list);
	for (size_t i = 0; i < delivery->leg_count; i++) {
		if (!delivery->legs[i].destination)
			continue;
		delivery->unfinished++;
		leg_wait(&delivery->legs[i]);
	}
	if (delivery->unfinished == 0)
		event_active(delivery->finish, EV_TIMEOUT, 0);
	return take(delivery);
}

void delivery_abandon(struct delivery *delivery, const char *error)
{
	for (size_t i = 0; i < delivery->leg_count; i++) {
		struct leg *leg = &delivery->legs[i];
		struct error why;

		if (leg->state == LEG_ENDED)
			continue;
		leg_stop(leg);
		if (leg->ok)
			continue;
		if (leg->error[0])
			error_set(&why, 0, "%s (the last try: %s)", error, leg->error);
		else
			error_set(&why, 0, "%s", error);
		report_text_put(leg->error, sizeof(leg->error), why.text);
	}
	delivery_report(delivery);
}

/* --- all deliveries ---------------------------------------------------------------------------------------------- */

static void destination_start_tries(evutil_socket_t fd, short events, void *ctx)
{
	struct destination *destination = ctx;
	struct leg *leg;

	(void)fd;
	(void)events;
	while (destination->running < destination->deliveries->options.parallel &&
	       (leg = TAILQ_FIRST(&destination->waiting)))
		leg_start(leg);
}

static struct delivery_options with_defaults(const struct delivery_options *options)
{
	struct delivery_options full = *options;

	if (full.first_backoff_ns == 0)
		full.first_backoff_ns = DEFAULT_FIRST_BACKOFF_NS;
	if (full.max_backoff_ns == 0)
		full.max_backoff_ns = DEFAULT_MAX_BACKOFF_NS;
	if (full.max_attempts == 0 && full.give_up_ns == 0)
		full.max_attempts = DEFAULT_MAX_ATTEMPTS;
	if (full.parallel == 0)
		full.parallel = DEFAULT_PARALLEL;
	return full;
}

static void free_destinations(struct deliveries *deliveries)
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		event_free(deliveries->destinations[i].start);
	free(deliveries);
}

struct deliveries *deliveries_new(struct event_base *loop, const struct delivery_options *options, struct sink **sinks,
				  size_t count)
{
	struct deliveries *deliveries;

	if (count > SINKS_MAX)
		return NULL;
	deliveries = calloc(1, sizeof(*deliveries));
	if (!deliveries)
		return NULL;
	deliveries->loop = loop;
	deliveries->options = with_defaults(options);
	LIST_INIT(&deliveries->deliveries);
	for (size_t i = 0; i < count; i++) {
		struct destination *destination = &deliveries->destinations[i];

		destination->deliveries = deliveries;
		destination->sink = sinks[i];
		destination->log_rate.burst = LOG_BURST;
		TAILQ_INIT(&destination->waiting);
		destination->start = event_new(loop, -1, 0, destination_start_tries, destination);
		if (!destination->start) {
			free_destinations(deliveries);
			return NULL;
		}
		deliveries->destination_count++;
	}
	return deliveries;
}

void deliveries_free(struct deliveries *deliveries)
{
	struct delivery *delivery;

	if (!deliveries)
		return;
	while ((delivery = LIST_FIRST(&deliveries->deliveries))) {
		LIST_REMOVE(delivery, list);
		for (size_t i = 0; i < delivery->leg_count; i++)
			leg_stop(&delivery->legs[i]);
		delivery_free(delivery);
	}
	for (size_t i = 0; i < deliveries->destination_count; i++) {
		struct sink *sink = deliveries->destinations[i].sink;

		sink->class->free(sink);
	}
	free_destinations(deliveries);
}

size_t deliveries_names(const struct deliveries *deliveries, const char *names[SINKS_MAX])
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		names[i] = deliveries->destinations[i].sink->name;
	return deliveries->destination_count;
}
