/* SPDX-License-Identifier: BSD-2-Clause */
/* The outcome of a request, from its final events: an exit status, a table, notes on what is missing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "pcapctl/cli/exit_status.h"
#include "pcapctl/output/terminal.h"

#define RESULT_SAVED "saved" /* field that pcapctl adds to an event: the file it wrote */

/* "done", "failed", "rejected": nothing follows for this capture. "spooled": nothing follows soon. */
bool event_is_final(const json_t *event);

/* Final, but the series of files goes on with another capture. */
bool event_is_rotated(const json_t *event);
bool event_is_success(const json_t *event); /* done, and every destination took it */
bool event_is_empty(const json_t *event);   /* done, without a packet */

/*
 * Nothing was captured: the request was folded into another ("folded_into"), or this repeats the answer to an earlier
 * request with the same id.
 */
bool event_is_folded(const json_t *event);
bool event_is_suppressed(const json_t *event);	    /* stands for events that a flood would have caused */
bool event_is_flood_of_alerts(const json_t *event); /* of these: for alerts, which are no answers to requests */
bool event_is_duplicate(const json_t *event);

/*
 * Shows where the packets of each folded event are. `target_options`: from command_target_options. `with_nodes`: of a
 * fleet. `in_redis`: the files go there.
 */
void results_print_folded(const json_t *events, const char *target_options, bool with_nodes, bool in_redis);

/* The URL from the destination of that name, if it took the file; NULL: none. Borrowed from the event. */
const char *event_destination_url(const json_t *event, const char *destination);
bool event_has_destination(const json_t *event, const char *destination); /* that took the file */

struct results_view {
	bool with_nodes;   /* of a fleet */
	bool accepted;	   /* events that are not final count as success */
	bool stopped_here; /* this pcapctl stopped the captures */
};

/*
 * The exit status for an array of events: an empty one has failed; one of folded events is a partial success, and so
 * is one with a capture that was cut short or is incomplete.
 */
enum exit_status results_status(const json_t *events, const struct results_view *view);

/* Prints a table, then what is missing (shortfall.h). 0 or -errno. */
warn_unused int results_print(const struct terminal *terminal, const json_t *events, const struct results_view *view);

/* One event on a line of its own, for `watch`. */
void event_print(const struct terminal *terminal, const json_t *event);

/* Prints a JSON document, or a line of it. 0 or -ENOMEM; write errors are found at the end, by ferror. */
warn_unused int json_print(const struct terminal *terminal, const json_t *json, bool line);
