/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was answered to the latest requests: so that the same id again is answered and not run again, and for people who
 * ask what became of a request. A subscriber of the event bus. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "event/event.h"

struct event_bus;
struct reply_cache;

#define REPLY_CACHE_IDS_MAX 4096	  /* the oldest are forgotten first */
#define REPLY_CACHE_CAPTURES_MAX 256	  /* per id */
#define REPLY_CACHE_EVENTS_MAX 16384	  /* of all ids together */
#define REPLY_CACHE_BYTES_MAX (16u << 20) /* likewise: what ids and events take */

struct reply_cache *reply_cache_new(void);
void reply_cache_free(struct reply_cache *cache);

/* What is remembered takes so much. */
size_t reply_cache_bytes(const struct reply_cache *cache);

/* True: the id was known already, and its latest events (one per capture) were published again, marked as duplicates.
 */
bool reply_cache_repeat(struct reply_cache *cache, const char *id, struct event_bus *bus);

/* From now on events of this id are remembered. On ENOMEM they are not: the id would run again. */
void reply_cache_expect(struct reply_cache *cache, const char *id);

bool reply_cache_knows(const struct reply_cache *cache, const char *id);

/* How many captures there is something to tell of. */
size_t reply_cache_capture_count(const struct reply_cache *cache, const char *id);

/* The latest events of one request, one per capture; valid during the call. */
typedef void (*reply_cache_visitor)(void *ctx, const char *id, struct event *const *events, size_t event_count);

/* False: unknown. */
bool reply_cache_visit(const struct reply_cache *cache, const char *id, reply_cache_visitor visit, void *ctx);

/* All that is remembered, the newest first. */
void reply_cache_visit_all(const struct reply_cache *cache, reply_cache_visitor visit, void *ctx);

/* All that is remembered of one request as a JSON array. Caller frees; NULL: unknown, nothing final, or ENOMEM. */
char *reply_cache_json(const struct reply_cache *cache, const char *id);

/* Remembers what reply_cache_json made, of another process' life. False: it is no such array, nothing is remembered. */
bool reply_cache_restore(struct reply_cache *cache, const char *id, const char *json, size_t size);

/* event_subscriber; ctx: the cache. */
void reply_cache_on_event(void *cache, const struct event *event, const char *json);

CLEANUP_DEFINE(reply_cache, struct reply_cache, reply_cache_free)
