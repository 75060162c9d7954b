/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capture engine: one ring per interface, shared by all its consumers; one ring thread, which does no work per
 * packet; and a few workers that move the consumers' cursors. It knows nothing of requests, file formats or
 * destinations.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/network_interface.h"

struct event_base;
struct engine;
struct host_memory;
struct slab_pool;

struct engine_options {
	unsigned workers;	     /* 0: one per CPU, at least 2, at most 4 */
	size_t memory_bytes;	     /* budget for all captured bytes */
	uint64_t ring_memory_bytes;  /* budget for all rings opened on demand; 0: engine_ring_memory() */
	uint64_t ring_reserve_bytes; /* of the host's memory, left alone by rings; 0: host_memory_reserve() */
	unsigned rings;		     /* opened on demand at once; 0: ENGINE_RINGS_MAX */
	struct slab_pool *slabs;     /* their memory; outlives the engine and all captures */
};

#define ENGINE_CONSUMERS_MAX 16384 /* at once, regardless of the configuration */
#define ENGINE_RINGS_MAX 4096	   /* opened on demand; idle ones give way */

/* `loop` delivers the ends of consumers. Needs the table of links (base/link_table.h) as long as it lives. Returns NULL
 * and sets `err` on failure. */
struct engine *engine_new(struct event_base *loop, const struct engine_options *options, struct error *err);

/* Loop thread. Ends the threads and closes the rings. Free every consumer first. */
void engine_free(struct engine *engine);

warn_unused int engine_may_capture(struct error *err); /* whether this process has the privilege; 0 or -errno */

/* Bytes of each ring for a request for this many interfaces (consumer_spec.ring_bytes). Any thread. */
size_t engine_plan_rings(struct engine *engine, size_t interfaces);

/* The budget for rings opened on demand, unless configured: a quarter of what is available, at most 1 GiB. */
uint64_t engine_ring_memory(const struct host_memory *memory);

/* Rings that were refused, or are smaller than asked for, because there was not the memory; since the start. Any
 * thread. */
struct engine_shortages {
	uint64_t refused, shrunk;
};
struct engine_shortages engine_shortages(const struct engine *engine);

size_t engine_memory_used(struct engine *engine); /* bytes of the budget; any thread */

/* Charges memory besides packets, such as a request's. False: the budget is spent. Any thread. */
warn_unused bool engine_memory_charge(struct engine *engine, size_t bytes);
void engine_memory_return(struct engine *engine, size_t bytes);

/* A budget of `limit_bytes` within the engine's, for packets that are taken while a consumer runs (consumer_feed). */
struct budget;
void engine_feed_has_room(struct engine *engine);
void engine_init_budget(struct engine *engine, struct budget *budget, size_t limit_bytes);

/* A recorder: an interface whose packets are kept before any request for them. */
struct engine_recorder {
	const char *interface; /* any name that the device may have */
	bool promiscuous;
	size_t memory_bytes; /* at least RING_SIZE_RECORDER_MIN; less if there is not the memory, which is logged */
	/* Number of recorders, this one included, that are still to be opened and share what memory there is; 0: 1. */
	unsigned claims;
	uint64_t max_age_ns; /* never keep a packet longer; 0: as long as memory lasts */
	const char *bpf;     /* what may be kept at all; NULL or "": everything */
	uint32_t snaplen;
	bool headers;	  /* keep only the link to transport headers; overrides snaplen */
	bool exclude_own; /* exclude this process's own traffic (base/own_traffic.h) */
};

#define ENGINE_RECORDERS_MAX 256

/*
 * Starts recording; blocks until the ring has its memory. Call before the first consumer_start. If the interface does
 * not exist, recording starts when it appears; this is logged. A device is recorded once, whatever names it has, and
 * under a new name goes on being recorded. If the name given here comes to mean another device, that is recorded, too,
 * in a ring of its own; at most one former device is kept. Returns 0, -EINVAL (filter), -ENOMEM (not even a small
 * ring), -EPERM, -ENOSPC, or another -errno.
 */
warn_unused int engine_add_recorder(struct engine *engine, const struct engine_recorder *recorder, struct error *err);

/* The daemon's own endpoints have changed (base/own_traffic.h): recorders that exclude them renew their filter. Any
 * thread. */
void engine_own_traffic_changed(struct engine *engine);

/* The state of an open ring. */
struct engine_interface {
	char name[16];
	bool recorder;
	bool gone;
	uint64_t consumers;
	uint64_t packets, dropped; /* since the ring was opened */
	uint64_t reach_ns;	   /* recorder: how far back history is complete except for drops */
	uint64_t held_bytes;	   /* packet memory that can be read, including headers */
	uint64_t ring_bytes;
	uint64_t asked_bytes; /* larger than the ring if there was not the memory for it */
};

/* Fills up to `room` entries and returns the number of open rings. Any thread. */
size_t engine_interfaces(struct engine *engine, struct engine_interface *interfaces, size_t room);

/* What to capture on: a device, or what a recorder has of an interface that is away. */
struct engine_target {
	char name[NETWORK_INTERFACE_NAME_SIZE]; /* the device's own, or the last it had */
	int ifindex;				/* the device; 0: it is away */
	unsigned short hardware;		/* its ARPHRD_… when it was found */
	uint64_t source;			/* if it is away: its recorder's number, from engine_find_away */
	bool former;				/* a past window may reach back to former devices, which had the name */
};

/* Whether a recorder holds history of the target. Any thread. */
bool engine_records(struct engine *engine, const struct engine_target *target);

/* Finds the recorder of an interface that is away now and had this name, or was configured by it. False: there is none.
 * Any thread. */
bool engine_find_away(struct engine *engine, const char *name, struct engine_target *found);

/* Whether the interface of this recorder had the name last, or was configured by it. Any thread. */
bool engine_had_name(struct engine *engine, uint64_t source, const char *name);
