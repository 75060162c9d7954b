/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits the events that messages cause without starting a capture: refusals and repeated answers. Any publisher can
 * cause them at any rate, and each message on every node that it concerns. What exceeds the limits is not published;
 * one event for each cause and interval has the number instead. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event;
struct event_base;
struct event_bus;
struct event_gate;

enum suppressed_cause { SUPPRESSED_INVALID, SUPPRESSED_RATE, SUPPRESSED_REFUSED, SUPPRESSED_REPEATED };

#define SUPPRESSED_CAUSES (SUPPRESSED_REPEATED + 1)
#define EVENT_GATE_INTERVAL_S 10

const char *suppressed_cause_name(enum suppressed_cause cause); /* "invalid" … */

/* Publishes on `bus`, which must outlive it or leave it before (event_bus_set_gate). `node` is copied. NULL on ENOMEM.
 */
struct event_gate *event_gate_new(struct event_base *loop, struct event_bus *bus, const char *node);
void event_gate_free(struct event_gate *gate);

/* Whether the event may be published; counts it if not. */
bool event_gate_allows(struct event_gate *gate, const struct event *event);

/* Publishes the numbers now, as before a stop. */
void event_gate_report(struct event_gate *gate);

uint64_t event_gate_suppressed(const struct event_gate *gate, enum suppressed_cause cause); /* since the start */

CLEANUP_DEFINE(event_gate, struct event_gate, event_gate_free)
