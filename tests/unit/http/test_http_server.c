/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers, limits and shutdown: immediate and late answers; clients that are slow, many or gone; what a stop does.
 */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
	wait_for(is_gone, &count, "a handler to learn that its client is gone");
}

static bool has_no_connections(void *ctx)
{
	(void)ctx;
	return http_server_connections(fixture.server) == 0;
}

static void test_handler_sees_path_query_and_peer(void **state)
{
	struct client *client = client_new();
	char wanted[64];

	(void)state;
	send_text(client, GET("/items/x%20y/of/z?a=1+2&b=3"));
	snprintf(wanted, sizeof(wanted), "<x y><z><1 2><unix:%u",
		 (unsigned)getuid()); /* with the name, if it has one */
	expect(client, wanted);
	send_text(client, GET("/items/x/of/z?a=1&a=2"));
	expect(client, "400 ");
	expect(client, "{\"error\":\"a is given twice\"}\n");
	send_text(client, GET("/items/x/of/z?c%22=1"));
	expect(client, "{\"error\":\"there is no parameter \\u0022c\\u0022\\u0022\"}\n");
	client_free(client);
}

static void test_body_in_many_pieces_arrives_whole(void **state)
{
	struct client *client = client_new();
	static char body[200000];
	char head[128];

	(void)state;
	memset(body, 'b', sizeof(body));
	snprintf(head, sizeof(head), "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", sizeof(body));
	send_text(client, head);
	for (size_t at = 0; at < sizeof(body); at += 1000)
		send_bytes(client, body + at, 1000);
	expect(client, "\r\n\r\n");
	while (client->size < sizeof(body)) {
		run_for_ms(1);
		receive(client);
	}
	assert_int_equal(client->size, sizeof(body));
	assert_memory_equal(client->text, body, sizeof(body));
	client_free(client);
}

static void test_answer_may_come_later(void **state)
{
	struct client *client = client_new(), *other = client_new();

	(void)state;
	send_text(client, GET("/later"));
	wait_for_held(1);
	send_text(other, GET("/ok"));
	expect(other, "{\"ok\":true}");
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	send_text(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.gone, 0);
	client_free(client);
	client_free(other);
}

static void test_pipelined_request_waits_for_a_late_answer(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/later") GET("/ok"));
	wait_for_held(1);
	run_for_ms(20);
	assert_int_equal(fixture.handled, 1);
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	expect(client, "{\"ok\":true}");
	client_free(client);
}

static void test_handler_learns_that_its_client_is_gone(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/later"));
	wait_for_held(1);
	client_free(client);
	wait_for_gone(1);
	wait_for(has_no_connections, NULL, "the connection to end");
	http_answer_json(fixture.held[0], 200, "{}"); /* harmless */
	assert_int_equal(fixture.gone, 1);
}

static void test_client_gone_at_once_is_noticed(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		struct client *client = client_new();

		send_text(client, GET("/later") "more");
		client_free(client);
		wait_for(has_no_connections, NULL, "the connection to end");
	}
	assert_int_equal(fixture.gone, fixture.held_count);
	for (unsigned i = 0; i < fixture.held_count; i++)
		http_answer_error(fixture.held[i], 500, "no %s", "client");
}

/* The end of the connection is there before the handler runs: the library notices it, not an event. */
static void test_client_that_closed_its_side_is_noticed(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/later"));
	assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
	wait_for_gone(1);
	expect_end(client);
	http_answer_json(fixture.held[0], 200, "{}");
	client_free(client);
}

static void test_handler_may_answer_other_requests(void **state)
{
	struct client *clients[4], *other = client_new();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		clients[i] = client_new();
		send_text(clients[i], GET("/later"));
		wait_for_held(i + 1);
	}
	send_text(other, GET("/wake"));
	expect(other, "{\"ok\":true}");
	for (unsigned i = 0; i < 4; i++) {
		expect(clients[i], "{\"late\":1}");
		client_free(clients[i]);
	}
	client_free(other);
}

static void test_answers_after_the_client_is_gone_are_harmless(void **state)
{
	const struct http_producer source = {0};
	struct http_file file = {.type = "text/plain"};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct client *client = client_new();

		send_text(client, GET("/later"));
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

/* --- limits --- */

static void test_client_beyond_the_limit_gets_503_and_others_are_served(void **state)
{
	struct client *clients[8], *more;

	(void)state;
	fixture.options.connections = 8;
	restart();
	for (unsigned i = 0; i < 8; i++) {
		clients[i] = client_new();
		send_text(clients[i], GET("/ok"));
		expect(clients[i], "{\"ok\":true}");
	}
	for (unsigned i = 0; i < 3; i++) {
		more = client_new();
		send_text(more, GET("/ok"));
		expect_end(more);
		assert_string_equal(more->text, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
						"Content-Length: 33\r\nConnection: close\r\n\r\n"
						"{\"error\":\"too many connections\"}\n");
		client_free(more);
	}
	for (unsigned i = 0; i < 8; i++) {
		send_text(clients[i], GET("/ok"));
		expect(clients[i], "{\"ok\":true}");
	}
	client_free(clients[0]);
	while (http_server_connections(fixture.server) == 8)
		run_for_ms(1);
	clients[0] = client_new();
	send_text(clients[0], GET("/ok"));
	expect(clients[0], "{\"ok\":true}");
	for (unsigned i = 0; i < 8; i++)
		client_free(clients[i]);
}

static void test_default_connection_limit_holds(void **state)
{
	static struct client *clients[HTTP_CONNECTIONS_MAX + 1];

	(void)state;
	for (unsigned i = 0; i <= HTTP_CONNECTIONS_MAX; i++) {
		clients[i] = client_new();
		run_for_ms(1);
	}
	expect(clients[HTTP_CONNECTIONS_MAX], "HTTP/1.1 503 ");
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		send_text(clients[i], GET("/later"));
		wait_for_held(i + 1);
	}
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		http_answer_json(fixture.held[i], 200, "{\"n\":1}");
		expect(clients[i], "{\"n\":1}");
	}
	for (unsigned i = 0; i <= HTTP_CONNECTIONS_MAX; i++)
		client_free(clients[i]);
}

/* Sends a byte every 20 ms until the server closes. */
static void trickle(struct client *client, const char *text)
{
	for (size_t i = 0; !client->ended; i++) {
		if (i >= 500)
			fail_msg("a trickle went on for 10 s");
		(void)send(client->fd, &text[i % strlen(text)], 1, MSG_NOSIGNAL);
		run_for_ms(20);
		receive(client);
	}
}

static void test_client_that_trickles_a_request_is_disconnected(void **state)
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
	send_text(head, "GET /ok HTTP/1.1\r\n");
	send_text(body, "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	send_text(second, GET("/ok"));
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

/* The server must not wait for the announced body of a refused request. */
static void test_refused_client_cannot_keep_trickling(void **state)
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

		send_text(client, heads[i]);
		expect(client, "HTTP/1.1 ");
		trickle(client, "b");
		client_free(client);
	}
	assert_int_equal(fixture.handled, 0);
}

static void test_idle_client_waiting_for_an_answer_is_kept(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.request_timeout_ms = 50;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	send_text(client, GET("/later"));
	wait_for_held(1);
	run_for_ms(1500);
	assert_int_equal(fixture.gone, 0);
	http_answer_json(fixture.held[0], 200, "{\"late\":1}");
	expect(client, "{\"late\":1}");
	client_free(client);
}

/* Whether our check of the socket or the library's comes first, bytes of an answered request start no deadline. */
static void test_answered_client_is_not_cut_by_the_request_timeout(void **state)
{
	struct client *clients[16];

	(void)state;
	fixture.options.request_timeout_ms = 300;
	restart();
	for (unsigned i = 0; i < 16; i++) {
		clients[i] = client_new();
		for (unsigned n = 0; n <= i; n++) {
			send_text(clients[i], GET("/ok"));
			if (n % 2)
				event_base_loop(fixture.loop, EVLOOP_NONBLOCK);
		}
		for (unsigned n = 0; n <= i; n++)
			expect(clients[i], "{\"ok\":true}");
	}
	run_for_ms(900);
	for (unsigned i = 0; i < 16; i++) {
		receive(clients[i]);
		if (clients[i]->ended)
			fail_msg("client %u was cut", i);
		client_free(clients[i]);
	}
}

static void test_idle_client_is_disconnected_after_the_idle_timeout(void **state)
{
	struct client *client;

	(void)state;
	fixture.options.request_timeout_ms = 50;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	send_text(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	run_for_ms(500);
	send_text(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	expect_end(client);
	client_free(client);
}

/* --- downloads --- */

static bool has_all(void *ctx)
{
	struct client *client = ctx;

	receive(client);
	return client->size + client->dropped >= DOWNLOAD_BYTES;
}

static void test_download_is_complete_and_has_a_file_name(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/download"));
	expect(client, "HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(client->text, "\r\nContent-Length: 8388608\r\n"));
	assert_non_null(strstr(client->text, "\r\nContent-Type: application/vnd.tcpdump.pcap\r\n"));
	assert_non_null(strstr(client->text, "\r\nContent-Disposition: attachment; filename=\"a__b_.pcapng\"\r\n"));
	expect(client, "\r\n\r\n");
	wait_for(has_all, client, "the whole download");
	assert_int_equal(client->size + client->dropped, DOWNLOAD_BYTES);
	clear_text(client);
	send_text(client, GET("/ok"));
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.released, 1);
	client_free(client);
}

static bool is_released(void *ctx)
{
	(void)ctx;
	return fixture.released > 0;
}

static void test_client_gone_mid_download_releases_the_file(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/download"));
	expect(client, "\r\n\r\n");
	client_free(client);
	wait_for(is_released, NULL, "the file to be released");
	wait_for(has_no_connections, NULL, "the connection to end");
}

static void test_stalled_download_is_cut_and_delays_no_other_client(void **state)
{
	struct client *client, *other;

	(void)state;
	fixture.options.idle_timeout_s = 1;
	restart();
	client = client_new();
	other = client_new();
	send_text(client, GET("/download"));
	run_for_ms(50);
	send_text(other, GET("/ok"));
	expect(other, "{\"ok\":true}");
	wait_for(is_released, NULL, "the file to be released");
	expect_end(client);
	assert_true(client->size + client->dropped < DOWNLOAD_BYTES);
	client_free(client);
	client_free(other);
}

static void test_head_request_for_a_download_reports_its_size(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "HEAD /download HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(client, "\r\nContent-Length: 8388608\r\n");
	wait_for(is_released, NULL, "the file to be released");
	client_free(client);
}

/* --- the end --- */

static void test_stop_answers_pending_requests(void **state)
{
	struct client *waiting = client_new(), *half = client_new(), *loading = client_new();

	(void)state;
	send_text(waiting, GET("/later"));
	send_text(half, "GET /ok HT");
	send_text(loading, GET("/download"));
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

static void test_stop_calls_no_handler(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	expect(client, "HTTP/1.1 100 ");
	assert_int_equal(send(client->fd, "body", 4, MSG_NOSIGNAL), 4); /* read only while it stops */
	http_server_free(fixture.server);
	fixture.server = NULL;
	assert_int_equal(fixture.handled, 0);
	expect(client, "HTTP/1.1 503 ");
	expect_end(client);
	client_free(client);
}

static void test_tcp_needs_token_and_tls(void **state)
{
	static const struct {
		const char *listen, *token, *cert, *key, *error;
	} samples[] = {
		{"127.0.0.1:0", NULL, NULL, NULL, "token"},
		{"127.0.0.1:0", "", NULL, NULL, "token"},
		{"127.0.0.1:0", "t", "/c", NULL, "must be set together"},
		{"127.0.0.1:0", "t", NULL, "/k", "must be set together"},
		{"127.0.0.1:0", "t", "/no/such/file", "/k", "/no/such/file"},
		{"127.0.0.1:0", "t", "/dev/null", "/dev/null", "certificate /dev/null"},
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
		if (!strstr(err.text, samples[i].error))
			fail_msg("%s: %s", samples[i].listen, err.text);
	}
}

static struct client *connect_tcp(void)
{
	struct client *client = calloc(1, sizeof(*client));
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					    .sin_port = htons(http_server_port(fixture.server))};

	assert_non_null(client);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

#define SIGNED(path, signature, body) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" signature "\r\n" body

static void test_a_signed_body_is_verified_before_it_opens_anything(void **state)
{
	static const char *const signatures[] = {"X-Signature", NULL};

	(void)state;
	fixture.options.listen = "127.0.0.1:0";
	fixture.options.token = "0123456789abcdef";
	fixture.options.guests = (struct http_guests){.signatures = signatures};
	fixture.options.login_timeout_ms = 200;
	restart();

	struct client *client = connect_tcp(), *slow = connect_tcp();
	send_text(slow, SIGNED("/guests", "X-Signature: body\r\n", "bo"));
	for (int i = 0; i < 2; i++) { /* the connection stays */
		send_text(client, SIGNED("/guests", "X-Signature: body\r\n", "body"));
		expect(client, "HTTP/1.1 200 ");
		expect(client, "{\"peer\":\"tcp:127.0.0.1(bob)\"}");
	}
	send_text(client, SIGNED("/guests", "X-Signature: ydob\r\n", "body"));
	expect(client, "HTTP/1.1 401 ");
	expect(client, "{\"error\":\"it does not fit\"}");
	expect_end(client);
	expect_end(slow); /* a signature alone gives no more time */
	assert_int_equal(slow->size, 0);
	client_free(slow);
	client_free(client);

	static const struct {
		const char *request, *status;
	} others[] = {
		{SIGNED("/body", "X-Signature: body\r\n", "body"), "HTTP/1.1 403 "},
		{SIGNED("/guests", "", "body"), "HTTP/1.1 401 "},
		{SIGNED("/guests", "X-Signature: body\r\nX-Signature: body\r\n", "body"), "HTTP/1.1 401 "},
		{SIGNED("/guests", "X-Signature: body\r\nAuthorization: Bearer x\r\n", "body"), "HTTP/1.1 401 "},
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		client = connect_tcp();
		send_text(client, others[i].request);
		expect(client, others[i].status);
		expect_end(client);
		client_free(client);
	}
}

static void test_second_server_on_a_live_socket_is_refused(void **state)
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
		served(test_handler_sees_path_query_and_peer),
		served(test_body_in_many_pieces_arrives_whole),
		served(test_answer_may_come_later),
		served(test_pipelined_request_waits_for_a_late_answer),
		served(test_handler_learns_that_its_client_is_gone),
		served(test_client_gone_at_once_is_noticed),
		served(test_client_that_closed_its_side_is_noticed),
		served(test_handler_may_answer_other_requests),
		served(test_answers_after_the_client_is_gone_are_harmless),
		served(test_client_beyond_the_limit_gets_503_and_others_are_served),
		served(test_default_connection_limit_holds),
		served(test_client_that_trickles_a_request_is_disconnected),
		served(test_refused_client_cannot_keep_trickling),
		served(test_idle_client_waiting_for_an_answer_is_kept),
		served(test_answered_client_is_not_cut_by_the_request_timeout),
		served(test_idle_client_is_disconnected_after_the_idle_timeout),
		served(test_download_is_complete_and_has_a_file_name),
		served(test_client_gone_mid_download_releases_the_file),
		served(test_stalled_download_is_cut_and_delays_no_other_client),
		served(test_head_request_for_a_download_reports_its_size),
		served(test_stop_answers_pending_requests),
		served(test_stop_calls_no_handler),
		served(test_tcp_needs_token_and_tls),
		served(test_a_signed_body_is_verified_before_it_opens_anything),
		served(test_second_server_on_a_live_socket_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
