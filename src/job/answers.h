/*
 * What was answered to the latest requests: so that the same id again is answered and not run again, and for people who
 * ask what became of a request. A subscriber of the event bus. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"

struct answers;

#define ANSWERS_IDS_MAX 4096	      /* the oldest are forgotten first */
#define ANSWERS_CAPTURES_MAX 256      /* per id */
#define ANSWERS_EVENTS_MAX 16384      /* of all ids together */
#define ANSWERS_BYTES_MAX (16u << 20) /* likewise: what ids and events take */

struct answers *answers_new(void);
void answers_free(struct answers *answers);

/* What is remembered takes so much. */
size_t answers_bytes(const struct answers *answers);

/* True: the id was known already, and its latest events (one per capture) were published again, marked as duplicates.
 */
bool answers_repeat(struct answers *answers, const char *id, struct event_bus *bus);

/* From now on events of this id are remembered. On ENOMEM they are not: the id would run again. */
void answers_expect(struct answers *answers, const char *id);

bool answers_knows(const struct answers *answers, const char *id);

/* How many captures there is something to tell of. */
size_t answers_captures(const struct answers *answers, const char *id);

/* The latest events of one request, one per capture; valid during the call. */
typedef void (*answers_visitor)(void *ctx, const char *id, struct event *const *events, size_t event_count);

/* False: unknown. */
bool answers_visit(const struct answers *answers, const char *id, answers_visitor visit, void *ctx);

/* All that is remembered, the newest first. */
void answers_visit_all(const struct answers *answers, answers_visitor visit, void *ctx);

/* All that is remembered of one request as a JSON array. Caller frees; NULL: unknown, nothing final, or ENOMEM. */
char *answers_json(const struct answers *answers, const char *id);

/* Remembers what answers_json made, of another process' life. False: it is no such array, nothing is remembered. */
bool answers_restore(struct answers *answers, const char *id, const char *json, size_t size);

/* event_subscriber; ctx: the answers. */
void answers_subscriber(void *answers, const struct event *event, const char *json);

CLEANUP_DEFINE(answers, struct answers, answers_free)
