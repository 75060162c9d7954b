/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers made while they are sent: who asks for more when, what a slow reader gets, how they end. */
#include "http_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_asked(void *count)
{
	return fixture.asked >= *(unsigned *)count;
}

static void wait_for_asked(unsigned count)
{
	wait_for(is_asked, &count, "the producer to be asked");
}

static bool is_gone(void *count)
{
	return fixture.stream_gone >= *(unsigned *)count;
}

static void wait_for_gone(unsigned count)
{
	wait_for(is_gone, &count, "the producer to be told that nobody reads");
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

static struct client *ask_for(const char *request)
{
	struct client *client = client_new();

	fixture.stream = NULL;
	say(client, request);
	wait_for(is_open, NULL, "the stream");
	return client;
}

static void a_stream_is_chunked_and_asked_for_piece_by_piece(void **state)
{
	struct client *client = ask_for(GET("/stream"));

	(void)state;
	expect(client, "\r\nTransfer-Encoding: chunked\r\n");
	wait_for_asked(1);
	run_for_ms(20);
	assert_int_equal(fixture.asked, 1);
	write_text("first");
	expect(client, "5\r\nfirst\r\n");
	wait_for_asked(2);
	write_text("second");
	expect(client, "6\r\nsecond\r\n");
	wait_for_asked(3);
	http_stream_end(fixture.stream, true);
	expect(client, "0\r\n\r\n");
	assert_int_equal(fixture.stream_gone, 0);
	say(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	client_free(client);
}

static void a_client_that_does_not_read_is_not_produced_for(void **state)
{
	static char piece[256 * 1024];
	struct client *client = ask_for(GET("/stream"));
	unsigned asked = 0;

	(void)state;
	for (unsigned i = 0; i < 50 && fixture.asked > asked - (i == 0); i++) { /* until it is not asked any more */
		asked = fixture.asked;
		assert_int_equal(http_stream_write(fixture.stream, piece, sizeof(piece)), 0);
		run_for_ms(30);
	}
	assert_true(fixture.asked < 10);
	take_in(client);
	wait_for_asked(fixture.asked);
	while (fixture.asked == asked) {
		run_for_ms(1);
		take_in(client);
	}
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void what_waits_has_a_cap(void **state)
{
	char *piece = calloc(1, HTTP_STREAM_BYTES_MAX + 1);
	struct client *client = ask_for(GET("/stream"));

	(void)state;
	assert_non_null(piece);
	assert_int_equal(http_stream_write(fixture.stream, piece, HTTP_STREAM_BYTES_MAX + 1), -ENOBUFS);
	assert_int_equal(http_stream_write(fixture.stream, piece, HTTP_STREAM_BYTES_MAX), 0);
	assert_int_equal(http_stream_write(fixture.stream, "a", 1), -ENOBUFS);
	http_stream_end(fixture.stream, true);
	free(piece);
	client_free(client);
}

static void a_stream_that_is_not_whole_breaks_off(void **state)
{
	struct client *client = ask_for(GET("/stream"));

	(void)state;
	write_text("part");
	expect(client, "4\r\npart\r\n");
	http_stream_end(fixture.stream, false);
	expect_end(client);
	assert_int_equal(client->size, 0); /* no last chunk */
	client_free(client);
}

static void a_producer_learns_that_nobody_reads(void **state)
{
	struct client *client = ask_for(GET("/stream"));

	(void)state;
	wait_for_asked(1);
	client_free(client);
	wait_for_gone(1);
	assert_int_equal(http_stream_write(fixture.stream, "a", 1), -EPIPE);
	http_stream_end(fixture.stream, true);
	assert_int_equal(fixture.stream_gone, 1);
}

static void a_producer_may_end_when_he_is_told_that_nobody_reads(void **state)
{
	struct client *client;

	(void)state;
	fixture.ends_when_gone = true;
	client = ask_for(GET("/stream"));
	wait_for_asked(1);
	client_free(client);
	wait_for_gone(1);
	client = ask_for(GET("/events"));
	client_free(client);
	wait_for_gone(2);
	client = ask_for(GET("/events"));
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.stream_gone, 3);
	client_free(client);
}

static void http_1_0_gets_a_stream_until_its_end(void **state)
{
	struct client *client = ask_for("GET /stream HTTP/1.0\r\n\r\n");

	(void)state;
	expect(client, "\r\n\r\n");
	write_text("first");
	expect(client, "first");
	wait_for_asked(2);
	write_text("second");
	http_stream_end(fixture.stream, true);
	expect_end(client);
	assert_string_equal(client->text, "second");
	client_free(client);
}

static void head_of_a_stream_ends_it(void **state)
{
	struct client *client = ask_for("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");

	(void)state;
	expect(client, "\r\n\r\n");
	wait_for_gone(1);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void a_stop_breaks_streams_off(void **state)
{
	struct client *client = ask_for(GET("/stream"));

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

/* --- events ------------------------------------------------------------------------------------------------------ */

static void events_come_as_they_happen(void **state)
{
	struct client *client = ask_for(GET("/events"));

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

static void a_handler_may_send_an_event(void **state)
{
	struct client *client = ask_for(GET("/events")), *other = client_new();

	(void)state;
	expect(client, ":\n\n");
	fixture.held_count = 0; /* the stream is no request */
	say(other, GET("/wake"));
	expect(other, "{\"ok\":true}");
	expect(client, "event: woken\n");
	http_stream_end(fixture.stream, true);
	client_free(client);
	client_free(other);
}

static void silence_is_filled_with_comments(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.heartbeat_ms = 50;
	restart();
	client = ask_for(GET("/events"));
	for (int i = 0; i < 4; i++)
		expect(client, "3\r\n:\n\n\r\n");
	client_free(client);
	wait_for_gone(1);
	http_stream_end(fixture.stream, true);
}

static void event_streams_have_a_limit(void **state)
{
	struct client *clients[HTTP_SSE_STREAMS_MAX + 1];
	struct http_stream *streams[HTTP_SSE_STREAMS_MAX];

	(void)state;
	for (unsigned i = 0; i < HTTP_SSE_STREAMS_MAX; i++) {
		clients[i] = ask_for(GET("/events"));
		streams[i] = fixture.stream;
	}
	clients[HTTP_SSE_STREAMS_MAX] = client_new();
	say(clients[HTTP_SSE_STREAMS_MAX], GET("/events"));
	expect(clients[HTTP_SSE_STREAMS_MAX], "HTTP/1.1 503 ");
	expect(clients[HTTP_SSE_STREAMS_MAX], "16 event streams already");

	http_stream_end(streams[0], true); /* one ends: there is room for another */
	expect(clients[0], "0\r\n\r\n");
	client_free(clients[0]);
	clients[0] = ask_for(GET("/events"));
	streams[0] = fixture.stream;
	for (unsigned i = 0; i <= HTTP_SSE_STREAMS_MAX; i++)
		client_free(clients[i]);
	wait_for_gone(HTTP_SSE_STREAMS_MAX);
	for (unsigned i = 0; i < HTTP_SSE_STREAMS_MAX; i++)
		http_stream_end(streams[i], true);
}

static void a_slow_reader_is_told_and_ended_and_disturbs_nobody(void **state)
{
	static char data[4096];
	struct client *slow = ask_for(GET("/events")), *quick;
	struct http_stream *to_slow = fixture.stream, *to_quick;
	unsigned sent = 0;

	(void)state;
	quick = ask_for(GET("/events"));
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
	for (forget_text(slow); !strstr(slow->text, ": too slow"); take_in(slow)) { /* at last it reads */
		if (slow->size > sizeof(slow->text) - 70000)
			forget_text(slow);
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

static void a_reader_that_never_reads_is_cut(void **state)
{
	static char data[4096];
	struct client *client;

	(void)state;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = ask_for(GET("/events"));
	memset(data, 'd', sizeof(data) - 1);
	while (http_sse_send(fixture.stream, "done", data) == 0)
		run_for_ms(0);
	wait_for_gone(1);
	expect_end(client);
	http_stream_end(fixture.stream, true);
	client_free(client);
}

static void an_event_too_large_ends_the_stream(void **state)
{
	char *data = malloc(HTTP_SSE_QUEUE_BYTES_MAX + 1);
	struct client *client = ask_for(GET("/events"));

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

static void a_stop_ends_event_streams_properly(void **state)
{
	struct client *client = ask_for(GET("/events"));

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
		served(a_stream_is_chunked_and_asked_for_piece_by_piece),
		served(a_client_that_does_not_read_is_not_produced_for),
		served(what_waits_has_a_cap),
		served(a_stream_that_is_not_whole_breaks_off),
		served(a_producer_learns_that_nobody_reads),
		served(a_producer_may_end_when_he_is_told_that_nobody_reads),
		served(http_1_0_gets_a_stream_until_its_end),
		served(head_of_a_stream_ends_it),
		served(a_stop_breaks_streams_off),
		served(events_come_as_they_happen),
		served(a_handler_may_send_an_event),
		served(silence_is_filled_with_comments),
		served(event_streams_have_a_limit),
		served(a_slow_reader_is_told_and_ended_and_disturbs_nobody),
		served(a_reader_that_never_reads_is_cut),
		served(an_event_too_large_ends_the_stream),
		served(a_stop_ends_event_streams_properly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
