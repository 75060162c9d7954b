/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots of keys, redirections and transient errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "redis/commands/redis_cluster.h"

static uint16_t slot(const char *key)
{
	return redis_cluster_slot(key, strlen(key));
}

static void test_slots_match_the_specification(void **state)
{
	(void)state;
	assert_int_equal(slot("123456789"), 0x31c3 % REDIS_CLUSTER_SLOTS); /* the specification's own example */
	assert_int_equal(slot("foo"), 12182);				   /* CLUSTER KEYSLOT foo */
	assert_int_equal(slot("bar"), 5061);
	assert_int_equal(slot(""), 0);
	assert_int_equal(redis_cluster_slot("\0\xff", 2), redis_cluster_slot("\0\xff", 2));
	assert_int_not_equal(redis_cluster_slot("a\0b", 3), slot("a"));
}

static void test_hash_tag_determines_the_slot(void **state)
{
	(void)state;
	assert_int_equal(slot("{foo}:node:n1"), slot("foo"));
	assert_int_equal(slot("x{foo}y{bar}"), slot("foo"));
	assert_int_equal(slot("{foo"), slot("{foo")); /* no tag */
	assert_int_not_equal(slot("{foo"), slot("foo"));
	assert_int_not_equal(slot("{}foo"), slot("foo")); /* an empty tag is none, and a later one does not count */
	assert_int_not_equal(slot("{}{foo}"), slot("foo"));
	assert_int_equal(slot("{{foo}}"), slot("{foo"));
	assert_int_equal(slot("}{foo}"), slot("foo"));
}

static void test_redirections_are_parsed(void **state)
{
	static const struct {
		const char *error;
		enum redis_redirect_kind kind;
		uint16_t slot;
		const char *host;
		uint16_t port;
	} good[] = {
		{"MOVED 3999 127.0.0.1:6381", REDIS_MOVED, 3999, "127.0.0.1", 6381},
		{"ASK 0 redis.example:1", REDIS_ASK, 0, "redis.example", 1},
		{"MOVED 16383 ::1:7000", REDIS_MOVED, 16383, "::1", 7000},
		{"MOVED 7 :6381", REDIS_MOVED, 7, "", 6381},
		{"MOVED 7 ?:6381", REDIS_MOVED, 7, "", 6381},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct redis_redirect redirect;

		assert_true(redis_redirect_parse(good[i].error, &redirect));
		assert_int_equal(redirect.kind, good[i].kind);
		assert_int_equal(redirect.slot, good[i].slot);
		assert_string_equal(redirect.endpoint.host, good[i].host);
		assert_int_equal(redirect.endpoint.port, good[i].port);
	}
}

static void test_other_errors_are_no_redirection(void **state)
{
	static const char *const bad[] = {"",
					  "MOVED",
					  "MOVED ",
					  "MOVED 16384 a:1",
					  "MOVED 99999999999 a:1",
					  "MOVED -1 a:1",
					  "MOVED 1  a:1",
					  "MOVED 1 a",
					  "MOVED 1 a:0",
					  "MOVED 1 a:b",
					  "MOVED 1 :",
					  "MOVED 1 a b:1",
					  "MOVEDX 1 a:1",
					  "moved 1 a:1",
					  "ASKING 1 a:1",
					  "ERR MOVED 1 a:1"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct redis_redirect redirect;

		assert_false(redis_redirect_parse(bad[i], &redirect));
	}
}

static void test_transient_errors_are_recognised(void **state)
{
	(void)state;
	assert_true(redis_error_is_transient("TRYAGAIN Multiple keys request during rehashing of slot"));
	assert_true(redis_error_is_transient("CLUSTERDOWN The cluster is down"));
	assert_true(redis_error_is_transient("LOADING Redis is loading the dataset in memory"));
	assert_true(redis_error_is_transient(
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."));
	assert_true(redis_error_is_transient("READONLY You can't write against a read only replica."));
	assert_false(redis_error_is_transient("WRONGTYPE Operation against a key holding the wrong kind of value"));
	assert_false(redis_error_is_transient("BUSYGROUP Consumer Group name already exists"));
	assert_false(redis_error_is_transient("LOADINGX"));
	assert_false(redis_error_is_transient(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_match_the_specification),
		cmocka_unit_test(test_hash_tag_determines_the_slot),
		cmocka_unit_test(test_redirections_are_parsed),
		cmocka_unit_test(test_other_errors_are_no_redirection),
		cmocka_unit_test(test_transient_errors_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
