/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "trigger/line_frame.h"

static void assert_messages(const char *bytes, size_t size, const char *const *expected, enum line_frame_kind end)
{
	struct line_frame frame;
	enum line_frame_kind kind;
	size_t at = 0;

	while ((kind = line_frame_first(bytes + at, size - at, &frame)) == LINE_FRAME_WHOLE) {
		assert_non_null(*expected);
		assert_int_equal(frame.size, strlen(*expected));
		assert_memory_equal(frame.text, *expected, frame.size);
		expected++;
		at += frame.taken;
	}
	assert_null(*expected);
	if (kind == LINE_FRAME_NONE)
		kind = line_frame_last(bytes + at, size - at, &frame);
	assert_int_equal(kind, end);
}

#define ASSERT_MESSAGES(text, end, ...) \
	assert_messages(text, sizeof(text) - 1, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, end)

static void test_lines_and_counted_messages_may_follow_each_other(void **state)
{
	(void)state;
	ASSERT_MESSAGES("<34>a\n", LINE_FRAME_NONE, "<34>a");
	ASSERT_MESSAGES("a\r\n\nb\n", LINE_FRAME_NONE, "a", "", "b");
	ASSERT_MESSAGES("5 hello5 world", LINE_FRAME_NONE, "hello", "world");
	ASSERT_MESSAGES("7 a\nb c\r\n<34>d\n3 e\nf", LINE_FRAME_NONE, "a\nb c", "<34>d", "e\nf");
}

static void test_a_number_is_a_length_only_before_a_blank(void **state)
{
	(void)state;
	ASSERT_MESSAGES("12345\n0 x\n007 x\n", LINE_FRAME_NONE, "12345", "0 x", "007 x");
	ASSERT_MESSAGES("123456789 text\n", LINE_FRAME_NONE, "123456789 text");
}

static void test_the_end_of_a_stream_ends_a_line_but_cuts_off_a_counted_message(void **state)
{
	(void)state;
	ASSERT_MESSAGES("a\nlast", LINE_FRAME_WHOLE, "a");
	ASSERT_MESSAGES("12", LINE_FRAME_WHOLE);
	ASSERT_MESSAGES("5 hell", LINE_FRAME_CUT_OFF);
}

static void test_messages_have_a_cap(void **state)
{
	const size_t size = LINE_BYTES_MAX + 1;
	cleanup(cleanup_free) char *line = malloc(size + 1);
	struct line_frame frame;

	(void)state;
	ASSERT_MESSAGES("1048577 x", LINE_FRAME_TOO_LONG);
	ASSERT_MESSAGES("1048576 x", LINE_FRAME_CUT_OFF);
	assert_non_null(line);
	memset(line, 'x', size);
	line[size] = '\n';
	assert_int_equal(line_frame_first(line, size, &frame), LINE_FRAME_TOO_LONG);
	assert_int_equal(line_frame_first(line, size + 1, &frame), LINE_FRAME_TOO_LONG);
	assert_int_equal(line_frame_first(line + 1, size, &frame), LINE_FRAME_WHOLE);
	assert_int_equal(frame.size, LINE_BYTES_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_and_counted_messages_may_follow_each_other),
		cmocka_unit_test(test_a_number_is_a_length_only_before_a_blank),
		cmocka_unit_test(test_the_end_of_a_stream_ends_a_line_but_cuts_off_a_counted_message),
		cmocka_unit_test(test_messages_have_a_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
