/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes from a client, in pieces of one size, on a connection to the whole server. A second, strict and simple
 * parser reads the same bytes: the server may call a handler only for what that parser accepts as a request, with the
 * same body. The first byte of the input gives the size of the pieces.
 */
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_server.h"

#define BODY_MAX 4096
#define ROUNDS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *loop;
static struct http_server *server;
static const char *left; /* the input that the strict parser has not read */
static size_t left_size;

/* --- the strict parser --- */

/* Returns the size of a line without its CR LF, or -1. */
static ssize_t line_size(const char *text, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		if (text[i] == '\r' && text[i + 1] == '\n')
			return (ssize_t)i;
		if (text[i] == '\r' || text[i] == '\n' || text[i] == '\0')
			return -1;
	}
	return -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int parse_header(const char *line, size_t size, unsigned *hosts, size_t *body_size, unsigned *lengths)
{
	const char *colon = memchr(line, ':', size), *end = line + size, *value;
	size_t name = colon ? (size_t)(colon - line) : 0;

	for (size_t i = 0; i < name; i++)
		if (!isgraph((unsigned char)line[i]))
			return -EINVAL;
	if (name == 0 || (name == 17 && strncasecmp(line, "Transfer-Encoding", name) == 0))
		return -EINVAL;
	if (name == 4 && strncasecmp(line, "Host", name) == 0)
		(*hosts)++;
	if (name != 14 || strncasecmp(line, "Content-Length", name) != 0)
		return 0;
	(*lengths)++;
	for (value = colon + 1; value < end && is_blank(*value); value++)
		;
	for (; end > value && is_blank(end[-1]); end--)
		;
	*body_size = 0;
	if (value == end)
		return -EINVAL;
	for (; value < end; value++) {
		if (!isdigit((unsigned char)*value) || *body_size > BODY_MAX)
			return -EINVAL;
		*body_size = *body_size * 10 + (size_t)(*value - '0');
	}
	return 0;
}

/* Origin form or absolute form. */
static bool is_target(const char *target)
{
	return *target == '/' || strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0;
}

/* Reads the next request of the input and returns the size of its body; aborts if there is none. */
static size_t next_request(const char **body)
{
	unsigned hosts = 0, lengths = 0;
	size_t body_size = 0;
	bool old = false, first = true;
	ssize_t line;

	while ((line = line_size(left, left_size)) > 0) {
		if (first) {
			const char *target = memchr(left, ' ', (size_t)line), *end = left + line - 9;

			if (!target || end <= target || !is_target(target + 1) || *end != ' ' ||
			    memchr(target + 1, ' ', (size_t)(end - target - 1)) || strncmp(end, " HTTP/1.", 8) != 0)
				abort();
			old = end[8] == '0';
			first = false;
		} else if (parse_header(left, (size_t)line, &hosts, &body_size, &lengths) < 0) {
			abort();
		}
		left += line + 2;
		left_size -= (size_t)line + 2;
	}
	if (line < 0 || first || lengths > 1 || hosts > 1 || (!old && hosts == 0) || left_size - 2 < body_size)
		abort();
	*body = left + 2;
	left += 2 + body_size;
	left_size -= 2 + body_size;
	return body_size;
}

/* --- handlers --- */

static void check(struct http_request *request)
{
	const char *expected;
	size_t expected_size = next_request(&expected), size;
	const void *body = http_request_body(request, &size);

	if (size != expected_size || memcmp(body, expected, size) != 0)
		abort();
}

static void answer(void *ctx, struct http_request *request)
{
	const char *value = NULL;

	(void)ctx;
	check(request);
	if (http_request_parameter(request, "a", &value) == 0 && !value)
		abort();
	http_answer_json(request, 200, "{}");
}

static void more(void *ctx)
{
	struct http_stream **stream = ctx;

	http_stream_end(*stream, http_stream_write(*stream, "piece", 5) == 0);
}

static void gone(void *ctx)
{
	http_stream_end(*(struct http_stream **)ctx, false);
}

static void answer_stream(void *ctx, struct http_request *request)
{
	static struct http_stream *stream;
	const struct http_producer source = {.more = more, .gone = gone, .ctx = &stream};

	(void)ctx;
	check(request);
	stream = http_answer_stream(request, "text/plain", &source);
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/ok", .handler = answer},
	{.method = "DELETE", .pattern = "/*/*", .handler = answer},
	{.method = "GET", .pattern = "/*/b", .handler = answer},
	{.method = "POST", .pattern = "/body", .handler = answer, .body_bytes_max = BODY_MAX},
	{.method = "GET", .pattern = "/stream", .handler = answer_stream},
};

/* --- the target --- */

static void start(void)
{
	const struct http_server_options options = {.routes = routes,
						    .route_count = sizeof(routes) / sizeof(routes[0]),
						    .loop = loop = event_base_new()};

	server = http_server_new(&options, NULL);
	if (!server)
		abort();
}

/* Runs the server until it is idle; discards its answers. */
static void run(int fd)
{
	char block[16384];

	for (int i = 0; i < 3; i++) {
		event_base_loop(loop, EVLOOP_NONBLOCK);
		while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
			i = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece;
	int pair[2];

	if (!server)
		start();
	if (size == 0)
		return 0;
	piece = data[0] < 0xff ? (size_t)data[0] + 1 : SIZE_MAX;
	left = (const char *)data + 1;
	left_size = size - 1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || http_server_adopt(server, pair[0]) < 0)
		abort();
	for (size_t at = 1; at < size; at += piece) {
		if (piece > size - at)
			piece = size - at;
		if (send(pair[1], data + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break; /* the server has closed, or its socket is full */
		run(pair[1]);
	}
	shutdown(pair[1], SHUT_WR);
	for (int i = 0; http_server_connections(server) > 0; i++) {
		if (i == ROUNDS_MAX)
			abort();
		run(pair[1]);
	}
	close(pair[1]);
	return 0;
}
