/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery takes one finished file to all its destinations at once, by one transfer each (transfer.h); the last
 * transfer to end ends the delivery. Those of first_of are a chain: each starts when the one before has failed.
 *
 * Results are reported from an event of their own, so that no callback runs inside a caller's call. The number of
 * transfers is bounded by the input: the job layer's cap on captures times SINKS_MAX.
 */
#include "sink/delivery.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "sink/transfer.h"

#define DEFAULT_FIRST_BACKOFF_NS NS_PER_S
#define DEFAULT_MAX_BACKOFF_NS (60 * NS_PER_S)
#define DEFAULT_MAX_ATTEMPTS 8
#define DEFAULT_PARALLEL 8
#define DEFAULT_COPY_WAIT_NS (60 * NS_PER_S)
#define DEFAULT_BREAKER_WAIT_NS (5 * NS_PER_S)

struct delivery {
	struct deliveries *deliveries;
	LIST_ENTRY(delivery) list;
	const struct sink_file *file;
	delivery_done done;
	void *ctx;
	struct event *finish_event;
	struct delivery_result *results; /* filled for `done` */
	size_t unfinished;
	size_t transfer_count;
	size_t chain; /* from this transfer on, each starts if the one before failed */
	struct transfer transfers[];
};

struct deliveries {
	struct event_base *loop;
	struct delivery_options options;
	LIST_HEAD(, delivery) deliveries;
	size_t destination_count;
	struct destination destinations[SINKS_MAX];
};

/* --- a delivery --- */

static void delivery_free(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->transfer_count; i++)
		transfer_deinit(&delivery->transfers[i]);
	if (delivery->finish_event)
		event_free(delivery->finish_event);
	free(delivery->results);
	free(delivery);
}

CLEANUP_DEFINE(delivery, struct delivery, delivery_free)

/* One that no destination has the name of counts. */
static bool was_tried(const struct transfer *transfer)
{
	return transfer->started || !transfer->destination;
}

/* Reports the results and frees the delivery. After `done` only the delivery itself is touched, so `done` may start
 * deliveries, and free all of them. */
static void delivery_report(struct delivery *delivery)
{
	size_t count = 0;

	LIST_REMOVE(delivery, list);
	for (size_t i = 0; i < delivery->transfer_count; i++) {
		const struct transfer *transfer = &delivery->transfers[i];

		if (!was_tried(transfer))
			continue;
		delivery->results[count++] = (struct delivery_result){
			.name = transfer->name,
			.ok = transfer->ok,
			.url = transfer->url[0] ? transfer->url : NULL,
			.error = transfer->error[0] ? transfer->error : NULL,
			.warning = transfer->warning[0] ? transfer->warning : NULL,
			.attempts = transfer->attempts,
			.copies = transfer->copies,
			.gave_up = !transfer->ok && transfer->gave_up,
			.superseded = transfer->next && !transfer->ok && was_tried(transfer->next),
		};
	}
	delivery->done(delivery->ctx, delivery->results, count);
	delivery_free(delivery);
}

static bool start_first(struct delivery *delivery, struct transfer *transfer);

static void transfer_ended(void *ctx, struct transfer *transfer)
{
	struct delivery *delivery = ctx;

	if (!transfer->ok && transfer->next && start_first(delivery, transfer->next))
		return;
	if (--delivery->unfinished == 0)
		event_active(delivery->finish_event, EV_TIMEOUT, 0);
}

/* Starts the transfer, or the first one after it that has a destination. False: none has. */
static bool start_first(struct delivery *delivery, struct transfer *transfer)
{
	while (transfer && !transfer->destination)
		transfer = transfer->next;
	if (transfer)
		transfer_start(transfer, transfer_ended, delivery);
	return transfer;
}

static void on_all_ended(evutil_socket_t fd, short events, void *ctx)
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

static bool has_transfer(const struct delivery *delivery, const struct destination *destination)
{
	for (size_t i = 0; i < delivery->transfer_count; i++)
		if (delivery->transfers[i].destination == destination)
			return true;
	return false;
}

static bool is_listed(const char *name, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* A destination that has a transfer already gets no second one. */
static int add_transfer(struct delivery *delivery, struct destination *destination, const char *name)
{
	if (destination && has_transfer(delivery, destination))
		return 0;
	return transfer_init(&delivery->transfers[delivery->transfer_count++], delivery->deliveries->loop, destination,
			     name, delivery->file);
}

/* All destinations except those on request and those of first_of. */
static int add_enabled(struct delivery *delivery, const struct delivery_targets *defaults)
{
	struct deliveries *deliveries = delivery->deliveries;
	int r = 0;

	for (size_t i = 0; r == 0 && i < deliveries->destination_count; i++) {
		struct destination *destination = &deliveries->destinations[i];

		if (!destination->sink->on_request &&
		    !is_listed(destination->sink->name, defaults->first_of, defaults->first_of_count))
			r = add_transfer(delivery, destination, destination->sink->name);
	}
	return r;
}

static int add_named(struct delivery *delivery, char *const *names, size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_transfer(delivery, find_destination(delivery->deliveries, names[i]), names[i]);
	return r;
}

static int add_transfers(struct delivery *delivery, const struct delivery_targets *targets)
{
	const struct delivery_targets *chain = targets ? targets : &delivery->deliveries->options.defaults;
	int r = targets ? add_named(delivery, targets->all, targets->all_count) : add_enabled(delivery, chain);

	delivery->chain = delivery->transfer_count;
	if (r == 0)
		r = add_named(delivery, chain->first_of, chain->first_of_count);
	for (size_t i = delivery->chain; i + 1 < delivery->transfer_count; i++)
		delivery->transfers[i].next = &delivery->transfers[i + 1];
	return r;
}

static void start_transfers(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->transfer_count && i <= delivery->chain; i++)
		delivery->unfinished += start_first(delivery, &delivery->transfers[i]);
	if (delivery->unfinished == 0)
		event_active(delivery->finish_event, EV_TIMEOUT, 0);
}

struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file,
				const struct delivery_targets *targets, delivery_done done, void *ctx)
{
	const size_t named = targets ? targets->all_count + targets->first_of_count
				     : deliveries->destination_count + deliveries->options.defaults.first_of_count;
	cleanup(cleanup_delivery) struct delivery *delivery = NULL;
	size_t transfers_size, size;

	if (__builtin_mul_overflow(named, sizeof(struct transfer), &transfers_size) ||
	    __builtin_add_overflow(sizeof(*delivery), transfers_size, &size))
		return NULL;
	delivery = calloc(1, size);
	if (!delivery)
		return NULL;
	delivery->deliveries = deliveries;
	delivery->file = file;
	delivery->done = done;
	delivery->ctx = ctx;
	delivery->results = calloc(named ? named : 1, sizeof(*delivery->results));
	delivery->finish_event = event_new(deliveries->loop, -1, 0, on_all_ended, delivery);
	if (!delivery->results || !delivery->finish_event || add_transfers(delivery, targets) < 0)
		return NULL;

	LIST_INSERT_HEAD(&deliveries->deliveries, delivery, list);
	start_transfers(delivery);
	return take(delivery);
}

void delivery_try_once(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->transfer_count; i++)
		delivery->transfers[i].once = true;
}

void delivery_abandon(struct delivery *delivery, const char *error)
{
	for (size_t i = 0; i < delivery->transfer_count; i++)
		transfer_abandon(&delivery->transfers[i], error);
	delivery_report(delivery);
}

/* --- all deliveries --- */

static struct delivery_options fill_defaults(const struct delivery_options *options)
{
	struct delivery_options filled = *options;

	if (filled.first_backoff_ns == 0)
		filled.first_backoff_ns = DEFAULT_FIRST_BACKOFF_NS;
	if (filled.max_backoff_ns == 0)
		filled.max_backoff_ns = DEFAULT_MAX_BACKOFF_NS;
	if (filled.max_attempts == 0 && filled.give_up_after_ns == 0)
		filled.max_attempts = DEFAULT_MAX_ATTEMPTS;
	if (filled.copy_wait_ns == 0)
		filled.copy_wait_ns = DEFAULT_COPY_WAIT_NS;
	if (filled.breaker.first_wait_ns == 0)
		filled.breaker.first_wait_ns = DEFAULT_BREAKER_WAIT_NS;
	if (filled.breaker.max_wait_ns == 0)
		filled.breaker.max_wait_ns = filled.max_backoff_ns;
	if (filled.parallel == 0)
		filled.parallel = DEFAULT_PARALLEL;
	return filled;
}

static void free_destinations(struct deliveries *deliveries)
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		destination_deinit(&deliveries->destinations[i]);
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
	deliveries->options = fill_defaults(options);
	LIST_INIT(&deliveries->deliveries);
	for (size_t i = 0; i < count; i++) {
		if (destination_init(&deliveries->destinations[i], loop, &deliveries->options, sinks[i]) < 0) {
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
		for (size_t i = 0; i < delivery->transfer_count; i++)
			transfer_stop(&delivery->transfers[i]);
		delivery_free(delivery);
	}
	for (size_t i = 0; i < deliveries->destination_count; i++) {
		struct sink *sink = deliveries->destinations[i].sink;

		sink->class->free(sink);
	}
	free_destinations(deliveries);
}

size_t deliveries_destination_names(const struct deliveries *deliveries, const char *names[SINKS_MAX])
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		names[i] = deliveries->destinations[i].sink->name;
	return deliveries->destination_count;
}

struct destination *deliveries_at(struct deliveries *deliveries, size_t index)
{
	return index < deliveries->destination_count ? &deliveries->destinations[index] : NULL;
}

struct sink *deliveries_sink(const struct deliveries *deliveries, const char *name)
{
	for (size_t i = 0; i < deliveries->destination_count; i++)
		if (strcmp(deliveries->destinations[i].sink->name, name) == 0)
			return deliveries->destinations[i].sink;
	return NULL;
}

const struct delivery_options *deliveries_options(const struct deliveries *deliveries)
{
	return &deliveries->options;
}

struct event_base *deliveries_loop(const struct deliveries *deliveries)
{
	return deliveries->loop;
}

bool deliveries_is_enabled(const struct deliveries *deliveries, const char *name)
{
	const struct delivery_targets *defaults = &deliveries->options.defaults;

	if (is_listed(name, defaults->first_of, defaults->first_of_count))
		return true;
	for (size_t i = 0; i < deliveries->destination_count; i++)
		if (strcmp(deliveries->destinations[i].sink->name, name) == 0)
			return !deliveries->destinations[i].sink->on_request;
	return false;
}

bool deliveries_are_busy(const struct deliveries *deliveries)
{
	for (size_t i = 0; i < deliveries->destination_count; i++) {
		const struct sink *sink = deliveries->destinations[i].sink;

		if (sink->class->is_busy && sink->class->is_busy(sink))
			return true;
	}
	return false;
}

size_t deliveries_status(const struct deliveries *deliveries, struct destination_status status[SINKS_MAX])
{
	const uint64_t now_ns = clock_boottime_ns();

	for (size_t i = 0; i < deliveries->destination_count; i++) {
		const struct destination *destination = &deliveries->destinations[i];
		const struct sink *sink = destination->sink;
		const struct breaker *breaker = &destination->breaker;
		const bool waits = breaker->state == BREAKER_OPEN && breaker->until_ns > now_ns;

		status[i] = (struct destination_status){
			.name = sink->name,
			.type = sink->type ? sink->type : "",
			.address = sink->class->address ? sink->class->address(sink) : "",
			.enabled = deliveries_is_enabled(deliveries, sink->name),
			.breaker = breaker->state,
			.breaker_wait_ns = waits ? breaker->until_ns - now_ns : 0,
			.breaker_openings = breaker->open_count,
			.running = destination->running,
			.waiting_files = destination->files,
			.waiting_bytes = destination->bytes,
			.last_error = destination->last_error,
			.last_error_ns = destination->last_error_ns,
			.last_success_ns = destination->last_success_ns,
		};
	}
	return deliveries->destination_count;
}
