/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fleet's Redis: events, requests, presence, files. No other module talks to it. Each call blocks until it is
 * answered, 10 s have passed, or an interrupt is pending (-EINTR); events that arrive meanwhile go to the handler. One
 * thread.
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

#define FLEET_NODES_MAX 32768		     /* in the registry; names and scores are one reply of 65,536 elements */
#define FLEET_KEY_MAX 8192		     /* bytes */
#define FLEET_EVENT_MAX ((size_t)1 << 20)    /* bytes */
#define FLEET_PRESENCE_MAX ((size_t)1 << 20) /* bytes */
#define FLEET_CHUNK_MAX ((size_t)1 << 20)    /* bytes of one element of a file */

/* Takes an event, a borrowed JSON object. Other messages, and those that are too large, are ignored. */
typedef void (*fleet_event_handler)(void *ctx, const json_t *event);

/*
 * Connects, and subscribes if `event` is not NULL: no event is missed from then on. NULL with the text, including
 * advice, in `err`. `target` must outlive the bus.
 */
struct fleet_bus *fleet_bus_new(const struct fleet_target *target, fleet_event_handler event, void *ctx,
				struct error *err);
void fleet_bus_free(struct fleet_bus *bus);

/* Waits until an event arrives, the connection changes, `fd` (-1: none) is readable, or `timeout_ms` have passed. */
void fleet_bus_run(struct fleet_bus *bus, int timeout_ms, int fd);

/* How often the subscription was lost: each time events may have been missed. */
unsigned fleet_bus_lost_subscriptions(const struct fleet_bus *bus);
/* Whether the subscription is up. */
bool fleet_bus_is_subscribed(const struct fleet_bus *bus);

/*
 * How long Redis may be away before pcapctl gives up. A master that is gone or hangs is mostly replaced within half a
 * minute.
 */
#define FLEET_OUTAGE_MAX_NS (120 * NS_PER_S)

/* Whether `result` means that Redis is away, but has not been for FLEET_OUTAGE_MAX_NS: try again. */
bool fleet_bus_should_retry(const struct fleet_bus *bus, int result);
/* For how long Redis has been away; 0: it is up. */
uint64_t fleet_bus_outage_ns(const struct fleet_bus *bus);
const char *fleet_bus_name(const struct fleet_bus *bus); /* "Redis at HOST:PORT", for messages */

/*
 * All: 0 or -errno with the text in `err`. `listeners`: connections that received it; in a Cluster, those of one
 * server.
 */
warn_unused int fleet_bus_publish(struct fleet_bus *bus, const char *json, uint64_t *listeners, struct error *err);
warn_unused int fleet_bus_stream_add(struct fleet_bus *bus, const char *stream, const char *json, struct error *err);

/*
 * Every node seen within a day, sorted by name: {"node", "seen" (Unix seconds), "presence" (object; null: it is away)}.
 * The caller's.
 */
warn_unused int fleet_bus_nodes(struct fleet_bus *bus, json_t **nodes, struct error *err);

/* Removes a node from presence. A node that is up comes back with its next status. */
warn_unused int fleet_bus_forget(struct fleet_bus *bus, const char *node, struct error *err);

/* A node's answer to a request, from the reply store: an array of final events; null: there is none. */
warn_unused int fleet_bus_stored_answer(struct fleet_bus *bus, const char *node, const char *id, json_t **events,
					struct error *err);

/* Appends the key of a capture's file on a node. 0 or the error of buffer_append. */
warn_unused int fleet_bus_file_key(const struct fleet_bus *bus, const char *node, const char *capture,
				   struct buffer *key);

/* Replaces the content of `into` by an element of a list; -ENOENT: there is none. */
warn_unused int fleet_bus_list_element(struct fleet_bus *bus, const char *key, uint64_t index, struct buffer *into,
				       struct error *err);
warn_unused int fleet_bus_delete(struct fleet_bus *bus, const char *key, struct error *err);

CLEANUP_DEFINE(fleet_bus, struct fleet_bus, fleet_bus_free)
