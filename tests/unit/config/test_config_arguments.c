/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: its forms, its precedence, and that no secret stays or shows. */
#include "config_fixture.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static void test_every_option_of_the_contract_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-cshost", "h", "-csscheme", "http", "-csport", "8080", "-cstoken", "t0k",
					"-cstimeout", "1.5s", "-redisnode", "r", "-redisport", "6380", "-redischannel",
					"c", "-upload", "-writelocal", "-destdir", fixture_directory, "-maxpackets",
					"7", "-node", "n", "-check", "-panic", NULL),
			 0);
	assert_string_equal(fixture_config->cloudshark.host, "h");
	assert_string_equal(fixture_config->cloudshark.scheme, "http");
	assert_int_equal(fixture_config->cloudshark.port, 8080);
	assert_string_equal(fixture_config->cloudshark.token, "t0k");
	assert_int_equal(fixture_config->cloudshark.timeout_ns, 1500000000);
	assert_true(fixture_config->cloudshark.upload);
	assert_string_equal(fixture_config->redis.host, "r");
	assert_int_equal(fixture_config->redis.port, 6380);
	assert_string_equal(fixture_config->redis.channel, "c");
	assert_string_equal(fixture_config->redis.events, "c:events");
	assert_true(fixture_config->redis.configured);
	assert_true(fixture_config->general.writelocal);
	assert_string_equal(fixture_config->local.directory, fixture_directory);
	assert_int_equal(fixture_config->general.maxpackets, 7);
	assert_string_equal(fixture_config->general.node, "n");
	assert_true(fixture_config->check);
}

static void test_options_take_one_or_two_dashes_and_equals_or_a_word(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("--cshost=a", "--csport", "1", "-redisnode=b", "-redisport", "2", NULL), 0);
	assert_string_equal(fixture_config->cloudshark.host, "a");
	assert_int_equal(fixture_config->cloudshark.port, 1);
	assert_string_equal(fixture_config->redis.host, "b");
	assert_int_equal(fixture_config->redis.port, 2);
}

static void test_switch_never_takes_the_next_word(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-cstoken", "t", "-upload", "true", NULL), -EINVAL);
	assert_has_line("command line: argument 4 is not an option (to set a switch, write -upload=false)");
	assert_int_equal(load_arguments("-upload=false", NULL), 0);
	assert_false(fixture_config->cloudshark.upload);
	assert_int_equal(load_arguments("-cstoken", "t", "--upload=true", NULL), 0);
	assert_true(fixture_config->cloudshark.upload);
	assert_int_equal(load_arguments("-upload=maybe", NULL), -EINVAL);
	assert_has_line("command line: -upload: must be true or false, got \"maybe\"");
}

static void test_bad_options_are_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-csprot", "1", NULL), -EINVAL);
	assert_has_line("command line: unknown option \"csprot\" (did you mean -csport?)");
	assert_int_equal(load_arguments("-xyzzyx", NULL), -EINVAL);
	assert_has_line("command line: unknown option \"xyzzyx\" (-help lists them)");
	assert_int_equal(load_arguments("-csport", NULL), -EINVAL);
	assert_has_line("command line: -csport: needs a value (PORT)");
	assert_int_equal(load_arguments("-cshost", "-upload=false", NULL), -EINVAL);
	assert_has_line("command line: -cshost: needs a value (HOST)");
	assert_int_equal(load_arguments("-csport", "70000", NULL), -EINVAL);
	assert_has_line("command line: -csport: must be from 0 to 65535, got the number 70000");
	assert_int_equal(load_arguments("-csport", "-1", NULL), -EINVAL);
	assert_has_line("command line: -csport: must be a whole number, got \"-1\"");
	assert_int_equal(load_arguments("-node", "\xff", NULL), -EINVAL);
	assert_has_line("command line: -node: is not UTF-8");
	assert_int_equal(load_arguments("--", NULL), -EINVAL);
	assert_int_equal(load_arguments("-", NULL), -EINVAL);
	assert_int_equal(load_arguments("", NULL), -EINVAL);
	assert_int_equal(load_arguments("-=x", NULL), -EINVAL);
}

static void test_possible_secrets_are_not_shown(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-cstokn", "hunter2", NULL), -EINVAL);
	assert_null(strstr(buffer_text(&fixture_faults), "hunter2"));
	assert_int_equal(load_arguments("-cstokn=hunter2", NULL), -EINVAL);
	assert_null(strstr(buffer_text(&fixture_faults), "hunter2"));
	assert_int_equal(load_arguments("-cstoken=", "hunter2", NULL), -EINVAL);
	assert_null(strstr(buffer_text(&fixture_faults), "hunter2"));
	assert_int_equal(load_arguments("-cstoken", "hunter/2", NULL), -EINVAL);
	assert_null(strstr(buffer_text(&fixture_faults), "hunter"));
}

static void test_secrets_are_wiped_from_argv_in_both_spellings(void **state)
{
	char program[] = "pcapdaemon", option[] = "-cstoken", value[] = "secret1", both[] = "--cstoken=secret2",
	     host[] = "-cshost=h";
	char *argv[] = {program, option, value, both, host, NULL};

	(void)state;
	assert_int_equal(config_load(5, argv, NULL, &fixture_faults, &fixture_config), 0);
	assert_string_equal(fixture_config->cloudshark.token, "secret2");
	for (size_t i = 0; i < sizeof(value); i++)
		assert_int_equal(value[i], 0);
	assert_string_equal(both, "--cstoken=");
	for (size_t i = strlen("--cstoken="); i < sizeof(both); i++)
		assert_int_equal(both[i], 0);
	assert_string_equal(option, "-cstoken");
	assert_string_equal(host, "-cshost=h");
}

static void test_secrets_are_wiped_even_if_the_command_line_is_refused(void **state)
{
	char program[] = "pcapdaemon", bad[] = "-bad", both[] = "-cstoken=sec/ret";
	char *argv[] = {program, bad, both, NULL};

	(void)state;
	assert_int_equal(config_load(3, argv, NULL, &fixture_faults, &fixture_config), -EINVAL);
	assert_string_equal(both, "-cstoken=");
	assert_memory_not_equal(both + strlen("-cstoken="), "sec/ret", 7);
}

static void test_command_line_overrides_the_file_in_any_order(void **state)
{
	const char *file =
		fixture_file("c.toml",
			     "[redis]\nhost = \"file\"\nport = 1\n[cloudshark]\nupload = true\ntoken = \"t\"\n");

	(void)state;
	assert_int_equal(load_arguments("-redisnode", "line", "-config", file, NULL), 0);
	assert_string_equal(fixture_config->redis.host, "line");
	assert_int_equal(fixture_config->redis.port, 1);
	assert_string_equal(fixture_config->path, file);
	assert_int_equal(load_arguments("-config", file, "-redisnode", "line", "-upload=false", NULL), 0);
	assert_string_equal(fixture_config->redis.host, "line");
	assert_false(fixture_config->cloudshark.upload);
}

static void test_overridden_file_values_are_checked(void **state)
{
	const char *file = fixture_file("c.toml", "[redis]\nport = \"x\"\n");
	char line[8192];

	(void)state;
	assert_int_equal(load_arguments("-config", file, "-redisport", "1", NULL), -EINVAL);
	snprintf(line, sizeof(line), "%s:2:8: redis.port: must be a whole number, got \"x\"", file);
	assert_has_line(line);
}

static void test_unreadable_file_is_named(void **state)
{
	char line[8192];

	(void)state;
	assert_int_equal(load_arguments("-config", fixture_path("none"), NULL), -EINVAL);
	snprintf(line, sizeof(line), "%s: cannot be read: No such file or directory", fixture_path("none"));
	assert_has_line(line);
	assert_int_equal(load_arguments("-config", fixture_directory, NULL), -EINVAL);
	snprintf(line, sizeof(line), "%s: cannot be read: Is a directory", fixture_directory);
	assert_has_line(line);
}

static void test_help_and_version_need_no_valid_configuration(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-upload", "-help", "-config", "/none", NULL), 0);
	assert_true(fixture_config->help);
	assert_int_equal(load_arguments("--version", NULL), 0);
	assert_true(fixture_config->version);
	assert_int_equal(load_arguments("-help", "-bad", NULL), -EINVAL);
}

static void test_writelocal_needs_a_directory(void **state)
{
	char text[8192];
	const char *file;

	(void)state;
	assert_int_equal(load_arguments("-writelocal", NULL), -EINVAL);
	assert_has_line("command line: -writelocal: needs -destdir, or localdir in the configuration file");
	assert_int_equal(load_arguments("-writelocal", "-destdir", fixture_path("none"), "-check", NULL), -EINVAL);
	snprintf(text, sizeof(text), "command line: -destdir: %s: No such file or directory", fixture_path("none"));
	assert_has_line(text);
	snprintf(text, sizeof(text), "[general]\nlocaldir = \"%s\"\n", fixture_directory);
	file = fixture_file("c.toml", text);
	assert_int_equal(load_arguments("-writelocal", "-config", file, NULL), 0);
	assert_string_equal(fixture_config->local.directory, fixture_directory);
}

static void test_log_level_is_checked_and_configures_nothing_else(void **state)
{
	const char *file;

	(void)state;
	assert_int_equal(load_arguments("-loglevel", "debug:redis,capture", NULL), 0);
	assert_string_equal(fixture_config->log.level, "debug:redis,capture");
	assert_false(fixture_config->redis.configured);
	assert_false(fixture_config->api.configured);
	assert_int_equal(load_arguments("-loglevel", "warnign", NULL), -EINVAL);
	assert_has_line("command line: -loglevel: there is no log level \"warnign\" (did you mean \"warning\"?)");
	file = fixture_file("c.toml", "[log]\nlevel = \"debug:snik\"\n");
	assert_int_equal(load_arguments("-config", file, NULL), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "c.toml:2:9: log.level: there is no log area \"snik\" "
							     "(did you mean \"sink\"?)"));
}

static void test_redis_is_used_only_if_anything_is_configured(void **state)
{
	const char *file = fixture_file("empty.toml", "");

	(void)state;
	assert_int_equal(load_arguments("-node", "n", "-check", "-loglevel", "debug", NULL), 0);
	assert_true(fixture_config->embedded);
	assert_false(fixture_config->redis.listen);
	assert_int_equal(load_arguments("-maxpackets", "7", NULL), 0);
	assert_false(fixture_config->embedded);
	assert_true(fixture_config->redis.listen);
	assert_string_equal(fixture_config->redis.host, "127.0.0.1");
	assert_int_equal(load_arguments("-config", file, NULL), 0);
	assert_true(fixture_config->redis.listen);
	fixture_file("redis.auth", "a password in a credential");
	setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1);
	assert_int_equal(load_arguments("-node", "n", NULL), 0);
	assert_true(fixture_config->redis.listen);
}

static void test_upload_needs_a_token(void **state)
{
	(void)state;
	assert_int_equal(load_arguments("-upload", NULL), -EINVAL);
	assert_has_line(
		"command line: -upload: needs an API token: token_file (or token) in [cloudshark], or -cstoken");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_option_of_the_contract_is_accepted),
		TEST(test_options_take_one_or_two_dashes_and_equals_or_a_word),
		TEST(test_switch_never_takes_the_next_word),
		TEST(test_bad_options_are_refused_by_name),
		TEST(test_possible_secrets_are_not_shown),
		TEST(test_secrets_are_wiped_from_argv_in_both_spellings),
		TEST(test_secrets_are_wiped_even_if_the_command_line_is_refused),
		TEST(test_command_line_overrides_the_file_in_any_order),
		TEST(test_overridden_file_values_are_checked),
		TEST(test_unreadable_file_is_named),
		TEST(test_help_and_version_need_no_valid_configuration),
		TEST(test_writelocal_needs_a_directory),
		TEST(test_log_level_is_checked_and_configures_nothing_else),
		TEST(test_redis_is_used_only_if_anything_is_configured),
		TEST(test_upload_needs_a_token),
	};

	return cmocka_run_group_tests_name("config_arguments", tests, NULL, NULL);
}
