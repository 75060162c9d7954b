/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests as raw bytes: anything dubious is refused and its connection closed. */
#include "http_fixture.h"

#include <stdio.h>
#include <string.h>

#define HEAD "Host: x\r\n"
#define R(text) text, sizeof(text) - 1

struct sample {
	const char *name;
	const char *bytes;
	size_t size;
	const char *status; /* "400", or "501 400": either; NULL: 400, or closed without an answer */
};

/* Each on a connection of its own; no handler may be called, and the connection must be closed. */
static const struct sample refused[] = {
	{"no Host", R("GET /ok HTTP/1.1\r\n\r\n"), "400"},
	{"two Hosts", R("GET /ok HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"), "400"},
	{"an empty Host", R("GET /ok HTTP/1.1\r\nHost:\r\n\r\n"), "400"},
	{"a Host with a path", R("GET /ok HTTP/1.1\r\nHost: x/y\r\n\r\n"), "400"},
	{"two lengths, equal", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
	 "400"},
	{"two lengths, different", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
	 "400"},
	{"a list of lengths", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2, 2\r\n\r\n{}"), "400"},
	{"a signed length", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: +2\r\n\r\n{}"), "400"},
	{"a negative length", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: -2\r\n\r\n{}"), "400"},
	{"a hexadecimal length", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 0x2\r\n\r\n{}"), "400"},
	{"an empty length", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: \r\n\r\n{}"), "400"},
	{"a length beyond 2^64", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 18446744073709551618\r\n\r\n{}"),
	 "413"},
	{"a length beyond the cap", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 101\r\n\r\n{}"), "413"},
	{"a body for GET", R("GET /ok HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\n{}"), "413"},
	{"no length for POST", R("POST /body HTTP/1.1\r\n" HEAD "\r\n"), "411"},
	{"chunked", R("POST /body HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), "501"},
	{"chunked and a length",
	 R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	 "501 400"},
	{"an obscured chunked",
	 R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n\r\n{}"), "501 400"},
	{"a gzip body", R("POST /body HTTP/1.1\r\n" HEAD "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
	 "415"},
	{"another type", R("POST /body HTTP/1.1\r\n" HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
	 "415"},
	{"two types",
	 R("POST /body HTTP/1.1\r\n" HEAD
	   "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
	 "400"},
	{"a bare LF after the request line", R("GET /ok HTTP/1.1\nHost: x\r\n\r\n"), "400"},
	{"a bare LF after a header", R("GET /ok HTTP/1.1\r\nHost: x\nAccept: y\r\n\r\n"), "400"},
	{"a bare LF after the last header", R("GET /ok HTTP/1.1\r\nHost: x\n\r\n"), "400"},
	{"a bare LF as the empty line", R("GET /ok HTTP/1.1\r\nHost: x\r\n\n"), "400"},
	{"only bare LFs", R("GET /ok HTTP/1.1\nHost: x\n\n"), "400"},
	{"a bare CR in a value", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"), "400"},
	{"a folded header", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), "400"},
	{"a folded header, last", R("GET /ok HTTP/1.1\r\nA: b\r\nHost: x\r\n\ty\r\n\r\n"), "400"},
	{"a folded header, first", R("GET /ok HTTP/1.1\r\n Host: x\r\n\r\n"), "400"},
	{"a blank before the colon", R("GET /ok HTTP/1.1\r\nHost : x\r\n\r\n"), "400"},
	{"a tab before the colon", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length\t: 2\r\n\r\n{}"), "400"},
	{"a blank in a name", R("GET /ok HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n"), "400"},
	{"no name", R("GET /ok HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n"), "400"},
	{"no name, a bare LF before it", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: b\n:\r\n\"\rAbA: b\r\n\r\n"), "400"},
	{"no name, a bare LF after it", R("GET /ok HTTP/1.1\r\nHost: x\r\n:\nA: b\r\n\r\n"), "400"},
	{"no name, a bare CR before it", R("GET /ok HTTP/1.1\r\nHost: x\r:\r\nA: b\r\n\r\n"), "400"},
	{"a NUL and a bare LF after a value", R("GET /ok HTTP/1.1\r\nHost: x\0\n\r\n"), "400"},
	{"no colon", R("GET /ok HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n"), "400"},
	{"a NUL in a value", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), "400"},
	{"a NUL after a value", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n"), "400"},
	{"a NUL in a name", R("GET /ok HTTP/1.1\r\nHost: x\r\nA\0b: c\r\n\r\n"), "400"},
	{"a NUL that hides a header", R("GET /ok HTTP/1.1\r\nHost: x\r\n\0Content-Length: 9\r\n\r\n"), "400"},
	{"a NUL in the path", R("GET /ok\0 HTTP/1.1\r\nHost: x\r\n\r\n"), NULL},
	{"a control character in a value", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n"), "400"},
	{"two blanks", R("GET  /ok HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"two blanks before the version", R("GET /ok  HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a blank after the version", R("GET /ok HTTP/1.1 \r\nHost: x\r\n\r\n"), NULL},
	{"a blank in the target", R("GET /o k HTTP/1.1\r\nHost: x\r\n\r\n"), NULL},
	{"a tab in the request line", R("GET\t/ok\tHTTP/1.1\r\nHost: x\r\n\r\n"), NULL},
	{"a blank before the method", R(" GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"), NULL},
	{"no version", R("GET /ok\r\n\r\n"), NULL},
	{"no target", R("GET\r\n\r\n"), NULL},
	{"HTTP/0.9", R("GET /ok HTTP/0.9\r\nHost: x\r\n\r\n"), "505"},
	{"HTTP/1.2", R("GET /ok HTTP/1.2\r\nHost: x\r\n\r\n"), "505"},
	{"HTTP/2.0", R("GET /ok HTTP/2.0\r\nHost: x\r\n\r\n"), "505"},
	{"http/1.1", R("GET /ok http/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"HTTP/1.10", R("GET /ok HTTP/1.10\r\nHost: x\r\n\r\n"), "400"},
	{"absolute form without Host", R("GET http://x/ok HTTP/1.1\r\n\r\n"), "400"},
	{"absolute form without a host", R("GET http:///ok HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"absolute form with a user", R("GET http://u:p@x/ok HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"absolute form of another scheme", R("GET ftp://x/ok HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"authority form", R("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"asterisk form", R("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a relative target", R("GET ok HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a fragment", R("GET /ok#a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a half escape", R("GET /ok%4 HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a bad escape", R("GET /ok?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"an escaped NUL in the path", R("GET /ok%00 HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"an escaped NUL in the query", R("GET /ok?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"an escaped slash", R("GET /items/a%2fb/of/c HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"a byte that is no ASCII", R("GET /ok\xff HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	{"an unknown path", R(GET("/unknown")), "404"},
	{"an empty segment", R(GET("/items//of/c")), "404"},
	{"a path too long by one", R(GET("/ok/")), "404"},
	{"dots in a path", R(GET("/items/../ok")), "404"},
	{"a wrong method", R("PUT /ok HTTP/1.1\r\n" HEAD "\r\n"), "405"},
	{"another expectation", R("POST /body HTTP/1.1\r\n" HEAD "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}"),
	 "417"},
	{"a TLS handshake", R("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), NULL},
	{"the preface of HTTP/2", R("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505"},
};

static bool is_refusal(const struct sample *sample, const struct client *client)
{
	static const char start[] = "HTTP/1.1 ";
	char status[4] = "";

	if (!sample->status && client->size == 0)
		return true;
	if (strncmp(client->text, start, sizeof(start) - 1) != 0)
		return false;
	memcpy(status, client->text + sizeof(start) - 1, 3);
	return strstr(sample->status ? sample->status : "400", status);
}

static void test_dubious_request_is_refused_and_closes_the_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct client *client = client_new();

		send_bytes(client, refused[i].bytes, refused[i].size);
		expect_end(client);
		if (fixture.handled || !is_refusal(&refused[i], client))
			fail_msg("%s: %s%.80s", refused[i].name, fixture.handled ? "was handled; " : "", client->text);
		client_free(client);
	}
}

/* Bytes after it in the same packet must not be taken for a request. */
static void test_bytes_after_a_refused_request_are_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct client *client = client_new();
		char bytes[1024];

		memcpy(bytes, refused[i].bytes, refused[i].size);
		memcpy(bytes + refused[i].size, GET("/ok"), sizeof(GET("/ok")) - 1);
		send_bytes(client, bytes, refused[i].size + sizeof(GET("/ok")) - 1);
		expect_end(client);
		if (fixture.handled)
			fail_msg("%s: the bytes after it were handled", refused[i].name);
		client_free(client);
	}
}

/* As above, but each byte in a packet of its own. */
static void test_refusal_does_not_depend_on_fragmentation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct client *client = client_new();

		for (size_t at = 0; at < refused[i].size; at++) {
			send_bytes(client, refused[i].bytes + at, 1);
			event_base_loop(fixture.loop, EVLOOP_NONBLOCK);
		}
		expect_end(client);
		if (fixture.handled)
			fail_msg("%s: was handled", refused[i].name);
		client_free(client);
	}
}

static const struct sample accepted[] = {
	{"plain", R(GET("/ok")), "200"},
	{"header names in any case", R("GET /ok HTTP/1.1\r\nhOST: x\r\n\r\n"), "200"},
	{"no blank after the colon", R("GET /ok HTTP/1.1\r\nHost:x\r\n\r\n"), "200"},
	{"blanks after the colon", R("GET /ok HTTP/1.1\r\nHost: \t x\r\n\r\n"), "200"},
	{"an empty value", R("GET /ok HTTP/1.1\r\nHost: x\r\nAccept:\r\n\r\n"), "200"},
	{"a port, an address", R("GET /ok HTTP/1.1\r\nHost: [::1]:7227\r\n\r\n"), "200"},
	{"a value that is no ASCII", R("GET /ok HTTP/1.1\r\nHost: x\r\nA: \xc3\xa4\r\n\r\n"), "200"},
	{"a cookie", R("GET /ok HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\nAccept: *\r\n\r\n"), "200"},
	{"a query", R(GET("/ok?a=b&c&d=%20")), "200"},
	{"absolute form", R("GET http://x/ok HTTP/1.1\r\nHost: x\r\n\r\n"), "200"},
	{"absolute form with a port and a query", R("GET HTTPS://[::1]:7227/ok?a=b HTTP/1.1\r\nHost: x\r\n\r\n"),
	 "200"},
	{"an escaped path", R(GET("/%6f%6B")), "200"},
	{"a body", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\n{}"), "201"},
	{"leading zeros", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 0002\r\n\r\n{}"), "201"},
	{"an empty body", R("POST /body HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"), "201"},
	{"JSON", R("POST /body HTTP/1.1\r\n" HEAD "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
	 "201"},
	{"JSON in UTF-8",
	 R("POST /body HTTP/1.1\r\n" HEAD
	   "Content-Type: Application/JSON; charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}"),
	 "201"},
	{"a length of nothing for GET", R("GET /ok HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"), "200"},
};

static void test_valid_request_is_answered_and_keeps_the_connection(void **state)
{
	struct client *client = client_new();

	(void)state;
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		char status[32];

		print_message("# %s\n", accepted[i].name);
		snprintf(status, sizeof(status), "HTTP/1.1 %s ", accepted[i].status);
		send_bytes(client, accepted[i].bytes, accepted[i].size);
		expect(client, status);
		expect(client, "\r\n\r\n");
	}
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		for (size_t at = 0; at < accepted[i].size; at++) {
			send_bytes(client, accepted[i].bytes + at, 1);
			event_base_loop(fixture.loop, EVLOOP_NONBLOCK);
		}
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		expect(client, "HTTP/1.1 20");
	assert_int_equal(fixture.handled, 2 * sizeof(accepted) / sizeof(accepted[0]));
	client_free(client);
}

static void test_refusals_are_json_with_its_content_type(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/unknown"));
	expect_end(client);
	assert_non_null(strstr(client->text, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(client->text, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(client->text, "\r\n\r\n{\"error\":\"no such path\"}\n"));
	client_free(client);
}

static void test_wrong_method_gets_the_allowed_ones(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "POST /items/a/of/b HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_end(client);
	assert_non_null(strstr(client->text, "HTTP/1.1 405 "));
	assert_non_null(strstr(client->text, "\r\nAllow: GET, HEAD, DELETE\r\n"));
	client_free(client);
}

/* Sends a head of exactly `size` bytes with `count` headers. */
static void send_head(struct client *client, size_t count, size_t size)
{
	static char head[HTTP_HEAD_BYTES_MAX * 8];
	size_t at = (size_t)snprintf(head, sizeof(head), "GET /ok HTTP/1.1\r\nHost: x\r\n");

	for (size_t i = 1; i < count; i++) {
		size_t left = size - 2 - at;
		size_t value = i + 1 < count ? 1 : left - 5;

		at += (size_t)snprintf(head + at, sizeof(head) - at, "A: ");
		memset(head + at, 'a', value);
		at += value;
		memcpy(head + at, "\r\n", 2);
		at += 2;
	}
	memcpy(head + at, "\r\n", 2);
	send_bytes(client, head, at + 2);
}

static void test_header_size_and_count_are_capped(void **state)
{
	static const struct {
		size_t count, size;
		const char *status;
	} samples[] = {
		{2, HTTP_HEAD_BYTES_MAX, "200"},      {2, HTTP_HEAD_BYTES_MAX + 1, "431"},
		{HTTP_HEADERS_MAX, 4096, "200"},      {HTTP_HEADERS_MAX + 1, 4096, "431"},
		{2, HTTP_HEAD_BYTES_MAX * 7L, "431"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct client *client = client_new();

		send_head(client, samples[i].count, samples[i].size);
		expect(client, "HTTP/1.1 ");
		expect(client, samples[i].status);
		if (samples[i].status[0] != '2')
			expect_end(client);
		client_free(client);
	}
}

static void test_target_length_is_capped(void **state)
{
	static const char tail[] = " HTTP/1.1\r\nHost: x\r\n\r\n";
	static char request[HTTP_HEAD_BYTES_MAX * 8];

	(void)state;
	for (size_t size = 9000; size <= 100000; size += 91000) { /* refused by us, and by the library */
		struct client *client = client_new();

		memset(request, 'a', size);
		memcpy(request, "GET /ok?", 8);
		memcpy(request + size, tail, sizeof(tail));
		send_text(client, request);
		expect_end(client);
		assert_ptr_equal(strstr(client->text, "HTTP/1.1 414 "), client->text);
		client_free(client);
	}
}

static void test_http_1_0_needs_no_host_and_is_closed_after_one_answer(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "GET /ok HTTP/1.0\r\n\r\n");
	expect_end(client);
	assert_non_null(strstr(client->text, " 200 "));
	assert_non_null(strstr(client->text, "{\"ok\":true}"));
	client_free(client);
}

static void test_head_is_answered_as_get_without_a_body(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "HEAD /ok HTTP/1.1\r\nHost: x\r\n\r\n" GET("/ok"));
	expect(client, "HTTP/1.1 200 OK\r\n");
	expect(client, "Content-Length: 11\r\n");
	expect(client, "\r\nHTTP/1.1 200 OK\r\n");
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.handled, 2);
	client_free(client);
}

static void test_expect_100_is_answered_with_continue(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	expect(client, "HTTP/1.1 100 Continue\r\n\r\n");
	send_text(client, "{}");
	expect(client, "HTTP/1.1 201 ");
	expect(client, "\r\n\r\n{}");
	client_free(client);
}

static void test_expect_100_for_an_oversized_body_is_refused(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n");
	expect(client, "HTTP/1.1 413 ");
	expect_end(client);
	client_free(client);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	struct client *client = client_new();

	(void)state;
	send_text(client, GET("/items/1/of/2") "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n<3>\n" GET(
				  "/items/4/of/5"));
	expect(client, "<1>");
	expect(client, "<3>");
	expect(client, "<4>");
	client_free(client);
}

static void test_body_that_looks_like_a_request_is_a_body(void **state)
{
	struct client *client = client_new();
	char request[256];

	(void)state;
	snprintf(request, sizeof(request), "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(GET("/later")), GET("/later"));
	send_text(client, request);
	send_text(client, GET("/ok"));
	expect(client, GET("/later"));
	expect(client, "{\"ok\":true}");
	assert_int_equal(fixture.held_count, 0);
	assert_int_equal(fixture.handled, 2);
	client_free(client);
}

int main(void)
{
#define strict(test) cmocka_unit_test_setup_teardown(test, make_server, free_server)
	static const struct CMUnitTest tests[] = {
		strict(test_dubious_request_is_refused_and_closes_the_connection),
		strict(test_bytes_after_a_refused_request_are_ignored),
		strict(test_refusal_does_not_depend_on_fragmentation),
		strict(test_valid_request_is_answered_and_keeps_the_connection),
		strict(test_refusals_are_json_with_its_content_type),
		strict(test_wrong_method_gets_the_allowed_ones),
		strict(test_header_size_and_count_are_capped),
		strict(test_target_length_is_capped),
		strict(test_http_1_0_needs_no_host_and_is_closed_after_one_answer),
		strict(test_head_is_answered_as_get_without_a_body),
		strict(test_expect_100_is_answered_with_continue),
		strict(test_expect_100_for_an_oversized_body_is_refused),
		strict(test_pipelined_requests_are_answered_in_order),
		strict(test_body_that_looks_like_a_request_is_a_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
