/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets do not get into texts, in whichever spelling they come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/scrub.h"

#define SAS "https://acct.blob.core.windows.net/c/{name}?sv=2022-11-02&sr=c&sp=cw&sig=abc%2Fdef%2B123%3D"

static void check(const struct scrub *scrub, const char *text, const char *expected)
{
	char got[256];

	scrub_put(scrub, got, sizeof(got), text);
	assert_string_equal(got, expected);
}

static void test_token_is_hidden_in_every_spelling(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add(&scrub, "to/ken+1"), 0);
	check(&scrub, "Bearer to/ken+1, to%2Fken%2B1 or to\\/ken+1", "Bearer ***, *** or ***");
	check(&scrub, "nothing", "nothing");
	scrub_deinit(&scrub);
}

static void test_longer_secret_is_hidden_before_its_own_beginning(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add(&scrub, "abcd"), 0);
	assert_int_equal(scrub_add(&scrub, "abcdefgh"), 0);
	check(&scrub, "abcdefgh abcd", "*** ***");
	scrub_deinit(&scrub);
}

static void test_query_of_a_url_is_hidden(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add_url(&scrub, SAS, false), 0);
	check(&scrub, "sig=abc%2Fdef%2B123%3D", "sig=***");
	check(&scrub, "the signature abc/def+123= did not match", "the signature *** did not match");
	check(&scrub, "sr=c sp=cw", "sr=c sp=cw"); /* too short to be secrets */
	check(&scrub, "acct.blob.core.windows.net/c/", "acct.blob.core.windows.net/c/");
	scrub_deinit(&scrub);
}

static void test_placeholders_in_a_query_hide_nothing(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add_url(&scrub, "https://h/?n={name}&k=secret{id}hidden&{node}&x", false), 0);
	check(&scrub, "name node secretXhidden id", "name node ***X*** id");
	scrub_deinit(&scrub);
}

static void test_user_and_password_of_a_url_are_hidden(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add_url(&scrub, "https://user:p%40ssword@host/path", false), 0);
	check(&scrub, "user:p%40ssword@host p@ssword host/path", "***@host *** host/path");
	scrub_deinit(&scrub);
}

static void test_path_is_hidden_only_where_it_is_a_secret(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add_url(&scrub, "https://hooks.slack.com/services/T0/B0/XyZ", true), 0);
	check(&scrub, "POST /services/T0/B0/XyZ at hooks.slack.com", "POST /*** at hooks.slack.com");
	scrub_deinit(&scrub);
}

static void test_header_is_hidden_where_it_may_be_a_key(void **state)
{
	struct scrub scrub = {0};

	(void)state;
	assert_int_equal(scrub_add_header(&scrub, "X-Api-Key: 0123456789"), 0);
	assert_int_equal(scrub_add_header(&scrub, "X-Version: 4"), 0);
	assert_int_equal(scrub_add_header(&scrub, "X-Name: name-{name}"), 0);
	check(&scrub, "HTTP 404 name-{name} 0123456789", "HTTP 404 name-{name} ***");
	scrub_deinit(&scrub);
}

static void test_oldest_secrets_give_way(void **state)
{
	struct scrub scrub = {0};
	char token[32];

	(void)state;
	for (unsigned i = 0; i < 3 * SCRUB_TEXTS_MAX; i++) {
		snprintf(token, sizeof(token), "token-number-%u-", i);
		assert_int_equal(scrub_add(&scrub, token), 0);
	}
	check(&scrub, token, "***");
	scrub_deinit(&scrub);
}

static void test_url_is_shown_without_its_secrets(void **state)
{
	static const char *const urls[][2] = {
		{"https://u:p@h:8443/a/b?sig=1#f", "https://h:8443/a/b"},
		{"https://h/a", "https://h/a"},
		{"https://h?x", "https://h"},
		{"https://h/a@b?x@y", "https://h/a@b"},
		{"h/a?b", "h/a"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		char *shown = scrub_url(urls[i][0]);

		assert_string_equal(shown, urls[i][1]);
		free(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_is_hidden_in_every_spelling),
		cmocka_unit_test(test_longer_secret_is_hidden_before_its_own_beginning),
		cmocka_unit_test(test_query_of_a_url_is_hidden),
		cmocka_unit_test(test_placeholders_in_a_query_hide_nothing),
		cmocka_unit_test(test_user_and_password_of_a_url_are_hidden),
		cmocka_unit_test(test_path_is_hidden_only_where_it_is_a_secret),
		cmocka_unit_test(test_header_is_hidden_where_it_may_be_a_key),
		cmocka_unit_test(test_oldest_secrets_give_way),
		cmocka_unit_test(test_url_is_shown_without_its_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
