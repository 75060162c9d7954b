/* SPDX-License-Identifier: BSD-2-Clause */
/* Foreign text for a user fits, is UTF-8 and holds no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sink/report_text.h"

static void check_put(size_t room, const char *text, const char *expected)
{
	char into[64];

	memset(into, 'X', sizeof(into));
	report_text_copy(into, room, text);
	assert_string_equal(into, expected);
	assert_int_equal(into[room], 'X');
}

static void test_text_is_cut_to_the_room(void **state)
{
	(void)state;
	check_put(6, "hello", "hello");
	check_put(5, "hello", "hell");
	check_put(1, "hello", "");
	check_put(4, "", "");
}

static void test_text_is_cut_between_characters(void **state)
{
	(void)state;
	check_put(4, "ab\xc3\xa4", "ab");
	check_put(5, "ab\xc3\xa4", "ab\xc3\xa4");
	check_put(5, "a\xf0\x9f\x98\x80", "a");
	check_put(6, "a\xf0\x9f\x98\x80", "a\xf0\x9f\x98\x80");
}

static void test_invalid_utf8_becomes_question_marks(void **state)
{
	(void)state;
	check_put(20, "a\xff\xc3", "a??");
	check_put(20, "\xc0\xaf\xed\xa0\x80", "?????");
}

static void check_scrub(const char *text, const char *secret, const char *expected)
{
	char *scrubbed = report_text_scrub(text, secret);

	assert_non_null(scrubbed);
	assert_string_equal(scrubbed, expected);
	free(scrubbed);
}

static void test_secret_is_masked_everywhere(void **state)
{
	(void)state;
	check_scrub("x", "secret", "x");
	check_scrub("", "secret", "");
	check_scrub("secret", "secret", "***");
	check_scrub("secretsecret/api/secret?", "secret", "******/api/***?");
	check_scrub("aaaa", "a", "************");
	check_scrub("nothing hidden", "", "nothing hidden");
}

static void test_secret_cut_off_at_the_end_is_masked(void **state)
{
	(void)state;
	check_scrub("GET /v1/secre", "secret", "GET /v1/***");
	check_scrub("GET /v1/secr", "secret", "GET /v1/***");
	check_scrub("GET /v1/sec", "secret", "GET /v1/sec"); /* too short to be masked */
	check_scrub("secretsecre", "secret", "******");
}

static void check_line(const char *text, const char *expected)
{
	char line[2 * REPORT_LINE_MAX];

	snprintf(line, sizeof(line), "%s", text);
	report_text_line(line);
	assert_string_equal(line, expected);
}

static void test_answer_becomes_one_line_without_markup(void **state)
{
	char longer[2 * REPORT_LINE_MAX] = "";

	(void)state;
	check_line("<html>\r\n<head><title>403 Forbidden</title></head>\r\n<hr>nginx</html>\r\n",
		   "403 Forbidden nginx");
	check_line("<Code>AccessDenied</Code><Message>no</Message>", "AccessDenied no");
	check_line(" a\tb\033[1m\n", "a b [1m");
	check_line("2 < 3 and nothing else", "2 < 3 and nothing else");
	check_line("<>", "");
	check_line("", "");
	memset(longer, 'x', sizeof(longer) - 1);
	report_text_line(longer);
	assert_int_equal(strlen(longer), REPORT_LINE_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_cut_to_the_room),
		cmocka_unit_test(test_text_is_cut_between_characters),
		cmocka_unit_test(test_invalid_utf8_becomes_question_marks),
		cmocka_unit_test(test_secret_is_masked_everywhere),
		cmocka_unit_test(test_secret_cut_off_at_the_end_is_masked),
		cmocka_unit_test(test_answer_becomes_one_line_without_markup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
