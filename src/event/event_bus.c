/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscribers, called in the order they subscribed. From its callback a subscriber may subscribe, unsubscribe (itself
 * or another) and publish: during a publication slots are only emptied, and gaps are closed afterwards. A subscriber
 * added meanwhile gets the next event, not the current one.
 */
#include "event/event_bus.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "event/event_gate.h"

struct event_bus {
	struct {
		event_subscriber call; /* NULL: empty */
		void *ctx;
	} subscribers[EVENT_SUBSCRIBERS_MAX];
	size_t count;
	unsigned publishing; /* nested calls */
	bool has_gaps;
	struct event_gate *gate; /* NULL: none */
};

struct event_bus *event_bus_new(void)
{
	return calloc(1, sizeof(struct event_bus));
}

void event_bus_free(struct event_bus *bus)
{
	free(bus);
}

static void close_gaps(struct event_bus *bus)
{
	size_t kept = 0;

	if (!bus->has_gaps || bus->publishing > 0)
		return;
	for (size_t i = 0; i < bus->count; i++)
		if (bus->subscribers[i].call)
			bus->subscribers[kept++] = bus->subscribers[i];
	bus->count = kept;
	bus->has_gaps = false;
}

int event_bus_subscribe(struct event_bus *bus, event_subscriber subscriber, void *ctx)
{
	if (bus->count == EVENT_SUBSCRIBERS_MAX)
		return -ENOSPC;
	bus->subscribers[bus->count].call = subscriber;
	bus->subscribers[bus->count].ctx = ctx;
	bus->count++;
	return 0;
}

void event_bus_unsubscribe(struct event_bus *bus, event_subscriber subscriber, void *ctx)
{
	for (size_t i = 0; i < bus->count; i++) {
		if (bus->subscribers[i].call != subscriber || bus->subscribers[i].ctx != ctx)
			continue;
		bus->subscribers[i].call = NULL;
		bus->has_gaps = true;
		break;
	}
	close_gaps(bus);
}

static void distribute(struct event_bus *bus, const struct event *event, const char *json)
{
	size_t count = bus->count;

	bus->publishing++;
	for (size_t i = 0; i < count; i++)
		if (bus->subscribers[i].call)
			bus->subscribers[i].call(bus->subscribers[i].ctx, event, json);
	bus->publishing--;
	close_gaps(bus);
}

void event_bus_publish(struct event_bus *bus, const struct event *event)
{
	cleanup(cleanup_free) char *json = NULL;

	if (bus->gate && !event_gate_allows(bus->gate, event)) {
		struct event suppressed = *event;

		suppressed.suppressed = true;
		distribute(bus, &suppressed, NULL);
		return;
	}
	json = event_json(event);
	if (!json) {
		log_error("event-lost", log_str("event", event_kind_name(event->kind)), log_str("request", event->id),
			  log_str("capture", event->capture), log_str("error", "out of memory"));
		return;
	}
	distribute(bus, event, json);
}

void event_bus_set_gate(struct event_bus *bus, struct event_gate *gate)
{
	bus->gate = gate;
}
