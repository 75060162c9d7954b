/* SPDX-License-Identifier: BSD-2-Clause */
/* The canonical form by RFC 8785's own examples, and what a signature does and does not let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "request/canonical_json.h"
#include "request/signature.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define OWN(text) ((char *)(uintptr_t)(text))

CLEANUP_DEFINE(json, json_t, json_decref)

static int canonical(const char *json, struct buffer *out)
{
	cleanup(cleanup_json) json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	assert_non_null(value);
	return canonical_json(value, out);
}

static void check(const char *json, const char *expected)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(65536);

	assert_int_equal(canonical(json, &out), 0);
	if (strcmp(buffer_text(&out), expected) != 0)
		fail_msg("%s\n  is        %s\n  should be %s", json, buffer_text(&out), expected);
}

static void test_examples_of_rfc_8785(void **state)
{
	(void)state;
	check("{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n"
	      "\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n\"literals\": [null, true, "
	      "false]}",
	      "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
	      "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
	/* 3.2.3: by UTF-16, an emoji comes before a Hebrew presentation form. */
	check("{\"\\u20ac\": 1, \"\\r\": 2, \"\\ufb33\": 3, \"1\": 4, \"\\ud83d\\ude00\": 5, \"\\u0080\": 6, "
	      "\"\\u00f6\": 7}",
	      "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"ö\":7,\"€\":1,\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
}

/* Appendix B, and the edges between the ways of writing a number. */
static void test_numbers_are_written_as_ecmascript_does(void **state)
{
	static const char *const cases[][2] = {
		{"0.0", "0"},
		{"-0.0", "0"},
		{"-0", "0"},
		{"5e-324", "5e-324"},
		{"-5e-324", "-5e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e+308"},
		{"9007199254740992.0", "9007199254740992"},
		{"-9007199254740992.0", "-9007199254740992"},
		{"295147905179352830000.0", "295147905179352830000"},
		{"9.999999999999997e22", "9.999999999999997e+22"},
		{"1e23", "1e+23"},
		{"1.0000000000000001e23", "1.0000000000000001e+23"},
		{"999999999999999700000.0", "999999999999999700000"},
		{"1e21", "1e+21"},
		{"9.999999999999997e-7", "9.999999999999997e-7"},
		{"0.000001", "0.000001"},
		{"333333333.33333325", "333333333.33333325"},
		{"-0.0000033333333333333333", "-0.0000033333333333333333"},
		{"1424953923781206.25", "1424953923781206.2"},
		{"1.0", "1"},
		{"10.50", "10.5"},
		{"123e-2", "1.23"},
		{"100", "100"},
		{"-9007199254740991", "-9007199254740991"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(cases[i][0], cases[i][1]);
}

static void test_integers_beyond_a_double_are_refused(void **state)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(65536);

	(void)state;
	assert_int_equal(canonical("{\"a\":[9007199254740992]}", &out), -ERANGE);
	assert_int_equal(canonical("-9223372036854775808", &out), -ERANGE);
}

static void test_control_characters_are_escaped_and_others_are_not(void **state)
{
	(void)state;
	check("\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f\\u0080\\u2028\"",
	      "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\xc2\x80\xe2\x80\xa8\"");
	check("{}", "{}");
	check("[]", "[]");
	check("{\"b\":{\"d\":[],\"c\":{}},\"a\":[[1]]}", "{\"a\":[[1]],\"b\":{\"c\":{},\"d\":[]}}");
}

/* --- signatures --- */

#define NOW_S 1795423260
#define NOW_NS (NOW_S * NS_PER_S)

static struct config_key keys[] = {{.name = OWN("ci"), .secret = OWN("a-secret-of-sixteen-or-more")},
				   {.name = OWN("monitoring"), .secret = OWN("0123456789abcdef")}};
static struct config_requests rules = {.signature_age_ns = 60 * NS_PER_S};

/* Lives as long as the program, as do the keys. */
static int make_keyring(void **state)
{
	(void)state;
	rules.keyring = config_keyring_new(NULL, keys, COUNT(keys));
	return rules.keyring ? 0 : -1;
}

static int verify(const char *json, uint64_t arrival_ns, struct error *err)
{
	cleanup(cleanup_json) json_t *message = json_loads(json, 0, NULL);
	struct signature signature;

	assert_non_null(message);
	err->text[0] = '\0';
	const int r = signature_verify(message, &rules, arrival_ns, &signature, err);
	assert_null(json_object_get(message, "sig"));
	if (r == 0)
		assert_string_equal(signature.key->name, "monitoring");
	return r;
}

/* Made with Python's hmac and json.dumps(sort_keys=True, separators=(",", ":")). */
#define MAC "8b0f11bb033ce480979b4875cc355c8ec31cbf8ce4f6f4284dd7b3aa106341b4"
#define SIGNED(sig) \
	"{\"node\":\"any\", \"interface\":[\"eth0\"], \"before\":10, \"bpf\":\"port 53\", \"sig\":\"" sig "\"}"

static void test_signature_made_elsewhere_is_verified(void **state)
{
	struct error err;

	(void)state;
	if (verify(SIGNED("monitoring:1795423260:n-1:" MAC), NOW_NS, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(verify("{\"sig\":\"monitoring:1795423260:n-1:" MAC
				"\",\"bpf\":\"port 53\",\"node\":\"any\",\"before\":1e1,\"interface\":[\"eth0\"]}",
				NOW_NS, &err),
			 0);
}

static void test_anything_else_is_refused(void **state)
{
	static const char *const cases[][2] = {
		{"{\"node\":\"any\"}", "is missing"},
		{"{\"sig\":5}", "must be a string"},
		{"{\"sig\":\"\"}", "must be KEY:TIME:NONCE:MAC"},
		{SIGNED("monitoring:1795423260:" MAC), "must be KEY:TIME:NONCE:MAC"},
		{SIGNED("monitoring:1795423260:n-1:" MAC "0"), "must be KEY:TIME:NONCE:MAC"},
		{SIGNED("monitoring:-1:n-1:" MAC), "must be KEY:TIME:NONCE:MAC"},
		{SIGNED("monitoring:1795423260::" MAC), "must be KEY:TIME:NONCE:MAC"},
		{SIGNED("monitor:1795423260:n-1:" MAC), "there is no key \"monitor\""},
		{SIGNED("ci:1795423260:n-1:" MAC), "does not fit"},
		{SIGNED("monitoring:1795423261:n-1:" MAC), "does not fit"},
		{SIGNED("monitoring:1795423260:n-2:" MAC), "does not fit"},
		{"{\"node\":\"any\",\"interface\":[\"eth0\"],\"before\":11,\"bpf\":\"port 53\",\"sig\":"
		 "\"monitoring:1795423260:n-1:" MAC "\"}",
		 "does not fit"},
		{"{\"node\":\"any\",\"interface\":[\"eth0\"],\"before\":10,\"bpf\":\"port 53\",\"snap\":1,\"sig\":"
		 "\"monitoring:1795423260:n-1:" MAC "\"}",
		 "does not fit"},
		{"{\"alertid\":9007199254740993,\"sig\":\"monitoring:1795423260:n-1:" MAC "\"}", "beyond 2^53"},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(verify(cases[i][0], NOW_NS, &err), -EINVAL);
		if (!strstr(err.text, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], err.text);
	}
}

static void test_stale_signature_is_refused_on_either_side(void **state)
{
	const char *json = SIGNED("monitoring:1795423260:n-1:" MAC);
	struct error err;

	(void)state;
	assert_int_equal(verify(json, NOW_NS + 60 * NS_PER_S, &err), 0);
	assert_int_equal(verify(json, NOW_NS - 60 * NS_PER_S, &err), 0);
	assert_int_equal(verify(json, NOW_NS + 61 * NS_PER_S, &err), -EINVAL);
	assert_non_null(strstr(err.text, "61 s before the request came; the limit is 60 s (requests.signature_age)"));
	assert_int_equal(verify(json, NOW_NS - 61 * NS_PER_S, &err), -EINVAL);
	assert_non_null(strstr(err.text, "61 s after"));
}

static void test_own_signature_is_verified_and_differs_each_time(void **state)
{
	cleanup(cleanup_json) json_t *message =
		json_loads("{\"node\":\"any\",\"before\":0.5,\"customer\":\"Ümit\\u0007\",\"sig\":\"old\"}", 0, NULL);
	cleanup(cleanup_json) json_t *first = NULL;
	struct signature signature;
	struct error err;

	(void)state;
	assert_int_equal(signature_sign(message, &keys[1], &err), 0);
	first = json_deep_copy(json_object_get(message, "sig"));
	assert_int_equal(signature_verify(message, &rules, clock_realtime_ns(), &signature, &err), 0);
	assert_ptr_equal(signature.key, &keys[1]);
	assert_int_equal(signature_sign(message, &keys[1], &err), 0);
	assert_string_not_equal(json_string_value(first), json_string_value(json_object_get(message, "sig")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_rfc_8785),
		cmocka_unit_test(test_numbers_are_written_as_ecmascript_does),
		cmocka_unit_test(test_integers_beyond_a_double_are_refused),
		cmocka_unit_test(test_control_characters_are_escaped_and_others_are_not),
		cmocka_unit_test(test_signature_made_elsewhere_is_verified),
		cmocka_unit_test(test_anything_else_is_refused),
		cmocka_unit_test(test_stale_signature_is_refused_on_either_side),
		cmocka_unit_test(test_own_signature_is_verified_and_differs_each_time),
	};

	return cmocka_run_group_tests_name("signature", tests, make_keyring, NULL);
}
