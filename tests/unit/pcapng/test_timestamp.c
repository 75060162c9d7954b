/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "pcapng/timestamp.h"

static void check(uint64_t ticks, uint8_t tsresol, int64_t offset_s, uint64_t expected)
{
	uint64_t time_ns = 0;

	assert_int_equal(timestamp_to_ns(ticks, tsresol, offset_s, &time_ns), 0);
	assert_true(time_ns == expected);
}

static void test_powers_of_ten_are_converted(void **state)
{
	(void)state;
	check(7, 0, 0, 7000000000);
	check(1795423260123456, 6, 0, 1795423260123456000);
	check(1795423260123456789, 9, 0, 1795423260123456789);
	check(1795423260123, 3, 0, 1795423260123000000);
	check(1234567890123, 12, 0, 1234567890);
	check(UINT64_MAX, 19, 0, 1844674407);
	check(999, 12, 0, 0);
}

static void test_powers_of_two_are_converted(void **state)
{
	(void)state;
	check(7, 0x80, 0, 7000000000);
	check(3, 0x81, 0, 1500000000);
	check(1023, 0x8a, 0, 999023437);
	check(UINT64_C(1795423260) << 32 | 0x80000000, 0x80 | 32, 0, 1795423260500000000);
	check(UINT64_MAX, 0x80 | 63, 0, 1999999999);
}

static void test_offset_is_added(void **state)
{
	(void)state;
	check(500000000, 9, 1795423260, 1795423260500000000);
	check(1795423260500000, 6, -1795423260, 500000000);
	check(UINT64_MAX, 9, -1, UINT64_MAX - 1000000000);
}

static void test_times_beyond_64_bit_nanoseconds_are_refused(void **state)
{
	uint64_t time_ns = 42;

	(void)state;
	assert_int_equal(timestamp_to_ns(UINT64_MAX, 9, 0, &time_ns), -ERANGE);
	check(UINT64_MAX - 1, 9, 0, UINT64_MAX - 1);
	assert_int_equal(timestamp_to_ns(UINT64_MAX, 0, 0, &time_ns), -ERANGE);
	assert_int_equal(timestamp_to_ns(UINT64_MAX, 0, INT64_MAX, &time_ns), -ERANGE);
	assert_int_equal(timestamp_to_ns(999999999, 9, -1, &time_ns), -ERANGE);
	assert_int_equal(timestamp_to_ns(0, 6, INT64_MIN, &time_ns), -ERANGE);
	assert_int_equal(timestamp_to_ns(0, 6, INT64_MAX, &time_ns), -ERANGE);
	assert_int_equal(time_ns, 42);
	check(1000000000, 9, -1, 0);
}

static void test_resolutions_beyond_64_bits_are_unknown(void **state)
{
	(void)state;
	assert_true(timestamp_resolution_known(0));
	assert_true(timestamp_resolution_known(19));
	assert_false(timestamp_resolution_known(20));
	assert_false(timestamp_resolution_known(127));
	assert_true(timestamp_resolution_known(0x80));
	assert_true(timestamp_resolution_known(0x80 | 63));
	assert_false(timestamp_resolution_known(0x80 | 64));
	assert_false(timestamp_resolution_known(0xff));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_powers_of_ten_are_converted),
		cmocka_unit_test(test_powers_of_two_are_converted),
		cmocka_unit_test(test_offset_is_added),
		cmocka_unit_test(test_times_beyond_64_bit_nanoseconds_are_refused),
		cmocka_unit_test(test_resolutions_beyond_64_bits_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
