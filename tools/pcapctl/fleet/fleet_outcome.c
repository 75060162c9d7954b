/* SPDX-License-Identifier: BSD-2-Clause */
/* Combines the nodes' events with the tally's list of silent nodes, in one table and one exit status. */
#include "pcapctl/fleet/fleet_outcome.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_tally.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define NAME_SIZE 256
#define MISSING_MAX 32768 /* bytes, of a comment */

void fleet_outcome_deinit(struct fleet_outcome *outcome)
{
	json_decref(outcome->events);
	json_decref(outcome->silent);
	json_decref(outcome->unfinished);
	free(outcome->saved);
}

/* Without --wait an accepted capture is a success; a node that did not answer never is. */
enum exit_status fleet_outcome_status(const struct fleet_outcome *outcome)
{
	const struct results_view view = {.accepted = !outcome->wait};
	enum exit_status status = results_status(outcome->events, &view);

	if (status != STATUS_FAILED && json_array_size(outcome->silent) + json_array_size(outcome->unfinished) > 0)
		return STATUS_PARTIAL;
	return status;
}

static void list_missing(const struct fleet_outcome *outcome, const json_t *nodes, struct buffer *text)
{
	char why[FLEET_SILENCE_TEXT_SIZE], shown[NAME_SIZE];
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		const char *name = json_string_value(node);

		if (buffer_printf(text, "%s%s (%s)", text->size ? ", " : "", printable(shown, sizeof(shown), name),
				  fleet_tally_describe_silence(outcome->tally, name, why)) < 0)
			return; /* the terminal has them all */
	}
}

char *fleet_outcome_missing(const struct fleet_outcome *outcome)
{
	struct buffer text = BUFFER_INIT(MISSING_MAX);

	list_missing(outcome, outcome->silent, &text);
	list_missing(outcome, outcome->unfinished, &text);
	if (!text.size)
		buffer_deinit(&text);
	return take(text.data);
}

void fleet_outcome_note_running(const struct fleet_outcome *outcome)
{
	char id[NAME_SIZE];
	size_t i, running = 0;
	json_t *event;

	json_array_foreach(outcome->events, i, event)
	{
		running += !event_is_final(event);
	}
	if (running && !outcome->wait)
		terminal_note(outcome->context->terminal, "captures go on: `pcapctl watch --id %s%s`, or use --wait",
			      printable_word(id, sizeof(id), json_text(outcome->request, "id")),
			      command_target_options(outcome->context->target));
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

static void print_silent(const struct fleet_outcome *outcome, const json_t *nodes)
{
	char text[FLEET_SILENCE_TEXT_SIZE], shown[NAME_SIZE];
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		const char *name = json_string_value(node);

		terminal_error("%s %s", printable(shown, sizeof(shown), name),
			       fleet_tally_describe_silence(outcome->tally, name, text));
	}
}

/* Nodes that never answered get rows of their own. */
static int print_table(const struct fleet_outcome *outcome)
{
	cleanup(cleanup_json) json_t *rows = json_copy(outcome->events);
	cleanup(cleanup_json) json_t *answered = names_that_answered(outcome->events);
	size_t i;
	json_t *node;
	int r;

	json_array_foreach(outcome->silent, i, node)
	{
		const char *name = json_string_value(node);

		if (!json_object_get(answered, name))
			json_array_append_new(rows, json_pack("{s:s, s:s}", "node", name, "event", "no answer"));
	}
	r = results_print(outcome->context->terminal, rows, &(struct results_view){.with_nodes = true});
	print_silent(outcome, outcome->silent);
	print_silent(outcome, outcome->unfinished);
	return r;
}

int fleet_outcome_print(const struct fleet_outcome *outcome)
{
	const struct terminal *terminal = outcome->context->terminal;
	cleanup(cleanup_json) json_t *answer = NULL;
	int r;

	if (terminal->json) {
		answer = json_pack("{s:s, s:O, s:O, s:O, s:s*}", "id", json_text(outcome->request, "id"), "events",
				   outcome->events, "silent", outcome->silent, "unfinished", outcome->unfinished,
				   RESULT_SAVED, outcome->saved);
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
