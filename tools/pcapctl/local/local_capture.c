/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POST with ?wait=1 is answered when every capture is final. Meanwhile, on a terminal, GET polls the counts, and Ctrl-C
 * sends a DELETE, after which the POST is answered soon. If the DELETE finds all captures over, only a delivery is
 * pending, which may take long: pcapctl stops waiting for the answer and fetches the files. pcapctl chooses the
 * request's id, so that all of these address the same captures from the start.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/local/local_download.h"
#include "pcapctl/local/local_live.h"
#include "pcapctl/output/atomic_file.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/progress.h"
#include "pcapctl/output/results.h"

#define PATH_MAX_BYTES 1024

struct capture_session {
	const struct command_context *context;
	struct local_client *client;
	json_t *request;
	struct local_call *post, *progress, *stop, *check_ended;
	json_t *partial_answer;	     /* replaces the POST's answer if pcapctl stopped waiting for it */
	uint64_t progress_polled_ns; /* boot time of the last poll for counts */
	unsigned interrupts;
};

static struct local_call *start_call(struct capture_session *session, const char *method, struct error *err)
{
	char path[PATH_MAX_BYTES];

	snprintf(path, sizeof(path), "/v1/captures/%s", json_text(session->request, "id"));
	return local_call_start(session->client, &(struct local_call_request){.method = method, .path = path}, err);
}

/* --- while waiting --- */

static bool is_running(const char *state)
{
	return strcmp(state, "arming") == 0 || strcmp(state, "running") == 0;
}

static void show_progress(const struct terminal *terminal, const json_t *answer)
{
	uint64_t packets = 0, bytes = 0, ends_ns = 0, now_ns = clock_realtime_ns();
	char texts[3][FORMAT_SIZE];
	const char *state = "";
	bool running = false;
	size_t i;
	json_t *capture;

	json_array_foreach(json_object_get(answer, "captures"), i, capture)
	{
		uint64_t ns = 0;

		packets += json_number(capture, "packets");
		bytes += json_number(capture, "bytes");
		if (clock_parse(json_text(capture, "ends"), &ns) == 0 && ns > ends_ns)
			ends_ns = ns;
		state = json_text(capture, "state");
		running |= is_running(state);
	}
	if (!*state)
		return;
	char shown[FORMAT_SIZE];
	progress_show(terminal, "%s: %s packets, %s%s%s (Ctrl-C %s)", printable(shown, sizeof(shown), state),
		      format_count(packets, texts[0]), format_bytes(bytes, texts[1]),
		      ends_ns > now_ns ? ", at most " : "",
		      ends_ns > now_ns ? format_duration(ends_ns - now_ns, texts[2]) : "",
		      running ? "ends it and keeps its packets" : "ends the wait");
}

/* Ignores errors: the counts only serve the progress line. */
static void poll_progress(struct capture_session *session)
{
	uint64_t now_ns = clock_boottime_ns();
	const json_t *json = NULL;
	struct error ignored;

	if (session->progress && local_call_finished(session->progress)) {
		if (local_call_result(session->progress, &json, &ignored) == 200)
			show_progress(session->context->terminal, json);
		local_call_free(take(session->progress));
	}
	if (session->progress || !session->context->terminal->progress ||
	    now_ns - session->progress_polled_ns < PROGRESS_INTERVAL_MS * NS_PER_MS)
		return;
	session->progress_polled_ns = now_ns;
	session->progress = start_call(session, "GET", &ignored);
}

static int handle_interrupts(struct capture_session *session, struct error *err)
{
	unsigned previous = session->interrupts;

	session->interrupts += interrupts_take();
	if (session->interrupts == previous)
		return 0;
	if (session->interrupts > 1)
		return error_set(err, -EINTR, "interrupted; the daemon still holds the packets: `pcapctl get %s%s`",
				 json_text(session->request, "id"), command_target_options(session->context->target));
	session->stop = start_call(session, "DELETE", err);
	return session->stop ? 0 : -ENOMEM;
}

/* 404: the DELETE overtook the POST and is repeated. 409: the captures have ended already. */
static int handle_stop_reply(struct capture_session *session, struct error *err)
{
	const struct terminal *terminal = session->context->terminal;
	const json_t *json;
	int status;

	if (!session->stop || !local_call_finished(session->stop))
		return 0;
	cleanup(cleanup_local_call) struct local_call *stop = take(session->stop);
	status = local_call_result(stop, &json, err);
	if (status == 404) {
		session->stop = start_call(session, "DELETE", err);
		return session->stop ? 0 : -ENOMEM;
	}
	if (status == 409) {
		session->check_ended = start_call(session, "GET", err);
		return session->check_ended ? 0 : -ENOMEM;
	}
	if (status >= 300)
		local_call_refusal(stop, status, err);
	progress_clear(terminal);
	if (status < 0 || status >= 300)
		terminal_note(terminal, "the capture goes on: %s; a second Ctrl-C quits", err->text);
	else
		terminal_note(terminal, "ending the capture; a second Ctrl-C quits at once");
	return 0;
}

/* Unless a delivery is pending, the POST's answer is on its way. */
static int handle_ended_reply(struct capture_session *session)
{
	const json_t *json = NULL;
	struct error ignored;
	bool delivering = false;
	size_t i;
	json_t *capture;

	if (!session->check_ended || !local_call_finished(session->check_ended))
		return 0;
	cleanup(cleanup_local_call) struct local_call *check_ended = take(session->check_ended);
	if (local_call_result(check_ended, &json, &ignored) != 200)
		return 0;
	json_array_foreach(json_object_get(json, "captures"), i, capture)
	{
		delivering |= strcmp(json_text(capture, "state"), "delivering") == 0;
	}
	if (!delivering)
		return 0;
	session->partial_answer = json_pack("{s:O, s:O}", "id", json_object_get(session->request, "id"), "events",
					    json_object_get(json, "captures"));
	return session->partial_answer ? 0 : -ENOMEM;
}

static int handle_stop_replies(struct capture_session *session, struct error *err)
{
	int r = handle_stop_reply(session, err);

	return r < 0 ? r : handle_ended_reply(session);
}

static int wait_for_answer(struct capture_session *session, struct error *err)
{
	int fd = interrupts_begin();
	int r = fd < 0 ? error_set(err, fd, "signals: %s", strerror(-fd)) : 0;

	if (r == 0) {
		session->post = local_call_start(session->client,
						 &(struct local_call_request){.method = "POST",
									      .path = "/v1/captures?wait=1",
									      .body = session->request},
						 err);
		r = session->post ? 0 : -ENOMEM;
	}
	session->progress_polled_ns = clock_boottime_ns();
	while (r == 0 && !session->partial_answer && !local_call_finished(session->post)) {
		r = handle_stop_replies(session, err);
		if (r == 0)
			r = local_client_run(session->client, PROGRESS_INTERVAL_MS, fd, err);
		if (r == 0)
			r = handle_interrupts(session, err);
		if (r == 0)
			poll_progress(session);
	}
	progress_clear(session->context->terminal);
	return r;
}

/* --- results --- */

static int fetch(struct capture_session *session, json_t *event, struct error *err)
{
	cleanup(buffer_deinit) struct buffer path = BUFFER_INIT(PATH_MAX_BYTES);
	cleanup(cleanup_free) char *name = NULL;
	int r = buffer_append_string(&path, "/v1/captures/");

	if (r == 0)
		r = url_encode(&path, json_text(event, "capture"));
	if (r == 0)
		r = buffer_append_string(&path, "/file");
	if (r < 0)
		return error_set(err, r, "the capture's id is too long");
	r = local_download(session->client,
			   &(struct local_download_request){.path = buffer_text(&path),
							    .to = command_line_output(session->context->line)},
			   &name, err);
	if (r == 0 && json_object_set_new(event, RESULT_SAVED, json_string(name)) < 0)
		r = error_set(err, -ENOMEM, "the file is written, but its name is not UTF-8");
	return r;
}

/* Memory has the file before all destinations have finished. */
static bool is_fetchable(const struct capture_session *session, const json_t *event)
{
	return event_has_destination(event, "memory") ||
	       (session->partial_answer && strcmp(json_text(event, "event"), "captured") == 0);
}

static void print_get_hint(const struct capture_session *session, const json_t *event)
{
	char shown[2 * PATH_MAX_BYTES];

	terminal_error("the daemon keeps the file in memory for a while: `pcapctl get %s%s`",
		       printable_word(shown, sizeof(shown), json_text(event, "capture")),
		       command_target_options(session->context->target));
}

static enum exit_status fetch_all(struct capture_session *session, const json_t *events, enum exit_status status)
{
	size_t i;
	json_t *event;
	struct error err;

	if (command_line_has(session->context->line, OPTION_NO_FILE))
		return status;
	json_array_foreach(events, i, event)
	{
		int r = is_fetchable(session, event) ? fetch(session, event, &err) : 0;

		if (r == 0)
			continue;
		terminal_error("%s", err.text);
		if (r != -EINVAL)
			print_get_hint(session, event);
		if (r == -EINTR)
			return STATUS_INTERRUPTED;
		status = json_array_size(events) > 1 ? STATUS_PARTIAL : STATUS_FAILED;
	}
	return status;
}

/* Without a packet there is no file. */
static void note_unwritten(const struct capture_session *session, const json_t *events)
{
	const char *to = command_line_output(session->context->line);
	char shown[PATH_MAX_BYTES];
	size_t i, empty = 0;
	json_t *event;

	json_array_foreach(events, i, event)
	{
		empty += event_is_empty(event);
	}
	if (!empty || empty < json_array_size(events) || command_line_has(session->context->line, OPTION_NO_FILE))
		return;
	if (to && strcmp(to, "-") != 0)
		terminal_note(session->context->terminal, "%s not written", printable(shown, sizeof(shown), to));
	else
		terminal_note(session->context->terminal, "nothing written");
}

static bool has_duplicate(const json_t *events)
{
	size_t i;
	json_t *event;

	json_array_foreach(events, i, event)
	{
		if (event_is_duplicate(event))
			return true;
	}
	return false;
}

static enum exit_status print_outcome(struct capture_session *session, const json_t *answer)
{
	const struct terminal *terminal = session->context->terminal;
	json_t *events = json_object_get(answer, "events");
	const struct results_view view = {.stopped_here = session->interrupts > 0};
	enum exit_status status = session->partial_answer ? STATUS_PARTIAL : results_status(events, &view);

	status = fetch_all(session, events, status);
	int r = terminal->json ? json_print(terminal, answer, false) : results_print(terminal, events, &view);

	note_unwritten(session, events);
	results_print_folded(events, command_target_options(session->context->target), false, false);
	if (has_duplicate(events))
		terminal_note(terminal,
			      "the id %s was used before: this is the earlier capture, nothing was captured now",
			      json_text(session->request, "id"));
	if (r < 0)
		terminal_error("cannot print the results: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : status;
}

static enum exit_status run(struct capture_session *session, struct error *err)
{
	const json_t *answer = NULL;
	int r = wait_for_answer(session, err);

	if (r == -EINTR) {
		terminal_error("%s", err->text);
		return STATUS_INTERRUPTED;
	}
	if (session->partial_answer) {
		terminal_note(session->context->terminal,
			      "the capture is over and its delivery goes on; `pcapctl show %s%s` shows it",
			      json_text(session->request, "id"), command_target_options(session->context->target));
		return print_outcome(session, session->partial_answer);
	}
	if (r == 0)
		r = local_call_result(session->post, &answer, err);
	if (r >= 300) {
		local_call_refusal(session->post, r, err);
		error_prefix(err, "refused");
		if (session->context->terminal->json && answer &&
		    json_print(session->context->terminal, answer, false) < 0)
			return STATUS_FAILED;
	} else if (r >= 0) {
		return print_outcome(session, answer);
	}
	terminal_error("%s", err->text);
	return STATUS_FAILED;
}

static int check_options(const struct command_line *line, struct error *err)
{
	static const enum option_id fleet_options[] = {OPTION_STREAM, OPTION_ANSWER_TIMEOUT, OPTION_KEY_FILE,
						       OPTION_EXPECT};

	for (size_t i = 0; i < sizeof(fleet_options) / sizeof(*fleet_options); i++)
		if (command_line_has(line, fleet_options[i]))
			return error_set(err, -EINVAL, "--%s works on a fleet: it needs --redis or --config",
					 option_rows[fleet_options[i]].name);
	return 0;
}

/* Checks that the file can be written before packets are captured. */
static int begin(struct capture_session *session, struct error *err)
{
	const struct command_line *line = session->context->line;
	int r = command_line_has(line, OPTION_NO_FILE) ? 0 : atomic_file_check(command_line_output(line), err);

	if (r == 0)
		session->client = local_client_new(session->context->target, err);
	if (r == 0 && !session->client)
		r = -ENOMEM;
	if (r < 0)
		terminal_error("%s", err->text);
	return r;
}

enum exit_status local_capture(const struct command_context *context)
{
	const struct command_line *line = context->line;
	const struct request_plan plan = {
		.destination = command_line_has(line, OPTION_NO_FILE) ? NULL : "memory",
		.merge =
			command_line_has(line, OPTION_WRITE) || command_line_has(line, OPTION_MERGE) || line->to_stdout,
	};
	struct capture_session session = {.context = context};
	enum exit_status status = STATUS_USAGE;
	struct error err;

	if (check_options(line, &err) == 0 && local_live_is_meant(line))
		return local_live(context);
	if (check_options(line, &err) < 0 || request_build(line, &plan, &session.request, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	status = begin(&session, &err) < 0 ? STATUS_FAILED : run(&session, &err);
	local_call_free(session.check_ended);
	local_call_free(session.stop);
	local_call_free(session.progress);
	local_call_free(session.post);
	local_client_free(session.client);
	json_decref(session.request);
	json_decref(session.partial_answer);
	return status;
}
