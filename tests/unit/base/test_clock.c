/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void test_utc_is_formatted_with_nine_digits(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_format(UINT64_C(1795423260123456789), text), "2026-11-23T08:41:00.123456789Z");
	assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(clock_format(1, text), "1970-01-01T00:00:00.000000001Z");
	assert_string_equal(clock_format(UINT64_MAX, text), "2554-07-21T23:34:33.709551615Z");
}

static void test_compact_format_suits_file_names(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_format_compact(UINT64_C(1795423260123999999), text), "20261123T084100.123Z");
	assert_string_equal(clock_format_compact(UINT64_C(999999), text), "19700101T000000.000Z");
	assert_string_equal(clock_format_compact(UINT64_MAX, text), "25540721T233433.709Z");
}

static void test_rfc3339_times_are_parsed(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.000000001Z", 1},
		{"2026-11-23T08:41:00.123456789Z", UINT64_C(1795423260123456789)},
		{"2026-11-23t08:41:00.5z", UINT64_C(1795423260500000000)},
		{"2026-11-23T10:41:00+02:00", UINT64_C(1795423260000000000)},
		{"2026-11-22T22:11:00-10:30", UINT64_C(1795423260000000000)},
		{"2026-11-23T08:41:00-00:00", UINT64_C(1795423260000000000)},
		{"1969-12-31T23:00:00-01:00", 0},
		{"2024-02-29T00:00:00Z", UINT64_C(1709164800000000000)},
		{"2016-12-31T23:59:60Z", UINT64_C(1483228800000000000)},
		{"2017-01-01T00:59:60.25+01:00", UINT64_C(1483228800250000000)},
		{"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		uint64_t ns = 7;

		if (clock_parse(good[i].text, &ns) != 0 || ns != good[i].ns)
			fail_msg("%s: %llu", good[i].text, (unsigned long long)ns);
	}
}

static void test_malformed_times_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"now",
		"1795423260",
		"2026-11-23",
		"2026-11-23T08:41Z",
		"2026-11-23T08:41:00",
		"2026-11-23 08:41:00Z",
		"2026-11-23T08:41:00Z ",
		" 2026-11-23T08:41:00Z",
		"2026-11-23T08:41:00.Z",
		"2026-11-23T08:41:00,5Z",
		"2026-11-23T08:41:00.1234567890Z",
		"2026-11-23T08:41:00+0200",
		"2026-11-23T08:41:00+24:00",
		"2026-11-23T08:41:00+02:60",
		"2026-11-23T24:00:00Z",
		"2026-11-23T08:60:00Z",
		"2026-11-23T08:41:60Z",
		"2026-11-23T08:41:61Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1969-12-31T23:59:59Z",
		"2554-07-21T23:34:33.709551616Z",
		"9999-12-31T23:59:59Z",
		"-026-11-23T08:41:00Z",
		"2026-1-23T08:41:00Z",
		"2026-11-23T08:41:0\xc2\xb2Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint64_t ns = 7;

		if (clock_parse(bad[i], &ns) != -EINVAL || ns != 7)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_formatted_times_parse_back(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	for (uint64_t ns = 12345; ns < UINT64_MAX - UINT64_C(20000000123456789); ns += UINT64_C(9999999123456789)) {
		uint64_t back;

		assert_int_equal(clock_parse(clock_format(ns, text), &back), 0);
		assert_true(back == ns);
	}
}

static void test_clocks_advance_and_match_system_time(void **state)
{
	uint64_t boot = clock_boottime_ns();
	uint64_t real = clock_realtime_ns();

	(void)state;
	assert_true(clock_boottime_ns() >= boot);
	assert_true(real / NS_PER_S >= (uint64_t)time(NULL) - 5 && real / NS_PER_S <= (uint64_t)time(NULL) + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utc_is_formatted_with_nine_digits),
		cmocka_unit_test(test_compact_format_suits_file_names),
		cmocka_unit_test(test_rfc3339_times_are_parsed),
		cmocka_unit_test(test_malformed_times_are_refused),
		cmocka_unit_test(test_formatted_times_parse_back),
		cmocka_unit_test(test_clocks_advance_and_match_system_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
