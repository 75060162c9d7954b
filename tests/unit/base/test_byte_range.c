/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/byte_range.h"

static void check_reads(const struct byte_range *range)
{
	char into[8] = "";

	assert_int_equal(byte_range_read(range, 0, into, 3), 3);
	assert_memory_equal(into, "cde", 3);
	assert_int_equal(byte_range_read(range, 2, into, 8), 3);
	assert_memory_equal(into, "efg", 3);
	assert_int_equal(byte_range_read(range, 4, into, 0), 0);
	assert_int_equal(byte_range_read(range, 5, into, 8), 0);
	assert_int_equal(byte_range_read(range, UINT64_MAX, into, 8), 0);
	assert_int_equal(byte_range_read(range, 0, into, 1), 1);
	assert_memory_equal(into, "c", 1);
}

static void test_memory_is_read_up_to_its_end(void **state)
{
	const struct byte_range range = {.bytes = (const uint8_t *)"cdefg", .size_bytes = 5};

	(void)state;
	check_reads(&range);
}

static void test_part_of_a_file_is_read_up_to_its_end(void **state)
{
	cleanup(cleanup_close) int fd = memfd_create("range", MFD_CLOEXEC);
	const struct byte_range range = {.fd = fd, .start = 2, .size_bytes = 5};

	(void)state;
	assert_int_equal(write(fd, "abcdefghi", 9), 9);
	check_reads(&range);
}

static void test_truncated_or_closed_file_is_an_error(void **state)
{
	cleanup(cleanup_close) int fd = memfd_create("range", MFD_CLOEXEC);
	const struct byte_range range = {.fd = fd, .size_bytes = 5}, closed = {.fd = -1, .size_bytes = 5};
	char into[8];

	(void)state;
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(byte_range_read(&range, 0, into, 8), -EIO);
	assert_int_equal(byte_range_read(&range, 0, into, 3), 3);
	assert_int_equal(byte_range_read(&closed, 0, into, 3), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_read_up_to_its_end),
		cmocka_unit_test(test_part_of_a_file_is_read_up_to_its_end),
		cmocka_unit_test(test_truncated_or_closed_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
