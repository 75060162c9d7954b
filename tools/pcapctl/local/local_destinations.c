/* SPDX-License-Identifier: BSD-2-Clause */
/* `destinations` prints how the daemon's destinations fare; `check --destinations` has it try them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/printable.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/table.h"
#include "pcapctl/output/terminal.h"

#define TEXT_MAX 2048

static enum exit_status print_failure(const struct error *err)
{
	terminal_error("%s", err->text);
	return STATUS_FAILED;
}

static int call_api(const struct command_context *context, const char *method, const char *path, json_t **answer,
		    struct error *err)
{
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(context->target, err);

	return client ? local_call_json(client, &(struct local_call_request){.method = method, .path = path}, answer,
					err)
		      : -ENOMEM;
}

/* --- destinations --- */

/* "open, next attempt in 8 s" */
static const char *state_text(const json_t *destination, char text[static FORMAT_SIZE])
{
	const double wait_s = json_number_value(json_object_get(destination, "breaker_wait"));
	const char *state = json_text(destination, "state");

	if (strcmp(state, "failing") != 0 || wait_s <= 0)
		return state;
	snprintf(text, FORMAT_SIZE, "failing, next try in %.0f s", wait_s);
	return text;
}

static void add_row(struct table *table, const json_t *destination)
{
	const json_t *waiting = json_object_get(destination, "waiting");
	const json_t *last_error = json_object_get(destination, "last_error");
	const bool failing = strcmp(json_text(destination, "state"), "failing") == 0;
	char texts[5][FORMAT_SIZE], error[TEXT_MAX] = "";

	table_cell(table, json_text(destination, "name"));
	table_cell(table, json_text(destination, "type"));
	table_cell(table, json_is_true(json_object_get(destination, "enabled")) ? "every file" : "on request");
	table_cell_tone(table, state_text(destination, texts[0]), failing ? TONE_BAD : TONE_PLAIN);
	table_cell(table, format_count(json_number(waiting, "files"), texts[1]));
	table_cell(table, format_bytes(json_number(waiting, "bytes"), texts[2]));
	table_cell(table, format_time(json_text(destination, "last_success"), texts[3]));
	table_cell(table, json_text(destination, "address"));
	if (last_error)
		snprintf(error, sizeof(error), "%s %s", format_time(json_text(last_error, "time"), texts[4]),
			 json_text(last_error, "error"));
	table_cell(table, error);
}

static int print_destinations(const struct terminal *terminal, const json_t *array)
{
	static const struct table_column columns[] = {
		{"NAME", false}, {"TYPE", false},	  {"GETS", false},    {"STATE", false},	     {"WAITING", true},
		{"BYTES", true}, {"LAST SUCCESS", false}, {"ADDRESS", false}, {"LAST ERROR", false},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	const json_t *destination;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(array, i, destination)
	{
		add_row(table, destination);
	}
	return table_print(table, terminal);
}

static enum exit_status printed_status(int r)
{
	if (r < 0)
		terminal_error("cannot print the answer: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

enum exit_status local_destinations(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;

	if (call_api(context, "GET", "/v1/destinations", &answer, &err) < 0)
		return print_failure(&err);
	return printed_status(context->terminal->json
				      ? json_print(context->terminal, answer, false)
				      : print_destinations(context->terminal, json_object_get(answer, "destinations")));
}

/* --- check --destinations --- */

static void print_result(const struct terminal *terminal, const json_t *result)
{
	const bool ok = json_is_true(json_object_get(result, "ok"));
	const char *url = json_text(result, "url"), *address = json_text(result, "address");
	const char *warning = json_text(result, "warning");
	char texts[4][TEXT_MAX];

	printable(texts[0], TEXT_MAX, json_text(result, "name"));
	printable(texts[1], TEXT_MAX, *url ? url : address);
	fprintf(terminal->results, "%s%-6s%s %s (%s)%s%s", terminal_begin(terminal, ok ? TONE_GOOD : TONE_BAD),
		ok ? "ok" : "failed", terminal_end(terminal, ok ? TONE_GOOD : TONE_BAD), texts[0],
		printable(texts[2], TEXT_MAX, json_text(result, "type")), *texts[1] ? " " : "", texts[1]);
	if (ok)
		fprintf(terminal->results, ", %s%s%s\n",
			json_is_true(json_object_get(result, "removed")) ? "removed again" : "the file stays there",
			*warning ? "; " : "", printable(texts[3], TEXT_MAX, warning));
	else
		fprintf(terminal->results, "\n       %s\n       %s\n",
			printable(texts[2], TEXT_MAX, json_text(result, "error")),
			printable(texts[3], TEXT_MAX, json_text(result, "hint")));
}

static enum exit_status print_results(const struct terminal *terminal, const json_t *answer)
{
	const json_t *results = json_object_get(answer, "destinations"), *result;
	size_t i, failed = 0;

	if (!terminal->json && json_array_size(results) == 0)
		terminal_note(terminal, "the daemon has no destination");
	json_array_foreach(results, i, result)
	{
		failed += !json_is_true(json_object_get(result, "ok"));
		if (!terminal->json)
			print_result(terminal, result);
	}
	if (terminal->json && json_print(terminal, answer, false) < 0)
		return STATUS_FAILED;
	if (failed == 0)
		return STATUS_OK;
	return failed < i ? STATUS_PARTIAL : STATUS_FAILED;
}

enum exit_status local_check_destinations(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;

	if (context->line->word_count) {
		terminal_error("--destinations asks the daemon, and takes no file");
		return STATUS_USAGE;
	}
	if (call_api(context, "POST", "/v1/destinations/check", &answer, &err) < 0)
		return print_failure(&err);
	return print_results(context->terminal, answer);
}
