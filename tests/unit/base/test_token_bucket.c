/* SPDX-License-Identifier: BSD-2-Clause */
/* A bucket holds one second's tokens and refills at its rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/token_bucket.h"

#define START_NS (1000 * NS_PER_S)

static void test_full_bucket_holds_one_second(void **state)
{
	struct token_bucket bucket;

	(void)state;
	token_bucket_init(&bucket, START_NS);
	for (int i = 0; i < 3; i++)
		assert_true(token_bucket_take(&bucket, 3, START_NS));
	assert_false(token_bucket_take(&bucket, 3, START_NS));
}

static void test_tokens_refill_at_the_rate(void **state)
{
	struct token_bucket bucket;

	(void)state;
	token_bucket_init(&bucket, START_NS);
	for (int i = 0; i < 4; i++)
		assert_true(token_bucket_take(&bucket, 4, START_NS));
	assert_false(token_bucket_take(&bucket, 4, START_NS + NS_PER_S / 4 - 1));
	assert_true(token_bucket_take(&bucket, 4, START_NS + NS_PER_S / 4));
	assert_false(token_bucket_take(&bucket, 4, START_NS + NS_PER_S / 4));
}

static void test_idle_bucket_saves_at_most_one_second(void **state)
{
	struct token_bucket bucket;

	(void)state;
	token_bucket_init(&bucket, START_NS);
	for (int i = 0; i < 2; i++)
		assert_true(token_bucket_take(&bucket, 2, START_NS + 100 * NS_PER_S));
	assert_false(token_bucket_take(&bucket, 2, START_NS + 100 * NS_PER_S));
}

static void test_burst_is_what_a_full_bucket_holds(void **state)
{
	struct token_bucket bucket;

	(void)state;
	token_bucket_init_burst(&bucket, 2, 10, START_NS);
	for (int i = 0; i < 10; i++)
		assert_true(token_bucket_take_burst(&bucket, 2, 10, START_NS));
	assert_false(token_bucket_take_burst(&bucket, 2, 10, START_NS + NS_PER_S / 2 - 1));
	assert_true(token_bucket_take_burst(&bucket, 2, 10, START_NS + NS_PER_S / 2));
	for (int i = 0; i < 10; i++)
		assert_true(token_bucket_take_burst(&bucket, 2, 10, START_NS + 100 * NS_PER_S));
	assert_false(token_bucket_take_burst(&bucket, 2, 10, START_NS + 100 * NS_PER_S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_bucket_holds_one_second),
		cmocka_unit_test(test_tokens_refill_at_the_rate),
		cmocka_unit_test(test_burst_is_what_a_full_bucket_holds),
		cmocka_unit_test(test_idle_bucket_saves_at_most_one_second),
	};

	return cmocka_run_group_tests_name("token_bucket", tests, NULL, NULL);
}
