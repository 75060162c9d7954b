/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines are parsed, or refused with a hint; a password does not stay visible to ps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/cli/command_line.h"

#define WORDS_MAX 16

/* A writable argv, as the kernel passes it. */
struct typed {
	char text[512];
	char *argv[WORDS_MAX];
	int argc;
	struct command_line line;
	struct error err;
	int result;
};

/* Words are separated by '|'. */
static void type(struct typed *typed, const char *words)
{
	memset(typed, 0, sizeof(*typed));
	snprintf(typed->text, sizeof(typed->text), "pcapctl|%s", words);
	for (char *at = typed->text; at; typed->argc++) {
		typed->argv[typed->argc] = at;
		at = strchr(at, '|');
		if (at)
			*at++ = '\0';
	}
	typed->result = command_line_parse(typed->argc, typed->argv, &typed->line, &typed->err);
}

static void check_refused(const char *words, const char *text)
{
	struct typed typed;

	type(&typed, words);
	assert_int_equal(typed.result, -22);
	assert_string_equal(typed.err.text, text);
	command_line_deinit(&typed.line);
}

static void test_options_may_stand_anywhere_and_the_rest_is_the_filter(void **state)
{
	struct typed typed;

	(void)state;
	type(&typed, "capture|--nodere|^edge|-i|eth0|host|10.0.0.1|--wait|and|port|53|-c5");
	assert_int_equal(typed.result, 0);
	assert_string_equal(typed.line.command->name, "capture");
	assert_string_equal(command_line_value(&typed.line, OPTION_NODERE), "^edge");
	assert_string_equal(command_line_value(&typed.line, OPTION_PACKETS), "5");
	assert_true(command_line_has(&typed.line, OPTION_WAIT));
	assert_string_equal(typed.line.filter, "host 10.0.0.1 and port 53");
	command_line_deinit(&typed.line);
}

static void test_values_may_follow_an_equals_sign(void **state)
{
	struct typed typed;

	(void)state;
	type(&typed, "--json|capture|--interface=a,b|-i=c|-qw=x");
	assert_int_equal(typed.result, 0);
	assert_int_equal(typed.line.values[OPTION_INTERFACE].count, 2);
	assert_string_equal(typed.line.values[OPTION_INTERFACE].items[0], "a,b");
	assert_string_equal(typed.line.values[OPTION_INTERFACE].items[1], "c");
	assert_string_equal(command_line_value(&typed.line, OPTION_WRITE), "x");
	assert_true(command_line_has(&typed.line, OPTION_QUIET));
	assert_true(command_line_has(&typed.line, OPTION_JSON));
	assert_null(typed.line.filter);
	command_line_deinit(&typed.line);
}

static void test_dash_at_either_end_is_standard_output(void **state)
{
	static const char *const lines[] = {"history|-i|eth0|-|ip[0] - 5 > 3", "history|-|-i|eth0|ip[0]|-|5|>|3",
					    "history|-i|eth0|ip[0]|-|5|>|3|-"};
	struct typed typed;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		type(&typed, lines[i]);
		assert_int_equal(typed.result, 0);
		assert_true(typed.line.to_stdout);
		assert_string_equal(typed.line.filter, "ip[0] - 5 > 3");
		command_line_deinit(&typed.line);
	}
	type(&typed, "history|-i|eth0|ip[0]|-|5|>|3");
	assert_false(typed.line.to_stdout);
	command_line_deinit(&typed.line);
	type(&typed, "history|-i|eth0|-");
	assert_true(typed.line.to_stdout);
	assert_null(typed.line.filter);
	command_line_deinit(&typed.line);
}

static void test_two_dashes_end_the_options(void **state)
{
	struct typed typed;

	(void)state;
	type(&typed, "show|--|--json");
	assert_int_equal(typed.result, 0);
	assert_string_equal(typed.line.words[0], "--json");
	assert_false(command_line_has(&typed.line, OPTION_JSON));
	command_line_deinit(&typed.line);
}

static void test_typos_are_refused_with_a_suggestion(void **state)
{
	(void)state;
	check_refused("captrue", "unknown command \"captrue\" (did you mean \"capture\"?)");
	check_refused("frobnicate", "unknown command \"frobnicate\"; `pcapctl --help` lists them");
	check_refused("capture|--pakets|5", "unknown option --pakets (did you mean --packets?)");
	check_refused("list|--pakets", "unknown option --pakets; `pcapctl list --help` lists them");
	check_refused("capture|-x", "unknown option -x; `pcapctl capture --help` lists them");
	check_refused("list|--packets|5", "`pcapctl list` takes no --packets; `pcapctl list --help` lists its options");
	check_refused("--packets|5|capture", "--packets must follow its command, as in `pcapctl capture --packets`");
}

static void test_missing_and_excess_arguments_are_refused(void **state)
{
	(void)state;
	check_refused("capture|--packets", "--packets needs a value (COUNT)");
	check_refused("capture|--packets=", "--packets: the value is empty");
	check_refused("capture|-c|1|--packets|2", "--packets is given twice");
	check_refused("capture|--wait=yes", "--wait takes no value");
	check_refused("show", "`pcapctl show` needs ID; see `pcapctl show --help`");
	check_refused("show|a|b", "`pcapctl show` takes only ID; see `pcapctl show --help`");
	check_refused("list|a", "`pcapctl list` takes no arguments; see `pcapctl list --help`");
}

static void test_errors_show_no_control_characters_and_no_values(void **state)
{
	(void)state;
	check_refused("cap\033[2Jture", "unknown command \"cap\\x1B[2Jture\"; `pcapctl --help` lists them");
	check_refused("capture|--rediss=redis://u:secret@h/c", "unknown option --rediss (did you mean --redis?)");
}

static void test_redis_url_is_wiped_from_the_command_line(void **state)
{
	static const char *const lines[] = {"nodes|--redis|redis://u:secret@h/c", "nodes|--redis=redis://u:secret@h/c"};
	struct typed typed;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		type(&typed, lines[i]);
		assert_int_equal(typed.result, 0);
		assert_string_equal(typed.line.redis, "redis://u:secret@h/c");
		assert_null(memmem(typed.text, sizeof(typed.text), "secret", 6));
		command_line_deinit(&typed.line);
	}
}

static void test_help_needs_no_arguments(void **state)
{
	struct typed typed;

	(void)state;
	type(&typed, "show|--help");
	assert_int_equal(typed.result, 0);
	assert_true(command_line_has(&typed.line, OPTION_HELP));
	command_line_deinit(&typed.line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_may_stand_anywhere_and_the_rest_is_the_filter),
		cmocka_unit_test(test_values_may_follow_an_equals_sign),
		cmocka_unit_test(test_dash_at_either_end_is_standard_output),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_typos_are_refused_with_a_suggestion),
		cmocka_unit_test(test_missing_and_excess_arguments_are_refused),
		cmocka_unit_test(test_errors_show_no_control_characters_and_no_values),
		cmocka_unit_test(test_redis_url_is_wiped_from_the_command_line),
		cmocka_unit_test(test_help_needs_no_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
