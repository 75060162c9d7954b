/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Server-sent events (HTML standard, 9.2): "data:" lines up to an empty line make an event; comments and other fields
 * are ignored. A line longer than any event is an error.
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define EVENT_BYTES_MAX ((size_t)1 << 20)
#define PATH_BYTES_MAX 1024
#define RUN_MS 1000

struct event_stream {
	const struct terminal *terminal;
	struct buffer line, data;
	int error;
};

static void end_event(struct event_stream *event_stream)
{
	cleanup(cleanup_json) json_t *event = NULL;

	if (event_stream->data.size == 0)
		return;
	event = json_loadb(buffer_text(&event_stream->data), event_stream->data.size, JSON_REJECT_DUPLICATES, NULL);
	buffer_clear(&event_stream->data);
	if (!json_is_object(event))
		event_stream->error = -EPROTO;
	else if (event_stream->terminal->json)
		event_stream->error = json_print(event_stream->terminal, event, true);
	else
		event_print(event_stream->terminal, event);
	if (ferror(event_stream->terminal->results))
		event_stream->error = -EIO;
}

static void end_line(struct event_stream *event_stream)
{
	const char *line = buffer_text(&event_stream->line);
	size_t size = event_stream->line.size;

	if (size > 0 && line[size - 1] == '\r')
		size--;
	if (size == 0) {
		end_event(event_stream);
	} else if (size > 5 && strncmp(line, "data:", 5) == 0) {
		size_t skip = line[5] == ' ' ? 6 : 5;

		if (buffer_append(&event_stream->data, line + skip, size - skip) < 0)
			event_stream->error = -EPROTO;
	}
	buffer_clear(&event_stream->line);
}

static bool parse_bytes(void *ctx, const char *bytes, size_t size)
{
	struct event_stream *event_stream = ctx;

	while (size > 0 && event_stream->error == 0) {
		const char *newline = memchr(bytes, '\n', size);
		size_t part_size = newline ? (size_t)(newline - bytes) : size;

		if (buffer_append(&event_stream->line, bytes, part_size) < 0)
			event_stream->error = -EPROTO;
		else if (newline)
			end_line(event_stream);
		bytes += part_size + (newline != NULL);
		size -= part_size + (newline != NULL);
	}
	return event_stream->error == 0;
}

/* 0: after Ctrl-C, or once the results cannot be written. */
static int watch_events(const struct command_context *context, struct local_client *client,
			struct event_stream *event_stream, struct error *err)
{
	const char *id = command_line_value(context->line, OPTION_ID);
	cleanup(buffer_deinit) struct buffer path = BUFFER_INIT(PATH_BYTES_MAX);
	cleanup(cleanup_local_call) struct local_call *call = NULL;
	const json_t *json;
	int fd = interrupts_begin();
	int r = buffer_append_string(&path, id ? "/v1/events?id=" : "/v1/events");

	if (r == 0 && id)
		r = url_encode(&path, id);
	if (r < 0)
		return error_set(err, r, "the id is too long");
	call = local_call_start(client,
				&(struct local_call_request){.method = "GET",
							     .path = buffer_text(&path),
							     .put = parse_bytes,
							     .ctx = event_stream},
				err);
	r = call ? 0 : -ENOMEM;
	while (r == 0 && !local_call_finished(call)) {
		r = local_client_run(client, RUN_MS, fd, err);
		if (r == 0 && interrupts_take() > 0)
			return 0;
	}
	if (r < 0)
		return r;
	if (event_stream->error == -EIO)
		return 0; /* main reports it */
	if (event_stream->error < 0)
		return error_set(err, event_stream->error, "the daemon sent an invalid event");
	r = local_call_result(call, &json, err);
	if (r >= 300)
		local_call_refusal(call, r, err);
	else if (r >= 0)
		error_set(err, 0, "the daemon is stopping and ended the stream");
	return -EIO;
}

enum exit_status local_watch(const struct command_context *context)
{
	struct error err;
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(context->target, &err);
	struct event_stream event_stream = {
		.terminal = context->terminal,
		.line = BUFFER_INIT(EVENT_BYTES_MAX),
		.data = BUFFER_INIT(EVENT_BYTES_MAX),
	};
	int r = client ? watch_events(context, client, &event_stream, &err) : -ENOMEM;

	buffer_deinit(&event_stream.line);
	buffer_deinit(&event_stream.data);
	if (r < 0)
		terminal_error("%s", err.text);
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}
