/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `rules check` and `rules test`: alert rules as the daemon would read and apply them, without one. A test takes the
 * alert from standard input and says of each rule whether it matches; every interface counts as there.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alert/alert_format.h"
#include "alert/alert_rule_files.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/alert_input.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/input_file.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define FAULTS_MAX (1024 * 1024)
#define NODE_SIZE 256

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

enum exit_status rules_check(const struct command_context *context)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};

	if (!read_rules(context, &rules))
		return STATUS_USAGE;
	terminal_note(context->terminal, "the rules are valid (%zu)", rules.count);
	return STATUS_OK;
}

static bool has_every_interface(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return true;
}

/* What one rule makes of an alert: for people a line, and the request. */
static enum alert_verdict test_rule(const struct command_context *context, const struct alert_rule *rule,
				    const json_t *alert, const struct alert_context *alert_context, json_t *verdicts)
{
	cleanup(cleanup_json) json_t *request = NULL;
	struct error why = {0};
	char shown[sizeof(why.text)];
	const enum alert_verdict verdict = alert_rule_apply(rule, alert, alert_context, &request, &why);

	if (context->terminal->json) {
		json_array_append_new(verdicts,
				      json_pack("{ss sb sO* ss*}", "rule", rule->name, "matches", request != NULL,
						"request", request, "why", request ? NULL : why.text));
		return verdict;
	}
	if (!request) {
		printf("%s does not match: %s\n", rule->name, printable(shown, sizeof(shown), why.text));
		return verdict;
	}
	printf("%s matches%s\n", rule->name, rule->dry_run ? "; its dry_run only logs the request" : "");
	cleanup(cleanup_free) char *text = json_dumps(request, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	printf("%s\n", text ? text : "");
	return verdict;
}

/* Rules after the first match are not asked, as in the daemon. True: one matched. */
static bool test_alert(const struct command_context *context, const struct alert_rules *rules, const json_t *alert,
		       const struct alert_context *alert_context, json_t *results)
{
	json_t *verdicts = json_array();
	enum alert_verdict verdict = ALERT_NO_MATCH;

	for (size_t i = 0; verdict == ALERT_NO_MATCH && i < rules->count; i++)
		verdict = test_rule(context, rules->items[i], alert, alert_context, verdicts);
	json_array_append_new(results, verdicts);
	return verdict == ALERT_START || verdict == ALERT_STOP;
}

static enum exit_status test_alerts(const struct command_context *context, const struct alert_rules *rules,
				    const json_t *alerts, enum alert_format format)
{
	cleanup(cleanup_json) json_t *results = json_array();
	char host[NODE_SIZE] = "localhost";
	const char *node = command_line_value(context->line, OPTION_NODE);
	bool matched = false;
	size_t i;
	json_t *alert;

	(void)gethostname(host, sizeof(host) - 1);
	const struct alert_context alert_context = {
		.node = node ? node : host,
		.has_interface = has_every_interface,
		.input = command_line_value(context->line, OPTION_INPUT),
		.format = alert_format_name(format),
		.arrived_ns = clock_realtime_ns(),
	};
	json_array_foreach(alerts, i, alert)
	{
		if (!context->terminal->json && json_array_size(alerts) > 1)
			printf("alert %zu:\n", i + 1);
		matched |= test_alert(context, rules, alert, &alert_context, results);
	}
	if (context->terminal->json && (!results || json_print(context->terminal, results, false) < 0))
		return STATUS_FAILED;
	return matched ? STATUS_OK : STATUS_EMPTY;
}

enum exit_status rules_test(const struct command_context *context)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer message = BUFFER_INIT(ALERT_MESSAGE_MAX);
	cleanup(cleanup_json) json_t *alerts = NULL;
	enum alert_format format;
	struct error err;
	char shown[sizeof(err.text)];

	if (alert_input_format(context->line, &format, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	if (!read_rules(context, &rules))
		return STATUS_USAGE;
	if (input_file_read("-", &message, &err) < 0 ||
	    alert_format_read(format, buffer_text(&message), message.size, &err, &alerts) < 0) {
		terminal_error("the alert: %s", printable(shown, sizeof(shown), err.text));
		return STATUS_FAILED;
	}
	return test_alerts(context, &rules, alerts, format);
}
