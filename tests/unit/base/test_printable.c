/* SPDX-License-Identifier: BSD-2-Clause */
/* What strangers send is shown, and cannot steer the terminal it is shown on. */
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

static void plain_text_stays(void **state)
{
	(void)state;
	check("", "");
	check("edge-7: host 10.0.0.1 \\d", "edge-7: host 10.0.0.1 \\d");
	check("Gr\xC3\xBC\xC3\x9F"
	      "e \xF0\x9F\x90\x9F",
	      "Gr\xC3\xBC\xC3\x9F"
	      "e \xF0\x9F\x90\x9F");
}

static void what_steers_a_terminal_is_escaped(void **state)
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

static void what_is_not_utf8_is_escaped(void **state)
{
	(void)state;
	check("\xff\xC3", "\\xFF\\xC3");
	check("\xED\xA0\x80", "\\xED\\xA0\\x80");
}

static void what_does_not_fit_is_cut_at_a_character(void **state)
{
	char into[9];

	(void)state;
	assert_string_equal(printable(into, sizeof(into), "12345678"), "12345678");
	assert_string_equal(printable(into, sizeof(into), "123456789"), "12345\xE2\x80\xA6");
	assert_string_equal(printable(into, sizeof(into), "1234\x1b\x1b"), "1234\xE2\x80\xA6");
	assert_string_equal(printable(into, 4, "123456789"), "\xE2\x80\xA6");
}

static void width_counts_characters(void **state)
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
		cmocka_unit_test(plain_text_stays),
		cmocka_unit_test(what_steers_a_terminal_is_escaped),
		cmocka_unit_test(what_is_not_utf8_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_cut_at_a_character),
		cmocka_unit_test(width_counts_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
