/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracks which nodes should answer a request, which have, and what is still missing. Pure: the caller passes presence
 * and events in.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_tally;

/*
 * `request`: as sent. `nodes`: from fleet_bus_nodes; those that the request addresses, by the daemons' own rules, are
 * expected to answer, unless they were stopped cleanly and the request names them only by an expression or "any".
 * `durable`: the request is in a stream, where nodes find it (again) once they are back. NULL with
 * the text in `err` (a bad expression, out of memory).
 */
struct fleet_tally *fleet_tally_new(const json_t *request, const json_t *nodes, bool durable, struct error *err);
void fleet_tally_free(struct fleet_tally *tally);

/*
 * From now on exactly those of `names` (an array of strings) that the request addresses are expected to answer, known
 * to presence or not. 0, -ENOENT if it addresses none of them, or -ENOMEM, with the text in `err`.
 */
warn_unused int fleet_tally_expect(struct fleet_tally *tally, const json_t *request, const json_t *names,
				   struct error *err);

/* Whether presence knew the node at the start. */
bool fleet_tally_knows(const struct fleet_tally *tally, const char *node);

/* Takes an event; ignores those of other requests. `*changed`: whether the tally changed. 0 or -ENOMEM. */
warn_unused int fleet_tally_event(struct fleet_tally *tally, const json_t *event, uint64_t now_ns, bool *changed);

struct fleet_counts {
	size_t expected, expected_alive; /* nodes that should answer; those of them with a presence */
	size_t answered;		 /* nodes that did, expected or not */
	size_t running, ended;		 /* captures */
	uint64_t packets, bytes;	 /* of all captures; of running ones, as last reported */
};
struct fleet_counts fleet_tally_counts(const struct fleet_tally *tally);

/*
 * Takes presence read again. A node that was up, and is now away or was restarted, has lost its captures, which are no
 * longer waited for. With a durable request a restarted node has lost nothing, and a node that is away has not
 * answered.
 */
void fleet_tally_presence(struct fleet_tally *tally, const json_t *nodes);

/* Every expected node has answered, for each of its captures where their number is known. */
bool fleet_tally_answered(const struct fleet_tally *tally);

/*
 * Every node that has answered has sent its last event. If the number of captures per node is unknown (aliases, "any"),
 * a node is complete when all its known captures are final and it sent nothing for FLEET_SETTLE_NS. Several names may
 * be one device's there: then it may have fewer captures, after FLEET_SETTLE_NAMED_NS.
 */
#define FLEET_SETTLE_NS UINT64_C(500000000)
#define FLEET_SETTLE_NAMED_NS UINT64_C(10000000000) /* rings open within this */
bool fleet_tally_complete(const struct fleet_tally *tally, uint64_t now_ns);

/*
 * New arrays, the caller's; NULL on ENOMEM. Events: the latest of each capture, by node. Silent: names of expected
 * nodes that never answered, and `to_the_end` of nodes with captures that are not final.
 */
json_t *fleet_tally_events(const struct fleet_tally *tally);
json_t *fleet_tally_silent(const struct fleet_tally *tally, bool to_the_end);
json_t *fleet_tally_unfinished(const struct fleet_tally *tally); /* those that answered and have captures not final */

/* Describes a silent node, as in "never answered". Returns `text`. */
#define FLEET_SILENCE_TEXT_SIZE 128
const char *fleet_tally_describe_silence(const struct fleet_tally *tally, const char *node,
					 char text[static FLEET_SILENCE_TEXT_SIZE]);

CLEANUP_DEFINE(fleet_tally, struct fleet_tally, fleet_tally_free)
