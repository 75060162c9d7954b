/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers produced while they are sent: when the producer is called, what a slow reader gets, and how streams end. */
#include "http_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_pulled(void *count)
{
	return fixture.pulls >= *(unsigned *)count;
}

static void wait_for_pulls(unsigned count)
{
	wait_for(has_pulled, &count, "the producer to be called");
}

static bool is_gone(void *count)
{
	return fixture.stream_gone >= *(unsigned *)count;
}

static void wait_for_gone(unsigned count)
{
	wait_for(is_gone, &count, "the producer to learn that its client is gone");
}

static void write_text(const char *text)
{
	assert_int_equal(http_stream_write(fixture.stream, text, strlen(text)), 0);
}

static bool is_open(void *ctx)
{
	(void)ctx;
	return fixture.stream;
}

static struct client *open_stream(const char *request)
{
	struct client *client = client_new();

	fixture.stream = NULL;
	send_text(client, request);
	wait_for(is_open, NULL, "the stream");
	return client;
}

static void test_stream_is_chunked_and_produced_piece_by_piece(void **state)
{
	struct client *client = open_stream(GET("/stream"));

	(void)state;
	expect(client, "\r\nTransfer-Encoding: chunked\r\n");
	wait_for_pulls(1);
	run_for_ms(20);
	assert_int_equal(fixture.pulls, 1);
	write_text("first");
	expect(client, "5\r\nfirst\r\n");
	wait_for_pulls(2);
	write_text("second");
	expect(client, "6\r\nsecond\r\n");
	wait_for_pulls(3);
	http_stream_end(fixture.stream, true);
	expect(client, "0\r\n\r\n");
	assert_int_equal(fixture.stream_gone, 0);
	send_text(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	client_free(client);
}

static void test_producer_waits_for_a_client_that_does_not_read(void **state)
{
	static char piece[256 * 1024];
	struct client *client = open_stream(GET("/stream"));
	unsigned pulls = 0;

	(void)state;
	/* Until the producer is no longer called. */
	for (unsigned i = 0; i < 50 && fixture.pulls > pulls - (i == 0); i++) {
		pulls = fixture.pulls;
		assert_int_equal(http_stream_write(fixture.stream, piece, sizeof(piece)), 0);
		run_for_ms(30);
	}
	assert_true(fixture.pulls < 10);
	receive(client);
	wait_for_pulls(fixture.pulls);
	while (fixture.pulls == pulls) {
		run_for_ms(1);
		receive(client);
	}
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void test_unsent_bytes_are_capped(void **state)
{
	char *piece = calloc(1, HTTP_STREAM_BYTES_MAX + 1);
	struct client *client = open_stream(GET("/stream"));

	(void)state;
	assert_non_null(piece);
	assert_int_equal(http_stream_write(fixture.stream, piece, HTTP_STREAM_BYTES_MAX + 1), -ENOBUFS);
	assert_int_equal(http_stream_write(fixture.stream, piece, HTTP_STREAM_BYTES_MAX), 0);
	assert_int_equal(http_stream_write(fixture.stream, "a", 1), -ENOBUFS);
	http_stream_end(fixture.stream, true);
	free(piece);
	client_free(client);
}

static void test_incomplete_stream_is_broken_off(void **state)
{
	struct client *client = open_stream(GET("/stream"));

	(void)state;
	write_text("part");
	expect(client, "4\r\npart\r\n");
	http_stream_end(fixture.stream, false);
	expect_end(client);
	assert_int_equal(client->size, 0); /* no last chunk */
	client_free(client);
}

static void test_producer_learns_that_its_client_is_gone(void **state)
{
	struct client *client = open_stream(GET("/stream"));

	(void)state;
	wait_for_pulls(1);
	client_free(client);
	wait_for_gone(1);
	assert_int_equal(http_stream_write(fixture.stream, "a", 1), -EPIPE);
	http_stream_end(fixture.stream, true);
	assert_int_equal(fixture.stream_gone, 1);
}

static void test_producer_may_end_the_stream_in_its_gone_callback(void **state)
{
	struct client *client;

	(void)state;
	fixture.ends_when_gone = true;
	client = open_stream(GET("/stream"));
	wait_for_pulls(1);
	client_free(client);
	wait_for_gone(1);
	client = open_stream(GET("/events"));
	client_free(client);
	wait_for_gone(2);
	client = open_stream(GET("/events"));
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.stream_gone, 3);
	client_free(client);
}

static void test_http_1_0_stream_ends_with_the_connection(void **state)
{
	struct client *client = open_stream("GET /stream HTTP/1.0\r\n\r\n");

	(void)state;
	expect(client, "\r\n\r\n");
	write_text("first");
	expect(client, "first");
	wait_for_pulls(2);
	write_text("second");
	http_stream_end(fixture.stream, true);
	expect_end(client);
	assert_string_equal(client->text, "second");
	client_free(client);
}

static void test_head_request_ends_the_stream(void **state)
{
	struct client *client = open_stream("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");

	(void)state;
	expect(client, "\r\n\r\n");
	wait_for_gone(1);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void test_stop_breaks_streams_off(void **state)
{
	struct client *client = open_stream(GET("/stream"));

	(void)state;
	write_text("part");
	expect(client, "4\r\npart\r\n");
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.stream_gone, 1);
	expect_end(client);
	assert_int_equal(client->size, 0);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

/* --- events --- */

static void test_events_are_sent_as_they_happen(void **state)
{
	struct client *client = open_stream(GET("/events"));

	(void)state;
	expect(client, "\r\nContent-Type: text/event-stream\r\n");
	expect(client, ":\n\n");
	assert_int_equal(http_sse_send(fixture.stream, "done", "{\"a\":1}"), 0);
	expect(client, "event: done\ndata: {\"a\":1}\n\n");
	assert_int_equal(http_sse_send(fixture.stream, "two", "a\nb"), 0);
	expect(client, "event: two\ndata: a\ndata: b\n\n");
	assert_int_equal(http_sse_send(fixture.stream, "empty", ""), 0);
	expect(client, "event: empty\ndata: \n\n");
	http_stream_end(fixture.stream, true);
	expect(client, "0\r\n\r\n");
	client_free(client);
}

static void test_handler_may_send_an_event(void **state)
{
	struct client *client = open_stream(GET("/events")), *other = client_new();

	(void)state;
	expect(client, ":\n\n");
	fixture.held_count = 0; /* the stream is no request */
	send_text(other, GET("/wake"));
	expect(other, "{\"ok\":true}");
	expect(client, "event: woken\n");
	http_stream_end(fixture.stream, true);
	client_free(client);
	client_free(other);
}

static void test_silence_is_filled_with_heartbeats(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.heartbeat_ms = 50;
	restart();
	client = open_stream(GET("/events"));
	for (int i = 0; i < 4; i++)
		expect(client, "3\r\n:\n\n\r\n");
	client_free(client);
	wait_for_gone(1);
	http_stream_end(fixture.stream, true);
}

static void test_event_streams_are_capped(void **state)
{
	struct client *clients[HTTP_SSE_STREAMS_MAX + 1];
	struct http_stream *streams[HTTP_SSE_STREAMS_MAX];

	(void)state;
	for (unsigned i = 0; i < HTTP_SSE_STREAMS_MAX; i++) {
		clients[i] = open_stream(GET("/events"));
		streams[i] = fixture.stream;
	}
	clients[HTTP_SSE_STREAMS_MAX] = client_new();
	send_text(clients[HTTP_SSE_STREAMS_MAX], GET("/events"));
	expect(clients[HTTP_SSE_STREAMS_MAX], "HTTP/1.1 503 ");
	expect(clients[HTTP_SSE_STREAMS_MAX], "16 event streams already");

	http_stream_end(streams[0], true); /* one ends: there is room for another */
	expect(clients[0], "0\r\n\r\n");
	client_free(clients[0]);
	clients[0] = open_stream(GET("/events"));
	streams[0] = fixture.stream;
	for (unsigned i = 0; i <= HTTP_SSE_STREAMS_MAX; i++)
		client_free(clients[i]);
	wait_for_gone(HTTP_SSE_STREAMS_MAX);
	for (unsigned i = 0; i < HTTP_SSE_STREAMS_MAX; i++)
		http_stream_end(streams[i], true);
}

static void test_slow_reader_is_notified_and_ended_alone(void **state)
{
	static char data[4096];
	struct client *slow = open_stream(GET("/events")), *quick;
	struct http_stream *to_slow = fixture.stream, *to_quick;
	unsigned sent = 0;

	(void)state;
	quick = open_stream(GET("/events"));
	to_quick = fixture.stream;
	memset(data, 'd', sizeof(data) - 1);
	while (http_sse_send(to_slow, "done", data) == 0) {
		assert_int_equal(http_sse_send(to_quick, "done", data), 0);
		expect(quick, "event: done\n");
		assert_true(++sent < 1000);
	}
	assert_true(sent >= HTTP_SSE_QUEUE_BYTES_MAX / (sizeof(data) + 64));
	assert_int_equal(http_sse_send(to_slow, "done", "x"), -EPIPE);
	expect(quick, "d\n\n");
	for (clear_text(slow); !strstr(slow->text, ": too slow"); receive(slow)) { /* starts to read */
		if (slow->size > sizeof(slow->text) - 70000)
			clear_text(slow);
		run_for_ms(1);
	}
	expect(slow, "\n\n\r\n0\r\n\r\n");
	wait_for_gone(1);
	http_stream_end(to_slow, true);
	http_stream_end(to_quick, true);
	expect(quick, "0\r\n\r\n");
	client_free(slow);
	client_free(quick);
}

static void test_client_that_never_reads_is_disconnected(void **state)
{
	static char data[4096];
	struct client *client;

	(void)state;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = open_stream(GET("/events"));
	memset(data, 'd', sizeof(data) - 1);
	while (http_sse_send(fixture.stream, "done", data) == 0)
		run_for_ms(0);
	wait_for_gone(1);
	expect_end(client);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void test_oversized_event_ends_the_stream(void **state)
{
	char *data = malloc(HTTP_SSE_QUEUE_BYTES_MAX + 1);
	struct client *client = open_stream(GET("/events"));

	(void)state;
	assert_non_null(data);
	memset(data, 'd', HTTP_SSE_QUEUE_BYTES_MAX);
	data[HTTP_SSE_QUEUE_BYTES_MAX] = '\0';
	assert_int_equal(http_sse_send(fixture.stream, "done", data), -EPIPE);
	expect(client, ": too slow");
	wait_for_gone(1);
	http_stream_end(fixture.stream, true);
	free(data);
	client_free(client);
}

static void test_stop_ends_event_streams_cleanly(void **state)
{
	struct client *client = open_stream(GET("/events"));

	(void)state;
	assert_int_equal(http_sse_send(fixture.stream, "last", "{}"), 0);
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.stream_gone, 1);
	expect(client, "event: last\n");
	expect(client, "0\r\n\r\n");
	expect_end(client);
	assert_int_equal(http_sse_send(fixture.stream, "after", "{}"), -EPIPE);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

int main(void)
{
#define served(test) cmocka_unit_test_setup_teardown(test, make_server, free_server)
	static const struct CMUnitTest tests[] = {
		served(test_stream_is_chunked_and_produced_piece_by_piece),
		served(test_producer_waits_for_a_client_that_does_not_read),
		served(test_unsent_bytes_are_capped),
		served(test_incomplete_stream_is_broken_off),
		served(test_producer_learns_that_its_client_is_gone),
		served(test_producer_may_end_the_stream_in_its_gone_callback),
		served(test_http_1_0_stream_ends_with_the_connection),
		served(test_head_request_ends_the_stream),
		served(test_stop_breaks_streams_off),
		served(test_events_are_sent_as_they_happen),
		served(test_handler_may_send_an_event),
		served(test_silence_is_filled_with_heartbeats),
		served(test_event_streams_are_capped),
		served(test_slow_reader_is_notified_and_ended_alone),
		served(test_client_that_never_reads_is_disconnected),
		served(test_oversized_event_ends_the_stream),
		served(test_stop_ends_event_streams_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
