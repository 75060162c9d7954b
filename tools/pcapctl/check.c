/*
 * What the daemon would say of a file. A request is judged with the configuration that --config names; without one by
 * default limits, for a node that has the aliases. Names of destinations all pass.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "bpf/filter.h"
#include "command_line.h"
#include "commands.h"
#include "config/config.h"
#include "config_read.h"
#include "request/request.h"
#include "request/request_node.h"
#include "request_build.h"
#include "results.h"
#include "terminal.h"

#define FAULTS_MAX ((size_t)1 << 20) /* bytes */
#define DESTINATIONS_MAX 64
#define NODE "node"

static const char *name_of(const struct errand *errand)
{
	const char *path = errand->line->words[0];

	return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Lines, or with --json an array of them. */
static enum exit_status tell(const struct errand *errand, const char *faults)
{
	cleanup(cleanup_json) json_t *answer = json_pack("{s:b, s:[]}", "valid", !*faults, "faults");
	enum exit_status status = *faults ? STATUS_USAGE : STATUS_OK;
	char shown[4096], line[4096];

	if (!errand->terminal->json && !*faults)
		terminal_note(errand->terminal, "%s is valid", printable(shown, sizeof(shown), name_of(errand)));
	for (const char *at = faults; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		printable(shown, sizeof(shown), line);
		if (!errand->terminal->json)
			fprintf(stderr, "%s\n", shown);
		else if (json_array_append_new(json_object_get(answer, "faults"), json_string(shown)) < 0)
			return STATUS_FAILED;
	}
	if (errand->terminal->json && (!answer || json_print(errand->terminal, answer, false) < 0))
		return STATUS_FAILED;
	return status;
}

static enum exit_status check_config(const struct errand *errand, const struct buffer *text)
{
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(FAULTS_MAX);
	cleanup(cleanup_config) struct config *config = NULL;
	int r = config_load_text(buffer_text(text), text->size, name_of(errand), filter_check, &faults, &config);

	if (r == -ENOMEM) {
		terminal_error("out of memory");
		return STATUS_FAILED;
	}
	return tell(errand, buffer_text(&faults));
}

/* --- a request --- */

/* Whatever it names is taken for a destination there is. */
static size_t destinations_of(const json_t *request, const char *names[static DESTINATIONS_MAX])
{
	size_t count = 0, i;
	json_t *name;

	json_array_foreach(json_object_get(request, "to_destinations"), i, name)
	{
		if (json_is_string(name) && count < DESTINATIONS_MAX)
			names[count++] = json_string_value(name);
	}
	return count;
}

/* A node that has every alias of the request, each on an interface of its own. JSON's strings are TOML's. */
static int imagine_node(const json_t *request, struct buffer *toml)
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

static int judging_config(const struct errand *errand, const json_t *request, struct config **config, struct error *err)
{
	const char *path = command_line_value(errand->line, OPTION_CONFIG);
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(FAULTS_MAX), toml = BUFFER_INIT(FAULTS_MAX);
	int r;

	if (path)
		return config_read(path, config, err);
	r = imagine_node(request, &toml);
	if (r == 0)
		r = config_load_text(buffer_text(&toml), toml.size, "", NULL, &faults, config);
	if (r == -EINVAL) /* an alias that no configuration can give */
		return error_set(err, r, "alias: cannot be any interface's alias");
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

/* A daemon looks no further than at a node that is not its own. This makes the request one for everybody, if what it
 * says of nodes can be meant. */
static int make_ours(json_t *request, struct error *err)
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

/* 0, or what is wrong with it in `err`. */
static int judge(const struct buffer *text, json_t *json, const struct config *config, struct error *err)
{
	cleanup(cleanup_request) struct request *request = NULL;
	cleanup(cleanup_free) char *ours = NULL;
	const char *names[DESTINATIONS_MAX];
	size_t count = destinations_of(json, names);
	struct request_refusal refusal = {0};
	enum request_verdict verdict = request_parse(buffer_text(text), text->size, clock_realtime_ns(), config, names,
						     count, &refusal, &request);

	if (verdict == REQUEST_ELSEWHERE) {
		int r = make_ours(json, err);
		if (r < 0)
			return r;
		ours = json_dumps(json, JSON_COMPACT);
		if (!ours)
			return error_set(err, -ENOMEM, "out of memory");
		verdict = request_parse(ours, strlen(ours), clock_realtime_ns(), config, names, count, &refusal,
					&request);
	}
	*err = refusal.error;
	if (verdict == REQUEST_INVALID)
		return -EINVAL;
	if (request && filter_check(request->bpf, err) < 0) {
		error_prefix(err, "bpf");
		return -EINVAL;
	}
	return 0;
}

static enum exit_status check_request(const struct errand *errand, const struct buffer *text)
{
	json_error_t reason;
	cleanup(cleanup_json) json_t *json = json_loadb(buffer_text(text), text->size, JSON_REJECT_DUPLICATES, &reason);
	cleanup(cleanup_config) struct config *config = NULL;
	struct error err;
	int r;

	if (!json)
		r = error_set(&err, -EINVAL, "is no JSON: line %d, column %d: %s", reason.line, reason.column,
			      reason.text);
	else
		r = judging_config(errand, json, &config, &err);
	if (r == 0)
		r = judge(text, json, config, &err);
	return tell(errand, r < 0 ? err.text : "");
}

enum exit_status check_file(const struct errand *errand)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(INPUT_FILE_MAX);
	struct error err;

	if (input_read(errand->line->words[0], &text, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_FAILED;
	}
	return command_line_has(errand->line, OPTION_REQUEST) ? check_request(errand, &text)
							      : check_config(errand, &text);
}
