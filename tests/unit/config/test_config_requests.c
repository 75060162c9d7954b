/* SPDX-License-Identifier: BSD-2-Clause */
/* [requests] and [api.requests]. */
#include "config_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/config_keyring.h"

static void test_defaults_are_narrow_over_redis_and_wide_on_the_control_api(void **state)
{
	(void)state;
	assert_loads("");
	const struct config_requests *redis = &fixture_config->requests, *api = &fixture_config->api.requests;

	assert_string_equal(redis->section, "requests");
	assert_string_equal(api->section, "api.requests");
	assert_int_equal(redis->destinations.count + api->destinations.count, 0);
	assert_true(redis->redis_files);
	assert_false(redis->resolve || redis->allow_debug);
	assert_true(api->resolve && api->allow_debug);
	assert_int_equal(redis->interfaces.count + api->interfaces.count, 0);
	assert_true(redis->maxbefore_ns >= CONFIG_MAXBEFORE_NONE && api->maxbefore_ns >= CONFIG_MAXBEFORE_NONE);
}

static void test_each_section_has_its_own_keys(void **state)
{
	(void)state;
	assert_loads("[requests]\ndestinations = [\"local\", \"redis\"]\ninterfaces = [\"eth0\"]\nfilter = \"udp\"\n"
		     "maxbefore = 0\nresolve = true\n"
		     "[api]\nsocket = \"/s\"\n[api.requests]\ndestinations = [\"none\"]\nallow_debug = "
		     "false\nmaxbefore = \"2m\"\n");
	assert_int_equal(fixture_config->requests.destinations.count, 2);
	assert_string_equal(fixture_config->requests.interfaces.items[0], "eth0");
	assert_string_equal(fixture_config->requests.filter, "udp");
	assert_int_equal(fixture_config->requests.maxbefore_ns, 0);
	assert_true(fixture_config->requests.resolve);
	assert_string_equal(fixture_config->api.socket, "/s");
	assert_string_equal(fixture_config->api.requests.destinations.items[0], "none");
	assert_false(fixture_config->api.requests.allow_debug);
	assert_int_equal(fixture_config->api.requests.maxbefore_ns, 120 * NS_PER_S);
}

static void test_section_may_be_inline_or_come_alone(void **state)
{
	(void)state;
	assert_loads("[api.requests]\nresolve = false\n");
	assert_false(fixture_config->api.requests.resolve);
	assert_loads("[api]\nrequests = {resolve = false}\ngroup = \"\"\n");
	assert_false(fixture_config->api.requests.resolve);
	assert_string_equal(fixture_config->api.group, "");
}

static void test_faults_are_named(void **state)
{
	(void)state;
	assert_fault("[requests]\ndestinations = [\"loca\"]\n",
		     "t.toml:2:16: requests.destinations: \"loca\" is no destination (there are cloudshark, local, "
		     "memory, redis, http, sftp and s3)");
	assert_fault("[api.requests]\nresolv = true\n",
		     "t.toml:2:1: api.requests.resolv: unknown key (did you mean resolve?)");
	assert_fault("[api.request]\nresolve = true\n",
		     "t.toml:1:6: api.request: unknown key (did you mean requests?)");
	assert_fault("[api]\nrequests = 1\n", "t.toml:2:1: api.requests: is a section; write [api.requests]");
}

static void test_keys_are_read_with_their_limits(void **state)
{
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "[requests]\nkeys_file = \"%s\"\n",
		 fixture_file("keys",
			      "# ours\n\nci:0123456789abcdef\n  mon.1:Zm9vYmFyYmF6cXV4Cg==  destinations=local,redis "
			      "interfaces=eth0\r\n"));
	assert_loads(text);
	const struct config_requests *requests = &fixture_config->requests;
	assert_int_equal(config_keyring_count(requests->keyring), 2);
	const struct config_key *ci = config_keyring_find(requests->keyring, "ci", 2);
	assert_string_equal(ci->secret, "0123456789abcdef");
	assert_int_equal(ci->destinations.count + ci->interfaces.count, 0);
	const struct config_key *monitoring = config_keyring_find(requests->keyring, "mon.1:", 5);
	assert_string_equal(monitoring->name, "mon.1");
	assert_string_equal(monitoring->secret, "Zm9vYmFyYmF6cXV4Cg==");
	assert_string_equal(monitoring->destinations.items[1], "redis");
	assert_string_equal(monitoring->interfaces.items[0], "eth0");
	assert_int_equal(requests->signature_age_ns, 60 * NS_PER_S);
	assert_string_equal(requests->nonces_file, "/run/pcapdaemon/control.sock.nonces");
}

static void test_keys_come_from_a_credential_too(void **state)
{
	(void)state;
	fixture_file("requests.keys", "ci:0123456789abcdef\n");
	setenv("CREDENTIALS_DIRECTORY", fixture_directory, 1);
	assert_loads("");
	assert_int_equal(config_keyring_count(fixture_config->requests.keyring), 1);
}

static void test_bad_keys_are_refused_without_their_secrets(void **state)
{
	static const char *const cases[][2] = {
		{"", "is empty"},
		{"# nothing\n", "has no key"},
		{"topsecret", "line 1: must be NAME:SECRET"},
		{":topsecrettopsecret", "line 1: the name must be"},
		{"a b:topsecrettopsecret", "line 1: must be NAME:SECRET"},
		{"a:topsecret", "line 1: the secret must be 16 to 256"},
		{"a:topsecrettopsecret:", "line 1: the secret must be"},
		{"a:topsecrettopsecret\na:topsecrettopsecret2", "line 2: the key \"a\" is there already"},
		{"a:topsecrettopsecret destination=local", "line 1: after the secret only"},
		{"a:topsecrettopsecret topsecret", "line 1: after the secret only"},
		{"a:topsecrettopsecret destinations=nowhere", "the key \"a\": \"nowhere\" is no destination (there are "
							      "cloudshark, local, memory, redis, http, sftp and s3)"},
		{"a:topsecrettopsecret interfaces=", "line 1: \"\" is empty"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[8192];

		snprintf(text, sizeof(text), "[requests]\nkeys_file = \"%s\"\n", fixture_file("keys", cases[i][0]));
		assert_int_not_equal(load_text(text), 0);
		if (!strstr(buffer_text(&fixture_faults), cases[i][1]) ||
		    strstr(buffer_text(&fixture_faults), "topsecret"))
			fail_msg("%s: %s", cases[i][0], buffer_text(&fixture_faults));
	}
}

static void test_signed_entries_of_a_stream_need_a_greatest_age(void **state)
{
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "[redis]\nstream = \"s\"\nstream_max_age = 0\n[requests]\nkeys_file = \"%s\"\n",
		 fixture_file("keys", "ci:0123456789abcdef"));
	assert_fault(text, "t.toml:3:18: redis.stream_max_age: must limit the age of signed requests "
			   "(requests.keys_file)");
}

static void test_rules_have_hosts_and_a_key_of_their_own(void **state)
{
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "[rules]\nhosts = [\"10.0.0.7=edge7\"]\nsign_key = \"%s\"\n",
		 fixture_file("key", "rules:0123456789abcdef\n"));
	assert_loads(text);
	assert_string_equal(fixture_config->rules.hosts.items[0], "10.0.0.7=edge7");
	assert_string_equal(config_keyring_first(fixture_config->rules.keyring)->name, "rules");
	assert_null(fixture_config->requests.keyring);
	assert_fault("[rules]\nhosts = [\"edge7\"]\n", "t.toml:2:9: rules.hosts: \"edge7\" must be HOST=NODE");
	assert_fault("[rules]\nhosts = [\"=edge7\"]\n", "t.toml:2:9: rules.hosts: \"=edge7\" must be HOST=NODE");
	assert_fault("[rules]\nsign_key = \"/none\"\n",
		     "t.toml:2:12: rules.sign_key: /none: No such file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults_are_narrow_over_redis_and_wide_on_the_control_api),
		TEST(test_each_section_has_its_own_keys),
		TEST(test_section_may_be_inline_or_come_alone),
		TEST(test_faults_are_named),
		TEST(test_keys_are_read_with_their_limits),
		TEST(test_rules_have_hosts_and_a_key_of_their_own),
		TEST(test_keys_come_from_a_credential_too),
		TEST(test_bad_keys_are_refused_without_their_secrets),
		TEST(test_signed_entries_of_a_stream_need_a_greatest_age),
	};

	return cmocka_run_group_tests_name("config_requests", tests, NULL, NULL);
}
