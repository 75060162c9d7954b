/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture: one file's worth of a job, from admission to its one final event. It captures on one interface of the
 * request, or with `merge` on all of them, each a part of the same file.
 *
 *   arming (offload thread) → running (engine) → captured → delivering (sinks) → final event → freed
 *
 * With a spool, a file that is not delivered goes there, and the spool publishes the final event.
 *
 * Loop thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "capture/engine.h"

struct config;
struct deliveries;
struct live_output;
struct event_bus;
struct capture;
struct offload;
struct request;
struct skipped;
struct spool;

/* What every capture needs. The owner keeps it until all captures are finished. */
struct capture_deps {
	const struct config *config;
	struct engine *engine;
	struct offload *arming;
	struct offload *arming_many; /* for requests for many interfaces, which so delay only each other */
	struct offload *name_lookup; /* for filters with names to look up, which may take long */
	struct offload *packet_log;  /* for packetdebug */
	const atomic_bool *stopping; /* nothing new is started */
	struct deliveries *deliveries;
	struct spool *spool; /* NULL: none */
	struct event_bus *bus;
	/*
	 * All its interfaces are armed (code 0), or one was refused with `reason`. True: it ends without an event,
	 * because its job is put off.
	 */
	bool (*withdrawn)(void *ctx, struct capture *capture, int code, const char *reason);
	/* The next file of a series begins, as a capture of its own; give it its owner and its number. */
	void (*continued)(void *ctx, struct capture *capture, struct capture *next);
	/* The capture no longer runs nor counts as running. */
	void (*capturing_ended)(void *ctx, struct capture *capture);
	/* The final event is published; the capture is freed after this call. */
	void (*finished)(void *ctx, struct capture *capture);
	void *ctx;
};

/* The interfaces to capture on (copied), and those of the request that were left out (copied; for the events). */
struct capture_interfaces {
	const struct capture_target *targets;
	size_t count;
	size_t wanted;	   /* how many the request has in all */
	size_t ring_bytes; /* engine_plan_rings() for them */
	uint64_t until_ns; /* boot time: they have appeared, and join until then; 0: they were there */
	const struct skipped *skipped;
	struct live_output *live; /* of a live request; NULL: none */
};

/* An interface to capture on, and the alias by which the request names it (owned by the request; NULL: by name). */
struct capture_target {
	struct engine_target on;
	char *alias;
};

/*
 * Starts capturing for `request` (referenced); `index` numbers the request's captures from 1. An interface that cannot
 * take part drops out, unless all do. 0, or -ENOBUFS, -EAGAIN or -ENOMEM: no capture, no event.
 */
warn_unused int capture_start(const struct capture_deps *deps, struct request *request,
			      const struct capture_interfaces *interfaces, unsigned index, struct capture **capture);

/* The daemon stops: ends it with reason "shutdown" and delivers what it has. */
void capture_shut_down(struct capture *capture);

/*
 * Out of time: abandons the capture and publishes its final event at once, or if it is running, as soon as it has
 * ended. One that is being armed stays in memory until its thread returns.
 */
void capture_abandon(struct capture *capture);

/* Ends it early with reason "stopped" and delivers what it has. False: it has ended already. */
bool capture_stop(struct capture *capture);

/*
 * Moves its end to `duration_ns` from now if that is later, even while it is being armed, but never beyond
 * general.maxduration in all. `*until_ns`: boot time until which it runs at least. False: it has ended or is about to.
 */
bool capture_extend(struct capture *capture, uint64_t duration_ns, uint64_t *until_ns);

/* An interface that has appeared becomes a part of a running merged capture, or is listed as skipped. */
void capture_join(struct capture *capture, const struct capture_target *target);

/* Boot time at which it ends at the latest; 0: it does not run, or not yet. */
uint64_t capture_ends_ns(const struct capture *capture);

enum capture_state { CAPTURE_ARMING, CAPTURE_RUNNING, CAPTURE_DELIVERING };

/* Its current state and numbers. */
struct capture_status {
	enum capture_state state;
	const char *id, *interface, *tags; /* owned by the capture */
	uint64_t packets, bytes;
	uint64_t ends_ns; /* real time: the latest end; 0: unknown */
	bool streamed;
	uint64_t delivered; /* of a streamed one: bytes of its file that every destination has taken */
};
void capture_get_status(const struct capture *capture, struct capture_status *view);

/* The number of a capture that continues a series. */
void capture_set_number(struct capture *capture, unsigned number);

/* Of a series that ends with this capture: how many files it might have had besides. */
uint64_t capture_files_left(const struct capture *capture);

/* For the owner: a pointer of its own, and its list. */
void *capture_owner(const struct capture *capture);
void capture_set_owner(struct capture *capture, void *owner);
struct capture *capture_next(const struct capture *capture);
void capture_set_next(struct capture *capture, struct capture *next);
