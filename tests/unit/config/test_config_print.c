/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration table and the texts printed from it are complete and correct. */
#include "config_fixture.h"

#include <string.h>

#include "config/config_table.h"
#include "config/config_value.h"

static struct buffer out = BUFFER_INIT(1024 * 1024);

static int clear_out(void **state)
{
	buffer_deinit(&out);
	return fixture_teardown(state);
}

static void assert_same_value(const struct config_row *row, const char *a, const char *b)
{
	const size_t size = row->type == CONFIG_BOOL ? sizeof(bool) : sizeof(uint64_t);
	const size_t offset = row->base + row->offset;

	if (config_type_is_text(row->type))
		assert_string_equal(*(char *const *)(const void *)(a + offset),
				    *(char *const *)(const void *)(b + offset));
	else if (row->type != CONFIG_STRINGS)
		assert_memory_equal(a + offset, b + offset, size);
}

/* Compares all rows of the file except those of repeated sections. */
static void assert_same_configuration(const struct config *a, const struct config *b)
{
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->section && !config_section_find(row->section)->repeated && row->offset != CONFIG_NO_FIELD)
			assert_same_value(row, (const char *)a, (const char *)b);
	}
}

/* Removes the # before every key and section. */
static void uncomment(struct buffer *text)
{
	char *to = text->data;

	for (const char *from = text->data; *from; from++)
		if (!(*from == '#' && (from == text->data || from[-1] == '\n') && from[1] != ' '))
			*to++ = *from;
	*to = '\0';
	text->size = (size_t)(to - text->data);
}

static void test_example_loads_commented_and_uncommented_as_the_defaults(void **state)
{
	struct config *defaults;

	(void)state;
	assert_loads("");
	defaults = take(fixture_config);
	assert_int_equal(config_print_example(&out), 0);
	assert_loads(out.data);
	assert_same_configuration(fixture_config, defaults);
	assert_int_equal(fixture_config->interface_count, 0);

	uncomment(&out);
	assert_loads(out.data);
	assert_same_configuration(fixture_config, defaults);
	assert_int_equal(fixture_config->interface_count, 1);
	config_free(defaults);
}

static void test_example_and_manual_have_every_key(void **state)
{
	char line[128];

	(void)state;
	assert_int_equal(config_print_example(&out), 0);
	for (size_t i = 0; i < config_row_count; i++) {
		snprintf(line, sizeof(line), "\n#%s = ", config_rows[i].key);
		assert_true(!config_rows[i].section || config_rows[i].of_type || strstr(out.data, line));
	}
	buffer_clear(&out);
	assert_int_equal(config_print_manual(&out), 0);
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		snprintf(line, sizeof(line), "\n.It Cm %s No = ", row->key);
		assert_true(!row->section || strstr(out.data, line));
		snprintf(line, sizeof(line), "\n.It Fl %s%s%s\n", row->option, row->argument ? " Ar " : "",
			 row->argument ? row->argument : "");
		assert_true(!row->option || strstr(out.data, line));
	}
}

static void test_help_has_every_option_in_at_most_100_columns(void **state)
{
	char line[128];

	(void)state;
	assert_int_equal(config_print_help(&out), 0);
	for (size_t i = 0; i < config_row_count; i++) {
		snprintf(line, sizeof(line), "\n  -%s ", config_rows[i].option);
		assert_true(!config_rows[i].option || strstr(out.data, line));
	}
	for (const char *c = out.data; *c; c = strchr(c, '\n') + 1)
		assert_true(strcspn(c, "\n") <= 100);
}

static void test_full_buffer_is_an_error(void **state)
{
	struct buffer small = BUFFER_INIT(100);

	(void)state;
	assert_true(config_print_help(&small) < 0);
	assert_true(config_print_example(&small) < 0);
	assert_true(config_print_manual(&small) < 0);
	buffer_deinit(&small);
}

static void test_every_row_is_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];
		struct toml_value value = config_value_from_word(row, row->fallback);
		struct error err = {0};

		assert_non_null(row->help);
		assert_true(row->help[strlen(row->help) - 1] != '.');
		assert_true(row->section || row->option);
		assert_int_equal(!row->section, !row->key);
		assert_true(!row->section || config_section_find(row->section));
		assert_int_equal(row->type == CONFIG_BOOL, !row->argument);
		assert_true(row->type != CONFIG_CHOICE || row->choices);
		assert_true(!row->key || config_row_find(row->section, row->key) == row);
		assert_true(!row->option || config_row_find_option(row->option) == row);
		if (row->required && !*row->fallback)
			continue;
		if (config_value_apply(row, &value, NULL, &err) != 0)
			fail_msg("default of %s: %s", row->key ? row->key : row->option, err.text);
		assert_true(!row->unsupported || !config_value_is_on(&value));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, clear_out)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_example_loads_commented_and_uncommented_as_the_defaults),
		TEST(test_example_and_manual_have_every_key),
		TEST(test_help_has_every_option_in_at_most_100_columns),
		TEST(test_full_buffer_is_an_error),
		TEST(test_every_row_is_valid),
	};

	return cmocka_run_group_tests_name("config_print", tests, NULL, NULL);
}
