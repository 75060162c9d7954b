/* SPDX-License-Identifier: BSD-2-Clause */
/* Redis URLs: their parts, refusals, and that no refusal shows a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/fleet/redis_url.h"

static struct fleet_target *parsed(const char *url)
{
	struct fleet_target *target = NULL;
	struct error err;

	if (redis_url_parse(url, &target, &err) < 0)
		fail_msg("%s: %s", url, err.text);
	return target;
}

static void check_refused(const char *url, const char *part)
{
	struct fleet_target *target = NULL;
	struct error err;

	assert_int_equal(redis_url_parse(url, &target, &err), -22);
	assert_null(target);
	if (!strstr(err.text, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", url, part, err.text);
	assert_null(strstr(err.text, "s3cret"));
}

static void test_minimal_url_has_the_defaults(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = parsed("redis://redis.example.org");

	(void)state;
	assert_string_equal(target->host, "redis.example.org");
	assert_int_equal(target->port, 6379);
	assert_false(target->tls);
	assert_null(target->username);
	assert_null(target->password);
	assert_string_equal(target->channel, "capture");
	assert_string_equal(target->events, "capture:events");
	assert_int_equal(target->sentinel_count, 0);
}

static void test_user_may_come_without_its_password(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = parsed("redis://al%40ice@h");

	(void)state;
	assert_string_equal(target->username, "al@ice");
	assert_null(target->password);
}

static void test_every_part_is_decoded(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target =
		parsed("rediss://al%3Aice:p%40ss%2Fw%3ard%23@[fe80::1%25eth0]:7000/my%2Fchannel?ca=/"
		       "a%20b&events=e&cert=c&key=k");

	(void)state;
	assert_true(target->tls);
	assert_string_equal(target->username, "al:ice");
	assert_string_equal(target->password, "p@ss/w:rd#");
	assert_string_equal(target->host, "fe80::1%eth0");
	assert_int_equal(target->port, 7000);
	assert_string_equal(target->channel, "my/channel");
	assert_string_equal(target->events, "e");
	assert_string_equal(target->ca_file, "/a b");
	assert_string_equal(target->cert_file, "c");
	assert_string_equal(target->key_file, "k");
}

static void test_password_without_user_is_the_default_users(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = parsed("redis://:a:b@h/c");

	(void)state;
	assert_null(target->username);
	assert_string_equal(target->password, "a:b");
}

static void test_host_is_a_sentinel_if_a_master_is_named(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *name = parsed("redis://s1:26379/c?sentinel=mymaster");
	cleanup(cleanup_fleet_target) struct fleet_target *address = parsed("redis://[::1]:26379/c?sentinel=mymaster");

	(void)state;
	assert_string_equal(name->master, "mymaster");
	assert_int_equal(name->sentinel_count, 1);
	assert_string_equal(name->sentinels[0], "s1:26379");
	assert_string_equal(address->sentinels[0], "[::1]:26379");
}

static void test_malformed_urls_are_refused(void **state)
{
	(void)state;
	check_refused("", "does not begin with");
	check_refused("http://h/c", "does not begin with");
	check_refused("redis://", "names no host");
	check_refused("redis:///c", "names no host");
	check_refused("redis://h:0/c", "port");
	check_refused("redis://h:65536/c", "port");
	check_refused("redis://h:/c", "port");
	check_refused("redis://h:99999999999999999999/c", "port");
	check_refused("redis://h:6379x/c", "port");
	check_refused("redis://h h/c", "invalid character");
	check_refused("redis://[]/c", "in brackets");
	check_refused("redis://[::1/c", "in brackets");
	check_refused("redis://[h]/c", "in brackets");
	check_refused("redis://[::1]x/c", "invalid character");
	check_refused("redis://h/a/b", "more than a channel");
	check_refused("redis://h/%zz", "%-escape");
	check_refused("redis://h/%00", "%-escape");
	check_refused("redis://h/%1b", "control character");
	check_refused("redis://h/%ff", "control character");
	check_refused("redis://h/c#x", "fragment");
	check_refused("redis://@h/c", "empty user or password");
	check_refused("redis://u:@h/c", "empty user or password");
	check_refused("redis://u:s3cret%@h/c", "%-escape");
	check_refused("redis://u:s3cret@/c", "names no host");
	check_refused("redis://u:s3cret@h:x/c", "port");
	check_refused("redis://h/c?sentinal=x", "did you mean \"sentinel\"?");
	check_refused("redis://h/c?frobnicate=x", "known are ca, cert");
	check_refused("redis://h/c?events=", "needs a value");
	check_refused("redis://h/c?events", "needs a value");
	check_refused("redis://h/c?events=a&events=b", "given twice");
	check_refused("redis://h/c?", "unknown parameter \"\"");
	check_refused("redis://h/c?ca=x", "no TLS");
	check_refused("rediss://h/c?cert=x", "only one of cert and key");
}

static void test_overlong_url_is_refused(void **state)
{
	char url[REDIS_URL_MAX + 2];

	(void)state;
	memset(url, 'a', sizeof(url));
	memcpy(url, "redis://", 8);
	url[sizeof(url) - 1] = '\0';
	check_refused(url, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal_url_has_the_defaults),
		cmocka_unit_test(test_user_may_come_without_its_password),
		cmocka_unit_test(test_every_part_is_decoded),
		cmocka_unit_test(test_password_without_user_is_the_default_users),
		cmocka_unit_test(test_host_is_a_sentinel_if_a_master_is_named),
		cmocka_unit_test(test_malformed_urls_are_refused),
		cmocka_unit_test(test_overlong_url_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
