/* SPDX-License-Identifier: BSD-2-Clause */
/* Times of day, local times and durations become moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "pcapctl/cli/when.h"

/* 12:30:00.5 UTC, in Berlin 13:30 in winter. */
#define NOW "2026-11-23T12:30:00.5Z"

static uint64_t moment(const char *rfc3339)
{
	uint64_t ns;

	assert_int_equal(clock_parse(rfc3339, &ns), 0);
	return ns;
}

static void check(const char *text, const char *after, const char *expected)
{
	uint64_t ns;

	if (when_parse(text, moment(NOW), after ? moment(after) : 0, &ns) < 0)
		fail_msg("%s is refused", text);
	if (ns != moment(expected)) {
		char shown[CLOCK_TEXT_SIZE];

		fail_msg("%s: %s", text, clock_format(ns, shown));
	}
}

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static void test_moments_are_read(void **state)
{
	(void)state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	check("2026-11-23T08:41:00.25Z", NULL, "2026-11-23T08:41:00.25Z");
	check("2026-11-23T08:41Z", NULL, "2026-11-23T08:41:00Z");
	check("2026-11-23T08:41+02:00", NULL, "2026-11-23T06:41:00Z");
	check("2026-11-23T08:41", NULL, "2026-11-23T07:41:00Z");
	check("2026-07-23 08:41:05.5", NULL, "2026-07-23T06:41:05.5Z");
	check("1763887260.5", NULL, "2025-11-23T08:41:00.5Z");
	check("now", NULL, NOW);
	check("-5m", NULL, "2026-11-23T12:25:00.5Z");
	check("-0.5s", NULL, "2026-11-23T12:30:00Z");
	check("13:10", NULL, "2026-11-23T12:10:00Z");
	check("13:30:00.5", NULL, NOW);
	check("19:10", NULL, "2026-11-22T18:10:00Z");
	check("19:10:05", "2026-11-23T12:10:00Z", "2026-11-23T18:10:05Z");
	check("00:10", "2026-11-22T22:55:00Z", "2026-11-22T23:10:00Z");
	check("13:10", "2026-11-23T12:10:00Z", "2026-11-24T12:10:00Z");
	set_zone("UTC0");
	check("12:10", NULL, "2026-11-23T12:10:00Z");
}

static void test_other_text_is_refused(void **state)
{
	static const char *const texts[] = {"",	    "-",      "-5x",   "5m",	      "24:00",
					    "1:10", "19:1",   "19h10", "2026-11-23",  "2026-13-01T00:00",
					    "0",    "19:10Z", "noon",  "19:10:05:01", "-60000d"};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (when_parse(texts[i], moment(NOW), 0, &ns) != -EINVAL)
			fail_msg("\"%s\" is taken", texts[i]);
}

static void test_a_window_lies_around_a_moment(void **state)
{
	uint64_t from_ns, to_ns;

	(void)state;
	set_zone("UTC0");
	assert_int_equal(when_parse_around("12:10,30s", moment(NOW), &from_ns, &to_ns), 0);
	assert_int_equal(from_ns, moment("2026-11-23T12:09:30Z"));
	assert_int_equal(to_ns, moment("2026-11-23T12:10:30Z"));
	assert_int_equal(when_parse_around("12:10", moment(NOW), &from_ns, &to_ns), -EINVAL);
	assert_int_equal(when_parse_around("12:10,", moment(NOW), &from_ns, &to_ns), -EINVAL);
	assert_int_equal(when_parse_around("12:10,0", moment(NOW), &from_ns, &to_ns), -EINVAL);
	assert_int_equal(when_parse_around(",30s", moment(NOW), &from_ns, &to_ns), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments_are_read),
		cmocka_unit_test(test_other_text_is_refused),
		cmocka_unit_test(test_a_window_lies_around_a_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
