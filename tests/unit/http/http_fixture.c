/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GUARD_S 20

struct fixture fixture;

/* --- handlers --- */

static void answer_ok(void *ctx, struct http_request *request)
{
	(void)ctx;
	fixture.handled++;
	http_answer_json(request, 200, "{\"ok\":true}");
}

static void answer_item(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"a", "b", NULL};
	const char *unknown = http_request_unknown_parameter(request, known), *a = NULL;
	char json[256];
	int r = http_request_parameter(request, "a", &a);

	(void)ctx;
	fixture.handled++;
	if (unknown) {
		http_answer_error(request, 400, "there is no parameter \"%s\"", unknown);
		return;
	}
	if (r == -EINVAL) {
		http_answer_error(request, 400, "a is given twice");
		return;
	}
	snprintf(json, sizeof(json), "<%s><%s><%s><%s>", http_request_segment(request, 0),
		 http_request_segment(request, 1), a ? a : "none", http_request_peer(request));
	http_answer(request, 200, "text/plain", json, strlen(json));
}

static void answer_body(void *ctx, struct http_request *request)
{
	size_t size;
	const void *body = http_request_body(request, &size);

	(void)ctx;
	fixture.handled++;
	http_answer(request, 201, "text/plain", body, size);
}

static void on_gone(void *ctx)
{
	(void)ctx;
	fixture.gone++;
}

static void answer_later(void *ctx, struct http_request *request)
{
	(void)ctx;
	fixture.handled++;
	assert_true(fixture.held_count < HELD_MAX);
	fixture.held[fixture.held_count++] = request;
	http_request_set_gone_handler(request, on_gone, NULL);
}

/* Answers the waiting requests from within this one. */
static void answer_wake(void *ctx, struct http_request *request)
{
	while (fixture.held_count > 0)
		http_answer_json(fixture.held[--fixture.held_count], 200, "{\"late\":1}");
	if (fixture.stream)
		(void)http_sse_send(fixture.stream, "woken", "{}");
	answer_ok(ctx, request);
}

static uint64_t download_left;

static size_t read_download(void *ctx, uint8_t *into, size_t room)
{
	size_t size = room < download_left ? room : (size_t)download_left;

	(void)ctx;
	memset(into, 'd', size);
	download_left -= size;
	return size;
}

static void rewind_download(void *ctx)
{
	(void)ctx;
	download_left = DOWNLOAD_BYTES;
}

static void on_release(void *ctx)
{
	(void)ctx;
	fixture.released++;
}

static void answer_download(void *ctx, struct http_request *request)
{
	const struct http_file file = {
		.stream = {.size_bytes = DOWNLOAD_BYTES, .read = read_download, .rewind = rewind_download},
		.type = "application/vnd.tcpdump.pcap",
		.name = "a \"b\".pcapng",
		.release = on_release,
	};

	(void)ctx;
	http_answer_file(request, &file);
}

static void on_more(void *ctx)
{
	(void)ctx;
	fixture.pulls++;
}

static void on_stream_gone(void *ctx)
{
	(void)ctx;
	fixture.stream_gone++;
	if (fixture.ends_when_gone)
		http_stream_end(fixture.stream, false);
}

static void answer_stream(void *ctx, struct http_request *request)
{
	const struct http_producer source = {.more = on_more, .gone = on_stream_gone};

	(void)ctx;
	fixture.stream = http_answer_stream(request, "application/octet-stream", &source);
}

static void answer_events(void *ctx, struct http_request *request)
{
	(void)ctx;
	fixture.handled++;
	fixture.stream = http_answer_sse(request, on_stream_gone, NULL);
	if (fixture.stream && fixture.held_count < HELD_MAX)
		fixture.held[fixture.held_count++] = (struct http_request *)fixture.stream; /* only counted */
}

/* A good signature is the body itself. */
static void answer_guest(void *ctx, struct http_request *request)
{
	const char *signature = http_request_header(request, "X-Signature");
	char answer[128];
	size_t size;

	(void)ctx;
	fixture.handled++;
	if (http_request_must_verify(request)) {
		if (!signature || strcmp(signature, http_request_body(request, &size)) != 0) {
			http_answer_unverified(request, "it does not fit");
			return;
		}
		http_request_verified(request, "bob");
	}
	snprintf(answer, sizeof(answer), "{\"peer\":\"%s\"}", http_request_peer(request));
	http_answer_json(request, 200, answer);
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/ok", .handler = answer_ok},
	{.method = "GET", .pattern = "/items/*/of/*", .handler = answer_item},
	{.method = "DELETE", .pattern = "/items/*/of/*", .handler = answer_ok},
	{.method = "POST", .pattern = "/body", .handler = answer_body, .body_bytes_max = 100},
	{.method = "POST", .pattern = "/large", .handler = answer_body, .body_bytes_max = 200000},
	{.method = "POST", .pattern = "/guests", .handler = answer_guest, .body_bytes_max = 1000, .guests = true},
	{.method = "GET", .pattern = "/later", .handler = answer_later},
	{.method = "GET", .pattern = "/wake", .handler = answer_wake},
	{.method = "GET", .pattern = "/download", .handler = answer_download},
	{.method = "GET", .pattern = "/stream", .handler = answer_stream},
	{.method = "GET", .pattern = "/events", .handler = answer_events},
};

/* --- the server --- */

void restart(void)
{
	struct error err = {.text = ""};

	http_server_free(fixture.server);
	fixture.server = http_server_new(&fixture.options, &err);
	if (!fixture.server)
		fail_msg("%s", err.text);
}

int make_server(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/pcapdaemon-http-XXXXXX");
	if (!mkdtemp(fixture.directory))
		return -1;
	snprintf(fixture.path, sizeof(fixture.path), "%s/control.sock", fixture.directory);
	fixture.loop = event_base_new();
	fixture.options = (struct http_server_options){
		.loop = fixture.loop,
		.routes = routes,
		.route_count = sizeof(routes) / sizeof(routes[0]),
		.socket = fixture.path,
	};
	restart();
	return 0;
}

int free_server(void **state)
{
	(void)state;
	http_server_free(fixture.server);
	event_base_free(fixture.loop);
	if (access(fixture.path, F_OK) == 0)
		return -1; /* its socket file is left over */
	return rmdir(fixture.directory);
}

static void on_guard(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	*(bool *)ctx = true;
}

void wait_for(bool (*condition)(void *ctx), void *ctx, const char *what)
{
	static const struct timeval guard = {.tv_sec = GUARD_S}, tick = {.tv_usec = 2000};
	bool late = false, ticked = false;
	struct event *timer = evtimer_new(fixture.loop, on_guard, &late);
	struct event *ticker = event_new(fixture.loop, -1, EV_PERSIST, on_guard, &ticked);

	assert_non_null(timer);
	assert_non_null(ticker);
	event_add(timer, &guard);
	event_add(ticker, &tick); /* a client's socket is not on the loop */
	while (!condition(ctx) && !late)
		event_base_loop(fixture.loop, EVLOOP_ONCE);
	event_free(timer);
	event_free(ticker);
	if (late)
		fail_msg("timed out waiting for %s", what);
}

void run_for_ms(unsigned ms)
{
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	bool over = false;
	struct event *timer = evtimer_new(fixture.loop, on_guard, &over);

	assert_non_null(timer);
	event_add(timer, &timeout);
	while (!over)
		event_base_loop(fixture.loop, EVLOOP_ONCE);
	event_free(timer);
}

/* --- clients --- */

struct client *client_new(void)
{
	struct client *client = calloc(1, sizeof(*client));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_non_null(client);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client->fd >= 0);
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

void client_free(struct client *client)
{
	close(client->fd);
	free(client);
}

struct sending {
	struct client *client;
	const char *bytes;
	size_t left;
};

static bool is_sent(void *ctx)
{
	struct sending *sending = ctx;
	ssize_t sent = send(sending->client->fd, sending->bytes, sending->left, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		return true; /* the server has closed */
	if (sent > 0) {
		sending->bytes += sent;
		sending->left -= (size_t)sent;
	}
	return sending->left == 0;
}

void send_bytes(struct client *client, const void *bytes, size_t size)
{
	struct sending sending = {.client = client, .bytes = bytes, .left = size};

	wait_for(is_sent, &sending, "the server to read");
}

void send_text(struct client *client, const char *text)
{
	send_bytes(client, text, strlen(text));
}

void receive(struct client *client)
{
	char block[64 * 1024];
	ssize_t got;

	while (!client->ended && (got = recv(client->fd, block, sizeof(block), 0)) != -1) {
		size_t room = sizeof(client->text) - 1 - client->size, kept = (size_t)got < room ? (size_t)got : room;

		client->ended = got == 0;
		memcpy(client->text + client->size, block, kept);
		client->size += kept;
		client->dropped += (size_t)got - kept;
		client->text[client->size] = '\0';
	}
	if (!client->ended && errno != EAGAIN)
		client->ended = true; /* ECONNRESET: closed with something unread */
}

struct wanted {
	struct client *client;
	const char *text;
};

static bool has_received(void *ctx)
{
	struct wanted *wanted = ctx;

	receive(wanted->client);
	return memmem(wanted->client->text, wanted->client->size, wanted->text, strlen(wanted->text)) ||
	       wanted->client->ended;
}

void expect(struct client *client, const char *text)
{
	struct wanted wanted = {client, text};
	char *found;

	wait_for(has_received, &wanted, text);
	found = memmem(client->text, client->size, text, strlen(text));
	if (!found)
		fail_msg("expected \"%s\", got \"%s\"", text, client->text);
	found += strlen(text);
	client->size -= (size_t)(found - client->text);
	memmove(client->text, found, client->size + 1);
}

static bool has_ended(void *ctx)
{
	struct client *client = ctx;

	receive(client);
	return client->ended;
}

void expect_end(struct client *client)
{
	wait_for(has_ended, client, "the end of the connection");
}

void clear_text(struct client *client)
{
	client->size = 0;
	client->text[0] = '\0';
}
