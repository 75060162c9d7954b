/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that print one answer: list, show, stop, status; and get and history, whose answer is a file. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/live_units.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/local/local_download.h"
#include "pcapctl/local/pcapng_probe.h"
#include "pcapctl/output/captures_print.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/names_print.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define PATH_BYTES_MAX 16384

static enum exit_status print_failure(const struct error *err)
{
	terminal_error("%s", err->text);
	return STATUS_FAILED;
}

static enum exit_status printed_status(int r)
{
	if (r < 0)
		terminal_error("cannot print the answer: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

/* Makes one call to `path` with `word` (NULL: none) appended. */
static int call_api(const struct command_context *context, const char *method, const char *path, const char *word,
		    json_t **answer, struct error *err)
{
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(context->target, err);
	cleanup(buffer_deinit) struct buffer full_path = BUFFER_INIT(PATH_BYTES_MAX);
	int r = client ? buffer_append_string(&full_path, path) : -ENOMEM;

	if (r == 0 && word)
		r = url_encode(&full_path, word);
	if (!client)
		return r;
	if (r < 0)
		return error_set(err, r, "%s", r == -ENOMEM ? "out of memory" : "the id is too long");
	return local_call_json(client, &(struct local_call_request){.method = method, .path = buffer_text(&full_path)},
			       answer, err);
}

enum exit_status local_list(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;

	if (call_api(context, "GET", "/v1/captures", NULL, &answer, &err) < 0)
		return print_failure(&err);
	return printed_status(context->terminal->json
				      ? json_print(context->terminal, answer, false)
				      : captures_print(context->terminal, json_object_get(answer, "captures")));
}

enum exit_status local_show(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;
	const json_t *captures;

	if (call_api(context, "GET", "/v1/captures/", context->line->words[0], &answer, &err) < 0)
		return print_failure(&err);
	captures = json_object_get(answer, "captures");
	if (context->terminal->json)
		return printed_status(json_print(context->terminal, answer, false));
	if (!captures)
		return printed_status(capture_print(context->terminal, answer));
	if (json_array_size(captures) == 1)
		return printed_status(capture_print(context->terminal, json_array_get(captures, 0)));
	return printed_status(captures_print(context->terminal, captures));
}

enum exit_status local_stop(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *answer = NULL;
	const struct terminal *terminal = context->terminal;
	struct error err;

	if (call_api(context, "DELETE", "/v1/captures/", context->line->words[0], &answer, &err) < 0)
		return print_failure(&err);
	if (terminal->json)
		return printed_status(json_print(terminal, answer, false));
	terminal_note(terminal, "captures stopped: %" PRIu64 "; their packets are being delivered",
		      json_number(answer, "stopped"));
	return STATUS_OK;
}

enum exit_status local_status(const struct command_context *context)
{
	cleanup(cleanup_json) json_t *status = NULL;
	cleanup(cleanup_json) json_t *interfaces = NULL;
	struct error err;

	if (call_api(context, "GET", "/v1/status", NULL, &status, &err) < 0 ||
	    call_api(context, "GET", "/v1/interfaces", NULL, &interfaces, &err) < 0)
		return print_failure(&err);
	if (json_object_set(status, "interfaces", json_object_get(interfaces, "interfaces")) < 0)
		return printed_status(-ENOMEM);
	json_object_del(status, "interfaces_total");
	if (json_is_true(json_object_get(interfaces, "truncated")) &&
	    json_object_set(status, "interfaces_total", json_object_get(interfaces, "total")) < 0)
		return printed_status(-ENOMEM);
	return printed_status(context->terminal->json ? json_print(context->terminal, status, false)
						      : status_print(context->terminal, status));
}

enum exit_status local_names(const struct command_context *context)
{
	const char *what = context->line->words[0];
	const bool of_captures = strcmp(what, "captures") == 0;
	cleanup(cleanup_json) json_t *answer = NULL;
	cleanup(cleanup_json) json_t *statuses = NULL;
	struct error err;

	if (!names_are_known(what)) {
		terminal_error("unknown kind of names; `pcapctl names --help` lists them");
		return STATUS_USAGE;
	}
	if (call_api(context, "GET", of_captures ? "/v1/captures" : "/v1/status", NULL, &answer, &err) < 0)
		return print_failure(&err);
	statuses = of_captures ? json_incref(json_object_get(answer, "captures")) : json_pack("[O]", answer);
	return printed_status(names_print(context->terminal->results, what, statuses));
}

/* --- files --- */

/* `more`: what JSON gets besides the name (taken; NULL: nothing). */
static enum exit_status print_saved(const struct command_context *context, const char *name, json_t *more)
{
	cleanup(cleanup_json) json_t *json = more ? more : json_object();

	if (!context->terminal->json) {
		if (strcmp(name, "-") != 0)
			fprintf(context->terminal->results, "%s\n", name);
		return STATUS_OK;
	}
	const int r = json_object_set_new(json, RESULT_SAVED, json_string(name));
	return printed_status(r == 0 ? json_print(context->terminal, json, false) : -EINVAL);
}

/* Writes the answer to GET `path` to where the command line says; `request` may add a probe. `*name` is the caller's.
 */
static enum exit_status download(const struct command_context *context, struct local_download_request request,
				 char **name)
{
	struct error err;
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(context->target, &err);

	request.to = command_line_output(context->line);
	const int r = client ? local_download(client, &request, name, &err) : -ENOMEM;
	if (r == 0)
		return STATUS_OK;
	print_failure(&err);
	return r == -EINTR ? STATUS_INTERRUPTED : STATUS_FAILED;
}

enum exit_status local_fetch(const struct command_context *context)
{
	cleanup(buffer_deinit) struct buffer path = BUFFER_INIT(PATH_BYTES_MAX);

	if (command_line_has(context->line, OPTION_NODE)) {
		terminal_error("--node works on a fleet: it needs --redis or --config");
		return STATUS_USAGE;
	}
	if (buffer_append_string(&path, "/v1/captures/") < 0 || url_encode(&path, context->line->words[0]) < 0 ||
	    buffer_append_string(&path, "/file") < 0) {
		terminal_error("the id is too long");
		return STATUS_USAGE;
	}
	cleanup(cleanup_free) char *name = NULL;
	const enum exit_status status =
		download(context, (struct local_download_request){.path = buffer_text(&path)}, &name);
	return status == STATUS_OK ? print_saved(context, name, NULL) : status;
}

/* --- history --- */

/* Parses the comment that the daemon writes into the file: "history: from TIME to TIME, asked from TIME; …". */
static bool parse_history_comment(const struct pcapng_probe *probe, uint64_t *from_ns, uint64_t *asked_ns)
{
	char comment[512], from[64], to[64], asked[64];

	return pcapng_probe_comment(probe, comment, sizeof(comment)) &&
	       sscanf(comment, "history: from %63s to %63[^,], asked from %63[^;]", from, to, asked) == 3 &&
	       clock_parse(from, from_ns) == 0 && clock_parse(asked, asked_ns) == 0;
}

/* Without --from and --last the request was for all history. False: it is short of what was asked for. */
static bool check_reach(const struct command_context *context, const struct pcapng_probe *probe)
{
	char from[CLOCK_TEXT_SIZE], asked[CLOCK_TEXT_SIZE];
	uint64_t from_ns, asked_ns;

	if (!command_line_has(context->line, OPTION_FROM) && !command_line_has(context->line, OPTION_LAST) &&
	    !command_line_has(context->line, OPTION_AROUND))
		return true;
	if (!parse_history_comment(probe, &from_ns, &asked_ns) || from_ns <= asked_ns)
		return true;
	terminal_error("history reaches back only to %.23sZ, not to %.23sZ", clock_format(from_ns, from),
		       clock_format(asked_ns, asked));
	return false;
}

static enum exit_status print_history(const struct command_context *context, const char *name,
				      const struct live_units *units)
{
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE], count[FORMAT_SIZE];
	json_t *json = json_pack("{sI}", "packets", (json_int_t)units->packets);

	clock_format(units->first_ns, first);
	clock_format(units->last_ns, last);
	if (units->packets) {
		json_object_set_new(json, "first", json_string(first));
		json_object_set_new(json, "last", json_string(last));
	}
	const enum exit_status status = print_saved(context, name, json);
	if (units->packets)
		terminal_note(context->terminal, "%s packet%s from %.23sZ to %.23sZ",
			      format_count(units->packets, count), units->packets == 1 ? "" : "s", first, last);
	return status;
}

static enum exit_status download_history(const struct command_context *context, const char *path)
{
	cleanup(pcapng_probe_deinit) struct pcapng_probe probe = PCAPNG_PROBE_INIT;
	cleanup(live_units_deinit) struct live_units units = LIVE_UNITS_INIT;
	const struct local_download_request request = {.path = path, .probe = &probe, .units = &units};
	cleanup(cleanup_free) char *name = NULL;
	enum exit_status status = download(context, request, &name);

	if (status == STATUS_OK)
		status = print_history(context, name, &units);
	if (status != STATUS_OK)
		return status;
	const bool whole = check_reach(context, &probe);
	if (units.packets > 0)
		return whole ? STATUS_OK : STATUS_PARTIAL;
	terminal_note(context->terminal, "no packet in this window; the file is empty");
	return whole ? STATUS_EMPTY : STATUS_PARTIAL;
}

static int add_parameter(struct buffer *path, const char *name, const char *value, struct error *err)
{
	int r = buffer_printf(path, "%s%s=", path->size && strchr(buffer_text(path), '?') ? "&" : "?", name);

	if (r == 0)
		r = url_encode(path, value);
	return r < 0 ? error_set(err, r, "the request is too long") : 0;
}

static int add_number(struct buffer *path, const char *name, const char *text, struct error *err)
{
	char number[32];
	uint64_t value;

	if (quantity_parse_bytes(text, &value) < 0 || value == 0)
		return error_set(err, -EINVAL, "--%s: must be a number", name);
	snprintf(number, sizeof(number), "%" PRIu64, value);
	return add_parameter(path, name, number, err);
}

static int add_window(struct buffer *path, const struct command_line *line, struct error *err)
{
	const char *last = command_line_value(line, OPTION_LAST);
	char text[CLOCK_TEXT_SIZE];
	uint64_t from_ns, to_ns, last_ns;
	int r = request_window(line, &from_ns, &to_ns, err);

	if (r == 0 && last && quantity_parse_duration(last, &last_ns) == 0) { /* by the daemon's clock */
		snprintf(text, sizeof(text), "%.9g", (double)last_ns / NS_PER_S);
		r = add_parameter(path, "last", text, err);
	} else if (r == 0 && from_ns) {
		r = add_parameter(path, "from", clock_format(from_ns, text), err);
	}
	if (r == 0 && to_ns)
		r = add_parameter(path, "to", clock_format(to_ns, text), err);
	if (r == 0 && command_line_wants_pcap(line))
		r = add_parameter(path, "format", "pcap", err);
	return r;
}

static int history_path(const struct command_line *line, struct buffer *path, struct error *err)
{
	static const struct {
		enum option_id option;
		int (*add)(struct buffer *path, const char *name, const char *text, struct error *err);
	} parameters[] = {
		{OPTION_INTERFACE, add_parameter}, {OPTION_SNAP, add_number},	  {OPTION_PACKETS, add_number},
		{OPTION_BYTES, add_number},	   {OPTION_INNER, add_parameter},
	};
	const char *interface = command_line_value(line, OPTION_INTERFACE);
	int r = buffer_append_string(path, "/v1/history");

	if (!interface || line->values[OPTION_INTERFACE].count > 1)
		return error_set(
			err, -EINVAL,
			"history needs one interface: name it with -i; `pcapctl status` shows which are recorded");
	if (strchr(interface, ',') || strcmp(interface, "any") == 0)
		return error_set(err, -EINVAL,
				 "--interface: history takes one interface; `pcapctl capture --before` takes several");
	for (size_t i = 0; r == 0 && i < sizeof(parameters) / sizeof(*parameters); i++) {
		const char *text = command_line_value(line, parameters[i].option);

		if (text)
			r = parameters[i].add(path, option_rows[parameters[i].option].name, text, err);
	}
	if (r == 0)
		r = add_window(path, line, err);
	if (r == 0 && line->filter)
		r = add_parameter(path, "bpf", line->filter, err);
	return r;
}

enum exit_status local_history(const struct command_context *context)
{
	cleanup(buffer_deinit) struct buffer path = BUFFER_INIT(PATH_BYTES_MAX);
	struct error err;

	static const enum option_id fleet_options[] = {OPTION_ALIAS, OPTION_ANSWER_TIMEOUT, OPTION_KEY_FILE};

	for (size_t i = 0; i < sizeof(fleet_options) / sizeof(*fleet_options); i++) {
		if (!command_line_has(context->line, fleet_options[i]))
			continue;
		terminal_error("--%s works on a fleet: it needs --redis or --config",
			       option_rows[fleet_options[i]].name);
		return STATUS_USAGE;
	}
	if (context->line->to_stdout && command_line_has(context->line, OPTION_WRITE)) {
		terminal_error("\"-\" and --write exclude each other");
		return STATUS_USAGE;
	}
	if (history_path(context->line, &path, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	return download_history(context, buffer_text(&path));
}
