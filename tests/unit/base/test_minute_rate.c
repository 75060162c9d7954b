/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/minute_rate.h"

#define MINUTE (60 * NS_PER_S)

static void test_a_steady_rate_is_shown_as_such(void **state)
{
	struct minute_rate rate = {0};
	uint64_t now_ns = 7 * MINUTE;

	(void)state;
	for (int i = 0; i < 60 * 5 * 2 + 100; i++, now_ns += NS_PER_S / 5)
		minute_rate_count(&rate, now_ns);
	assert_true(minute_rate_per_second(&rate, now_ns) > 4.9 && minute_rate_per_second(&rate, now_ns) < 5.1);
}

static void test_a_burst_is_forgotten_after_two_minutes(void **state)
{
	struct minute_rate rate = {0};

	(void)state;
	assert_true(minute_rate_per_second(&rate, 5 * MINUTE) == 0);
	for (int i = 0; i < 60; i++)
		minute_rate_count(&rate, 9 * MINUTE);
	assert_true(minute_rate_per_second(&rate, 9 * MINUTE) == 1);
	assert_true(minute_rate_per_second(&rate, 10 * MINUTE + MINUTE / 2) == 0.5);
	assert_true(minute_rate_per_second(&rate, 11 * MINUTE) == 0);
	minute_rate_count(&rate, 30 * MINUTE);
	assert_true(minute_rate_per_second(&rate, 30 * MINUTE) == 1.0 / 60);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_steady_rate_is_shown_as_such),
		cmocka_unit_test(test_a_burst_is_forgotten_after_two_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
