/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fleet's Redis, and the only place that speaks it: events, requests, presence, files. Every call blocks until it is
 * answered, ten seconds are over, or there is an interrupt to take (-EINTR); events that come meanwhile go to the
 * handler. One thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

struct buffer;
struct fleet_bus;
struct fleet_target;

#define FLEET_NODES_MAX 4096
#define FLEET_KEY_MAX 8192		     /* bytes */
#define FLEET_EVENT_MAX ((size_t)1 << 20)    /* bytes */
#define FLEET_PRESENCE_MAX ((size_t)1 << 20) /* bytes */
#define FLEET_CHUNK_MAX ((size_t)1 << 20)    /* bytes of one element of a file */

/* An event, a JSON object: borrowed. What is none, or too large, is passed over. */
typedef void (*fleet_event_handler)(void *ctx, const json_t *event);

/*
 * Connects, and subscribes if `event` is not NULL: no event is missed from then on. NULL with the text in `err`, which
 * says what to do. `target` must outlive it.
 */
struct fleet_bus *fleet_bus_new(const struct fleet_target *target, fleet_event_handler event, void *ctx,
				struct error *err);
void fleet_bus_free(struct fleet_bus *bus);

/* Waits for events, for at most so long or until `fd` (-1: none) is readable. */
void fleet_bus_run(struct fleet_bus *bus, int timeout_ms, int fd);

/* How often the subscription was lost and made anew, so that events may have been missed. */
unsigned fleet_bus_lost_subscriptions(const struct fleet_bus *bus);
/* Whether it is there now. */
bool fleet_bus_is_subscribed(const struct fleet_bus *bus);

/* A master that is gone or hangs is replaced within half a minute, mostly; for so long Redis may be away before that is
 * the end. */
#define FLEET_OUTAGE_MAX_NS (120 * NS_PER_S)

/* Whether a question's result says that Redis is away, and that it has not been for too long: ask again. */
bool fleet_bus_should_retry(const struct fleet_bus *bus, int result);
/* For how long it has been away; 0: it is there. */
uint64_t fleet_bus_outage_ns(const struct fleet_bus *bus);
const char *fleet_bus_name(const struct fleet_bus *bus); /* "redis at HOST:PORT", for texts */

/* All: 0 or -errno with the text in `err`. `listeners`: how many connections got it; of a Cluster, on one server. */
warn_unused int fleet_bus_publish(struct fleet_bus *bus, const char *json, uint64_t *listeners, struct error *err);
warn_unused int fleet_bus_stream_add(struct fleet_bus *bus, const char *stream, const char *json, struct error *err);

/* Every node seen within a day, sorted by name: {"node", "seen" (Unix seconds), "presence" (object; null: it is away)}.
 * The caller's. */
warn_unused int fleet_bus_nodes(struct fleet_bus *bus, json_t **nodes, struct error *err);

/* What became of a request on a node, out of its own memory: an array of final events; null: it has none. */
warn_unused int fleet_bus_stored_answer(struct fleet_bus *bus, const char *node, const char *id, json_t **events,
					struct error *err);

/* Names of the keys of files: of one capture on one node. 0 or what buffer_append says. */
warn_unused int fleet_bus_file_key(const struct fleet_bus *bus, const char *node, const char *capture,
				   struct buffer *key);

/* An element of a list, put into the empty `into`; -ENOENT if it is not there. */
warn_unused int fleet_bus_list_element(struct fleet_bus *bus, const char *key, uint64_t index, struct buffer *into,
				       struct error *err);
warn_unused int fleet_bus_delete(struct fleet_bus *bus, const char *key, struct error *err);

CLEANUP_DEFINE(fleet_bus, struct fleet_bus, fleet_bus_free)
