/* SPDX-License-Identifier: BSD-2-Clause */
/* The URL of Redis: what it means, what is refused, and that no refusal repeats a secret. */
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

static void refused(const char *url, const char *part)
{
	struct fleet_target *target = NULL;
	struct error err;

	assert_int_equal(redis_url_parse(url, &target, &err), -22);
	assert_null(target);
	if (!strstr(err.text, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", url, part, err.text);
	assert_null(strstr(err.text, "s3cret"));
}

static void the_least_has_the_defaults(void **state)
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

static void every_part_is_taken_and_decoded(void **state)
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

static void a_password_alone_is_the_default_users(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = parsed("redis://:a:b@h/c");

	(void)state;
	assert_null(target->username);
	assert_string_equal(target->password, "a:b");
}

static void with_a_masters_name_the_host_is_a_sentinel(void **state)
{
	cleanup(cleanup_fleet_target) struct fleet_target *name = parsed("redis://s1:26379/c?sentinel=mymaster");
	cleanup(cleanup_fleet_target) struct fleet_target *address = parsed("redis://[::1]:26379/c?sentinel=mymaster");

	(void)state;
	assert_string_equal(name->master, "mymaster");
	assert_int_equal(name->sentinel_count, 1);
	assert_string_equal(name->sentinels[0], "s1:26379");
	assert_string_equal(address->sentinels[0], "[::1]:26379");
}

static void what_is_no_such_url_is_refused(void **state)
{
	(void)state;
	refused("", "does not begin with");
	refused("http://h/c", "does not begin with");
	refused("redis://", "names no host");
	refused("redis:///c", "names no host");
	refused("redis://h:0/c", "port");
	refused("redis://h:65536/c", "port");
	refused("redis://h:/c", "port");
	refused("redis://h:99999999999999999999/c", "port");
	refused("redis://h:6379x/c", "port");
	refused("redis://h h/c", "no host has");
	refused("redis://[]/c", "in brackets");
	refused("redis://[::1/c", "in brackets");
	refused("redis://[h]/c", "in brackets");
	refused("redis://[::1]x/c", "no host has");
	refused("redis://h/a/b", "more than a channel");
	refused("redis://h/%zz", "%-escape");
	refused("redis://h/%00", "%-escape");
	refused("redis://h/%1b", "control character");
	refused("redis://h/%ff", "control character");
	refused("redis://h/c#x", "fragment");
	refused("redis://u@h/c", "without a password");
	refused("redis://u:@h/c", "without a password");
	refused("redis://u:s3cret%@h/c", "%-escape");
	refused("redis://u:s3cret@/c", "names no host");
	refused("redis://u:s3cret@h:x/c", "port");
	refused("redis://h/c?sentinal=x", "did you mean \"sentinel\"?");
	refused("redis://h/c?frobnicate=x", "there are ca, cert");
	refused("redis://h/c?events=", "needs a value");
	refused("redis://h/c?events", "needs a value");
	refused("redis://h/c?events=a&events=b", "given twice");
	refused("redis://h/c?", "unknown parameter \"\"");
	refused("redis://h/c?ca=x", "no TLS");
	refused("rediss://h/c?cert=x", "only one of cert and key");
}

static void one_that_is_too_long_is_refused(void **state)
{
	char url[REDIS_URL_MAX + 2];

	(void)state;
	memset(url, 'a', sizeof(url));
	memcpy(url, "redis://", 8);
	url[sizeof(url) - 1] = '\0';
	refused(url, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_has_the_defaults),
		cmocka_unit_test(every_part_is_taken_and_decoded),
		cmocka_unit_test(a_password_alone_is_the_default_users),
		cmocka_unit_test(with_a_masters_name_the_host_is_a_sentinel),
		cmocka_unit_test(what_is_no_such_url_is_refused),
		cmocka_unit_test(one_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
