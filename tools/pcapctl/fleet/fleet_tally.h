/* SPDX-License-Identifier: BSD-2-Clause */
/* Who should answer a request, who did, and what is still to come. Pure: fed with presence and events. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_tally;

/*
 * `request`: as sent. `nodes`: as fleet_bus_nodes gives them; those that the request means are expected to answer, by
 * the daemons' own rules. `durable`: it is on a stream, from where nodes take it up (again) once they are back. NULL
 * with the text in `err` (a bad expression, memory).
 */
struct fleet_tally *fleet_tally_new(const json_t *request, const json_t *nodes, bool durable, struct error *err);
void fleet_tally_free(struct fleet_tally *tally);

/* An event, of any request: others are passed over. True: it was news. 0, false or -ENOMEM. */
warn_unused int fleet_tally_event(struct fleet_tally *tally, const json_t *event, uint64_t now_ns, bool *news);

struct fleet_counts {
	size_t expected, expected_alive; /* nodes that should answer; of them, those with a presence */
	size_t answered;		 /* nodes that did, expected or not */
	size_t running, ended;		 /* captures */
	uint64_t packets, bytes;	 /* of captures whose end is known */
};
struct fleet_counts fleet_tally_counts(const struct fleet_tally *tally);

/*
 * Presence, read anew: a node that was there, and is away now or has been started again since, has lost its captures;
 * they are not waited for any more. Of a durable request one that has been started again has lost nothing, and one that
 * is away has not answered.
 */
void fleet_tally_presence(struct fleet_tally *tally, const json_t *nodes);

/* Every expected node has answered, for each of its captures where their number is known. */
bool fleet_tally_answered(const struct fleet_tally *tally);

/*
 * Nothing is to come from any node that has answered. Where nobody can know how many captures a node makes of a request
 * (aliases, "any"), it is taken to be complete when all it told of are over and nothing came for FLEET_SETTLE_NS.
 */
#define FLEET_SETTLE_NS UINT64_C(500000000)
bool fleet_tally_complete(const struct fleet_tally *tally, uint64_t now_ns);

/* New arrays, the caller's; NULL on ENOMEM. The latest event of each capture in the order of nodes; names of expected
 * nodes that never answered, or have captures without a final event. */
json_t *fleet_tally_events(const struct fleet_tally *tally);
json_t *fleet_tally_silent(const struct fleet_tally *tally);

/* What is to be said of a node that is silent: "never answered", "away since …". Returns `text`. */
#define FLEET_SILENCE_TEXT_SIZE 128
const char *fleet_tally_describe_silence(const struct fleet_tally *tally, const char *node,
					 char text[static FLEET_SILENCE_TEXT_SIZE]);

CLEANUP_DEFINE(fleet_tally, struct fleet_tally, fleet_tally_free)
