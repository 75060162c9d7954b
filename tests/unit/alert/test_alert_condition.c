/* SPDX-License-Identifier: BSD-2-Clause */
/* Which values satisfy which tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "alert/alert_condition.h"
#include "alerts.h"

static const struct {
	const char *test, *value; /* JSON */
	bool holds;
} examples[] = {
	{"alert", "\"alert\"", true},
	{"alert", "\"alerts\"", false},
	{"2", "2", true},
	{"2", "\"2.0\"", true},
	{"2", "20", false},
	{"true", "true", true},
	{"", "\"\"", true},
	{"= <2", "\"<2\"", true},
	{"!= 2", "3", true},
	{"!= 2", "2", false},
	{"<=2", "2", true},
	{"<=2", "3", false},
	{"< 2", "\"1.5\"", true},
	{">2", "10", true},
	{">= 2", "\"two\"", false},
	{">= warning", "\"Error\"", true},
	{">= warning", "\"info\"", false},
	{">= warning", "3", false},
	{">= warning", "\"unheard of\"", false},
	{"~ ^Check(out)?", "\"Checkout\"", true},
	{"~ ^out", "\"Checkout\"", false},
	{"!~ STREAM", "\"ET SCAN\"", true},
	{"!~ STREAM", "\"SURICATA STREAM\"", false},
	{"!~ (a+)+$", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", false},
	{"!= x", "null", false},
	{"!= x", "[1]", false},
};

static void test_a_value_satisfies_a_test(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		cleanup(cleanup_alert_condition) struct alert_condition *condition = NULL;
		cleanup(cleanup_json) json_t *value = parsed(examples[i].value), *alert = json_pack("{sO}", "x", value);
		struct error err;

		assert_int_equal(alert_condition_new("x", &err, &condition), 0);
		if (alert_condition_add(condition, examples[i].test, &err) < 0)
			fail_msg("%s: %s", examples[i].test, err.text);
		if (alert_condition_holds(condition, alert, NULL) != examples[i].holds)
			fail_msg("%s and %s", examples[i].test, examples[i].value);
	}
}

static void test_one_of_several_tests_must_hold(void **state)
{
	cleanup(cleanup_alert_condition) struct alert_condition *condition = NULL;
	cleanup(cleanup_json) json_t *two = parsed("{\"l\":[{\"n\":\"a\"},{\"n\":\"b\"}]}"),
				     *other = parsed("{\"l\":[{\"n\":\"c\"}]}"), *none = parsed("{\"l\":1}");
	struct error err;

	(void)state;
	assert_int_equal(alert_condition_new("l.each.n", &err, &condition), 0);
	assert_int_equal(alert_condition_add(condition, "x", &err), 0);
	assert_int_equal(alert_condition_add(condition, "b", &err), 0);
	assert_true(alert_condition_holds(condition, two, &err));
	assert_false(alert_condition_holds(condition, other, &err));
	assert_string_equal(err.text, "l.each.n is \"c\"; the rule wants \"x\" or \"b\"");
	assert_false(alert_condition_holds(condition, none, &err));
	assert_string_equal(err.text, "l.each.n is missing; the alert has l");
}

static void test_bad_tests_are_refused(void **state)
{
	static const char *const bad[] = {"<= often", ">", "~ (", "~", "!~ a{99999}"};
	cleanup(cleanup_alert_condition) struct alert_condition *condition = NULL;
	struct error err;

	(void)state;
	assert_int_equal(alert_condition_new("", &err, &condition), -EINVAL);
	assert_int_equal(alert_condition_new("x", &err, &condition), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(alert_condition_add(condition, bad[i], &err), -EINVAL);
	for (size_t i = 0; i < ALERT_TESTS_MAX; i++)
		assert_int_equal(alert_condition_add(condition, "x", &err), 0);
	assert_int_equal(alert_condition_add(condition, "x", &err), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_satisfies_a_test),
		cmocka_unit_test(test_one_of_several_tests_must_hold),
		cmocka_unit_test(test_bad_tests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
