/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"

static void test_empty_buffer_has_empty_text(void **state)
{
	struct buffer buffer = BUFFER_INIT(10);

	(void)state;
	assert_string_equal(buffer_text(&buffer), "");
	assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
	assert_string_equal(buffer_text(&buffer), "");
	buffer_deinit(&buffer);
}

static void test_content_is_kept_in_order_and_terminated(void **state)
{
	struct buffer buffer = BUFFER_INIT(1000);

	(void)state;
	assert_int_equal(buffer_append(&buffer, "a\0b", 3), 0);
	assert_int_equal(buffer_append_string(&buffer, "cd"), 0);
	assert_int_equal(buffer_printf(&buffer, "%d-%s", 42, "x"), 0);
	assert_int_equal(buffer.size, 9);
	assert_memory_equal(buffer_text(&buffer), "a\0bcd42-x", 10);
	buffer_deinit(&buffer);
}

static void test_cap_is_exact(void **state)
{
	struct buffer buffer = BUFFER_INIT(100);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(buffer_append(&buffer, "x", 1), 0);
	assert_int_equal(buffer.size, 100);
	assert_true(buffer.room <= 101);
	assert_int_equal(buffer_append(&buffer, "", 0), 0);
	assert_int_equal(buffer_append(&buffer, "y", 1), -EMSGSIZE);
	assert_int_equal(buffer_append_string(&buffer, "y"), -EMSGSIZE);
	assert_int_equal(buffer_printf(&buffer, "%c", 'y'), -EMSGSIZE);
	assert_int_equal(buffer_append(&buffer, "y", SIZE_MAX), -EMSGSIZE);
	assert_int_equal(strspn(buffer_text(&buffer), "x"), 100);
	assert_int_equal(strlen(buffer_text(&buffer)), 100);
	buffer_deinit(&buffer);
}

static void test_oversized_append_leaves_the_buffer_untouched(void **state)
{
	struct buffer buffer = BUFFER_INIT(SIZE_MAX);

	(void)state;
	assert_int_equal(buffer_append_string(&buffer, "abc"), 0);
	/* More than any address space holds: the source is never read. */
	assert_true(buffer_append(&buffer, "x", SIZE_MAX - 3) == -EMSGSIZE);
	assert_string_equal(buffer_text(&buffer), "abc");
	buffer_deinit(&buffer);
}

static void test_clear_keeps_the_memory_and_deinit_frees_it(void **state)
{
	struct buffer buffer = BUFFER_INIT(1000);

	(void)state;
	assert_int_equal(buffer_append_string(&buffer, "hello"), 0);
	char *data = buffer.data;
	buffer_clear(&buffer);
	assert_ptr_equal(buffer.data, data);
	assert_string_equal(buffer_text(&buffer), "");
	assert_int_equal(buffer_append_string(&buffer, "again"), 0);
	assert_string_equal(buffer_text(&buffer), "again");
	buffer_deinit(&buffer);
	assert_null(buffer.data);
	assert_string_equal(buffer_text(&buffer), "");
	assert_int_equal(buffer_append_string(&buffer, "usable"), 0);
	buffer_deinit(&buffer);
}

static void test_read_continues_at_its_position(void **state)
{
	struct buffer buffer = BUFFER_INIT(100);
	char into[8] = "";
	size_t at = 0;

	(void)state;
	assert_int_equal(buffer_read(&buffer, &at, into, sizeof(into)), 0);
	assert_int_equal(buffer_append_string(&buffer, "abcdefg"), 0);
	assert_int_equal(buffer_read(&buffer, &at, into, 0), 0);
	assert_int_equal(buffer_read(&buffer, &at, into, 4), 4);
	assert_int_equal(buffer_read(&buffer, &at, into + 4, 4), 3);
	assert_string_equal(into, "abcdefg");
	assert_int_equal(buffer_read(&buffer, &at, into, 4), 0);
	assert_int_equal(at, 7);
	buffer_deinit(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_buffer_has_empty_text),
		cmocka_unit_test(test_content_is_kept_in_order_and_terminated),
		cmocka_unit_test(test_cap_is_exact),
		cmocka_unit_test(test_oversized_append_leaves_the_buffer_untouched),
		cmocka_unit_test(test_clear_keeps_the_memory_and_deinit_frees_it),
		cmocka_unit_test(test_read_continues_at_its_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
