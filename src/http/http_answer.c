/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers. Each becomes a libmicrohttpd response, which the request holds until the connection takes it. If the
 * connection is gone, the response is destroyed; its release callback then frees what it refers to (a file, a stream).
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "http/http_server_internal.h"

#define ERROR_TEXT_MAX 4096
#define FILE_BLOCK_BYTES (64 * 1024)
#define NAME_MAX_BYTES 255

static const char json_type[] = "application/json";

bool http_response_add_headers(struct MHD_Response *response, const char *type)
{
	return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
}

static struct MHD_Response *copy_response(const char *type, const void *body, size_t size)
{
	struct MHD_Response *response;

	/* The library copies; its parameter lacks a const before 1.0. */
	response = MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	if (response && !http_response_add_headers(response, type)) {
		MHD_destroy_response(response);
		response = NULL;
	}
	return response;
}

/* Escapes for JSON (RFC 8259, 7); bytes that are not UTF-8 become U+FFFD. */
static int append_escaped(struct buffer *buffer, const char *text)
{
	size_t left = strlen(text);
	int r = 0;

	while (left > 0 && r == 0) {
		uint32_t code;
		size_t size = utf8_decode(text, left, &code);

		if (size == 0) {
			r = buffer_append_string(buffer, "\xef\xbf\xbd");
			size = 1;
		} else if (code < 0x20 || code == '"' || code == '\\') {
			r = buffer_printf(buffer, "\\u%04x", (unsigned)code);
		} else {
			r = buffer_append(buffer, text, size);
		}
		text += size;
		left -= size;
	}
	return r;
}

struct MHD_Response *http_error_response(const char *text)
{
	struct buffer json = BUFFER_INIT((size_t)8 * ERROR_TEXT_MAX);
	struct MHD_Response *response = NULL;

	if (buffer_append_string(&json, "{\"error\":\"") == 0 && append_escaped(&json, text) == 0 &&
	    buffer_append_string(&json, "\"}\n") == 0)
		response = copy_response(json_type, json.data, json.size);
	buffer_deinit(&json);
	return response;
}

/* Keeps the response for the connection. Without one (out of memory) it answers 500, or if that fails ends the
 * connection. */
static void set_response(struct http_request *request, unsigned status, struct MHD_Response *response)
{
	if (!response) {
		response = http_error_response("out of memory");
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	if (!response)
		request->connection->gone = true;
	request->answer = response;
	request->status = status;
}

bool http_request_is_answerable(const struct http_request *request)
{
	return request->connection && !request->answer;
}

/* A peer that has shown nothing yet keeps no connection. */
static struct MHD_Response *close_unverified(const struct http_request *request, struct MHD_Response *response)
{
	if (!response || !request->is_unverified ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

void http_answer_response(struct http_request *request, unsigned status, struct MHD_Response *response)
{
	request->gone = NULL;
	response = close_unverified(request, response);
	if (http_request_is_answerable(request)) {
		set_response(request, status, response);
		http_connection_wake(request->connection);
	} else if (response) {
		MHD_destroy_response(response);
	}
	http_request_release(request);
}

void http_refuse(struct http_request *request, unsigned status, const char *text, const char *header, const char *value)
{
	struct MHD_Response *response = http_error_response(text);

	if (response && (MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES ||
			 (header && MHD_add_response_header(response, header, value) != MHD_YES))) {
		MHD_destroy_response(response);
		response = NULL;
	}
	set_response(request, status, response);
}

void http_answer_unavailable(struct http_request *request)
{
	if (!request->dispatched || request->answer)
		return;
	http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is stopping", NULL, NULL);
	http_connection_wake(request->connection);
}

void http_answer(struct http_request *request, unsigned status, const char *type, const void *body, size_t size)
{
	http_answer_response(request, status,
			     http_request_is_answerable(request) ? copy_response(type, body, size) : NULL);
}

void http_answer_json(struct http_request *request, unsigned status, const char *json)
{
	http_answer(request, status, json_type, json, strlen(json));
}

void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	http_answer_response(request, status, http_request_is_answerable(request) ? http_error_response(text) : NULL);
}

/* --- files --- */

static ssize_t read_file(void *ctx, uint64_t position, char *into, size_t room)
{
	const struct http_file *file = ctx;
	size_t size = 0, got;

	(void)position; /* read once, in order */
	do {
		got = file->stream.read(file->stream.ctx, (uint8_t *)into + size, room - size);
		size += got;
	} while (got > 0 && size < room);
	return size > 0 ? (ssize_t)size : MHD_CONTENT_READER_END_WITH_ERROR; /* shorter than its size_bytes */
}

static void release_file(void *ctx)
{
	struct http_file *file = ctx;

	if (file->release)
		file->release(file->release_ctx);
	free(file);
}

bool http_response_set_name(struct MHD_Response *response, const char *name)
{
	char value[sizeof("attachment; filename=\"\"") + NAME_MAX_BYTES];
	char safe[NAME_MAX_BYTES + 1];
	size_t size = 0;

	for (; name[size] && size < NAME_MAX_BYTES; size++)
		safe[size] = (char)(isalnum((unsigned char)name[size]) || strchr("._-", name[size]) ? name[size] : '_');
	safe[size] = '\0';
	snprintf(value, sizeof(value), "attachment; filename=\"%s\"", safe);
	return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value) == MHD_YES;
}

void http_answer_file(struct http_request *request, const struct http_file *options)
{
	struct http_file *file = malloc(sizeof(*file));
	struct MHD_Response *response;

	if (!file) {
		if (options->release)
			options->release(options->release_ctx);
		http_answer_response(request, 0, NULL);
		return;
	}
	*file = *options;
	if (file->stream.rewind)
		file->stream.rewind(file->stream.ctx);
	response = MHD_create_response_from_callback(file->stream.size_bytes, FILE_BLOCK_BYTES, read_file, file,
						     release_file);
	if (!response) {
		release_file(file);
	} else if (!http_response_add_headers(response, file->type) ||
		   (file->name && !http_response_set_name(response, file->name))) {
		MHD_destroy_response(response);
		response = NULL;
	}
	http_answer_response(request, MHD_HTTP_OK, response);
}
