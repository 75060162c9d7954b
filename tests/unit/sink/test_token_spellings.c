/* SPDX-License-Identifier: BSD-2-Clause */
/* No spelling of a token gets into a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/token_spellings.h"

static void test_every_spelling_is_hidden(void **state)
{
	struct token_spellings token;
	char text[200];

	(void)state;
	assert_int_equal(token_spellings_init(&token, "aB/12 cd...", 8), 0); /* part of a longer text */
	assert_string_equal(token.spelled[TOKEN_ENCODED], "aB%2F12%20cd");
	token_spellings_scrub(&token, text, sizeof(text), "1 aB/12 cd 2 aB%2F12%20cd 3 ab/12 cd 4 AB/12 CD 5 aB/12");
	assert_string_equal(text, "1 *** 2 *** 3 *** 4 *** 5 ***"); /* its beginning at the end, too */
	token_spellings_scrub(&token, text, 8, "harmless text");
	assert_string_equal(text, "harmles");
	token_spellings_deinit(&token);
	token_spellings_deinit(&token);
}

static void test_empty_token_hides_nothing(void **state)
{
	struct token_spellings token;
	char text[20];

	(void)state;
	assert_int_equal(token_spellings_init(&token, "", 0), 0);
	token_spellings_scrub(&token, text, sizeof(text), "text");
	assert_string_equal(text, "text");
	token_spellings_deinit(&token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_spelling_is_hidden),
		cmocka_unit_test(test_empty_token_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
