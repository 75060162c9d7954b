/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of paths and queries, matching of patterns, bearer tokens, and which content types are JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "http/http_check.h"
#include "http/http_target.h"

static struct http_target target;

static void parse(const char *raw)
{
	http_target_deinit(&target);
	if (http_target_parse(&target, raw) != 0)
		fail_msg("%s is refused", raw);
}

static int clear_target(void **state)
{
	(void)state;
	http_target_deinit(&target);
	return 0;
}

static void test_segments_are_decoded_individually(void **state)
{
	(void)state;
	parse("/v1/a%20b/%C3%A4/x+y;z=1");
	assert_int_equal(target.segment_count, 4);
	assert_string_equal(target.segments[1], "a b");
	assert_string_equal(target.segments[2], "\xc3\xa4");
	assert_string_equal(target.segments[3], "x+y;z=1");
	parse("/");
	assert_int_equal(target.segment_count, 1);
	assert_string_equal(target.segments[0], "");
}

/* RFC 9112, 3.2.2 */
static void test_absolute_form_is_read_as_its_path_and_query(void **state)
{
	const char *value;

	(void)state;
	parse("http://edge7.example.net:7227/v1/captures?wait=1");
	assert_int_equal(target.segment_count, 2);
	assert_string_equal(target.segments[1], "captures");
	assert_int_equal(http_target_parameter(&target, "wait", &value), 0);
	parse("HTTP://[::1]?a=b");
	assert_int_equal(target.segment_count, 1);
	assert_string_equal(target.segments[0], "");
	assert_int_equal(http_target_parameter(&target, "a", &value), 0);
}

static void test_parameters_are_form_decoded(void **state)
{
	const char *value;

	(void)state;
	parse("/a?bpf=tcp+port%2080&b&c=&=d&e=f=g?/");
	assert_int_equal(http_target_parameter(&target, "bpf", &value), 0);
	assert_string_equal(value, "tcp port 80");
	assert_int_equal(http_target_parameter(&target, "b", &value), 0);
	assert_string_equal(value, "");
	assert_int_equal(http_target_parameter(&target, "c", &value), 0);
	assert_string_equal(value, "");
	assert_int_equal(http_target_parameter(&target, "", &value), 0);
	assert_string_equal(value, "d");
	assert_int_equal(http_target_parameter(&target, "e", &value), 0);
	assert_string_equal(value, "f=g?/");
	assert_int_equal(http_target_parameter(&target, "B", &value), -ENOENT);
}

static void test_repeated_parameter_is_refused(void **state)
{
	const char *value = "untouched";

	(void)state;
	parse("/a?b=1&%62=1");
	assert_int_equal(http_target_parameter(&target, "b", &value), -EEXIST);
	assert_string_equal(value, "untouched");
}

static void test_unknown_parameters_are_named(void **state)
{
	static const char *const known[] = {"a", "b", NULL};

	(void)state;
	parse("/?a=1&b=2&a=3");
	assert_null(http_target_unknown_parameter(&target, known));
	parse("/?a=1&c=2&d=3");
	assert_string_equal(http_target_unknown_parameter(&target, known), "c");
}

static void test_malformed_targets_are_refused(void **state)
{
	static const char *const malformed[] = {
		"http:///a", "http://u@x/a", "http://:1/a", "ftp://x/a", "http:/a", "http://x#a", "",
		"a",	     "?a",	     "*",	    "http://",	 "/a b",    "/a\tb",	  "/a#b",
		"/a\"",	     "/<a>",	     "/a\\b",	    "/{a}",	 "/a|b",    "/a^b",	  "/a`b",
		"/[a]",	     "/a\x7f",	     "/\x80",	    "/a%",	 "/a%2",    "/a%2g",	  "/a%00",
		"/a%2Fb",    "/?a=%0",	     "/?a=%00",	    "/?%00",	 "/?a=b#c", "/?a b",	  "/?a=[",
		"/?\xff",    "/%2",	     "/?a=b%f",	    "/a%%41",	 "/%u0041"};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		int r = http_target_parse(&target, malformed[i]);

		if (r != -EINVAL)
			fail_msg("%s: %d", malformed[i], r);
	}
}

static void test_length_and_parameter_count_are_capped(void **state)
{
	static char raw[HTTP_TARGET_BYTES_MAX + 2];
	size_t size = 2;

	(void)state;
	memset(raw, 'a', sizeof(raw) - 1);
	raw[0] = '/';
	assert_int_equal(http_target_parse(&target, raw), -E2BIG);
	raw[HTTP_TARGET_BYTES_MAX] = '\0';
	parse(raw);

	memcpy(raw, "/?", 3);
	for (size_t i = 0; i < HTTP_PARAMETERS_MAX; i++, size += 4)
		memcpy(raw + size, "a=1&", 5);
	parse(raw);
	assert_int_equal(target.parameter_count, HTTP_PARAMETERS_MAX);
	memcpy(raw + size, "b", 2);
	http_target_deinit(&target);
	assert_int_equal(http_target_parse(&target, raw), -E2BIG);
}

static void test_pattern_matches_segment_by_segment(void **state)
{
	static const struct {
		const char *raw, *pattern;
		bool matches;
	} samples[] = {
		{"/a/b", "/a/b", true},
		{"/a/b", "/a/*", true},
		{"/a/b", "/*/*", true},
		{"/a/b", "/a", false},
		{"/a", "/a/*", false},
		{"/a/", "/a/*", false},
		{"/a/", "/a", false},
		{"/A/b", "/a/b", false},
		{"/a/bc", "/a/b", false},
		{"/a/b/c", "/a/*", false},
		{"//a", "/a", false},
		{"/%61/b", "/a/b", true},
		{"/a/*", "/a/b", false},
		{"/a/b?c=d", "/a/b", true},
		{"/", "/*", false},
		{"/a/../b", "/b", false},
		{"/a/b/file", "/a/*/file", true},
		{"/a/b/c/d/e/f/g/h/i", "/*/*/*/*/*/*/*/*/*", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		parse(samples[i].raw);
		if (http_target_matches(&target, samples[i].pattern) != samples[i].matches)
			fail_msg("%s against %s", samples[i].raw, samples[i].pattern);
	}
}

static void test_wildcards_give_their_segments(void **state)
{
	(void)state;
	parse("/v1/a%3Ab/of/c");
	assert_string_equal(http_target_wildcard(&target, "/v1/*/of/*", 0), "a:b");
	assert_string_equal(http_target_wildcard(&target, "/v1/*/of/*", 1), "c");
	assert_null(http_target_wildcard(&target, "/v1/*/of/*", 2));
	assert_null(http_target_wildcard(&target, "/v2/*/of/*", 0));
}

static void test_only_the_exact_token_matches(void **state)
{
	(void)state;
	assert_true(http_bearer_matches("Bearer secret", "secret"));
	assert_true(http_bearer_matches("bearer secret", "secret"));
	assert_false(http_bearer_matches("Bearer Secret", "secret"));
	assert_false(http_bearer_matches("Bearer secre", "secret"));
	assert_false(http_bearer_matches("Bearer secrets", "secret"));
	assert_false(http_bearer_matches("Bearer secretsecret", "secret"));
	assert_false(http_bearer_matches("Bearer  secret", "secret"));
	assert_false(http_bearer_matches("Bearer ", "secret"));
	assert_false(http_bearer_matches("Bearer", "secret"));
	assert_false(http_bearer_matches("", "secret"));
	assert_false(http_bearer_matches("Basic secret", "secret"));
	assert_false(http_bearer_matches("secret", "secret"));
	assert_false(http_bearer_matches("Bearer ", ""));
}

static void test_only_application_json_is_json(void **state)
{
	(void)state;
	assert_true(http_is_json("application/json"));
	assert_true(http_is_json("APPLICATION/json ;  charset=\"utf-8\""));
	assert_false(http_is_json("application/jsonp"));
	assert_false(http_is_json("application/json; charset=latin1"));
	assert_false(http_is_json("application/json, text/plain"));
	assert_false(http_is_json("application"));
	assert_false(http_is_json(""));
}

int main(void)
{
#define with_target(test) cmocka_unit_test_teardown(test, clear_target)
	static const struct CMUnitTest tests[] = {
		with_target(test_segments_are_decoded_individually),
		with_target(test_absolute_form_is_read_as_its_path_and_query),
		with_target(test_parameters_are_form_decoded),
		with_target(test_repeated_parameter_is_refused),
		with_target(test_unknown_parameters_are_named),
		with_target(test_malformed_targets_are_refused),
		with_target(test_length_and_parameter_count_are_capped),
		with_target(test_pattern_matches_segment_by_segment),
		with_target(test_wildcards_give_their_segments),
		cmocka_unit_test(test_only_the_exact_token_matches),
		cmocka_unit_test(test_only_application_json_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
