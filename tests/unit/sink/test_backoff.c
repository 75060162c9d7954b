/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a delivery waits before its next attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "sink/backoff.h"

#define SAMPLES 20000

static void range(unsigned tries, uint64_t retry_after_ns, uint64_t *least, uint64_t *most)
{
	*least = UINT64_MAX;
	*most = 0;
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t wait_ns = backoff_ns(1000, 60000, tries, retry_after_ns);

		*least = wait_ns < *least ? wait_ns : *least;
		*most = wait_ns > *most ? wait_ns : *most;
	}
}

static void test_ceiling_doubles_with_full_jitter(void **state)
{
	static const uint64_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	uint64_t least, most;

	(void)state;
	for (unsigned tries = 1; tries <= 8; tries++) {
		range(tries, 0, &least, &most);
		assert_true(least < ceilings[tries - 1] / 100);
		assert_true(most < ceilings[tries - 1]);
		assert_true(most > ceilings[tries - 1] / 100 * 98);
	}
}

static void test_retry_after_is_a_floor_below_the_jitter(void **state)
{
	uint64_t least, most;

	(void)state;
	range(1, 5000000, &least, &most);
	assert_in_range(least, 5000000, 5000050);
	assert_in_range(most, 5000950, 5000999);
}

static void test_retry_after_is_capped_at_five_minutes(void **state)
{
	(void)state;
	assert_in_range(backoff_ns(1000, 60000, 1, UINT64_MAX), UINT64_C(300000000000), UINT64_C(300000001000));
}

static void test_huge_numbers_do_not_wrap(void **state)
{
	bool large = false;

	(void)state;
	for (int i = 0; i < 200; i++)
		large |= backoff_ns(UINT64_MAX / 2 + 2, UINT64_MAX - 1, 40, 0) > UINT64_MAX / 2;
	assert_true(large);
	assert_in_range(backoff_ns(1, 60000, UINT32_MAX, 0), 0, 59999);
	assert_int_equal(backoff_ns(0, 0, 3, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ceiling_doubles_with_full_jitter),
		cmocka_unit_test(test_retry_after_is_a_floor_below_the_jitter),
		cmocka_unit_test(test_retry_after_is_capped_at_five_minutes),
		cmocka_unit_test(test_huge_numbers_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
