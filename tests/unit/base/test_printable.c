/* SPDX-License-Identifier: BSD-2-Clause */
/* Foreign text is shown, but cannot control the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/printable.h"

static void check(const char *text, const char *expected)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(1024);
	char into[256];

	assert_int_equal(printable_append(&out, text, strlen(text)), 0);
	assert_string_equal(buffer_text(&out), expected);
	assert_string_equal(printable(into, sizeof(into), text), expected);
}

static void test_plain_text_is_unchanged(void **state)
{
	(void)state;
	check("", "");
	check("edge-7: host 10.0.0.1 \\d", "edge-7: host 10.0.0.1 \\d");
	check("Gr\xC3\xBC\xC3\x9F"
	      "e \xF0\x9F\x90\x9F",
	      "Gr\xC3\xBC\xC3\x9F"
	      "e \xF0\x9F\x90\x9F");
}

static void test_terminal_controls_are_escaped(void **state)
{
	(void)state;
	check("\x1b[31mred\r\n\t", "\\x1B[31mred\\x0D\\x0A\\x09");
	check("\x7f\xC2\x9B"
	      "2J",
	      "\\x7F\\xC2\\x9B"
	      "2J");
	check("\xE2\x80\xAE"
	      "gnp",
	      "\\xE2\\x80\\xAEgnp"); /* right-to-left override */
}

static void test_invalid_utf8_is_escaped(void **state)
{
	(void)state;
	check("\xff\xC3", "\\xFF\\xC3");
	check("\xED\xA0\x80", "\\xED\\xA0\\x80");
}

static void test_long_text_is_cut_between_characters(void **state)
{
	char into[9];

	(void)state;
	assert_string_equal(printable(into, sizeof(into), "12345678"), "12345678");
	assert_string_equal(printable(into, sizeof(into), "123456789"), "12345\xE2\x80\xA6");
	assert_string_equal(printable(into, sizeof(into), "1234\x1b\x1b"), "1234\xE2\x80\xA6");
	assert_string_equal(printable(into, 4, "123456789"), "\xE2\x80\xA6");
}

static void check_word(const char *text, const char *expected)
{
	char into[256];

	assert_string_equal(printable_word(into, sizeof(into), text), expected);
}

static void test_word_needs_no_more_thought_in_a_shell(void **state)
{
	char into[8];

	(void)state;
	check_word("r-1.2_Z", "r-1.2_Z");
	check_word("", "''");
	check_word("a b", "'a b'");
	check_word("$(reboot)`x`\"", "'$(reboot)`x`\"'");
	check_word("it's", "'it'\\''s'");
	check_word("a\nb", "'a\\x0Ab'");
	assert_true(strlen(printable_word(into, sizeof(into), "''''''''")) < sizeof(into));
	assert_string_equal(printable_word(into, sizeof(into), "a b c d e f"), "'a '");
}

static void test_width_counts_characters(void **state)
{
	(void)state;
	assert_int_equal(printable_width(""), 0);
	assert_int_equal(printable_width("Gr\xC3\xBC\xC3\x9F"
					 "e"),
			 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_is_unchanged),
		cmocka_unit_test(test_terminal_controls_are_escaped),
		cmocka_unit_test(test_invalid_utf8_is_escaped),
		cmocka_unit_test(test_long_text_is_cut_between_characters),
		cmocka_unit_test(test_word_needs_no_more_thought_in_a_shell),
		cmocka_unit_test(test_width_counts_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
