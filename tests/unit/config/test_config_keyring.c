/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys follow their file; a file with a fault leaves them as they were, and is logged once. */
#include "config_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config_keyring.h"
#include "config/config_keys.h"

#define OLD "ci:0123456789abcdef\n"
#define NEW "ci:fedcba9876543210\nmonitoring:0123456789abcdef\n"

static unsigned unread, changed;

static void on_log(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	(void)ctx;
	(void)severity;
	(void)fields;
	unread += strcmp(id, "secret-unread") == 0;
	changed += strcmp(id, "secret-changed") == 0;
}

static const char *put(const char *text)
{
	const char *beside = fixture_file("keys.new", text);

	assert_int_equal(rename(beside, fixture_path("keys")), 0);
	return fixture_path("keys");
}

static struct config_keyring *open_ring(const char *text)
{
	const char *path = put(text);
	struct config_key *keys;
	struct error err;
	size_t count;

	if (config_keys_read(path, &keys, &count, &err) < 0)
		fail_msg("%s", err.text);
	struct config_keyring *keyring = config_keyring_new(path, keys, count);
	assert_non_null(keyring);
	unread = changed = 0;
	log_divert(on_log, NULL);
	return keyring;
}

static const char *secret_of(struct config_keyring *keyring, const char *name)
{
	const struct config_key *key = config_keyring_find(keyring, name, strlen(name));

	return key ? key->secret : NULL;
}

static void test_keys_follow_their_file(void **state)
{
	cleanup(cleanup_config_keyring) struct config_keyring *keyring = open_ring(OLD);

	(void)state;
	assert_string_equal(secret_of(keyring, "ci"), "0123456789abcdef");
	assert_null(secret_of(keyring, "monitoring"));
	put(NEW);
	assert_string_equal(secret_of(keyring, "ci"), "fedcba9876543210");
	assert_string_equal(secret_of(keyring, "monitoring"), "0123456789abcdef");
	put(OLD);
	assert_null(secret_of(keyring, "monitoring"));
	assert_int_equal(changed, 2);
	put("# the same\n" OLD);
	assert_string_equal(secret_of(keyring, "ci"), "0123456789abcdef");
	assert_int_equal(changed, 2);
	assert_int_equal(unread, 0);
}

static void test_fault_leaves_the_keys_and_is_logged_once(void **state)
{
	cleanup(cleanup_config_keyring) struct config_keyring *keyring = open_ring(OLD);

	(void)state;
	put("no key\n");
	for (int i = 0; i < 3; i++)
		assert_string_equal(secret_of(keyring, "ci"), "0123456789abcdef");
	assert_int_equal(unread, 1);
	assert_false(config_keyring_read_again(keyring)); /* the same file: no further line */
	assert_int_equal(unread, 1);
	unlink(fixture_path("keys"));
	assert_string_equal(secret_of(keyring, "ci"), "0123456789abcdef");
	assert_string_equal(secret_of(keyring, "ci"), "0123456789abcdef");
	assert_int_equal(unread, 2);
	put(NEW);
	assert_string_equal(secret_of(keyring, "ci"), "fedcba9876543210");
	assert_int_equal(unread, 2);
}

static void test_keys_that_a_request_holds_outlive_their_file(void **state)
{
	struct config_keyring *keyring = open_ring(OLD);
	const struct config_key *key = config_keyring_find(keyring, "ci", 2);
	struct config_key_set *held = config_keyring_hold(keyring);

	(void)state;
	put(NEW);
	assert_null(secret_of(keyring, "other"));
	config_keyring_free(keyring);
	assert_string_equal(key->name, "ci");
	assert_string_equal(key->secret, "0123456789abcdef");
	config_key_set_release(held);
}

static void test_refused_signatures_read_the_file_at_a_bounded_rate(void **state)
{
	cleanup(cleanup_config_keyring) struct config_keyring *keyring = open_ring(OLD);
	const uint64_t began_ns = clock_boottime_ns();
	unsigned reads = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		put(i % 2 ? OLD : NEW);
		reads += config_keyring_read_again(keyring);
	}
	assert_true(reads >= 1);
	assert_true(reads <= 1 + (clock_boottime_ns() - began_ns) / NS_PER_S);
}

static int teardown(void **state)
{
	log_divert(NULL, NULL);
	return fixture_teardown(state);
}

int main(void)
{
#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, teardown)
	static const struct CMUnitTest tests[] = {
		with_files(test_keys_follow_their_file),
		with_files(test_fault_leaves_the_keys_and_is_logged_once),
		with_files(test_keys_that_a_request_holds_outlive_their_file),
		with_files(test_refused_signatures_read_the_file_at_a_bounded_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
