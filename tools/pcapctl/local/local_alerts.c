/* SPDX-License-Identifier: BSD-2-Clause */
/* `alert` hands an alert to the daemon, for programs that run a command; `rules list` shows what rules did. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert_format.h"
#include "base/buffer.h"
#include "base/printable.h"
#include "pcapctl/cli/alert_input.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/table.h"
#include "pcapctl/output/terminal.h"

static enum exit_status print_failure(const struct error *err)
{
	terminal_error("%s", err->text);
	return STATUS_FAILED;
}

static int call_api(const struct command_context *context, const struct local_call_request *request, json_t **answer,
		    struct error *err)
{
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(context->target, err);

	return client ? local_call_json(client, request, answer, err) : -ENOMEM;
}

/* --- alert --- */

static void print_outcome(const struct command_context *context, enum alert_format format, const json_t *answer)
{
	char id[LOCAL_NAME_SIZE];

	if (format == ALERT_FORMAT_REQUEST) {
		terminal_note(context->terminal, "request %s: captures begun: %zu",
			      printable(id, sizeof(id), json_text(answer, "id")),
			      json_array_size(json_object_get(answer, "captures")));
		return;
	}
	terminal_note(context->terminal,
		      "%" PRIu64 " of %" PRIu64 " alerts matched a rule; captures begun: %" PRIu64 ", ended: %" PRIu64
		      "; published: %" PRIu64 "; suppressed: %" PRIu64,
		      json_number(answer, "matched"), json_number(answer, "alerts"), json_number(answer, "started"),
		      json_number(answer, "stopped"), json_number(answer, "published"),
		      json_number(answer, "suppressed"));
}

enum exit_status local_alert(const struct command_context *context)
{
	cleanup(buffer_deinit) struct buffer message = BUFFER_INIT(ALERT_MESSAGE_MAX);
	cleanup(cleanup_json) json_t *answer = NULL;
	enum alert_format format;
	char path[64];
	struct error err;
	int r = alert_input_format(context->line, &format, &err);

	if (r == 0)
		r = alert_input_read(context->line, format, (const char *const *)environ, &message, &err);
	if (r < 0) {
		terminal_error("%s", err.text);
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	}
	snprintf(path, sizeof(path), "/v1/alerts/%s", alert_format_name(format));
	const struct local_call_request request = {.method = "POST", .path = path, .text = buffer_text(&message)};
	if (call_api(context, &request, &answer, &err) < 0)
		return print_failure(&err);
	if (!context->terminal->json) {
		print_outcome(context, format, answer);
		return STATUS_OK;
	}
	return json_print(context->terminal, answer, false) < 0 ? STATUS_FAILED : STATUS_OK;
}

/* --- rules --- */

static void add_number(struct table *table, const json_t *rule, const char *key)
{
	char text[FORMAT_SIZE];

	table_cell(table, format_count(json_number(rule, key), text));
}

static int print_rules(const struct terminal *terminal, const json_t *rules)
{
	static const struct table_column columns[] = {
		{"RULE", false},   {"INPUT", false},	{"MATCHES", true},     {"CAPTURES", true},
		{"RUNNING", true}, {"PUBLISHED", true}, {"REFUSED", true},     {"SUPPRESSED", true},
		{"FAILED", true},  {"RATE", true},	{"LAST MATCH", false},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	char time[FORMAT_SIZE], rate[FORMAT_SIZE];
	size_t i;
	json_t *rule;

	if (!table)
		return -ENOMEM;
	json_array_foreach(rules, i, rule)
	{
		table_cell(table, json_text(rule, "name"));
		table_cell(table, json_text(rule, "input"));
		add_number(table, rule, "matches");
		add_number(table, rule, "captures");
		add_number(table, rule, "running");
		add_number(table, rule, "published");
		add_number(table, rule, "refused");
		table_cell(table, format_count(json_number(rule, "suppressed") + json_number(rule, "repeated"), time));
		add_number(table, rule, "failed");
		snprintf(rate, sizeof(rate), "%.3g/s", json_number_value(json_object_get(rule, "rate")));
		table_cell(table, rate);
		table_cell(table, format_time(json_text(rule, "last_match"), time));
	}
	return table_print(table, terminal);
}

static enum exit_status list_rules(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;

	if (call_api(context, &(struct local_call_request){.method = "GET", .path = "/v1/rules"}, &answer, &err) < 0)
		return print_failure(&err);
	const int r = context->terminal->json ? json_print(context->terminal, answer, false)
					      : print_rules(context->terminal, json_object_get(answer, "rules"));
	if (r < 0)
		terminal_error("cannot print the answer: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

enum exit_status local_rules(const struct command_context *context)
{
	const char *verb = context->line->words[0];
	const bool has_files = context->line->word_count > 1;
	char shown[64];

	if (strcmp(verb, "list") == 0 && !has_files)
		return list_rules(context);
	if (strcmp(verb, "check") == 0 && has_files)
		return rules_check(context);
	if (strcmp(verb, "test") == 0 && has_files)
		return rules_test(context);
	if (strcmp(verb, "check") == 0 || strcmp(verb, "test") == 0)
		terminal_error("rules %s needs a file with rules", verb);
	else if (strcmp(verb, "list") == 0)
		terminal_error("rules list takes no file; it asks the daemon");
	else
		terminal_error("rules %s: the words are list, check FILE... or test FILE...",
			       printable(shown, sizeof(shown), verb));
	return STATUS_USAGE;
}
