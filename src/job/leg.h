/*
 * A leg: one interface's share of a request, from the decision to capture to its one final event.
 *
 *   arming (offload thread) → running (engine) → captured → delivering (sinks) → final event → freed
 *
 * All calls on the loop's thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct config;
struct deliveries;
struct engine;
struct event_bus;
struct leg;
struct offload;
struct request;

/* What every leg works with; the owner keeps it alive until all legs are over. */
struct leg_surroundings {
	const struct config *config;
	struct engine *engine;
	struct offload *arming;
	struct deliveries *deliveries;
	struct event_bus *bus;
	/* The capture is no longer running: it counts no more against the limit on running captures. */
	void (*ended)(void *ctx, struct leg *leg);
	/* The final event is out; the leg is freed after this call. */
	void (*over)(void *ctx, struct leg *leg);
	void *ctx;
};

/*
 * Starts capturing for `request` (referenced) on `interface` (copied); `alias` is the request's own or NULL; `index`
 * numbers the request's legs from 1. 0, or -ENOBUFS, -ENOMEM: no leg, no event.
 */
warn_unused int leg_start(const struct leg_surroundings *surroundings, struct request *request, const char *interface,
			  char *alias, unsigned index, struct leg **leg);

/* The daemon stops: ends the capture with reason "shutdown"; what it has is delivered. */
void leg_shut_down(struct leg *leg);

/* No more time: a delivery in progress is given up, which is reported. */
void leg_abandon(struct leg *leg);

/* For the owner's list. */
struct leg *leg_next(const struct leg *leg);
void leg_set_next(struct leg *leg, struct leg *next);
