/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "job/alert_repeats.h"

#define START_NS (1000 * NS_PER_S)

static char *key_of(const char *rule, const char *format, const char *fingerprint, const char *begun)
{
	json_t *alert = json_pack("{ss* ss*}", "fingerprint", fingerprint, "startsAt", begun);
	char *key = alert_repeats_key(rule, alert, format);

	json_decref(alert);
	return key;
}

static void test_an_alert_is_the_same_by_rule_fingerprint_and_start(void **state)
{
	cleanup(cleanup_alert_repeats) struct alert_repeats *repeats = alert_repeats_new();
	cleanup(cleanup_free) char *first = key_of("a", "alertmanager", "f", "t");
	cleanup(cleanup_free) char *again = key_of("a", "grafana", "f", "t");
	static const struct {
		const char *rule, *fingerprint, *begun;
	} others[] = {{"b", "f", "t"}, {"a", "g", "t"}, {"a", "f", "u"}};

	(void)state;
	assert_false(alert_repeats_has(repeats, first, START_NS));
	alert_repeats_add(repeats, first, START_NS);
	assert_true(alert_repeats_has(repeats, again, START_NS));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		cleanup(cleanup_free) char *other =
			key_of(others[i].rule, "alertmanager", others[i].fingerprint, others[i].begun);

		assert_false(alert_repeats_has(repeats, other, START_NS));
	}
}

static void test_other_formats_and_alerts_without_these_fields_have_no_key(void **state)
{
	(void)state;
	assert_null(key_of("a", "eve", "f", "t"));
	assert_null(key_of("a", "grafana", NULL, "t"));
	assert_null(key_of("a", "grafana", "f", NULL));
}

static void test_each_copy_prolongs_the_memory(void **state)
{
	const uint64_t step_ns = (ALERT_REPEAT_S - 1) * NS_PER_S;
	cleanup(cleanup_alert_repeats) struct alert_repeats *repeats = alert_repeats_new();
	cleanup(cleanup_free) char *key = key_of("a", "grafana", "f", "t");

	(void)state;
	alert_repeats_add(repeats, key, START_NS);
	assert_true(alert_repeats_has(repeats, key, START_NS + step_ns));
	assert_true(alert_repeats_has(repeats, key, START_NS + 2 * step_ns));
	assert_false(alert_repeats_has(repeats, key, START_NS + 4 * step_ns));
	assert_false(alert_repeats_has(repeats, NULL, START_NS));
}

static void test_what_is_forgotten_is_no_repetition(void **state)
{
	cleanup(cleanup_alert_repeats) struct alert_repeats *repeats = alert_repeats_new();
	cleanup(cleanup_free) char *key = key_of("a", "grafana", "f", "t");

	(void)state;
	alert_repeats_forget(repeats, key); /* of an alert that never was */
	alert_repeats_add(repeats, key, START_NS);
	alert_repeats_forget(repeats, key);
	assert_false(alert_repeats_has(repeats, key, START_NS));
	assert_false(alert_repeats_has(repeats, key, 1)); /* just after boot */
	alert_repeats_add(repeats, key, START_NS);
	assert_true(alert_repeats_has(repeats, key, START_NS));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_alert_is_the_same_by_rule_fingerprint_and_start),
		cmocka_unit_test(test_other_formats_and_alerts_without_these_fields_have_no_key),
		cmocka_unit_test(test_each_copy_prolongs_the_memory),
		cmocka_unit_test(test_what_is_forgotten_is_no_repetition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
