/* SPDX-License-Identifier: BSD-2-Clause */
/* A reason names what the alert has instead of what the rule looks for. */
#include "alerts.h"

#include <errno.h>
#include <string.h>

#include "alert/alert_why.h"

#define EVE                                                                                                      \
	"{\"event_type\":\"alert\",\"src_ip\":\"10.0.0.1\",\"alert\":{\"severity\":1,\"signature\":\"S\"},\"id." \
	"orig_h\":\"x\",\"hosts\":[{\"name\":\"a\"}]}"

static void check(const char *alert, const char *path, const char *expected)
{
	cleanup(cleanup_json) json_t *json = parsed(alert);
	struct error why = {0};

	assert_int_equal(alert_why_missing(json, path, &why), -ENOENT);
	assert_int_equal(alert_why_missing(json, path, NULL), -ENOENT);
	assert_string_equal(why.text, expected);
}

static void test_a_missing_path_is_one_that_is_spelt_alike(void **state)
{
	(void)state;
	check(EVE, "alert.sevrity", "alert.sevrity is missing; did you mean alert.severity?");
	check(EVE, "Event_type", "Event_type is missing; did you mean event_type?");
	check(EVE, "severity", "severity is missing; did you mean alert.severity?");
	check(EVE, "host.name", "host.name is missing; did you mean hosts.each.name?");
	check(EVE, "id.orig_p", "id.orig_p is missing; did you mean id.orig_h?");
}

static void test_else_the_keys_beside_it_are_listed(void **state)
{
	(void)state;
	check(EVE, "alert.xyz", "alert.xyz is missing; alert has severity, signature");
	check(EVE, "source.ip", "source.ip is missing; the alert has event_type, src_ip, alert, id.orig_h, hosts");
	check("{}", "a.b", "a.b is missing");
	check("{\"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":1,\"k6\":1,\"k7\":1,\"k8\":1,\"k9\":1}", "other",
	      "other is missing; the alert has k1, k2, k3, k4, k5, k6, k7, k8, …");
}

static void test_what_is_there_but_no_text_is_named(void **state)
{
	(void)state;
	check(EVE, "alert", "alert is an object, not a text");
	check(EVE, "hosts", "hosts is an array, not a text");
	check("{\"a\":null}", "a", "a is null, not a text");
}

/* However large the alert is, and whatever its keys are. */
static void test_an_alert_cannot_make_a_reason_large(void **state)
{
	cleanup(cleanup_json) json_t *alert = json_object();
	char key[600];
	struct error why;

	(void)state;
	memset(key, 'k', sizeof(key));
	for (int i = 0; i < 2000; i++) {
		snprintf(key, 16, "%015d", i);
		key[15] = '\n';
		json_object_setn_new(alert, key, sizeof(key), json_integer(1));
	}
	(void)alert_why_missing(alert, "a", &why);
	assert_true(strlen(why.text) < 700 && !strchr(why.text, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_missing_path_is_one_that_is_spelt_alike),
		cmocka_unit_test(test_else_the_keys_beside_it_are_listed),
		cmocka_unit_test(test_what_is_there_but_no_text_is_named),
		cmocka_unit_test(test_an_alert_cannot_make_a_reason_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
