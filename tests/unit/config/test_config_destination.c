/* SPDX-License-Identifier: BSD-2-Clause */
/* [[destination]]: names, types, the keys of each type, secrets, and where the names may be used. */
#include "config_fixture.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *with(const char *before, const char *path, const char *after)
{
	static char text[3 * PATH_MAX];

	snprintf(text, sizeof(text), "%s\"%s\"\n%s", before, path, after);
	return text;
}

static void test_each_destination_has_its_own_values_of_its_type(void **state)
{
	const struct config_destination *lab, *archive, *fleet;

	(void)state;
	assert_loads(
		with("[cloudshark]\nhost = \"main\"\n"
		     "[[destination]]\nport = 8443\nname = \"lab\"\nhost = \"lab.example.net\"\ntype = \"cloudshark\"\n"
		     "token = \"abc\"\nupload = true\n"
		     "[[destination]]\nname = \"fleet\"\ntype = \"redis\"\nfile_ttl = 60\n"
		     "[[destination]]\ntype = \"local\"\nmax_age = 7\nname = \"archive\"\ndirectory = ",
		     fixture_directory, ""));
	assert_int_equal(fixture_config->destination_count, 3);
	lab = &fixture_config->destinations[0];
	fleet = &fixture_config->destinations[1];
	archive = &fixture_config->destinations[2];
	assert_string_equal(lab->name, "lab");
	assert_string_equal(lab->type, "cloudshark");
	assert_true(lab->upload);
	assert_string_equal(lab->cloudshark.host, "lab.example.net");
	assert_int_equal(lab->cloudshark.port, 8443);
	assert_string_equal(lab->cloudshark.token, "abc");
	assert_string_equal(lab->cloudshark.scheme, "https");
	assert_true(lab->cloudshark.verify);
	assert_false(fleet->upload);
	assert_string_equal(fleet->redis.host, "127.0.0.1");
	assert_int_equal(fleet->redis.file_ttl_ns, 60 * NS_PER_S);
	assert_string_equal(archive->local.directory, fixture_directory);
	assert_int_equal(archive->local.max_age_ns, 7 * NS_PER_S);
	assert_int_equal(archive->local.min_free, 5);
	assert_string_equal(fixture_config->cloudshark.host, "main");
	assert_int_equal(fixture_config->cloudshark.port, 0);
}

static void test_names_are_valid_and_free(void **state)
{
	static const char *const cases[][2] = {
		{"name = \"local\"", "t.toml:2:8: destination.name: \"local\" is a reserved name"},
		{"name = \"s3\"", "t.toml:2:8: destination.name: \"s3\" is a reserved name"},
		{"name = \"none\"", "t.toml:2:8: destination.name: \"none\" is a reserved name"},
		{"name = \"a b\"",
		 "t.toml:2:8: destination.name: \"a b\" is no destination's name, which has up to 32 of "
		 "the characters A-Z a-z 0-9 . _ -"},
		{"name = \"\"", "t.toml:2:8: destination.name: must not be empty"},
		{"upload = true", "t.toml:1:1: destination.name: is missing"},
		{"name = \"a\"\ntype = \"redis\"\n[[destination]]\nname = \"a\"",
		 "t.toml:5:8: destination.name: \"a\" is the one in line 1 already"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), "[[destination]]\n%s\ntype = \"redis\"\n", cases[i][0]);
		assert_fault(text, cases[i][1]);
	}
}

static void test_type_decides_about_the_keys(void **state)
{
	static const char *const cases[][2] = {
		{"", "t.toml:1:1: destination.type: is missing"},
		{"type = \"lcal\"\nhost = 3", "t.toml:3:8: destination.type: must be \"cloudshark\" or \"local\" or "
					      "\"redis\" or \"http\" or \"sftp\" or \"s3\", got \"lcal\""},
		{"type = \"redis\"\ndirectory = \"/\"",
		 "t.toml:4:1: destination.directory: is no key of the type \"redis\" (but of: local)"},
		{"type = \"redis\"\nlisten = true",
		 "t.toml:4:1: destination.listen: is a key of the section [redis] only"},
		{"type = \"redis\"\nprot = 1", "t.toml:4:1: destination.prot: unknown key (did you mean port?)"},
		{"type = \"redis\"\nport = 0",
		 "t.toml:4:8: destination.port: must be from 1 to 65535, got the number 0"},
		{"type = \"redis\"\nkey_file = \"/k\"",
		 "t.toml:4:12: destination.key_file: has no effect without tls = true"},
		{"type = \"local\"", "t.toml:1:1: destination.directory: is missing"},
		{"type = \"local\"\ndirectory = \"/none/such\"",
		 "t.toml:4:13: destination.directory: /none/such: No such file or directory"},
		{"type = \"cloudshark\"",
		 "t.toml:1:1: destination.token_file: is missing: CloudShark needs an API token"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), "[[destination]]\nname = \"a\"\n%s\n", cases[i][0]);
		assert_fault(text, cases[i][1]);
	}
}

static void test_secrets_come_from_files_and_credentials(void **state)
{
	static const char lab[] = "[[destination]]\nname = \"lab\"\ntype = \"cloudshark\"\n";
	char text[2 * PATH_MAX], line[2 * PATH_MAX];

	(void)state;
	snprintf(text, sizeof(text), "%stoken_file = ", lab);
	assert_loads(with(text, fixture_file("token", "abc\n"), ""));
	assert_string_equal(fixture_config->destinations[0].cloudshark.token, "abc");
	assert_string_equal(fixture_config->cloudshark.token, "");

	assert_int_not_equal(load_text(with(text, fixture_path("token"), "token = \"x\"\n")), 0);
	assert_has_line("t.toml:4:14: destination.token_file: conflicts with token; set only one of them");

	snprintf(line, sizeof(line), "t.toml:4:14: destination.token_file: %s: No such file or directory",
		 fixture_path("none"));
	assert_fault(with(text, fixture_path("none"), ""), line);

	fixture_file("destination.lab.token", "fromcredential");
	setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1);
	assert_loads(lab);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_string_equal(fixture_config->destinations[0].cloudshark.token, "fromcredential");
}

static void test_rules_and_keys_take_the_names(void **state)
{
	static const char lab[] = "[[destination]]\nname = \"lab\"\ntype = \"redis\"\n";
	char text[3 * PATH_MAX];

	(void)state;
	snprintf(text, sizeof(text), "[requests]\ndestinations = [\"lab\", \"local\"]\nkeys_file = \"%s\"\n%s",
		 fixture_file("keys", "a:topsecrettopsecret destinations=lab\n"), lab);
	assert_loads(text);
	snprintf(text, sizeof(text), "[api.requests]\ndestinations = [\"lb\"]\n%s", lab);
	assert_fault(text,
		     "t.toml:2:16: api.requests.destinations: \"lb\" is no destination (there are cloudshark, local, "
		     "memory, redis, http, sftp, s3 and lab)");
}

static void test_number_of_destinations_is_capped(void **state)
{
	struct buffer text = BUFFER_INIT(65536);
	char line[128];

	(void)state;
	for (int i = 0; i <= CONFIG_DESTINATIONS_MAX; i++) {
		if (i == CONFIG_DESTINATIONS_MAX)
			assert_loads(buffer_text(&text));
		assert_int_equal(buffer_printf(&text, "[[destination]]\nname = \"d%d\"\ntype = \"redis\"\n", i), 0);
	}
	snprintf(line, sizeof(line), "t.toml:%d:1: destination: more than %d destinations",
		 3 * CONFIG_DESTINATIONS_MAX + 1, CONFIG_DESTINATIONS_MAX);
	assert_fault(buffer_text(&text), line);
	buffer_deinit(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_destination_has_its_own_values_of_its_type),
		TEST(test_names_are_valid_and_free),
		TEST(test_type_decides_about_the_keys),
		TEST(test_secrets_come_from_files_and_credentials),
		TEST(test_rules_and_keys_take_the_names),
		TEST(test_number_of_destinations_is_capped),
	};

	return cmocka_run_group_tests_name("config_destination", tests, NULL, NULL);
}
