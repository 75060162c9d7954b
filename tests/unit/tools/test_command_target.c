/* SPDX-License-Identifier: BSD-2-Clause */
/* Which daemon or fleet a command line addresses. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/fleet/fleet_target.h"

#define PATH_SIZE 64

static int find(const char *words, struct command_target *target, struct error *err)
{
	char text[512], *argv[16];
	struct command_line line;
	int argc = 0, r;

	snprintf(text, sizeof(text), "pcapctl|%s", words);
	for (char *at = text; at; argc++) {
		argv[argc] = at;
		at = strchr(at, '|');
		if (at)
			*at++ = '\0';
	}
	assert_int_equal(command_line_parse(argc, argv, &line, err), 0);
	r = command_target_resolve(&line, target, err);
	command_line_deinit(&line);
	return r;
}

/* One of `socket`, `api` and `host` is the expected target; the others are NULL. */
static void check_target(const char *words, const char *socket, const char *api, const char *host)
{
	struct command_target target;
	struct error err;

	if (find(words, &target, &err) < 0)
		fail_msg("%s: %s", words, err.text);
	if (socket)
		assert_string_equal(target.socket, socket);
	else
		assert_null(target.socket);
	if (api)
		assert_string_equal(target.api, api);
	else
		assert_null(target.api);
	if (host)
		assert_string_equal(target.fleet->host, host);
	else
		assert_null(target.fleet);
	command_target_deinit(&target);
}

static void check_refused(const char *words, const char *text)
{
	struct command_target target;
	struct error err;

	assert_int_equal(find(words, &target, &err), -22);
	assert_string_equal(err.text, text);
	command_target_deinit(&target);
}

static void test_command_line_overrides_the_environment(void **state)
{
	(void)state;
	setenv("PCAPDAEMON_SOCKET", "/env.sock", 1);
	setenv("PCAPDAEMON_REDIS", "redis://env/c", 1);
	check_target("capture|-i|lo|--socket|/a.sock", "/a.sock", NULL, NULL);
	check_target("capture|-i|lo|--redis|redis://h/c", NULL, NULL, "h");
	check_target("list|--api|https://h:7227/", NULL, "https://h:7227", NULL);
	check_target("list", "/env.sock", NULL, NULL);
	check_target("capture|-i|lo", "/env.sock", NULL, NULL);
	check_target("nodes", NULL, NULL, "env");
	check_target("capture|-i|lo|--node|n1", NULL, NULL, "env");
	unsetenv("PCAPDAEMON_SOCKET");
	check_target("capture|-i|lo", NULL, NULL, "env");
	check_target("list", TARGET_SOCKET_DEFAULT, NULL, NULL);
	unsetenv("PCAPDAEMON_REDIS");
	check_target("capture|-i|lo", TARGET_SOCKET_DEFAULT, NULL, NULL);
}

static void check_options(const char *words, const char *expected)
{
	struct command_target target;
	struct error err;

	assert_int_equal(find(words, &target, &err), 0);
	assert_string_equal(command_target_options(&target), expected);
	command_target_deinit(&target);
}

static void test_options_for_the_same_target_hold_no_secret(void **state)
{
	(void)state;
	check_options("list", "");
	check_options("list|--socket|/a.sock", " --socket /a.sock");
	check_options("list|--api|https://h:7227/", " --api https://h:7227");
	check_options("capture|-i|lo|--redis|redis://u:secret@h/c", " --redis URL");
	setenv("PCAPDAEMON_REDIS", "redis://u:secret@env/c", 1);
	check_options("capture|-i|lo|--node|n1", "");
	check_options("capture|-i|lo", "");
	setenv("PCAPDAEMON_SOCKET", "/env.sock", 1);
	check_options("capture|-i|lo|--node|n1", " --redis URL");
	check_options("capture|-i|lo", "");
	unsetenv("PCAPDAEMON_REDIS");
	unsetenv("PCAPDAEMON_SOCKET");
}

static void test_conflicting_options_are_refused(void **state)
{
	(void)state;
	check_refused("list|--socket|a|--api|http://h", "--socket and --api exclude each other");
	check_refused("list|--redis|redis://h/c", "`pcapctl list` works on one daemon, not over Redis");
	check_refused("nodes|--socket|a", "`pcapctl nodes` works on a fleet: it needs --redis or --config");
	check_refused("list|--token-file|t", "--token-file and --ca-file need --api");
	check_refused("list|--api|ftp://h", "--api: must be http://host[:port] or https://host[:port]");
	check_refused("list|--api|http://", "--api: must be only a host and a port; the token goes into --token-file");
	check_refused("list|--api|http://u:p@h",
		      "--api: must be only a host and a port; the token goes into --token-file");
	check_refused("list|--api|http://h/v1",
		      "--api: must be only a host and a port; the token goes into --token-file");
	check_refused("list|--api|http://h|--ca-file|f", "--ca-file: only for https://");
	check_refused("list|--api|https://h|--ca-file|/nonexistent",
		      "--ca-file /nonexistent: No such file or directory");
	check_refused(
		"list|--socket|/tmp/0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
		"2345678901234567890123456789",
		"--socket: the path of a socket has at most 107 bytes, this one has 115");
	check_refused("list|--api|https://h|--token-file|/nonexistent",
		      "--token-file /nonexistent: No such file or directory");
	check_refused("list|--api|http://127.0.0.1:1|--token-file|/nonexistent",
		      "--token-file /nonexistent: No such file or directory");
	check_refused("list|--api|http://h|--token-in-clear|--token-file|/nonexistent",
		      "--token-file /nonexistent: No such file or directory");
	check_refused("list|--api|http://h|--token-file|/nonexistent",
		      "--token-file: others on the way could read the token: use https://, or say so with "
		      "--token-in-clear");
	check_refused("list|--socket|/s|--redis-cluster", "--redis-cluster: the command does not use Redis");
}

static void check_password(const char *words, const char *username, const char *password)
{
	struct command_target target;
	struct error err;

	if (find(words, &target, &err) < 0)
		fail_msg("%s: %s", words, err.text);
	if (username)
		assert_string_equal(target.fleet->username, username);
	assert_string_equal(target.fleet->password, password);
	assert_null(strstr(command_target_options(&target), "s3cret"));
	command_target_deinit(&target);
}

/* The words, in which %s stands for the path of a file with this content and mode. */
static const char *with_file(const char *words, const char *content, mode_t mode, char path[static PATH_SIZE])
{
	static char text[512];
	int fd;

	snprintf(path, PATH_SIZE, "/tmp/pcapctl-target-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	snprintf(text, sizeof(text), "%s|%s", words, path);
	return text;
}

static void test_redis_auth_file_has_the_password(void **state)
{
	char path[PATH_SIZE];

	(void)state;
	check_password(with_file("nodes|--redis|redis://me@h|--redis-auth-file", "s3cret\n", 0600, path), "me",
		       "s3cret");
	unlink(path);
	check_password(with_file("nodes|--redis|redis://u:other@h|--redis-auth-file", "s3cret", 0640, path), "u",
		       "s3cret");
	unlink(path);
	check_refused("nodes|--redis|redis://me@h",
		      "Redis user \"me\" has no password here; name a file with it with --redis-auth-file");
	check_refused("nodes|--redis-auth-file|/nonexistent",
		      "--redis-auth-file: /nonexistent: No such file or directory");
	check_refused("capture|-i|lo|--socket|/s|--redis-auth-file|f",
		      "--redis-auth-file: the command does not use Redis");
}

static void test_configuration_serves_those_who_may_read_less_than_the_daemon(void **state)
{
	static const char file[] =
		"[cloudshark]\nupload = true\ntoken_file = \"/nonexistent/t\"\n[api]\nsocket = \"/c.sock\"\n"
		"[redis]\nhost = \"configured\"\nauth_file = \"/nonexistent/a\"\n";
	char path[PATH_SIZE], secret[PATH_SIZE], words[512];
	struct command_target target;
	struct error err;

	(void)state;
	check_target(with_file("list|--config", file, 0644, path), "/c.sock", NULL, NULL);
	snprintf(words, sizeof(words), "nodes|--config|%s", path);
	assert_int_equal(find(words, &target, &err), -13);
	assert_non_null(strstr(err.text,
			       "redis.auth_file: /nonexistent/a: No such file or directory; name a file with the "
			       "password that you may read with --redis-auth-file"));
	command_target_deinit(&target);
	snprintf(words, sizeof(words), "nodes|--config|%s|--redis-auth-file", path);
	check_password(with_file(words, "s3cret", 0600, secret), NULL, "s3cret");
	unlink(secret);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line_overrides_the_environment),
		cmocka_unit_test(test_options_for_the_same_target_hold_no_secret),
		cmocka_unit_test(test_conflicting_options_are_refused),
		cmocka_unit_test(test_redis_auth_file_has_the_password),
		cmocka_unit_test(test_configuration_serves_those_who_may_read_less_than_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
