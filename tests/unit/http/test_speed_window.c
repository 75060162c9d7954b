/* SPDX-License-Identifier: BSD-2-Clause */
/* A transfer is slow once a whole window had too few bytes, whenever they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/speed_window.h"

static void test_silence_is_noticed_after_a_window(void **state)
{
	struct speed_window window = {.min_speed = 100, .window_ns = 6 * NS_PER_S};
	uint64_t recent = 1;

	(void)state;
	for (unsigned i = 1; i < SPEED_WINDOW_SAMPLES; i++)
		assert_false(speed_window_is_slow(&window, 0, &recent));
	assert_true(speed_window_is_slow(&window, 0, &recent));
	assert_int_equal(recent, 0);
}

static void test_burst_counts_for_one_window_only(void **state)
{
	struct speed_window window = {.min_speed = 100, .window_ns = 6 * NS_PER_S};
	uint64_t recent;

	(void)state;
	assert_false(speed_window_is_slow(&window, 600, &recent));
	for (unsigned i = 1; i < SPEED_WINDOW_SAMPLES; i++)
		assert_false(speed_window_is_slow(&window, 600, &recent));
	assert_true(speed_window_is_slow(&window, 700, &recent));
	assert_int_equal(recent, 100);
}

static void test_steady_transfer_goes_on(void **state)
{
	struct speed_window window = {.min_speed = 100, .window_ns = 6 * NS_PER_S};
	uint64_t recent;

	(void)state;
	for (unsigned i = 1; i < 5 * SPEED_WINDOW_SAMPLES; i++)
		assert_false(speed_window_is_slow(&window, 100 * i, &recent));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_is_noticed_after_a_window),
		cmocka_unit_test(test_burst_counts_for_one_window_only),
		cmocka_unit_test(test_steady_transfer_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
