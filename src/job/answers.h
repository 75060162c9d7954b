/*
 * Idempotence: remembers what was answered to requests that came with an id, so that the same id again is answered and
 * not run again. A subscriber of the event bus. Loop thread.
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

/* event_subscriber; ctx: the answers. */
void answers_subscriber(void *answers, const struct event *event, const char *json);

CLEANUP_DEFINE(answers, struct answers, answers_free)
