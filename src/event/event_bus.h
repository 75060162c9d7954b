/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distributes events to subscribers (reply cache, log, Redis channel, API). Each gets the struct and its JSON. Loop
 * thread.
 */
#pragma once

#include "base/cleanup.h"
#include "event/event.h"

struct event_bus;
struct event_gate;

/* `json`: NULL if the event is suppressed. */
typedef void (*event_subscriber)(void *ctx, const struct event *event, const char *json);

#define EVENT_SUBSCRIBERS_MAX 64

struct event_bus *event_bus_new(void);
void event_bus_free(struct event_bus *bus);

/* 0, -ENOSPC or -ENOMEM. */
warn_unused int event_bus_subscribe(struct event_bus *bus, event_subscriber subscriber, void *ctx);
void event_bus_unsubscribe(struct event_bus *bus, event_subscriber subscriber, void *ctx);
void event_bus_publish(struct event_bus *bus, const struct event *event);

/* From now on events that the gate does not allow are marked as suppressed. NULL: none. */
void event_bus_set_gate(struct event_bus *bus, struct event_gate *gate);

CLEANUP_DEFINE(event_bus, struct event_bus, event_bus_free)
