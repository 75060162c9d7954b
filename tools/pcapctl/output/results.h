/* SPDX-License-Identifier: BSD-2-Clause */
/* What became of a request, out of its final events: as an exit status, as a table, as notes on what is missing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "pcapctl/cli/exit_status.h"
#include "pcapctl/output/terminal.h"

#define RESULT_SAVED "saved" /* put into an event by pcapctl: where it wrote the file */

/* "done", "failed", "rejected": nothing follows for this capture. */
bool event_is_final(const json_t *event);
bool event_is_good(const json_t *event);  /* done, and every destination took it */
bool event_is_empty(const json_t *event); /* done, without a packet */

/* Nothing was captured for it: it was folded into another request ("folded_into"), or its id was another's before,
 * whose answer this is. */
bool event_is_folded(const json_t *event);
bool event_is_duplicate(const json_t *event);

/* Of every folded event in the array where its packets are. `target_options`: of the target. `with_nodes`: of a fleet.
 * `in_redis`: the files go there. */
void results_print_folded(const json_t *events, const char *target_options, bool with_nodes, bool in_redis);

/* The url of a destination of that name that took the file; NULL: none. The event's. */
const char *event_destination_url(const json_t *event, const char *destination);
bool event_has_destination(const json_t *event, const char *destination); /* that took the file */

/* Of an array of events; an empty one has failed, one of folded ones is partial. `accepted`: those that are not final
 * are good enough. */
enum exit_status results_status(const json_t *events, bool accepted);

/* Whole table, with the losses as notes behind it. 0 or -errno. */
warn_unused int results_print(const struct terminal *terminal, const json_t *events, bool with_nodes);

/* One event on a line of its own, for `watch`. */
void event_print(const struct terminal *terminal, const json_t *event);

/* A JSON document or line on stdout. 0 or -ENOMEM; that it could not be written is found at the end, by ferror. */
warn_unused int json_print(const struct terminal *terminal, const json_t *json, bool line);
