/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers, limits and ends: answers now and later, clients that are slow, many, or gone; what a stop does. */
#include "http_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_held(void *count)
{
	return fixture.held_count >= *(unsigned *)count;
}

static void wait_for_held(unsigned count)
{
	wait_for(is_held, &count, "a request to be held");
}

static bool is_gone(void *count)
{
	return fixture.gone >= *(unsigned *)count;
}

static void wait_for_gone(unsigned count)
{
	wait_for(is_gone, &count, "a handler to be told that its client has gone");
}

static bool is_alone(void *ctx)
{
	(void)ctx;
	return http_server_connections(fixture.server) == 0;
}

static void a_handler_sees_what_was_asked(void **state)
{
	struct client *client = client_new();
	char wanted[64];

	(void)state;
	say(client, GET("/items/x%20y/of/z?a=1+2&b=3"));
	snprintf(wanted, sizeof(wanted), "<x y><z><1 2><unix:%u>", (unsigned)getuid());
	expect(client, wanted);
	say(client, GET("/items/x/of/z?a=1&a=2"));
	expect(client, "400 ");
	expect(client, "{\"error\":\"a is given twice\"}\n");
	say(client, GET("/items/x/of/z?c%22=1"));
	expect(client, "{\"error\":\"there is no parameter \\u0022c\\u0022\\u0022\"}\n");
	client_free(client);
}

static void a_body_of_many_pieces_arrives_whole(void **state)
{
	struct client *client = client_new();
	static char body[200000];
	char head[128];

	(void)state;
	memset(body, 'b', sizeof(body));
	snprintf(head, sizeof(head), "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", sizeof(body));
	say(client, head);
	for (size_t at = 0; at < sizeof(body); at += 1000)
		say_bytes(client, body + at, 1000);
	expect(client, "\r\n\r\n");
	while (client->size < sizeof(body)) {
		run_for_ms(1);
		take_in(client);
	}
	assert_int_equal(client->size, sizeof(body));
	assert_memory_equal(client->text, body, sizeof(body));
	client_free(client);
}

static void an_answer_may_come_later(void **state)
{
	struct client *client = client_new(), *other = client_new();

	(void)state;
	say(client, GET("/later"));
	wait_for_held(1);
	say(other, GET("/ok"));
	expect(other, "{\"ok\":true}");
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	say(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.gone, 0);
	client_free(client);
	client_free(other);
}

static void what_is_pipelined_behind_a_late_answer_waits_for_it(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, GET("/later") GET("/ok"));
	wait_for_held(1);
	run_for_ms(20);
	assert_int_equal(fixture.handled, 1);
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	expect(client, "{\"ok\":true}");
	client_free(client);
}

static void a_handler_learns_that_its_client_has_gone(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, GET("/later"));
	wait_for_held(1);
	client_free(client);
	wait_for_gone(1);
	wait_for(is_alone, NULL, "the connection to end");
	http_answer_json(fixture.held[0], 200, "{}"); /* harmless */
	assert_int_equal(fixture.gone, 1);
}

static void a_client_that_goes_at_once_is_noticed_too(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		struct client *client = client_new();

		say(client, GET("/later") "more");
		client_free(client);
		wait_for(is_alone, NULL, "the connection to end");
	}
	assert_int_equal(fixture.gone, fixture.held_count);
	for (unsigned i = 0; i < fixture.held_count; i++)
		http_answer_error(fixture.held[i], 500, "nobody %s", "hears");
}

/* Its end is there before the handler is called: noticed from within the library, not by an event. */
static void a_client_that_has_closed_its_half_is_noticed_too(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, GET("/later"));
	assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
	wait_for_gone(1);
	expect_end(client);
	http_answer_json(fixture.held[0], 200, "{}");
	client_free(client);
}

static void a_handler_may_answer_others(void **state)
{
	struct client *clients[4], *other = client_new();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		clients[i] = client_new();
		say(clients[i], GET("/later"));
		wait_for_held(i + 1);
	}
	say(other, GET("/wake"));
	expect(other, "{\"ok\":true}");
	for (unsigned i = 0; i < 4; i++) {
		expect(clients[i], "{\"late\":1}");
		client_free(clients[i]);
	}
	client_free(other);
}

static void every_kind_of_answer_after_its_client_is_harmless(void **state)
{
	const struct http_producer source = {0};
	struct http_file file = {.type = "text/plain"};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct client *client = client_new();

		say(client, GET("/later"));
		wait_for_held(i + 1);
		client_free(client);
		wait_for_gone(i + 1);
	}
	http_answer(fixture.held[0], 200, "text/plain", "a", 1);
	http_answer_error(fixture.held[1], 500, "b");
	http_answer_file(fixture.held[2], &file);
	assert_null(http_answer_stream(fixture.held[3], "text/plain", &source));
	assert_null(http_answer_sse(fixture.held[4], NULL, NULL));
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

static void beyond_the_limit_a_client_is_told_and_the_others_are_served(void **state)
{
	struct client *clients[8], *more;

	(void)state;
	fixture.options.connections = 8;
	restart();
	for (unsigned i = 0; i < 8; i++) {
		clients[i] = client_new();
		say(clients[i], GET("/ok"));
		expect(clients[i], "{\"ok\":true}");
	}
	for (unsigned i = 0; i < 3; i++) {
		more = client_new();
		say(more, GET("/ok"));
		expect_end(more);
		assert_string_equal(more->text, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
						"Content-Length: 33\r\nConnection: close\r\n\r\n"
						"{\"error\":\"too many connections\"}\n");
		client_free(more);
	}
	for (unsigned i = 0; i < 8; i++) {
		say(clients[i], GET("/ok"));
		expect(clients[i], "{\"ok\":true}");
	}
	client_free(clients[0]);
	while (http_server_connections(fixture.server) == 8)
		run_for_ms(1);
	clients[0] = client_new();
	say(clients[0], GET("/ok"));
	expect(clients[0], "{\"ok\":true}");
	for (unsigned i = 0; i < 8; i++)
		client_free(clients[i]);
}

static void the_default_limit_holds(void **state)
{
	static struct client *clients[HTTP_CONNECTIONS_MAX + 1];

	(void)state;
	for (unsigned i = 0; i <= HTTP_CONNECTIONS_MAX; i++) {
		clients[i] = client_new();
		run_for_ms(1);
	}
	expect(clients[HTTP_CONNECTIONS_MAX], "HTTP/1.1 503 ");
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		say(clients[i], GET("/later"));
		wait_for_held(i + 1);
	}
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		http_answer_json(fixture.held[i], 200, "{\"n\":1}");
		expect(clients[i], "{\"n\":1}");
	}
	for (unsigned i = 0; i <= HTTP_CONNECTIONS_MAX; i++)
		client_free(clients[i]);
}

/* Sends a byte every 20 ms until it is cut. */
static void trickle(struct client *client, const char *text)
{
	for (size_t i = 0; !client->ended; i++) {
		if (i >= 500)
			fail_msg("a trickle was let go on for 10 s");
		(void)send(client->fd, &text[i % strlen(text)], 1, MSG_NOSIGNAL);
		run_for_ms(20);
		take_in(client);
	}
}

static void who_trickles_is_cut(void **state)
{
	struct client *silent, *line, *head, *body, *second;

	(void)state;
	fixture.options.request_timeout_ms = 300;
	restart();
	silent = client_new();
	line = client_new();
	head = client_new();
	body = client_new();
	second = client_new();
	say(head, "GET /ok HTTP/1.1\r\n");
	say(body, "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	say(second, GET("/ok"));
	expect(second, "{\"ok\":true}");
	expect_end(silent);
	trickle(line, "GET /aaaaaaaaaaaaaa");
	trickle(head, "A: b\r\n");
	trickle(body, "bbbb");
	trickle(second, "GET /aaaaaaaaaaaaaa");
	assert_int_equal(fixture.handled, 1);
	client_free(silent);
	client_free(line);
	client_free(head);
	client_free(body);
	client_free(second);
}

/* The body that a refused request announces need not come, and must not be waited for. */
static void who_is_refused_cannot_trickle_on(void **state)
{
	static const char *const heads[] = {
		"GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n",
		"DELETE /items/a/of/b HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n",
		"PATCH /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n",
		"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n",
		"POST /unknown HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /ok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	};

	(void)state;
	fixture.options.request_timeout_ms = 300;
	restart();
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct client *client = client_new();

		say(client, heads[i]);
		expect(client, "HTTP/1.1 ");
		trickle(client, "b");
		client_free(client);
	}
	assert_int_equal(fixture.handled, 0);
}

static void who_only_waits_for_his_answer_is_not(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.request_timeout_ms = 50;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	say(client, GET("/later"));
	wait_for_held(1);
	run_for_ms(1500);
	assert_int_equal(fixture.gone, 0);
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	client_free(client);
}

/* Whether our look at the socket or the library's comes first, what was a request's bytes begins no other one. */
static void who_has_been_answered_has_nothing_to_deliver(void **state)
{
	struct client *clients[16];

	(void)state;
	fixture.options.request_timeout_ms = 300;
	restart();
	for (unsigned i = 0; i < 16; i++) {
		clients[i] = client_new();
		for (unsigned n = 0; n <= i; n++) {
			say(clients[i], GET("/ok"));
			if (n % 2)
				event_base_loop(fixture.loop, EVLOOP_NONBLOCK);
		}
		for (unsigned n = 0; n <= i; n++)
			expect(clients[i], "{\"ok\":true}");
	}
	run_for_ms(900);
	for (unsigned i = 0; i < 16; i++) {
		take_in(clients[i]);
		if (clients[i]->ended)
			fail_msg("client %u was cut", i);
		client_free(clients[i]);
	}
}

static void who_is_idle_is_kept_a_while_and_then_cut(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.request_timeout_ms = 50;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	say(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	run_for_ms(500);
	say(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	expect_end(client);
	client_free(client);
}

/* --- downloads --------------------------------------------------------------------------------------------------- */

static bool has_all(void *ctx)
{
	struct client *client = ctx;

	take_in(client);
	return client->size + client->dropped >= DOWNLOAD_BYTES;
}

static void a_download_is_complete_and_named(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, GET("/download"));
	expect(client, "HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(client->text, "\r\nContent-Length: 8388608\r\n"));
	assert_non_null(strstr(client->text, "\r\nContent-Type: application/vnd.tcpdump.pcap\r\n"));
	assert_non_null(strstr(client->text, "\r\nContent-Disposition: attachment; filename=\"a__b_.pcapng\"\r\n"));
	expect(client, "\r\n\r\n");
	wait_for(has_all, client, "the whole download");
	assert_int_equal(client->size + client->dropped, DOWNLOAD_BYTES);
	forget_text(client);
	say(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.released, 1);
	client_free(client);
}

static bool is_released(void *ctx)
{
	(void)ctx;
	return fixture.released > 0;
}

static void a_client_that_goes_mid_download_frees_the_file(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, GET("/download"));
	expect(client, "\r\n\r\n");
	client_free(client);
	wait_for(is_released, NULL, "the file to be released");
	wait_for(is_alone, NULL, "the connection to end");
}

static void a_client_that_takes_nothing_is_cut_and_holds_nobody_up(void **state)
{
	struct client *client, *other;

	(void)state;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	other = client_new();
	say(client, GET("/download"));
	run_for_ms(50);
	say(other, GET("/ok"));
	expect(other, "{\"ok\":true}");
	wait_for(is_released, NULL, "the file to be released");
	expect_end(client);
	assert_true(client->size + client->dropped < DOWNLOAD_BYTES);
	client_free(client);
	client_free(other);
}

static void head_of_a_download_tells_its_size(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, "HEAD /download HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(client, "\r\nContent-Length: 8388608\r\n");
	wait_for(is_released, NULL, "the file to be released");
	client_free(client);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static void a_stop_answers_what_is_pending(void **state)
{
	struct client *waiting = client_new(), *half = client_new(), *loading = client_new();

	(void)state;
	say(waiting, GET("/later"));
	say(half, "GET /ok HT");
	say(loading, GET("/download"));
	wait_for_held(1);
	expect(loading, "\r\n\r\n");
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.gone, 1);
	assert_int_equal(fixture.released, 1);
	expect(waiting, "HTTP/1.1 503 ");
	expect(waiting, "{\"error\":\"the daemon is stopping\"}");
	expect_end(waiting);
	expect_end(half);
	assert_int_equal(half->size, 0);
	expect_end(loading);
	http_answer_json(fixture.held[0], 200, "{}"); /* harmless */
	client_free(waiting);
	client_free(half);
	client_free(loading);
}

static void a_stop_calls_no_handler(void **state)
{
	struct client *client = client_new();

	(void)state;
	say(client, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	expect(client, "HTTP/1.1 100 ");
	assert_int_equal(send(client->fd, "body", 4, MSG_NOSIGNAL), 4); /* read only while it stops */
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.handled, 0);
	expect(client, "HTTP/1.1 503 ");
	expect_end(client);
	client_free(client);
}

static void tcp_is_not_opened_without_what_protects_it(void **state)
{
	static const struct {
		const char *listen, *token, *cert, *key, *says;
	} samples[] = {
		{"127.0.0.1:0", NULL, NULL, NULL, "token"},
		{"127.0.0.1:0", "", NULL, NULL, "token"},
		{"127.0.0.1:0", "t", "/c", NULL, "go together"},
		{"127.0.0.1:0", "t", NULL, "/k", "go together"},
		{"127.0.0.1:0", "t", "/no/such/file", "/k", "/no/such/file"},
		{"127.0.0.1:0", "t", "/dev/null", "/dev/null", "does not start"},
		{"0.0.0.0:0", "t", NULL, NULL, "certificate"},
		{"[::]:0", "t", NULL, NULL, "certificate"},
		{"localhost:0", "t", NULL, NULL, "IP address"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct http_server_options options = {
			.loop = fixture.loop,
			.listen = samples[i].listen,
			.token = samples[i].token,
			.cert_file = samples[i].cert,
			.key_file = samples[i].key,
		};
		struct error err = {.text = ""};

		assert_null(http_server_new(&options, &err));
		if (!strstr(err.text, samples[i].says))
			fail_msg("%s: %s", samples[i].listen, err.text);
	}
}

static void a_second_server_on_a_live_socket_is_refused(void **state)
{
	struct error err = {.text = ""};

	(void)state;
	assert_null(http_server_new(&fixture.options, &err));
	assert_non_null(strstr(err.text, "another process listens there"));
}

int main(void)
{
#define served(test) cmocka_unit_test_setup_teardown(test, make_server, free_server)
	static const struct CMUnitTest tests[] = {
		served(a_handler_sees_what_was_asked),
		served(a_body_of_many_pieces_arrives_whole),
		served(an_answer_may_come_later),
		served(what_is_pipelined_behind_a_late_answer_waits_for_it),
		served(a_handler_learns_that_its_client_has_gone),
		served(a_client_that_goes_at_once_is_noticed_too),
		served(a_client_that_has_closed_its_half_is_noticed_too),
		served(a_handler_may_answer_others),
		served(every_kind_of_answer_after_its_client_is_harmless),
		served(beyond_the_limit_a_client_is_told_and_the_others_are_served),
		served(the_default_limit_holds),
		served(who_trickles_is_cut),
		served(who_is_refused_cannot_trickle_on),
		served(who_only_waits_for_his_answer_is_not),
		served(who_has_been_answered_has_nothing_to_deliver),
		served(who_is_idle_is_kept_a_while_and_then_cut),
		served(a_download_is_complete_and_named),
		served(a_client_that_goes_mid_download_frees_the_file),
		served(a_client_that_takes_nothing_is_cut_and_holds_nobody_up),
		served(head_of_a_download_tells_its_size),
		served(a_stop_answers_what_is_pending),
		served(a_stop_calls_no_handler),
		served(tcp_is_not_opened_without_what_protects_it),
		served(a_second_server_on_a_live_socket_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
