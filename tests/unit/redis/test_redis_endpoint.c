/* SPDX-License-Identifier: BSD-2-Clause */
/* "host:port" in all its forms, and malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "redis/connection/redis_endpoint.h"

static void test_endpoints_are_parsed(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{"redis.example:6379", "redis.example", 6379},
		{"10.0.0.1:1", "10.0.0.1", 1},
		{"[2001:db8::7]:65535", "2001:db8::7", 65535},
		{"2001:db8::7:7000", "2001:db8::7", 7000}, /* as servers write it */
		{"::1:7000", "::1", 7000},
		{"fe80::1%eth0:7000", "fe80::1%eth0", 7000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct redis_endpoint endpoint;

		assert_int_equal(redis_endpoint_parse(good[i].text, &endpoint), 0);
		assert_string_equal(endpoint.host, good[i].host);
		assert_int_equal(endpoint.port, good[i].port);
	}
}

static void test_malformed_endpoints_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	    ":",	   ":7000",   "host",	 "host:",	"host:0",   "host:65536", "host:-1",
		"host:+1",  "host: 1",	   "host:1 ", "host:1x", "ho st:1",	"[]:1",	    "[::1:7000",  "host:0x10",
		"h\nost:1", "host:100000", "a\"b:1",  "\x01:1",	 "h\xc3\xa4:1", "::1]:7000"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct redis_endpoint endpoint;

		assert_int_equal(redis_endpoint_parse(bad[i], &endpoint), -EINVAL);
	}
}

static void test_host_length_is_capped(void **state)
{
	char text[REDIS_HOST_SIZE + 8];
	struct redis_endpoint endpoint;

	(void)state;
	memset(text, 'h', sizeof(text));
	memcpy(text + REDIS_HOST_SIZE - 1, ":1", 3);
	assert_int_equal(redis_endpoint_parse(text, &endpoint), 0);
	memset(text, 'h', REDIS_HOST_SIZE);
	memcpy(text + REDIS_HOST_SIZE, ":1", 3);
	assert_int_equal(redis_endpoint_parse(text, &endpoint), -EINVAL);
}

static void test_endpoints_compare_by_host_and_port(void **state)
{
	const struct redis_endpoint one = {.host = "a", .port = 1}, same = one, port = {.host = "a", .port = 2},
				    host = {.host = "b", .port = 1};

	(void)state;
	assert_true(redis_endpoint_equal(&one, &same));
	assert_false(redis_endpoint_equal(&one, &port));
	assert_false(redis_endpoint_equal(&one, &host));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints_are_parsed),
		cmocka_unit_test(test_malformed_endpoints_are_refused),
		cmocka_unit_test(test_host_length_is_capped),
		cmocka_unit_test(test_endpoints_compare_by_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
