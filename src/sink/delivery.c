/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery takes one finished file to all its destinations at once, by one transfer each (transfer.h); the last
 * transfer to end ends the delivery.
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

/* Reports the results and frees the delivery. After `done` only the delivery itself is touched, so `done` may start
 * deliveries, and free all of them. */
static void delivery_report(struct delivery *delivery)
{
	LIST_REMOVE(delivery, list);
	for (size_t i = 0; i < delivery->transfer_count; i++) {
		const struct transfer *transfer = &delivery->transfers[i];

		delivery->results[i] = (struct delivery_result){
			.name = transfer->name,
			.ok = transfer->ok,
			.url = transfer->url[0] ? transfer->url : NULL,
			.error = transfer->error[0] ? transfer->error : NULL,
			.warning = transfer->warning[0] ? transfer->warning : NULL,
			.attempts = transfer->attempts,
		};
	}
	delivery->done(delivery->ctx, delivery->results, delivery->transfer_count);
	delivery_free(delivery);
}

static void transfer_ended(void *ctx)
{
	struct delivery *delivery = ctx;

	if (--delivery->unfinished == 0)
		event_active(delivery->finish_event, EV_TIMEOUT, 0);
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

/* `names` NULL: all destinations except those on request. A repeated name counts once. */
static int delivery_add_transfers(struct delivery *delivery, char *const *names, size_t count)
{
	struct deliveries *deliveries = delivery->deliveries;

	for (size_t i = 0; i < count; i++) {
		struct destination *destination =
			names ? find_destination(deliveries, names[i]) : &deliveries->destinations[i];
		int r;

		if (destination && (has_transfer(delivery, destination) || (!names && destination->sink->on_request)))
			continue;
		r = transfer_init(&delivery->transfers[delivery->transfer_count++], deliveries->loop, destination,
				  names ? names[i] : destination->sink->name, delivery->file);
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
	size_t transfers_size, size;

	if (__builtin_mul_overflow(count, sizeof(struct transfer), &transfers_size) ||
	    __builtin_add_overflow(sizeof(*delivery), transfers_size, &size))
		return NULL;
	delivery = calloc(1, size);
	if (!delivery)
		return NULL;
	delivery->deliveries = deliveries;
	delivery->file = file;
	delivery->done = done;
	delivery->ctx = ctx;
	delivery->results = calloc(count ? count : 1, sizeof(*delivery->results));
	delivery->finish_event = event_new(deliveries->loop, -1, 0, on_all_ended, delivery);
	if (!delivery->results || !delivery->finish_event || delivery_add_transfers(delivery, destinations, count) < 0)
		return NULL;

	LIST_INSERT_HEAD(&deliveries->deliveries, delivery, list);
	for (size_t i = 0; i < delivery->transfer_count; i++) {
		if (!delivery->transfers[i].destination)
			continue;
		delivery->unfinished++;
		transfer_start(&delivery->transfers[i], transfer_ended, delivery);
	}
	if (delivery->unfinished == 0)
		event_active(delivery->finish_event, EV_TIMEOUT, 0);
	return take(delivery);
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

bool deliveries_is_enabled(const struct deliveries *deliveries, const char *name)
{
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
