/* SPDX-License-Identifier: BSD-2-Clause */
/* Columns are aligned, and no control character in a cell reaches the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/output/table.h"

static const struct table_column columns[] = {{"NAME", false}, {"N", true}, {"WHERE", false}};

static void check(const struct table *table, bool colors, int result, const char *expected)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	const struct terminal terminal = {.colors = colors, .results = out};

	assert_non_null(out);
	assert_int_equal(table_print(table, &terminal), result);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_columns_align_to_their_widest_cell(void **state)
{
	cleanup(cleanup_table) struct table *table = table_new(columns, 3);

	(void)state;
	table_cell(table, "Gr\xC3\xBC\xC3\x9F"
			  "e");
	table_cell(table, "1,234");
	table_cell(table, "here");
	table_cell(table, "x");
	table_cell(table, NULL);
	table_cell(table, "");
	check(table, false, 0,
	      "NAME       N  WHERE\n"
	      "Gr\xC3\xBC\xC3\x9F"
	      "e  1,234  here\n"
	      "x          -  -\n");
}

static void test_columns_that_do_not_fit_follow_below_their_row(void **state)
{
	cleanup(cleanup_table) struct table *table = table_new(columns, 3);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	const struct terminal terminal = {.results = out, .width = 20};

	(void)state;
	table_cell(table, "one");
	table_cell(table, "1");
	table_cell(table, "a text of several words and-a-word-that-is-too-long");
	table_cell(table, "other");
	table_cell(table, "22");
	table_cell(table, "here");
	assert_int_equal(table_print(table, &terminal), 0);
	fclose(out);
	assert_string_equal(text, "NAME    N\n"
				  "    WHERE\n"
				  "one     1\n"
				  "    a text of\n"
				  "    several words\n"
				  "    and-a-word-that-is-too-long\n"
				  "other  22\n"
				  "    here\n");
	free(text);
}

static void test_foreign_text_cannot_control_the_terminal(void **state)
{
	cleanup(cleanup_table) struct table *table = table_new(columns, 3);

	(void)state;
	table_cell(table, "\033[31ma\n");
	table_cell(table, "1");
	table_cell(table, "b\r");
	check(table, false, 0,
	      "NAME           N  WHERE\n"
	      "\\x1B[31ma\\x0A  1  b\\x0D\n");
}

static void test_colors_take_no_width(void **state)
{
	cleanup(cleanup_table) struct table *table = table_new(columns, 3);

	(void)state;
	table_cell_tone(table, "a", TONE_GOOD);
	table_cell(table, "1");
	table_cell(table, "b");
	check(table, true, 0,
	      "\033[1mNAME\033[0m  \033[1mN\033[0m  \033[1mWHERE\033[0m\n"
	      "\033[32ma\033[0m     1  b\n");
}

static void test_cells_and_rows_are_capped(void **state)
{
	cleanup(cleanup_table) struct table *table = table_new(columns, 3);
	char longer[2 * TABLE_CELL_MAX], *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	const struct terminal terminal = {.results = out};

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	table_cell(table, longer);
	for (size_t i = 1; i < (TABLE_ROWS_MAX + 1) * 3; i++)
		table_cell(table, "y");
	assert_int_equal(table_print(table, &terminal), -7);
	fclose(out);
	assert_true(strcspn(text, "\n") < TABLE_CELL_MAX + 16);
	assert_non_null(strstr(text, "x\xE2\x80\xA6  "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_align_to_their_widest_cell),
		cmocka_unit_test(test_columns_that_do_not_fit_follow_below_their_row),
		cmocka_unit_test(test_foreign_text_cannot_control_the_terminal),
		cmocka_unit_test(test_colors_take_no_width),
		cmocka_unit_test(test_cells_and_rows_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
