/* SPDX-License-Identifier: BSD-2-Clause */
/* [requests] and [api.requests]. */
#include "config_fixture.h"

#include "base/clock.h"

static void test_defaults_are_narrow_over_redis_and_wide_on_the_control_api(void **state)
{
	(void)state;
	assert_loads("");
	const struct config_requests *redis = &fixture_config->requests, *api = &fixture_config->api.requests;

	assert_string_equal(redis->section, "requests");
	assert_string_equal(api->section, "api.requests");
	assert_false(redis->destinations_given || api->destinations_given);
	assert_true(redis->redis_files);
	assert_false(redis->resolve || redis->allow_debug);
	assert_true(api->resolve && api->allow_debug);
	assert_int_equal(redis->interfaces.count + api->interfaces.count, 0);
	assert_true(redis->maxbefore_ns >= CONFIG_MAXBEFORE_NONE && api->maxbefore_ns >= CONFIG_MAXBEFORE_NONE);
}

static void test_each_section_has_its_own_keys(void **state)
{
	(void)state;
	assert_loads(
		"[requests]\ndestinations = [\"local\", \"redis\"]\ninterfaces = [\"eth0\"]\nfilter = \"udp\"\n"
		"maxbefore = 0\nresolve = true\n"
		"[api]\nsocket = \"/s\"\n[api.requests]\ndestinations = []\nallow_debug = false\nmaxbefore = \"2m\"\n");
	assert_true(fixture_config->requests.destinations_given);
	assert_int_equal(fixture_config->requests.destinations.count, 2);
	assert_string_equal(fixture_config->requests.interfaces.items[0], "eth0");
	assert_string_equal(fixture_config->requests.filter, "udp");
	assert_int_equal(fixture_config->requests.maxbefore_ns, 0);
	assert_true(fixture_config->requests.resolve);
	assert_string_equal(fixture_config->api.socket, "/s");
	assert_true(fixture_config->api.requests.destinations_given);
	assert_int_equal(fixture_config->api.requests.destinations.count, 0);
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
	assert_fault(
		"[requests]\ndestinations = [\"loca\"]\n",
		"t.toml:2:16: requests.destinations: \"loca\" is no destination (there are cloudshark, local, memory "
		"and redis)");
	assert_fault("[api.requests]\nresolv = true\n",
		     "t.toml:2:1: api.requests.resolv: unknown key (did you mean resolve?)");
	assert_fault("[api.request]\nresolve = true\n",
		     "t.toml:1:6: api.request: unknown key (did you mean requests?)");
	assert_fault("[api]\nrequests = 1\n", "t.toml:2:1: api.requests: is a section; write [api.requests]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults_are_narrow_over_redis_and_wide_on_the_control_api),
		TEST(test_each_section_has_its_own_keys),
		TEST(test_section_may_be_inline_or_come_alone),
		TEST(test_faults_are_named),
	};

	return cmocka_run_group_tests_name("config_requests", tests, NULL, NULL);
}
