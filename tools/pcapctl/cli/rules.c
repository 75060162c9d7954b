/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `rules check` and `rules test`: alert rules as the daemon would read and apply them, without one. A test takes the
 * alert from standard input and says of each rule whether it matches. Every interface counts as there, and every named
 * input as one of the format that is tested.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert_format.h"
#include "alert/alert_own.h"
#include "alert/alert_rule_files.h"
#include "base/clock.h"
#include "base/printable.h"
#include "base/suggest.h"
#include "pcapctl/cli/alert_input.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/input_file.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define FAULTS_MAX (1024 * 1024)
#define NODE_SIZE 256
#define SYSLOG_TAG "pcapdaemon" /* the default of syslog.tag */

/* The patterns are the words after the first. False: printed why. */
static bool read_rules(const struct command_context *context, struct alert_rules *rules)
{
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(FAULTS_MAX);
	bool valid = true;
	char shown[4096];

	for (size_t i = 1; i < context->line->word_count; i++) {
		const char *pattern = context->line->words[i];
		const size_t before = rules->count;
		const int r = alert_rule_files_add(pattern, rules, &faults);

		valid &= r == 0;
		if (r == -ENOMEM) {
			terminal_error("out of memory");
		} else if (r == 0 && rules->count == before) {
			terminal_error("%s: no such file, or no rule in it", printable(shown, sizeof(shown), pattern));
			valid = false;
		}
	}
	for (const char *at = buffer_text(&faults); *at; at += strcspn(at, "\n"), at += *at == '\n') {
		char line[2048];

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		fprintf(stderr, "%s\n", printable(shown, sizeof(shown), line));
	}
	return valid;
}

/* A rule's input is a format, or the name of an [[input]], which only the daemon's configuration has. */
static void note_named_inputs(const struct command_context *context, const struct alert_rules *rules)
{
	const char *known[ALERT_FORMATS], *similar;
	char shown[256];

	for (enum alert_format format = 0; format < ALERT_FORMATS; format++)
		known[format] = alert_format_name(format);
	for (size_t i = 0; i < rules->count; i++) {
		const struct alert_rule *rule = rules->items[i];

		if (!rule->input || alert_format_find(rule->input) < ALERT_FORMATS)
			continue;
		similar = suggest(rule->input, known, ALERT_FORMATS);
		terminal_note(context->terminal,
			      "rule %s: \"%s\" is no format, so an [[input]] must have this name%s%s%s", rule->name,
			      printable(shown, sizeof(shown), rule->input), similar ? " (did you mean " : "",
			      similar ? similar : "", similar ? "?)" : "");
	}
}

enum exit_status rules_check(const struct command_context *context)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};

	if (!read_rules(context, &rules))
		return STATUS_USAGE;
	note_named_inputs(context, &rules);
	terminal_note(context->terminal, "the rules are valid (%zu)", rules.count);
	return STATUS_OK;
}

/* --- test --- */

/* What is tried out. */
struct test {
	const struct command_context *context;
	const struct alert_rules *rules;
	const struct buffer *message;
	bool any_format; /* none was given: each rule gets the alert in its own */
	const char *node;
	json_t *results; /* with --json */
	bool read, matched;
	struct error unread;
};

static bool has_every_interface(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return true;
}

/* The format that the rule's alerts come in; of a named input that is not known here. */
static enum alert_format format_of(const struct alert_rule *rule)
{
	const enum alert_format format = rule->input ? alert_format_find(rule->input) : ALERT_FORMATS;

	return format < ALERT_FORMATS ? format : ALERT_FORMAT_JSON;
}

/* A named input counts as one of the tested format. */
static const char *named_input(const struct alert_rule *rule)
{
	return rule->input && alert_format_find(rule->input) == ALERT_FORMATS ? rule->input : NULL;
}

static void print_no_match(const struct test *test, const struct alert_rule *rule, const char *why)
{
	const bool about_node = rule->node && !rule->publish && strstr(why, "this node is") &&
				!command_line_has(test->context->line, OPTION_NODE);
	char shown[sizeof(test->unread.text)];

	printf("%s does not match: %s%s\n", rule->name, printable(shown, sizeof(shown), why),
	       about_node ? "; --node tests as another node" : "");
}

static enum alert_verdict apply(const struct alert_rule *rule, const json_t *alert, const struct alert_context *context,
				json_t **request, struct error *why)
{
	if (!alert_is_own(alert, SYSLOG_TAG))
		return alert_rule_apply(rule, alert, context, request, why);
	error_set(why, 0, "pcapdaemon wrote this itself: no rule sees it");
	return ALERT_NO_MATCH;
}

/* What one rule makes of an alert: for people a line, and the request. */
static enum alert_verdict test_rule(const struct test *test, const struct alert_rule *rule, const json_t *alert,
				    enum alert_format format, json_t *verdicts)
{
	const struct alert_context alert_context = {
		.node = test->node,
		.has_interface = has_every_interface,
		.input = named_input(rule),
		.format = alert_format_name(format),
		.arrived_ns = clock_realtime_ns(),
	};
	cleanup(cleanup_json) json_t *request = NULL;
	struct error why = {0};
	const enum alert_verdict verdict = apply(rule, alert, &alert_context, &request, &why);

	if (test->context->terminal->json) {
		json_array_append_new(verdicts,
				      json_pack("{ss sb sO* ss*}", "rule", rule->name, "matches", request != NULL,
						"request", request, "why", request ? NULL : why.text));
		return verdict;
	}
	if (!request) {
		print_no_match(test, rule, why.text);
		return verdict;
	}
	printf("%s matches%s%s\n", rule->name, verdict == ALERT_STOP ? ", and ends its capture" : "",
	       rule->dry_run ? "; its dry_run only logs the request" : "");
	cleanup(cleanup_free) char *text = json_dumps(request, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	printf("%s\n", text ? text : "");
	return verdict;
}

/* Rules after the first match are not asked, as in the daemon. */
static void test_alert(struct test *test, const json_t *alert, enum alert_format format)
{
	json_t *verdicts = json_array();
	enum alert_verdict verdict = ALERT_NO_MATCH;

	for (size_t i = 0; verdict == ALERT_NO_MATCH && i < test->rules->count; i++)
		if (!test->any_format || format_of(test->rules->items[i]) == format)
			verdict = test_rule(test, test->rules->items[i], alert, format, verdicts);
	json_array_append_new(test->results, verdicts);
	test->matched |= verdict == ALERT_START || verdict == ALERT_STOP;
}

/* The message, read in one format. */
static void test_format(struct test *test, enum alert_format format)
{
	cleanup(cleanup_json) json_t *alerts = NULL;
	size_t i;
	json_t *alert;

	if (alert_format_read(format, buffer_text(test->message), test->message->size, &test->unread, &alerts) < 0) {
		error_prefix(&test->unread, "the alert cannot be read as %s", alert_format_name(format));
		for (i = 0; i < test->rules->count && test->any_format && !test->context->terminal->json; i++)
			if (format_of(test->rules->items[i]) == format)
				print_no_match(test, test->rules->items[i], test->unread.text);
		return;
	}
	test->read = true;
	json_array_foreach(alerts, i, alert)
	{
		if (!test->context->terminal->json && json_array_size(alerts) > 1)
			printf("alert %zu:\n", i + 1);
		test_alert(test, alert, format);
	}
}

/* In the formats of the rules, in their order, each once. */
static void test_formats(struct test *test)
{
	bool done[ALERT_FORMATS] = {false};

	for (size_t i = 0; i < test->rules->count; i++) {
		const enum alert_format format = format_of(test->rules->items[i]);

		if (!done[format])
			test_format(test, format);
		done[format] = true;
	}
}

static enum exit_status end_test(const struct test *test)
{
	char shown[sizeof(test->unread.text)];

	if (!test->read) {
		terminal_error("%s%s", printable(shown, sizeof(shown), test->unread.text),
			       test->any_format ? "; --format says how it is written" : "");
		return STATUS_FAILED;
	}
	if (test->context->terminal->json &&
	    (!test->results || json_print(test->context->terminal, test->results, false) < 0))
		return STATUS_FAILED;
	return test->matched ? STATUS_OK : STATUS_EMPTY;
}

static int read_alert(const struct command_context *context, struct buffer *message, struct error *err)
{
	if (isatty(STDIN_FILENO))
		terminal_note(context->terminal, "reading the alert from standard input, until Ctrl-D");
	const int r = input_file_read("-", message, err);
	if (r == 0 && !message->size)
		return error_set(err, -ENODATA, "there is no alert on standard input");
	return r;
}

enum exit_status rules_test(const struct command_context *context)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer message = BUFFER_INIT(ALERT_MESSAGE_MAX);
	cleanup(cleanup_json) json_t *results = json_array();
	char host[NODE_SIZE] = "localhost";
	enum alert_format format;
	struct error err;

	if (alert_input_format(context->line, &format, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	if (!read_rules(context, &rules))
		return STATUS_USAGE;
	if (read_alert(context, &message, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_FAILED;
	}
	(void)gethostname(host, sizeof(host) - 1);
	const char *node = command_line_value(context->line, OPTION_NODE);
	struct test test = {
		.context = context,
		.rules = &rules,
		.message = &message,
		.any_format = !command_line_has(context->line, OPTION_FORMAT),
		.node = node ? node : host,
		.results = results,
	};
	if (test.any_format)
		test_formats(&test);
	else
		test_format(&test, format);
	return end_test(&test);
}
