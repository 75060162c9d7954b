/* SPDX-License-Identifier: BSD-2-Clause */
/* The outcome of a fleet's request: exit status, table or JSON, and advice. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "pcapctl/cli/exit_status.h"

struct command_context;
struct fleet_tally;

struct fleet_outcome {
	const struct command_context *context;
	const json_t *request;
	const struct fleet_tally *tally;
	json_t *events, *silent, *unfinished; /* the tally's arrays, owned; unfinished: empty without `wait` */
	char *saved;			      /* the merged file's name, owned; NULL: none */
	bool wait;			      /* pcapctl waited until all captures were final */
};

void fleet_outcome_deinit(struct fleet_outcome *outcome);

enum exit_status fleet_outcome_status(const struct fleet_outcome *outcome);

/*
 * The nodes that are not in a merged file as a whole, and why: "edge3 (never answered)". Caller frees; NULL: none, or
 * no memory.
 */
char *fleet_outcome_missing(const struct fleet_outcome *outcome);

/* Says that captures go on, and how to follow them, if pcapctl does not wait. */
void fleet_outcome_note_running(const struct fleet_outcome *outcome);

/* 0 or -ENOMEM. */
warn_unused int fleet_outcome_print(const struct fleet_outcome *outcome);

/* Prints the command that fetches the files that nodes left in Redis; nothing if there are none. */
void fleet_outcome_print_get_hint(const struct fleet_outcome *outcome);
