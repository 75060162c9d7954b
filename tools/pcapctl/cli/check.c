/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `check` reports the errors that the daemon would find in a file. A request is validated against the configuration
 * that --config names; without --config, against the default limits and a node that has all its aliases. Any
 * destination name is accepted.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/packet.h"
#include "base/printable.h"
#include "bpf/filter.h"
#include "config/config.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/input_file.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"
#include "request/request.h"
#include "request/request_node.h"

#define DESTINATIONS_MAX 64
#define NODE "node"

static const char *input_name(const struct command_context *context)
{
	const char *path = context->line->words[0];

	return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Prints lines, or with --json an array of them. */
static enum exit_status print_faults(const struct command_context *context, const char *faults)
{
	cleanup(cleanup_json) json_t *answer = json_pack("{s:b, s:[]}", "valid", !*faults, "faults");
	enum exit_status status = *faults ? STATUS_USAGE : STATUS_OK;
	char shown[4096], line[4096];

	if (!context->terminal->json && !*faults)
		terminal_note(context->terminal, "%s is valid", printable(shown, sizeof(shown), input_name(context)));
	for (const char *at = faults; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		printable(shown, sizeof(shown), line);
		if (!context->terminal->json)
			fprintf(stderr, "%s\n", shown);
		else if (json_array_append_new(json_object_get(answer, "faults"), json_string(shown)) < 0)
			return STATUS_FAILED;
	}
	if (context->terminal->json && (!answer || json_print(context->terminal, answer, false) < 0))
		return STATUS_FAILED;
	return status;
}

static enum exit_status check_config(const struct command_context *context, const struct buffer *text)
{
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);
	cleanup(cleanup_config) struct config *config = NULL;
	int r = config_load_text(buffer_text(text), text->size, input_name(context), filter_check, &faults, &config);

	if (r == -ENOMEM) {
		terminal_error("out of memory");
		return STATUS_FAILED;
	}
	return print_faults(context, buffer_text(&faults));
}

/* --- a request --- */

/* Every destination that the request names counts as configured. */
static size_t destinations_of(const json_t *request, const char *names[static DESTINATIONS_MAX])
{
	static const char *const fields[] = {"to_destinations", "first_of"};
	size_t count = 0, i;
	json_t *name;

	for (size_t field = 0; field < sizeof(fields) / sizeof(*fields); field++) {
		json_array_foreach(json_object_get(request, fields[field]), i, name)
		{
			if (json_is_string(name) && count < DESTINATIONS_MAX)
				names[count++] = json_string_value(name);
		}
	}
	return count;
}

/* A node with every alias of the request, each on an interface of its own. JSON strings are valid TOML strings. */
static int generate_node_config(const json_t *request, struct buffer *toml)
{
	int r = buffer_append_string(toml, "general.node = \"" NODE "\"\n");
	size_t i;
	json_t *alias;

	json_array_foreach(json_object_get(request, "alias"), i, alias)
	{
		cleanup(cleanup_free) char *text = json_is_string(alias) ? json_dumps(alias, JSON_ENCODE_ANY) : NULL;

		if (r == 0 && text && json_string_length(alias) > 0)
			r = buffer_printf(toml, "[[interface]]\nname = \"if%zu\"\nalias = [%s]\n", i, text);
	}
	return r;
}

static int load_config(const struct command_context *context, const json_t *request, struct config **config,
		       struct error *err)
{
	const char *path = command_line_value(context->line, OPTION_CONFIG);
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX),
					     toml = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);
	int r;

	if (path)
		return input_file_read_config(path, config, err);
	r = generate_node_config(request, &toml);
	if (r == 0)
		r = config_load_text(buffer_text(&toml), toml.size, "", NULL, &faults, config);
	if (r == -EINVAL) /* an alias that no configuration may have */
		return error_set(err, r, "alias: not a valid alias of an interface");
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

/*
 * A daemon validates no further once a request addresses another node. This validates the node expression and then
 * addresses the request to any node.
 */
static int readdress_to_any(json_t *request, struct error *err)
{
	const json_t *expression = json_object_get(request, "nodere");
	int r = 0;

	if (json_is_string(expression)) {
		r = request_node_matches(json_string_value(expression), json_string_length(expression), NODE, err);
		if (r < 0)
			error_prefix(err, "nodere");
	}
	if (r >= 0 &&
	    (json_object_del(request, "nodere"), json_object_set_new(request, "node", json_string("any"))) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r < 0 ? r : 0;
}

/* 0 or -errno with the text in `err`. */
static int validate(const struct buffer *text, json_t *json, const struct config *config, struct error *err)
{
	cleanup(cleanup_request) struct request *request = NULL;
	cleanup(cleanup_free) char *readdressed = NULL;
	const char *names[DESTINATIONS_MAX];
	size_t count = destinations_of(json, names);
	struct request_refusal refusal = {0};
	const struct request_arrival arrival = {.received_ns = clock_realtime_ns()};
	enum request_verdict verdict =
		request_parse(buffer_text(text), text->size, &arrival, config, names, count, &refusal, &request);

	if (verdict == REQUEST_ELSEWHERE) {
		int r = readdress_to_any(json, err);

		if (r < 0)
			return r;
		readdressed = json_dumps(json, JSON_COMPACT);
		if (!readdressed)
			return error_set(err, -ENOMEM, "out of memory");
		verdict = request_parse(readdressed, strlen(readdressed), &arrival, config, names, count, &refusal,
					&request);
	}
	*err = refusal.error;
	if (verdict == REQUEST_INVALID)
		return -EINVAL;
	if (!request)
		return 0;
	const struct filter_options options = {.bpf = request->bpf, .inner = request->inner};
	return filter_check_options(&options, err);
}

static enum exit_status check_request(const struct command_context *context, const struct buffer *text)
{
	json_error_t reason;
	cleanup(cleanup_json) json_t *json = json_loadb(buffer_text(text), text->size, JSON_REJECT_DUPLICATES, &reason);
	cleanup(cleanup_config) struct config *config = NULL;
	struct error err;
	int r;

	if (!json)
		r = error_set(&err, -EINVAL, "not JSON: line %d, column %d: %s", reason.line, reason.column,
			      reason.text);
	else
		r = load_config(context, json, &config, &err);
	if (r == 0)
		r = validate(text, json, config, &err);
	return print_faults(context, r < 0 ? err.text : "");
}

enum exit_status check_file(const struct command_context *context)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(INPUT_FILE_MAX);
	struct error err;

	if (!context->line->word_count) {
		terminal_error("`pcapctl check` needs a file, or --destinations; see `pcapctl check --help`");
		return STATUS_USAGE;
	}
	if (input_file_read(context->line->words[0], &text, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_FAILED;
	}
	return command_line_has(context->line, OPTION_REQUEST) ? check_request(context, &text)
							       : check_config(context, &text);
}
