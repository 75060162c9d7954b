/* SPDX-License-Identifier: BSD-2-Clause */
/* The MACs were computed with `openssl dgst -sha256 -hmac SECRET`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/alert_signature.h"
#include "base/clock.h"
#include "config/config_keyring.h"

#define BODY "{\"a\":1}"
#define SECRET "0123456789abcdef"
#define TIME "1764547200"
#define NOW_NS (UINT64_C(1764547200) * NS_PER_S)
#define BODY_MAC "1c76fbb930d3aa8b1633728fae212c68ca68a6752bb319b98be6fe17e86cf5b8"
#define TIMED_MAC "c6b7e39419173985b93caf36d565b6c4ec5704aaa0b757aafcc1bd8077109f17"
#define OTHER_MAC "0000000000000000000000000000000000000000000000000000000000000000"

struct header {
	const char *name, *value;
};

static const char *find(const void *ctx, const char *name)
{
	for (const struct header *header = ctx; header->name; header++)
		if (strcasecmp(header->name, name) == 0)
			return header->value;
	return NULL;
}

static struct config_keyring *make_keys(size_t count)
{
	struct config_key *keys = calloc(count, sizeof(*keys));

	for (size_t i = 0; i < count; i++) {
		char name[16], secret[32];

		snprintf(name, sizeof(name), "key%zu", i + 1);
		snprintf(secret, sizeof(secret), "another secret %zu", i);
		keys[i].name = strdup(name);
		keys[i].secret = strdup(i == count - 1 ? SECRET : secret);
	}
	return config_keyring_new(NULL, keys, count);
}

#define HEADERS(...) ((const struct header[]){__VA_ARGS__, {NULL, NULL}})

/* The fault; "": none. */
static const char *verify(size_t key_count, bool untimed, const char *key, const struct header *headers)
{
	static struct error err;
	cleanup(cleanup_config_keyring) struct config_keyring *keys = make_keys(key_count);
	const struct alert_signature_rules rules = {.keys = keys, .max_age_ns = 300 * NS_PER_S, .untimed = untimed};
	const struct alert_signature_message message = {
		.header = find, .ctx = headers, .key = key, .body = BODY, .size = strlen(BODY)};
	struct alert_signature signature;
	char name[16];

	const int r = alert_signature_verify(&rules, &message, NOW_NS, &signature, &err);
	if (r == 0) {
		snprintf(name, sizeof(name), "key%zu", key_count);
		assert_string_equal(signature.key, name);
		assert_true(strcmp(signature.mac, BODY_MAC) == 0 || strcmp(signature.mac, TIMED_MAC) == 0);
	}
	return r == 0 ? "" : err.text;
}

static void test_signatures_of_known_senders_fit(void **state)
{
	(void)state;
	assert_string_equal(verify(1, false, NULL,
				   HEADERS({"x-grafana-alerting-signature", TIMED_MAC},
					   {"X-Grafana-Alerting-Timestamp", TIME})),
			    "");
	assert_string_equal(verify(3, false, NULL,
				   HEADERS({"X-Pcapdaemon-Signature", TIMED_MAC}, {"X-Pcapdaemon-Timestamp", TIME})),
			    "");
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Grafana-Alerting-Signature", BODY_MAC})), "");
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})), "");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-PagerDuty-Signature", "v1=" OTHER_MAC ", v2=x,v1=" BODY_MAC})),
			    "");
}

static void test_others_do_not(void **state)
{
	static const char none[] = "X-Hub-Signature-256 fits none of the keys (api.alert_keys_file)";

	(void)state;
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" OTHER_MAC})), none);
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" TIMED_MAC})), none);
	assert_string_equal(verify(2, true, "key1", HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})),
			    "X-Hub-Signature-256 does not fit the key (api.alert_keys_file)");
	assert_string_equal(verify(1, true, "none", HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})),
			    "X-Hub-Signature-256 does not fit the key (api.alert_keys_file)");
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Other", "1"})), "there is no signature");
}

static void test_a_time_is_part_of_the_signature_and_near(void **state)
{
	(void)state;
	assert_string_equal(verify(1, false, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})),
			    "the signature has no time (api.alert_untimed)");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-Pcapdaemon-Signature", TIMED_MAC},
					   {"X-Pcapdaemon-Timestamp", "1764547201"})),
			    "X-Pcapdaemon-Signature fits none of the keys (api.alert_keys_file)");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-Pcapdaemon-Signature", TIMED_MAC},
					   {"X-Pcapdaemon-Timestamp", "1764546899"})),
			    "X-Pcapdaemon-Timestamp is 301 s off; the limit is 300 s (api.alert_signature_age)");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-Pcapdaemon-Signature", TIMED_MAC},
					   {"X-Pcapdaemon-Timestamp", "1764547501"})),
			    "X-Pcapdaemon-Timestamp is 301 s off; the limit is 300 s (api.alert_signature_age)");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-Pcapdaemon-Signature", TIMED_MAC}, {"X-Pcapdaemon-Timestamp", "now"})),
			    "X-Pcapdaemon-Timestamp must be in Unix seconds");
}

static void test_what_is_malformed_is_named(void **state)
{
	(void)state;
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=12"})),
			    "X-Hub-Signature-256 must be sha256=HEX, with 64 hexadecimal digits");
	assert_string_equal(verify(1, true, NULL, HEADERS({"X-PagerDuty-Signature", ""})),
			    "X-PagerDuty-Signature has no signature v1=HEX");
	assert_string_equal(verify(1, true, NULL,
				   HEADERS({"X-PagerDuty-Signature",
					    "v1=" OTHER_MAC ",v1=" OTHER_MAC ",v1=" OTHER_MAC ",v1=" OTHER_MAC
					    ",v1=" OTHER_MAC ",v1=" OTHER_MAC ",v1=" OTHER_MAC ",v1=" OTHER_MAC
					    ",v1=" BODY_MAC})),
			    "X-PagerDuty-Signature has more than 8 signatures");
}

static void test_the_number_of_keys_that_are_tried_has_a_cap(void **state)
{
	(void)state;
	assert_string_equal(verify(8, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})), "");
	assert_string_equal(verify(9, true, NULL, HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})),
			    "name the key with ?key=NAME: there are more than 8");
	assert_string_equal(verify(9, true, "key9", HEADERS({"X-Hub-Signature-256", "sha256=" BODY_MAC})), "");
}

static void test_a_signature_is_remembered_for_as_long_as_it_is_good(void **state)
{
	cleanup(cleanup_alert_signatures) struct alert_signatures *signatures = alert_signatures_new(300 * NS_PER_S);
	const struct alert_signature one = {.mac = BODY_MAC}, other = {.mac = TIMED_MAC};

	(void)state;
	assert_false(alert_signatures_has(signatures, &one, NS_PER_S));
	alert_signatures_add(signatures, &one, NS_PER_S);
	assert_true(alert_signatures_has(signatures, &one, 600 * NS_PER_S));
	assert_false(alert_signatures_has(signatures, &one, 601 * NS_PER_S));
	assert_false(alert_signatures_has(signatures, &other, NS_PER_S));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures_of_known_senders_fit),
		cmocka_unit_test(test_others_do_not),
		cmocka_unit_test(test_a_time_is_part_of_the_signature_and_near),
		cmocka_unit_test(test_what_is_malformed_is_named),
		cmocka_unit_test(test_the_number_of_keys_that_are_tried_has_a_cap),
		cmocka_unit_test(test_a_signature_is_remembered_for_as_long_as_it_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
