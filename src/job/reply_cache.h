/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers to the latest requests: so that a repeated id is answered instead of run again, and for queries about
 * requests. A subscriber of the event bus. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "event/event.h"

struct event_bus;
struct reply_cache;

#define REPLY_CACHE_IDS_MAX 4096	  /* the oldest are forgotten first */
#define REPLY_CACHE_CAPTURES_MAX 1024	  /* per id */
#define REPLY_CACHE_EVENTS_MAX 16384	  /* of all ids together */
#define REPLY_CACHE_BYTES_MAX (16u << 20) /* likewise: memory of ids and events */

struct reply_cache *reply_cache_new(void);
void reply_cache_free(struct reply_cache *cache);

/* The memory that ids and events take. */
size_t reply_cache_bytes(const struct reply_cache *cache);

/* If the id is known, publishes its latest events (one per capture) again, marked as duplicates. False: unknown. */
bool reply_cache_repeat(struct reply_cache *cache, const char *id, struct event_bus *bus);

/* From now on remembers events of this id. On ENOMEM it does not: the id would run again. */
void reply_cache_track(struct reply_cache *cache, const char *id);

/* The id is unknown again: its request was put off. */
void reply_cache_forget(struct reply_cache *cache, const char *id);

bool reply_cache_knows(const struct reply_cache *cache, const char *id);

/* The number of captures with an event. */
size_t reply_cache_capture_count(const struct reply_cache *cache, const char *id);

/* The latest events of one request, one per capture; valid during the call. */
typedef void (*reply_cache_visitor)(void *ctx, const char *id, struct event *const *events, size_t event_count);

/* False: unknown. */
bool reply_cache_visit(const struct reply_cache *cache, const char *id, reply_cache_visitor visit, void *ctx);

/* All known requests, the newest first. */
void reply_cache_visit_all(const struct reply_cache *cache, reply_cache_visitor visit, void *ctx);

/* A request's events as a JSON array, which the caller frees. NULL: unknown, no event, or ENOMEM. */
char *reply_cache_json(const struct reply_cache *cache, const char *id);

/* Restores what reply_cache_json made in an earlier run. False: it cannot be read, and the id stays unknown. */
bool reply_cache_restore(struct reply_cache *cache, const char *id, const char *json, size_t size);

/* event_subscriber; ctx: the cache. */
void reply_cache_on_event(void *cache, const struct event *event, const char *json);

CLEANUP_DEFINE(reply_cache, struct reply_cache, reply_cache_free)
