/* SPDX-License-Identifier: BSD-2-Clause */
/* Combines the nodes' events with the tally's list of silent nodes, in one table and one exit status. */
#include "pcapctl/fleet/fleet_outcome.h"

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_tally.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define NAME_SIZE 256

void fleet_outcome_deinit(struct fleet_outcome *outcome)
{
	json_decref(outcome->events);
	json_decref(outcome->silent);
	free(outcome->saved);
}

/* Without --wait an accepted capture is a success; a node that did not answer never is. */
enum exit_status fleet_outcome_status(const struct fleet_outcome *outcome)
{
	enum exit_status status = results_status(outcome->events, !outcome->wait);

	if (status != STATUS_FAILED && json_array_size(outcome->silent) > 0)
		return STATUS_PARTIAL;
	return status;
}

/* The names of nodes with an event. */
static json_t *names_that_answered(const json_t *events)
{
	json_t *names = json_object(), *event;
	size_t i;

	json_array_foreach(events, i, event)
	{
		json_object_set_new(names, json_text(event, "node"), json_true());
	}
	return names;
}

/* Nodes that never answered get rows of their own. */
static int print_table(const struct fleet_outcome *outcome)
{
	cleanup(cleanup_json) json_t *rows = json_copy(outcome->events);
	cleanup(cleanup_json) json_t *answered = names_that_answered(outcome->events);
	char text[FLEET_SILENCE_TEXT_SIZE], shown[NAME_SIZE];
	size_t i;
	json_t *node;
	int r;

	json_array_foreach(outcome->silent, i, node)
	{
		const char *name = json_string_value(node);

		if (!json_object_get(answered, name))
			json_array_append_new(rows, json_pack("{s:s, s:s}", "node", name, "event", "no answer"));
	}
	r = results_print(outcome->context->terminal, rows, true);
	json_array_foreach(outcome->silent, i, node)
	{
		const char *name = json_string_value(node);

		terminal_error("%s %s", printable(shown, sizeof(shown), name),
			       fleet_tally_describe_silence(outcome->tally, name, text));
	}
	return r;
}

int fleet_outcome_print(const struct fleet_outcome *outcome)
{
	const struct terminal *terminal = outcome->context->terminal;
	cleanup(cleanup_json) json_t *answer = NULL;
	int r;

	if (terminal->json) {
		answer = json_pack("{s:s, s:O, s:O, s:s*}", "id", json_text(outcome->request, "id"), "events",
				   outcome->events, "silent", outcome->silent, RESULT_SAVED, outcome->saved);
		return answer ? json_print(terminal, answer, false) : -ENOMEM;
	}
	r = print_table(outcome);
	if (r == 0 && outcome->saved && strcmp(outcome->saved, "-") != 0)
		fprintf(terminal->results, "%s\n", outcome->saved);
	return r;
}

/* Shows the command for one node, as an example. */
void fleet_outcome_print_get_hint(const struct fleet_outcome *outcome)
{
	char capture[NAME_SIZE], node[NAME_SIZE];
	size_t i;
	json_t *event;

	json_array_foreach(outcome->events, i, event)
	{
		if (!event_is_final(event) || !event_has_destination(event, "redis"))
			continue;
		terminal_error(
			"the nodes' files stay in Redis until they expire; for each node: `pcapctl get %s --node %s%s`",
			printable_word(capture, sizeof(capture), json_text(event, "capture")),
			printable_word(node, sizeof(node), json_text(event, "node")),
			command_target_options(outcome->context->target));
		return;
	}
}
