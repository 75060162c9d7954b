/*
 * A leg: what becomes one file, from the decision to capture to its one final event. Usually one interface's share of a
 * request; with `merge` all its interfaces, each a capture of its own that ends up in the same file.
 *
 *   arming (offload thread) → running (engine) → captured → delivering (sinks) → final event → freed
 *
 * All calls on the loop's thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	struct offload *naming;	     /* for filters that may need a name looked up, which can take long */
	struct offload *tracing;     /* for packetdebug */
	const atomic_bool *stopping; /* nothing is started any more */
	struct deliveries *deliveries;
	struct event_bus *bus;
	/* The capture is no longer running: it counts no more against the limit on running captures. */
	void (*ended)(void *ctx, struct leg *leg);
	/* The final event is out; the leg is freed after this call. */
	void (*over)(void *ctx, struct leg *leg);
	void *ctx;
};

/* An interface to capture on, and the alias of the request it was found by (the request's own; NULL: by name). */
struct leg_target {
	const char *name;
	char *alias;
};

/*
 * Starts capturing for `request` (referenced) on the targets (names are copied); `index` numbers the request's legs
 * from 1. 0, or -ENOBUFS, -EAGAIN, -ENOMEM: no leg, no event.
 */
warn_unused int leg_start(const struct leg_surroundings *surroundings, struct request *request,
			  const struct leg_target *targets, size_t target_count, unsigned index, struct leg **leg);

/* The daemon stops: ends the capture with reason "shutdown"; what it has is delivered. */
void leg_shut_down(struct leg *leg);

/*
 * No more time: whatever the leg is at is given up, which is reported at once as its final event. One that is still
 * being armed stays in memory until its thread comes back.
 */
void leg_abandon(struct leg *leg);

unsigned leg_captures(const struct leg *leg); /* how many it counts for */

/* Ends the capture early with reason "stopped"; what it has is delivered. False: it has ended already. */
bool leg_stop(struct leg *leg);

/*
 * Lets it capture for `duration_ns` from now if it would end sooner, also while it is being armed; never longer than
 * general.maxduration in all. False: it has ended or is about to. `*until_ns`: boot time of its end then, at least.
 */
bool leg_extend(struct leg *leg, uint64_t duration_ns, uint64_t *until_ns);

enum leg_state { LEG_ARMING, LEG_RUNNING, LEG_DELIVERING };

/* What it is at. Numbers are of this moment. */
struct leg_view {
	enum leg_state state;
	const char *capture, *interface, *tags; /* the leg's own */
	uint64_t packets, bytes;
	uint64_t ends_ns; /* real time: the latest end; 0: not known (yet) */
};
void leg_look(const struct leg *leg, struct leg_view *view);

/* For the owner: what he hung on it, and his list. */
void *leg_owner(const struct leg *leg);
void leg_set_owner(struct leg *leg, void *owner);
struct leg *leg_next(const struct leg *leg);
void leg_set_next(struct leg *leg, struct leg *next);
