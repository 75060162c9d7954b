/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and times for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/output/format.h"

static void test_bytes_use_decimal_units(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_bytes(0, text), "0 B");
	assert_string_equal(format_bytes(999, text), "999 B");
	assert_string_equal(format_bytes(1000, text), "1.0 kB");
	assert_string_equal(format_bytes(61234, text), "61 kB");
	assert_string_equal(format_bytes(999999, text), "1.0 MB");
	assert_string_equal(format_bytes(UINT64_MAX, text), "18447 PB");
}

static void test_counts_are_grouped(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_count(0, text), "0");
	assert_string_equal(format_count(999, text), "999");
	assert_string_equal(format_count(1000, text), "1,000");
	assert_string_equal(format_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

static void test_durations_are_short(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_duration(UINT64_C(1500000000), text), "1.5 s");
	assert_string_equal(format_duration(UINT64_C(42400000000), text), "42 s");
	assert_string_equal(format_duration(UINT64_C(130000000000), text), "2 min 10 s");
	assert_string_equal(format_duration(UINT64_C(7260000000000), text), "2 h 1 min");
}

static void test_times_are_cut_to_milliseconds_and_other_text_is_kept(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_time("2026-11-23T09:41:00.123456789+01:00", text), "2026-11-23T08:41:00.123Z");
	assert_string_equal(format_time("soon", text), "soon");
}

static void test_missing_or_mistyped_fields_are_empty(void **state)
{
	json_t *object = json_pack("{s:i, s:s, s:i}", "text", 5, "number", "x", "negative", -1);

	(void)state;
	assert_string_equal(json_text(object, "text"), "");
	assert_string_equal(json_text(NULL, "text"), "");
	assert_int_equal(json_number(object, "number"), 0);
	assert_int_equal(json_number(object, "negative"), 0);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_use_decimal_units),
		cmocka_unit_test(test_counts_are_grouped),
		cmocka_unit_test(test_durations_are_short),
		cmocka_unit_test(test_times_are_cut_to_milliseconds_and_other_text_is_kept),
		cmocka_unit_test(test_missing_or_mistyped_fields_are_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
