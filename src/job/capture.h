/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture: what becomes one file, from the request's admission to its one final event. Usually one interface's share
 * of a request; with `merge` all its interfaces, each a part that ends up in the same file.
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
struct capture;
struct offload;
struct request;

/* What every capture works with; the owner keeps it alive until all captures are over. */
struct capture_deps {
	const struct config *config;
	struct engine *engine;
	struct offload *arming;
	struct offload *name_lookup; /* for filters that may need a name looked up, which can take long */
	struct offload *packet_log;  /* for packetdebug */
	const atomic_bool *stopping; /* nothing is started any more */
	struct deliveries *deliveries;
	struct event_bus *bus;
	/* It is no longer running: it counts no more against the limit on running captures. */
	void (*ended)(void *ctx, struct capture *capture);
	/* The final event is out; the capture is freed after this call. */
	void (*over)(void *ctx, struct capture *capture);
	void *ctx;
};

/* An interface to capture on, and the alias of the request it was found by (the request's own; NULL: by name). */
struct capture_target {
	const char *name;
	char *alias;
};

/*
 * Starts capturing for `request` (referenced) on the targets (names are copied); `index` numbers the request's captures
 * from 1. 0, or -ENOBUFS, -EAGAIN, -ENOMEM: no capture, no event.
 */
warn_unused int capture_start(const struct capture_deps *deps, struct request *request,
			      const struct capture_target *targets, size_t target_count, unsigned index,
			      struct capture **capture);

/* The daemon stops: ends it with reason "shutdown"; what it has is delivered. */
void capture_shut_down(struct capture *capture);

/*
 * No more time: whatever the capture is at is given up, which is reported at once as its final event. One that is still
 * being armed stays in memory until its thread comes back.
 */
void capture_abandon(struct capture *capture);

unsigned capture_part_count(const struct capture *capture); /* its interfaces; limits.captures counts each */

/* Ends it early with reason "stopped"; what it has is delivered. False: it has ended already. */
bool capture_stop(struct capture *capture);

/*
 * Lets it capture for `duration_ns` from now if it would end sooner, also while it is being armed; never longer than
 * general.maxduration in all. False: it has ended or is about to. `*until_ns`: boot time of its end then, at least.
 */
bool capture_extend(struct capture *capture, uint64_t duration_ns, uint64_t *until_ns);

enum capture_state { CAPTURE_ARMING, CAPTURE_RUNNING, CAPTURE_DELIVERING };

/* What it is at. Numbers are of this moment. */
struct capture_status {
	enum capture_state state;
	const char *id, *interface, *tags; /* the capture's own */
	uint64_t packets, bytes;
	uint64_t ends_ns; /* real time: the latest end; 0: not known (yet) */
};
void capture_get_status(const struct capture *capture, struct capture_status *view);

/* For the owner: what he hung on it, and his list. */
void *capture_owner(const struct capture *capture);
void capture_set_owner(struct capture *capture, void *owner);
struct capture *capture_next(const struct capture *capture);
void capture_set_next(struct capture *capture, struct capture *next);
