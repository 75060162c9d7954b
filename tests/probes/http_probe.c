/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP server alone, with a few routes, for tests/system/test_http_server.py. Options are `--name value`: socket,
 * group, listen, token, cert, key, connections, stall-s. Prints {"port":N} once it listens; SIGTERM stops it. A request
 * for /later is answered when /wake is requested.
 */
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "http/http_server.h"

#define LATER_MAX 64
#define DOWNLOAD_BYTES (64u << 20)
#define PIECES 1000
#define PIECE_BYTES 20000

static struct http_request *later[LATER_MAX];
static unsigned later_count, gone_count;

static void answer_ok(void *ctx, struct http_request *request)
{
	char json[256];

	(void)ctx;
	snprintf(json, sizeof(json), "{\"peer\":\"%s\",\"gone\":%u}", http_request_peer(request), gone_count);
	http_answer_json(request, 200, json);
}

static void answer_body(void *ctx, struct http_request *request)
{
	size_t size;
	const void *body = http_request_body(request, &size);

	(void)ctx;
	http_answer(request, 200, "application/json", body, size);
}

static void on_gone(void *ctx)
{
	(void)ctx;
	gone_count++;
}

static void answer_later(void *ctx, struct http_request *request)
{
	(void)ctx;
	if (later_count == LATER_MAX) {
		http_answer_error(request, 503, "too many");
		return;
	}
	later[later_count++] = request;
	http_request_set_gone_handler(request, on_gone, NULL);
}

static void answer_wake(void *ctx, struct http_request *request)
{
	while (later_count > 0)
		http_answer_json(later[--later_count], 200, "{\"late\":true}");
	answer_ok(ctx, request);
}

struct download {
	uint64_t at;
};

/* Byte n is n % 251. */
static size_t read_download(void *ctx, uint8_t *into, size_t room)
{
	struct download *download = ctx;
	size_t size = 0;

	for (; size < room && download->at < DOWNLOAD_BYTES; size++)
		into[size] = (uint8_t)(download->at++ % 251);
	return size;
}

static void answer_download(void *ctx, struct http_request *request)
{
	struct download *download = calloc(1, sizeof(*download));
	struct http_file file = {
		.stream = {.size_bytes = DOWNLOAD_BYTES, .read = read_download, .ctx = download},
		.type = "application/octet-stream",
		.name = "download.pcapng",
		.release = free,
		.release_ctx = download,
	};

	(void)ctx;
	if (download)
		http_answer_file(request, &file);
	else
		http_answer_error(request, 500, "out of memory");
}

struct pieces {
	struct http_stream *stream;
	unsigned made;
};

static void make_piece(void *ctx)
{
	static char piece[PIECE_BYTES];
	struct pieces *pieces = ctx;

	memset(piece, 'a' + (int)(pieces->made % 26), sizeof(piece));
	if (pieces->made++ < PIECES && http_stream_write(pieces->stream, piece, sizeof(piece)) == 0)
		return;
	http_stream_end(pieces->stream, true);
	free(pieces);
}

static void drop_pieces(void *ctx)
{
	struct pieces *pieces = ctx;

	http_stream_end(pieces->stream, false);
	free(pieces);
	gone_count++;
}

static void answer_stream(void *ctx, struct http_request *request)
{
	struct pieces *pieces = calloc(1, sizeof(*pieces));
	const struct http_producer source = {.more = make_piece, .gone = drop_pieces, .ctx = pieces};

	(void)ctx;
	if (!pieces) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	pieces->stream = http_answer_stream(request, "application/octet-stream", &source);
	if (!pieces->stream)
		free(pieces);
}

static struct http_stream *events;

static void drop_events(void *ctx)
{
	(void)ctx;
	http_stream_end(events, true);
	events = NULL;
	gone_count++;
}

static void answer_events(void *ctx, struct http_request *request)
{
	(void)ctx;
	if (events) {
		http_answer_error(request, 503, "one at a time");
		return;
	}
	events = http_answer_sse(request, drop_events, NULL);
	if (events)
		(void)http_sse_send(events, "hello", "{\"n\":1}");
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/ok", .handler = answer_ok},
	{.method = "POST", .pattern = "/body", .handler = answer_body, .body_bytes_max = HTTP_BODY_BYTES_MAX},
	{.method = "GET", .pattern = "/later", .handler = answer_later},
	{.method = "GET", .pattern = "/wake", .handler = answer_wake},
	{.method = "GET", .pattern = "/download", .handler = answer_download},
	{.method = "GET", .pattern = "/stream", .handler = answer_stream},
	{.method = "GET", .pattern = "/events", .handler = answer_events},
};

static void parse(int argc, char **argv, struct http_server_options *options)
{
	static const struct option known[] = {{"socket", required_argument, NULL, 's'},
					      {"group", required_argument, NULL, 'g'},
					      {"listen", required_argument, NULL, 'l'},
					      {"token", required_argument, NULL, 't'},
					      {"cert", required_argument, NULL, 'c'},
					      {"key", required_argument, NULL, 'k'},
					      {"connections", required_argument, NULL, 'n'},
					      {"stall-s", required_argument, NULL, 'S'},
					      {0}};
	int name;

	while ((name = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (name) {
		case 's':
			options->socket = optarg;
			break;
		case 'g':
			options->group = optarg;
			break;
		case 'l':
			options->listen = optarg;
			break;
		case 't':
			options->token = optarg;
			break;
		case 'c':
			options->cert_file = optarg;
			break;
		case 'k':
			options->key_file = optarg;
			break;
		case 'n':
			options->connections = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'S':
			options->idle_timeout_s = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
}

static void on_term(evutil_socket_t signal, short what, void *ctx)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(ctx);
}

int main(int argc, char **argv)
{
	struct event_base *loop = event_base_new();
	struct http_server_options options = {.loop = loop,
					      .routes = routes,
					      .route_count = sizeof(routes) / sizeof(routes[0])};
	struct event *term = evsignal_new(loop, SIGTERM, on_term, loop);
	struct error err = {.text = ""};
	struct http_server *server;

	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv, &options);
	server = http_server_new(&options, &err);
	if (!server) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	evsignal_add(term, NULL);
	printf("{\"port\":%u}\n", http_server_port(server));
	fflush(stdout);
	event_base_dispatch(loop);
	http_server_free(server);
	while (later_count > 0)
		http_answer_json(later[--later_count], 200, "{}");
	event_free(term);
	event_base_free(loop);
	return 0;
}
