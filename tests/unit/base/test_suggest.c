/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/suggest.h"

static const char *const known[] = {"interface",  "timeout", "packets", NULL,	 "port",
				    "snaplength", "id",	     "node",	"nodere"};

static const char *among_known(const char *word)
{
	return suggest(word, known, sizeof(known) / sizeof(*known));
}

static void test_typo_finds_the_name(void **state)
{
	(void)state;
	assert_string_equal(among_known("timout"), "timeout");
	assert_string_equal(among_known("packet"), "packets");
	assert_string_equal(among_known("interfaces"), "interface");
	assert_string_equal(among_known("prot"), "port");
	assert_string_equal(among_known("snaplen"), "snaplength");
}

static void test_case_does_not_matter(void **state)
{
	(void)state;
	assert_string_equal(among_known("TimeOut"), "timeout");
	assert_string_equal(among_known("ID"), "id");
}

static void test_nearest_name_wins(void **state)
{
	(void)state;
	assert_string_equal(among_known("noder"), "node");
	assert_string_equal(among_known("nodree"), "nodere");
	assert_string_equal(among_known("nod"), "node");
}

static void test_transposition_counts_as_one_edit(void **state)
{
	static const char *const near[] = {"abxy", "abdc"};

	(void)state;
	assert_string_equal(suggest("abcd", near, 2), "abdc");
}

static void test_no_near_name_gives_no_suggestion(void **state)
{
	char word[400];

	(void)state;
	assert_null(among_known("customer"));
	assert_null(among_known(""));
	assert_null(among_known("x"));
	assert_null(among_known("ix"));
	assert_null(suggest("port", known, 0));
	memset(word, 'i', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	assert_null(among_known(word));
}

static void test_long_known_names_are_ignored(void **state)
{
	char word[66];
	const char *const names[] = {word};

	(void)state;
	memset(word, 'i', sizeof(word));
	word[65] = '\0';
	assert_null(suggest(word + 1, names, 1));
	word[64] = '\0';
	assert_ptr_equal(suggest(word + 1, names, 1), word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_typo_finds_the_name),
		cmocka_unit_test(test_case_does_not_matter),
		cmocka_unit_test(test_nearest_name_wins),
		cmocka_unit_test(test_transposition_counts_as_one_edit),
		cmocka_unit_test(test_no_near_name_gives_no_suggestion),
		cmocka_unit_test(test_long_known_names_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
