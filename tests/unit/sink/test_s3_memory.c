/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sink/s3/s3_memory.h"

static void count(void *ctx)
{
	++*(unsigned *)ctx;
}

static void test_memory_is_granted_in_order(void **state)
{
	struct s3_memory memory;
	unsigned granted = 0;
	struct s3_room huge = {.size = 2 * S3_MEMORY_MAX, .granted = count, .ctx = &granted};
	struct s3_room half = {.size = S3_MEMORY_MAX / 2, .granted = count, .ctx = &granted}, other = half,
		       third = half;

	(void)state;
	s3_memory_init(&memory);
	assert_true(s3_memory_take(&memory, &huge)); /* alone it may exceed the limit */
	assert_false(s3_memory_take(&memory, &half));
	assert_false(s3_memory_take(&memory, &other));
	s3_memory_give(&memory, huge.size);
	assert_int_equal(granted, 2);
	assert_false(s3_memory_take(&memory, &huge));
	assert_false(s3_memory_take(&memory, &third)); /* waits after the huge one */
	s3_memory_give(&memory, half.size);
	assert_int_equal(granted, 2);
	s3_memory_forget(&memory, &huge);
	s3_memory_forget(&memory, &huge);
	s3_memory_give(&memory, other.size);
	assert_int_equal(granted, 3);
	s3_memory_give(&memory, third.size);
	assert_int_equal(memory.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_is_granted_in_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
