/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets from files and systemd credentials. */
#include "config_fixture.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static const char *text_with(const char *format, const char *path)
{
	static char text[2 * PATH_MAX + 256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), format, path);
#pragma GCC diagnostic pop
	return text;
}

static void assert_token_file_fault(const char *path, const char *what)
{
	char line[2 * PATH_MAX + 256];

	snprintf(line, sizeof(line), "t.toml:2:14: cloudshark.token_file: %s: %s", path, what);
	assert_fault(text_with("[cloudshark]\ntoken_file = \"%s\"\nupload = true\n", path), line);
	assert_null(strchr(strchr(buffer_text(&fixture_faults), '\n') + 1, '\n')); /* the only line */
}

static void test_secret_is_the_file_without_its_last_newline(void **state)
{
	(void)state;
	assert_loads(text_with("[cloudshark]\ntoken_file = \"%s\"\nupload = true\n", fixture_file("t", "abc\n")));
	assert_string_equal(fixture_config->cloudshark.token, "abc");
	assert_loads(text_with("[cloudshark]\ntoken_file = \"%s\"\n", fixture_file("t", "abc")));
	assert_string_equal(fixture_config->cloudshark.token, "abc");
	assert_loads(text_with("[redis]\nauth_file = \"%s\"\n", fixture_file("t", "pass word\n\n")));
	assert_string_equal(fixture_config->redis.auth, "pass word\n");
}

static void test_unusable_secret_file_is_a_fault(void **state)
{
	(void)state;
	assert_token_file_fault(fixture_path("none"), "No such file or directory");
	assert_token_file_fault(fixture_file("t", ""), "is empty");
	assert_token_file_fault(fixture_file("t", "\n"), "is empty");
	assert_token_file_fault(fixture_directory, "is not a regular file");
	assert_token_file_fault(
		fixture_file("t", "a b"),
		"its content contains a character that tokens cannot have (allowed are letters, digits and _ - . ~)");
}

static void test_tokens_by_customer_are_read_and_checked(void **state)
{
	static const char format[] = "[cloudshark]\ncustomer_tokens_file = \"%s\"\ntoken = \"abc\"\n";
	char line[2 * PATH_MAX + 256];
	const char *path = fixture_file("c", "ACME:abc123\nother one:def\n");

	(void)state;
	assert_loads(text_with(format, path));
	assert_string_equal(fixture_config->cloudshark.customer_tokens, "ACME:abc123\nother one:def");
	assert_int_equal(chmod(path, 0644), 0);
	snprintf(
		line, sizeof(line),
		"t.toml:2:24: cloudshark.customer_tokens_file: %s: others may read it (mode 0644); chmod o= mends that",
		path);
	assert_fault(text_with(format, path), line);
	assert_int_equal(chmod(path, 0600), 0);
	path = fixture_file("c", "ACME:abc123\nother:a/b\n");
	snprintf(line, sizeof(line),
		 "t.toml:2:24: cloudshark.customer_tokens_file: %s: line 2: the token contains a character that tokens "
		 "cannot "
		 "have (allowed are letters, digits and _ - . ~)",
		 path);
	assert_fault(text_with(format, path), line);
	assert_loads("[cloudshark]\ntoken = \"abc\"\n");
	assert_null(fixture_config->cloudshark.customer_tokens);
}

static void test_secret_file_that_others_can_use_is_a_fault(void **state)
{
	const char *path = fixture_file("token", "0123456789abcdef\n");

	(void)state;
	assert_int_equal(chmod(path, 0644), 0);
	assert_token_file_fault(path, "others may read it (mode 0644); chmod o= mends that");
	assert_int_equal(chmod(path, 0602), 0);
	assert_token_file_fault(path, "others may write it (mode 0602); chmod o= mends that");
}

static void test_private_key_that_others_can_read_is_a_fault(void **state)
{
	const char *key = fixture_file("key.pem", ""), *cert = fixture_file("cert.pem", "");
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "[redis]\ntls = true\ncert_file = \"%s\"\nkey_file = \"%s\"\n", cert, key);
	assert_int_equal(chmod(cert, 0644), 0);
	assert_loads(text);
	assert_int_equal(chmod(key, 0604), 0);
	assert_int_equal(load_text(text), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "redis.key_file: "));
	assert_non_null(strstr(buffer_text(&fixture_faults), "others may read it (mode 0604)"));
}

static void test_fifo_does_not_block_startup(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(fixture_path("fifo"), 0600), 0);
	assert_token_file_fault(fixture_path("fifo"), "is not a regular file");
}

static void test_secret_file_size_is_capped(void **state)
{
	struct buffer content = BUFFER_INIT(1024 * 1024);

	(void)state;
	for (int i = 0; i < 64 * 1024; i++)
		assert_int_equal(buffer_append_string(&content, "a"), 0);
	assert_loads(text_with("[cloudshark]\ntoken_file = \"%s\"\n", fixture_file("t", content.data)));
	assert_int_equal(strlen(fixture_config->cloudshark.token), 64 * 1024);
	assert_int_equal(buffer_append_string(&content, "a"), 0);
	assert_token_file_fault(fixture_file("t", content.data), "is larger than 65536 bytes");
	buffer_deinit(&content);
}

static void test_value_and_file_exclude_each_other(void **state)
{
	(void)state;
	assert_fault(text_with("[cloudshark]\ntoken = \"a\"\ntoken_file = \"%s\"\n", fixture_file("t", "b")),
		     "t.toml:3:14: cloudshark.token_file: conflicts with token; set only one of them");
	assert_fault("[s3]\naccesskey = \"a\"\naccesskey_file = \"/none\"\n",
		     "t.toml:3:18: s3.accesskey_file: conflicts with accesskey; set only one of them");
}

static void test_command_line_token_overrides_token_file(void **state)
{
	const char *toml;

	(void)state;
	toml = fixture_file("c.toml", text_with("[cloudshark]\ntoken_file = \"%s\"\n", fixture_file("t", "b")));
	assert_int_equal(load_arguments("-config", toml, "-cstoken", "a", NULL), 0);
	assert_string_equal(fixture_config->cloudshark.token, "a");
}

static void test_credentials_fill_unset_secrets(void **state)
{
	(void)state;
	fixture_file("cloudshark.token", "tok\n");
	fixture_file("redis.auth", "pw\n");
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1), 0);
	assert_loads("[cloudshark]\nupload = true\n[redis]\nusername = \"u\"\n");
	assert_string_equal(fixture_config->cloudshark.token, "tok");
	assert_string_equal(fixture_config->redis.auth, "pw");
	assert_loads("[cloudshark]\ntoken = \"mine\"\n");
	assert_string_equal(fixture_config->cloudshark.token, "mine");
	assert_loads(text_with("[redis]\nauth_file = \"%s\"\n", fixture_file("f", "other")));
	assert_string_equal(fixture_config->redis.auth, "other");
}

static void test_empty_credential_is_a_fault(void **state)
{
	(void)state;
	fixture_file("cloudshark.token", "");
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1), 0);
	assert_int_equal(load_text(""), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "cloudshark.token: is empty"));
}

static void test_empty_credentials_directory_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1), 0);
	assert_loads("");
	assert_string_equal(fixture_config->cloudshark.token, "");
}

#define DAEMON_FILES                                                                                         \
	"[cloudshark]\nupload = true\ntoken_file = \"/nonexistent/t\"\n[api]\nlisten = \"127.0.0.1:7227\"\n" \
	"token_file = \"/nonexistent/t\"\ncert_file = \"/nonexistent/c\"\nkey_file = \"/nonexistent/k\"\n"   \
	"[requests]\nkeys_file = \"/nonexistent/k\"\n[redis]\nhost = \"r\"\nusername = \"u\"\n"

static void test_client_reads_only_the_files_of_redis(void **state)
{
	(void)state;
	assert_int_equal(load_text(DAEMON_FILES), -EINVAL);
	assert_int_equal(load_text_for_client(DAEMON_FILES), 0); /* the password may be a credential of the unit */
	assert_string_equal(fixture_config->redis.host, "r");
	assert_string_equal(fixture_config->redis.auth, "");
	assert_null(fixture_config->unread);
	assert_int_equal(load_text_for_client(
				 text_with(DAEMON_FILES "auth_file = \"%s\"\n", fixture_file("f", "pass\n"))),
			 0);
	assert_string_equal(fixture_config->redis.auth, "pass");
	assert_null(fixture_config->unread);
}

static void test_client_learns_which_file_it_cannot_read(void **state)
{
	static const char lacking[] =
		"[redis]\nauth_file = \"/nonexistent/a\"\ntls = true\nca_file = \"/nonexistent/c\"\n";

	(void)state;
	assert_int_equal(load_text_for_client(lacking), 0);
	assert_string_equal(fixture_config->redis.auth, "");
	assert_string_equal(fixture_config->unread, "redis.auth_file: /nonexistent/a: No such file or directory");
	assert_int_equal(load_text_for_client("[redis]\ntls = true\nca_file = \"/nonexistent/c\"\n"), 0);
	assert_string_equal(fixture_config->unread, "redis.ca_file: /nonexistent/c: No such file or directory");
	assert_int_equal(load_text_for_client("[redis]\nhots = 5\n"), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_secret_is_the_file_without_its_last_newline),
		TEST(test_unusable_secret_file_is_a_fault),
		TEST(test_tokens_by_customer_are_read_and_checked),
		TEST(test_secret_file_that_others_can_use_is_a_fault),
		TEST(test_private_key_that_others_can_read_is_a_fault),
		TEST(test_fifo_does_not_block_startup),
		TEST(test_secret_file_size_is_capped),
		TEST(test_value_and_file_exclude_each_other),
		TEST(test_command_line_token_overrides_token_file),
		TEST(test_credentials_fill_unset_secrets),
		TEST(test_empty_credential_is_a_fault),
		TEST(test_empty_credentials_directory_changes_nothing),
		TEST(test_client_reads_only_the_files_of_redis),
		TEST(test_client_learns_which_file_it_cannot_read),
	};

	return cmocka_run_group_tests_name("config_secret", tests, NULL, NULL);
}
