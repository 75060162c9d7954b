/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /v1/live is answered for as long as the capture runs, and what comes is written at once. Ctrl-C, or the reader of
 * standard output going, sends a DELETE: the daemon then ends the file, and its last event gives the results. pcapctl
 * chooses the request's id, so that the DELETE and that event's GET can address the capture.
 *
 * While standard output takes nothing the call is paused, and the daemon drops and counts what it cannot hold.
 */
#include "pcapctl/local/local_live.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/live_units.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/live_file.h"
#include "pcapctl/output/progress.h"
#include "pcapctl/output/results.h"

#define PATH_MAX_BYTES 16384
#define BACKLOG_BYTES ((size_t)1 << 20) /* received, not written: beyond it the daemon has to wait */
#define STUCK_NS (2 * NS_PER_S)		/* once it ends, for a reader that takes nothing */

struct live_session {
	const struct command_context *context;
	struct local_client *client;
	json_t *request;
	struct local_call *stream, *stop;
	struct live_units units;
	struct live_file *file;
	uint64_t written_ns, shown_ns; /* boot time of the last write, of the last progress line */
	unsigned interrupts;
	bool ending, reader_gone, given_up;
	int failed; /* negative errno: the file cannot be written; `err` has the text */
	struct error *err;
};

bool local_live_is_meant(const struct command_line *line)
{
	static const enum option_id others[] = {OPTION_NO_FILE,	    OPTION_DESTINATION,	    OPTION_FIRST_OF,
						OPTION_FOLLOW,	    OPTION_DROP_DUPLICATES, OPTION_DEDUPE,
						OPTION_PACKETDEBUG, OPTION_FILES,	    OPTION_EVERY,
						OPTION_STREAMED};
	static const enum option_id ends[] = {OPTION_PACKETS,  OPTION_BYTES, OPTION_TIMEOUT,
					      OPTION_DURATION, OPTION_TO,    OPTION_AROUND};
	const char *to = command_line_value(line, OPTION_WRITE);

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (command_line_has(line, others[i]))
			return false;
	to = to ? to : command_line_value(line, OPTION_MERGE);
	if (line->to_stdout || (to && strcmp(to, "-") == 0))
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (command_line_has(line, ends[i]))
			return false;
	return isatty(STDERR_FILENO);
}

/* --- the request as parameters --- */

static int append_names(struct buffer *path, const json_t *names)
{
	size_t i;
	json_t *name;
	int r = 0;

	json_array_foreach(names, i, name)
	{
		if (r == 0 && i > 0)
			r = buffer_append_string(path, ",");
		if (r == 0)
			r = url_encode(path, json_string_value(name));
	}
	return r;
}

static int append_value(struct buffer *path, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_ARRAY:
		return append_names(path, value);
	case JSON_STRING:
		return url_encode(path, json_string_value(value));
	case JSON_INTEGER:
		return buffer_printf(path, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return buffer_printf(path, "%.9f", json_real_value(value));
	default:
		return buffer_append_string(path, json_is_true(value) ? "1" : "0");
	}
}

static int build_path(json_t *request, struct buffer *path)
{
	const char *key;
	json_t *value;
	int r = buffer_append_string(path, "/v1/live");
	char mark = '?';

	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "node") == 0)
			continue;
		if (r == 0)
			r = buffer_printf(path, "%c%s=", mark, key);
		if (r == 0)
			r = append_value(path, value);
		mark = '&';
	}
	return r;
}

/* --- bytes --- */

static int fail(struct live_session *session, int r)
{
	session->failed = r;
	return r;
}

static void write_units(struct live_session *session)
{
	struct live_units *units = &session->units;

	if (session->reader_gone || session->failed) {
		live_units_drop(units, units->whole_bytes);
		return;
	}
	if (!units->whole_bytes)
		return;
	const ssize_t written = live_file_write(session->file, buffer_text(&units->bytes), units->whole_bytes,
						local_call_file_name(session->stream), session->err);
	if (written == -EPIPE)
		session->reader_gone = true;
	else if (written < 0)
		fail(session, (int)written);
	if (written <= 0)
		return;
	session->written_ns = clock_boottime_ns();
	live_units_drop(units, (size_t)written);
}

static bool take_bytes(void *ctx, const char *bytes, size_t size)
{
	struct live_session *session = ctx;
	const int r = live_units_feed(&session->units, bytes, size);

	if (r < 0) {
		error_set(session->err, r, r == -ENOMEM ? "out of memory" : "the daemon's answer is no capture file");
		fail(session, r);
		return false;
	}
	write_units(session);
	if (session->units.whole_bytes > BACKLOG_BYTES)
		local_call_pause(session->stream, true);
	return true;
}

/* --- the end --- */

static struct local_call *start_call(struct live_session *session, const char *method, struct error *err)
{
	char path[PATH_MAX_BYTES];

	snprintf(path, sizeof(path), "/v1/captures/%s", json_text(session->request, "id"));
	return local_call_start(session->client, &(struct local_call_request){.method = method, .path = path}, err);
}

static int end_capture(struct live_session *session, struct error *err)
{
	if (session->ending)
		return 0;
	session->ending = true;
	session->written_ns = clock_boottime_ns();
	session->stop = start_call(session, "DELETE", err);
	return session->stop ? 0 : -ENOMEM;
}

/* 404: it overtook the stream's request, and is repeated. */
static int handle_stop_reply(struct live_session *session, struct error *err)
{
	const json_t *json;

	if (!session->stop || !local_call_finished(session->stop))
		return 0;
	cleanup(cleanup_local_call) struct local_call *stop = take(session->stop);
	const int status = local_call_result(stop, &json, err);
	if (status != 404)
		return status < 0 ? status : 0;
	session->stop = start_call(session, "DELETE", err);
	return session->stop ? 0 : -ENOMEM;
}

static int handle_interrupts(struct live_session *session, struct error *err)
{
	const unsigned count = interrupts_take();

	if (!count)
		return 0;
	session->interrupts += count;
	progress_clear(session->context->terminal);
	if (session->interrupts > 1)
		return error_set(err, -EINTR, "interrupted; the file has no statistics");
	return end_capture(session, err);
}

/* --- while it runs --- */

static void show_progress(struct live_session *session)
{
	const uint64_t now_ns = clock_boottime_ns();
	char texts[2][FORMAT_SIZE];

	if (session->ending || now_ns - session->shown_ns < PROGRESS_INTERVAL_MS * NS_PER_MS)
		return;
	session->shown_ns = now_ns;
	progress_show(session->context->terminal, "running: %s packets, %s (Ctrl-C ends it)",
		      format_count(session->units.packets, texts[0]),
		      format_bytes(session->units.packet_bytes, texts[1]));
}

/* True: the reader of standard output has taken nothing for a while, and nothing more can be done. */
static bool is_stuck(const struct live_session *session)
{
	return session->ending && session->units.whole_bytes && !session->reader_gone &&
	       clock_boottime_ns() - session->written_ns > STUCK_NS;
}

static int step(struct live_session *session, int signals, struct error *err)
{
	const bool backlog = session->units.whole_bytes;
	int r = handle_stop_reply(session, err);

	local_client_watch_output(session->client,
				  session->reader_gone || session->failed ? -1 : live_file_fd(session->file), backlog);
	if (r == 0)
		r = local_client_run(session->client, PROGRESS_INTERVAL_MS, signals, err);
	if (r == 0)
		r = handle_interrupts(session, err);
	if (r < 0)
		return r;
	session->reader_gone |= live_file_is_closed(session->file);
	write_units(session);
	if (session->units.whole_bytes <= BACKLOG_BYTES)
		local_call_pause(session->stream, false);
	if (session->reader_gone || session->failed)
		r = end_capture(session, err);
	show_progress(session);
	return r;
}

static int stream(struct live_session *session, const char *path, struct error *err)
{
	const int signals = interrupts_begin();

	if (signals < 0)
		return error_set(err, signals, "signals: %s", strerror(-signals));
	session->stream = local_call_start(
		session->client,
		&(struct local_call_request){.method = "GET", .path = path, .put = take_bytes, .ctx = session}, err);
	int r = session->stream ? 0 : -ENOMEM;
	while (r == 0 && !(local_call_finished(session->stream) && !session->units.whole_bytes) && !session->given_up) {
		r = step(session, signals, err);
		session->given_up = is_stuck(session);
	}
	progress_clear(session->context->terminal);
	return r;
}

/* --- results --- */

static enum exit_status print_events(struct live_session *session, json_t *events)
{
	const struct terminal *terminal = session->context->terminal;
	const struct results_view view = {.accepted = true, .stopped_here = session->ending};
	const enum exit_status status = results_status(events, &view);
	const char *saved = live_file_name(session->file);
	size_t i;
	json_t *event;
	int r;

	json_array_foreach(events, i, event)
	{
		if (saved)
			json_object_set_new(event, RESULT_SAVED, json_string(saved));
	}
	if (terminal->json) {
		json_t *answer = json_pack("{sO sO}", "id", json_object_get(session->request, "id"), "events", events);

		r = answer ? json_print(terminal, answer, false) : -ENOMEM;
		json_decref(answer);
	} else {
		r = results_print(terminal, events, &view);
	}
	if (r < 0)
		terminal_error("cannot print the results: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : status;
}

/* The daemon publishes the last event when it has sent the end of the file. */
static enum exit_status print_outcome(struct live_session *session)
{
	char path[PATH_MAX_BYTES];
	json_t *answer = NULL;
	struct error err;

	snprintf(path, sizeof(path), "/v1/captures/%s", json_text(session->request, "id"));
	if (local_call_json(session->client, &(struct local_call_request){.method = "GET", .path = path}, &answer,
			    &err) < 0) {
		terminal_error("the packets are written, but there are no results: %s", err.text);
		return STATUS_PARTIAL;
	}
	const enum exit_status status = print_events(session, json_object_get(answer, "captures"));
	json_decref(answer);
	return status;
}

static enum exit_status fail_with(const struct live_session *session, int code, const struct error *err)
{
	const char *saved = live_file_name(session->file);
	char shown[PATH_MAX_BYTES];

	terminal_error("%s", err->text);
	if (saved && strcmp(saved, "-") != 0)
		terminal_error("%s has what came until then: %" PRIu64 " packets",
			       printable(shown, sizeof(shown), saved), session->units.packets);
	return code == -EINTR ? STATUS_INTERRUPTED : STATUS_FAILED;
}

static enum exit_status finish(struct live_session *session, int r, struct error *err)
{
	const json_t *answer;

	if (session->failed)
		return fail_with(session, session->failed, session->err);
	if (r < 0)
		return fail_with(session, r, err);
	if (session->given_up) {
		terminal_error("standard output takes nothing; the rest of the packets is lost");
		return STATUS_INTERRUPTED;
	}
	r = local_call_result(session->stream, &answer, err);
	if (r >= 300) {
		local_call_refusal(session->stream, r, err);
		error_prefix(err, "refused");
		if (session->context->terminal->json && answer &&
		    json_print(session->context->terminal, answer, false) < 0)
			return STATUS_FAILED;
	}
	return r < 0 || r >= 300 ? fail_with(session, r, err) : print_outcome(session);
}

enum exit_status local_live(const struct command_context *context)
{
	const struct request_plan plan = {0};
	cleanup(buffer_deinit) struct buffer path = BUFFER_INIT(PATH_MAX_BYTES);
	struct error err = {0}, write_error = {0};
	struct live_session session = {.context = context, .units = LIVE_UNITS_INIT, .err = &write_error};
	enum exit_status status = STATUS_FAILED;
	int r = request_build(context->line, &plan, &session.request, &err);

	if (r < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	if (build_path(session.request, &path) < 0)
		error_set(&err, -EMSGSIZE, "the request is too long");
	else
		session.file = live_file_new(command_line_output(context->line), &err);
	session.client = session.file ? local_client_new(context->target, &err) : NULL;
	if (session.client)
		status = finish(&session, stream(&session, buffer_text(&path), &err), &err);
	else
		terminal_error("%s", err.text);
	local_call_free(session.stop);
	local_call_free(session.stream);
	local_client_free(session.client);
	live_file_free(session.file);
	live_units_deinit(&session.units);
	json_decref(session.request);
	return status;
}
