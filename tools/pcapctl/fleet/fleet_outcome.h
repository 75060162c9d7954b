/* SPDX-License-Identifier: BSD-2-Clause */
/* What became of a fleet's request, once nobody waits any more: as an exit status, as a table or JSON, as advice. */
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
	json_t *events, *silent; /* the tally's arrays, owned */
	char *saved;		 /* the merged file's name, owned; NULL: none */
	bool wait;		 /* the ends of captures were waited for */
};

void fleet_outcome_deinit(struct fleet_outcome *outcome);

enum exit_status fleet_outcome_status(const struct fleet_outcome *outcome);

/* 0 or -ENOMEM. */
warn_unused int fleet_outcome_print(const struct fleet_outcome *outcome);

/* The command that fetches what nodes left in Redis and was not merged; nothing if they left nothing. */
void fleet_outcome_print_get_hint(const struct fleet_outcome *outcome);
