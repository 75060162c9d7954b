/* SPDX-License-Identifier: BSD-2-Clause */
/* The status that this node reports: name, version, interfaces, load. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/slab_pool.h"
#include "capture/engine.h"
#include "job/jobs.h"
#include "job/spool.h"
#include "sink/memory_sink.h"
#include "status/node_interfaces.h"

struct config;
struct deliveries;
struct event_base;
struct node_status;

/* The connections to Redis. */
struct node_redis {
	bool wanted;	       /* [redis] listen is on, and something of [redis] is configured */
	bool requests, events; /* the connections for these are up */
	uint64_t waiting;      /* events and answers that Redis has not taken yet */
	bool name_taken;       /* another daemon calls itself by this node's name */
	bool clock_known;
	int64_t clock_offset_ns; /* the server's clock minus this host's, give or take the uncertainty */
	uint64_t clock_uncertainty_ns;
	bool stream_wanted;	 /* [redis] stream names one */
	uint64_t stream_running; /* requests from the stream, not final yet */
	uint64_t stream_waiting; /* further ones, which met a limit */
	uint64_t stream_pauses;	 /* of its reader, counted since the start */
};

struct node_status_options {
	struct event_base *loop;
	const struct config *config;
	struct engine *engine;
	struct jobs *jobs;
	const struct deliveries *deliveries;
	struct slab_pool *slabs;
	const struct sink *memory; /* the memory sink; NULL: there is none */
	struct node_redis (*redis)(const void *ctx);
	const void *redis_ctx;
	const struct spool *spool; /* NULL: none */
};

/* Samples the interfaces' rates every 5 s. Must not outlive what the options point to. NULL on ENOMEM. */
struct node_status *node_status_new(const struct node_status_options *options);
void node_status_free(struct node_status *status);

#define NODE_CAPTURES_MAX 64	       /* running captures in the JSON, the newest */
#define NODE_STATUS_INTERFACES_MAX 256 /* in the JSON of node_status_json */

struct node_load {
	struct jobs_counts jobs;
	uint64_t memory_bytes, memory_limit_bytes; /* captured bytes not yet delivered */
	uint64_t warm_memory_bytes;		   /* mapped and touched, not in use */
	struct engine_shortages shortages;
	struct memory_sink_usage kept; /* finished files in memory */
	struct spool_usage spool;
	struct node_redis redis;
	uint64_t started_ns; /* real time */
};
struct node_load node_status_load(const struct node_status *status);

const struct node_interfaces *node_status_interfaces(const struct node_status *status);
const char *node_status_instance(const struct node_status *status); /* of this run, random */
const char *node_status_node(const struct node_status *status);

/*
 * The JSON published to Redis and returned by GET /v1/status:
 * {"v":1,"node":…,"instance":…,"host":…,"version":…,"time":…,"started":…,"interfaces":[…],"load":{…},
 * "captures":[{"capture":…,"packets":…,"bytes":…}],"redis":{"requests":…,"events":…,"waiting":…,"clock":{"offset":…,"uncertainty":…}},"stream":…,
 * "destinations":[…]}; with "failing":[{"name":…,"error":…}] if the breaker of a destination is not closed,
 * "name_taken":true if another daemon has this node's name, "cannot_capture":… if it lacks the right,
 * "interfaces_total":N if interfaces are left out, "interfaces_error":… if they can't be listed. An interface whose
 * ring is smaller than it should be has "ring":… and "ring_asked":…, in bytes. Caller frees; NULL on ENOMEM.
 */
char *node_status_json(const struct node_status *status);

/* What stays of it in Redis after a clean stop. Caller frees; NULL on ENOMEM. */
char *node_status_stopped_json(const struct node_status *status);

/* {"node":…,"interfaces":[…]}, with rates and the rings' memory; with "truncated":true and "total":N if there are more
 * than `limit`. Caller frees; NULL with `err`. */
char *node_status_interfaces_json(const struct node_status *status, size_t limit, struct error *err);

CLEANUP_DEFINE(node_status, struct node_status, node_status_free)
