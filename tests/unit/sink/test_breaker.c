/* SPDX-License-Identifier: BSD-2-Clause */
/* The breaker on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sink/backoff.h"
#include "sink/breaker.h"

#define FIRST (8 * NS_PER_S)
#define MOST (20 * NS_PER_S)
#define START (1000 * NS_PER_S)

static const struct breaker_options three = {.failures = 3, .first_wait_ns = FIRST, .max_wait_ns = MOST};

/* An attempt that lasts no time. Whether the breaker opened or closed. */
static bool attempt(struct breaker *breaker, enum breaker_result result, uint64_t now_ns)
{
	assert_true(breaker_allows(breaker, now_ns));
	return breaker_end(breaker, &three, breaker_begin(breaker), result, 0, now_ns);
}

static struct breaker opened(void)
{
	struct breaker breaker = {0};

	assert_false(attempt(&breaker, BREAKER_FAILURE, START));
	assert_false(attempt(&breaker, BREAKER_FAILURE, START));
	assert_true(attempt(&breaker, BREAKER_FAILURE, START));
	assert_int_equal(breaker.state, BREAKER_OPEN);
	return breaker;
}

static void test_failures_in_a_row_open_it(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	assert_int_equal(breaker.open_count, 1);
	assert_in_range(breaker.until_ns, START + FIRST / 2, START + FIRST);
	assert_false(breaker_allows(&breaker, breaker.until_ns - 1));
	assert_true(breaker_allows(&breaker, breaker.until_ns));
}

static void test_success_between_failures_keeps_it_closed(void **state)
{
	struct breaker breaker = {0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_false(attempt(&breaker, BREAKER_FAILURE, START));
		assert_false(attempt(&breaker, BREAKER_FAILURE, START));
		assert_false(attempt(&breaker, BREAKER_NO_RESULT, START));
		assert_false(attempt(&breaker, BREAKER_SUCCESS, START));
	}
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_one_attempt_at_a_time_is_allowed_after_the_wait(void **state)
{
	struct breaker breaker = opened();
	const uint64_t now_ns = breaker.until_ns;

	(void)state;
	assert_true(breaker_begin(&breaker));
	assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
	assert_false(breaker_allows(&breaker, now_ns + 100 * NS_PER_S));
	assert_true(breaker_end(&breaker, &three, true, BREAKER_SUCCESS, 0, now_ns));
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	assert_false(attempt(&breaker, BREAKER_FAILURE, now_ns)); /* the row begins anew */
	assert_false(attempt(&breaker, BREAKER_FAILURE, now_ns));
	assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_waits_double_up_to_a_limit_and_begin_anew(void **state)
{
	static const uint64_t waits[] = {2 * FIRST, MOST, MOST};
	struct breaker breaker = opened();
	uint64_t now_ns;

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		now_ns = breaker.until_ns;
		assert_false(attempt(&breaker, BREAKER_FAILURE, now_ns)); /* it was open, and is */
		assert_int_equal(breaker.state, BREAKER_OPEN);
		assert_in_range(breaker.until_ns, now_ns + waits[i] / 2, now_ns + waits[i]);
	}
	assert_int_equal(breaker.open_count, 1);
	assert_true(attempt(&breaker, BREAKER_SUCCESS, breaker.until_ns));
	for (int i = 0; i < 3; i++)
		attempt(&breaker, BREAKER_FAILURE, START);
	assert_in_range(breaker.until_ns, START + FIRST / 2, START + FIRST);
	assert_int_equal(breaker.open_count, 2);
}

static void test_attempts_from_before_it_opened_close_it_but_open_nothing(void **state)
{
	struct breaker breaker = opened();
	const uint64_t until_ns = breaker.until_ns;

	(void)state;
	assert_false(breaker_end(&breaker, &three, false, BREAKER_FAILURE, 0, START + 1));
	assert_int_equal(breaker.until_ns, until_ns);
	assert_true(breaker_begin(&breaker));
	assert_false(breaker_end(&breaker, &three, false, BREAKER_FAILURE, 0, until_ns));
	assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
	assert_false(breaker_allows(&breaker, until_ns));
	assert_true(breaker_end(&breaker, &three, false, BREAKER_SUCCESS, 0, until_ns));
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	assert_false(breaker_end(&breaker, &three, true, BREAKER_SUCCESS, 0, until_ns));
}

static void test_cancelled_probe_makes_way_for_another(void **state)
{
	struct breaker breaker = opened();
	const uint64_t now_ns = breaker.until_ns;

	(void)state;
	assert_false(attempt(&breaker, BREAKER_NO_RESULT, now_ns));
	assert_true(breaker_allows(&breaker, now_ns));
	assert_true(breaker_begin(&breaker));
	assert_false(breaker_allows(&breaker, now_ns));
}

static void test_it_stays_open_as_long_as_the_server_asks(void **state)
{
	static const struct breaker_options one = {.failures = 1, .first_wait_ns = FIRST, .max_wait_ns = MOST};
	struct breaker breaker = {0};

	(void)state;
	assert_true(breaker_end(&breaker, &one, breaker_begin(&breaker), BREAKER_FAILURE, 100 * NS_PER_S, START));
	assert_int_equal(breaker.until_ns, START + 100 * NS_PER_S);
	breaker = (struct breaker){0};
	assert_true(breaker_end(&breaker, &one, false, BREAKER_FAILURE, UINT64_MAX, START));
	assert_int_equal(breaker.until_ns, START + BACKOFF_RETRY_AFTER_MAX_NS);
}

static void test_without_a_number_of_failures_it_never_opens(void **state)
{
	static const struct breaker_options never = {.first_wait_ns = FIRST, .max_wait_ns = MOST};
	struct breaker breaker = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_false(breaker_end(&breaker, &never, breaker_begin(&breaker), BREAKER_FAILURE, 0, START));
	assert_true(breaker_allows(&breaker, START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_in_a_row_open_it),
		cmocka_unit_test(test_success_between_failures_keeps_it_closed),
		cmocka_unit_test(test_one_attempt_at_a_time_is_allowed_after_the_wait),
		cmocka_unit_test(test_waits_double_up_to_a_limit_and_begin_anew),
		cmocka_unit_test(test_attempts_from_before_it_opened_close_it_but_open_nothing),
		cmocka_unit_test(test_cancelled_probe_makes_way_for_another),
		cmocka_unit_test(test_it_stays_open_as_long_as_the_server_asks),
		cmocka_unit_test(test_without_a_number_of_failures_it_never_opens),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
