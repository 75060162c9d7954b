/* SPDX-License-Identifier: BSD-2-Clause */
/* Where values are found: dots in keys, indexes, "each". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "alert/alert_path.h"
#include "alerts.h"

static void check(const char *alert, const char *path, const char *expected)
{
	cleanup(cleanup_json) json_t *json = parsed(alert);
	const json_t *found = alert_path_find(json, path);
	cleanup(cleanup_free) char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	if (!expected && found)
		fail_msg("%s in %s is %s", path, alert, text);
	if (expected && (!text || strcmp(text, expected) != 0))
		fail_msg("%s in %s is %s, not %s", path, alert, text ? text : "missing", expected);
}

static void test_a_path_leads_through_objects_and_arrays(void **state)
{
	(void)state;
	check("{\"a\":1}", "a", "1");
	check("{\"a\":{\"b\":{\"c\":2}}}", "a.b.c", "2");
	check("{\"a\":[{\"b\":1},{\"b\":2}]}", "a.1.b", "2");
	check("[3,4]", "0", "3");
	check("{\"a\":null}", "a", "null");
}

static void test_the_longest_key_with_dots_is_taken(void **state)
{
	(void)state;
	check("{\"id.orig_h\":\"10.0.0.1\"}", "id.orig_h", "\"10.0.0.1\"");
	check("{\"id.orig_h\":1,\"id\":{\"orig_h\":2}}", "id.orig_h", "1");
	check("{\"a.b\":{\"c\":1},\"a\":{\"b\":{\"c\":2}}}", "a.b.c", "1");
	check("{\"a.b\":1,\"a\":{\"b\":{\"c\":2}}}", "a.b.c", NULL);
	check("{\"x\":{\"fd.cip\":5}}", "x.fd.cip", "5");
}

static void test_each_takes_the_first_item_that_has_the_rest(void **state)
{
	(void)state;
	check("{\"a\":[{\"c\":1},{\"b\":2}]}", "a.each.b", "2");
	check("{\"a\":[]}", "a.each", NULL);
	assert_true(alert_path_has_each("a.each.b"));
	assert_true(alert_path_has_each("each"));
	assert_false(alert_path_has_each("a.reach"));
}

static void test_what_is_not_there_is_missing(void **state)
{
	static const char *const paths[] = {"",	    ".",   "b",	   "a.c", "a.b.c",
					    "a..b", "l.2", "l.-1", "l.x", "l.00000000001"};

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++)
		check("{\"a\":{\"b\":1},\"l\":[1,2]}", paths[i], NULL);
}

static void test_only_scalars_are_text(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {{"\"x\"", "x"},	 {"12", "12"},	 {"-1", "-1"},	{"0.5", "0.5"},	     {"true", "true"},
		     {"false", "false"}, {"null", NULL}, {"[1]", NULL}, {"{\"a\":1}", NULL}, {"\"a\\u0000b\"", NULL}};
	char text[ALERT_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		cleanup(cleanup_json) json_t *json = parsed(cases[i].json);

		assert_int_equal(alert_value_text(json, text), cases[i].text != NULL);
		if (cases[i].text)
			assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_path_leads_through_objects_and_arrays),
		cmocka_unit_test(test_the_longest_key_with_dots_is_taken),
		cmocka_unit_test(test_each_takes_the_first_item_that_has_the_rest),
		cmocka_unit_test(test_what_is_not_there_is_missing),
		cmocka_unit_test(test_only_scalars_are_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
