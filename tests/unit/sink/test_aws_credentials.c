/* SPDX-License-Identifier: BSD-2-Clause */
/* When a key is searched for, and by how many searches; the clocks and the sources are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "sink/s3/aws_credentials.h"
#include "sink/s3/aws_key.h"
#include "sink/s3/aws_sources.h"

static uint64_t clock_ns; /* both clocks */

static uint64_t test_now_ns(void)
{
	return clock_ns;
}

#define clock_realtime_ns test_now_ns
#define clock_boottime_ns test_now_ns
#define aws_sources_new test_sources_new
#define aws_sources_free test_sources_free
#define aws_sources_search test_sources_search
#define aws_sources_is_file test_sources_is_file
#define aws_sources_is_fixed test_sources_is_fixed

struct aws_sources *test_sources_new(struct event_base *loop, const struct aws_credentials_options *options,
				     aws_sources_found found, void *ctx);
void test_sources_free(struct aws_sources *sources);
void test_sources_search(struct aws_sources *sources);
bool test_sources_is_file(const char *source);
bool test_sources_is_fixed(const char *source);

#include "../../../src/sink/s3/aws_credentials.c" /* NOLINT(bugprone-suspicious-include) */

static struct {
	aws_sources_found found;
	void *ctx;
	unsigned searches;
	bool searching;
} sources;

struct aws_sources *test_sources_new(struct event_base *loop, const struct aws_credentials_options *options,
				     aws_sources_found found, void *ctx)
{
	(void)loop;
	(void)options;
	sources.found = found;
	sources.ctx = ctx;
	sources.searches = 0;
	sources.searching = false;
	return (struct aws_sources *)(uintptr_t)&sources;
}

void test_sources_free(struct aws_sources *freed)
{
	(void)freed;
}

void test_sources_search(struct aws_sources *asked)
{
	(void)asked;
	assert_false(sources.searching);
	sources.searching = true;
	sources.searches++;
}

bool test_sources_is_file(const char *source)
{
	return strcmp(source, "file") == 0;
}

bool test_sources_is_fixed(const char *source)
{
	return strcmp(source, "fixed") == 0;
}

/* --- helpers --- */

static struct event_base *loop;
static struct aws_credentials *credentials;
static unsigned called;
static char last_error[64];

static void on_done(void *ctx, const char *error)
{
	(void)ctx;
	called++;
	snprintf(last_error, sizeof(last_error), "%s", error ? error : "");
}

static void turn(void)
{
	event_base_loop(loop, EVLOOP_NONBLOCK);
	event_base_loop(loop, EVLOOP_NONBLOCK);
}

/* The search ends with a key that lives for so long; 0: for ever. */
static void find(const char *source, const char *id, uint64_t life_s)
{
	struct aws_key key;
	struct error err;

	assert_true(sources.searching);
	assert_int_equal(aws_key_init(&key, id, "secret", "token", &err), 0);
	key.expires_ns = life_s ? clock_ns + life_s * NS_PER_S : 0;
	sources.searching = false;
	sources.found(sources.ctx, source, &key, NULL);
	aws_key_deinit(&key);
	turn();
}

static void fail_search(const char *error)
{
	sources.searching = false;
	sources.found(sources.ctx, NULL, NULL, error);
	turn();
}

static const char *id_now(void)
{
	const struct aws_key *key = aws_credentials_get(credentials);

	turn();
	return key ? key->id : NULL;
}

static int setup(void **state)
{
	(void)state;
	clock_ns = 1000000 * NS_PER_S;
	called = 0;
	loop = event_base_new();
	credentials = aws_credentials_new(
		loop, &(struct aws_credentials_options){.id = "", .file = "", .profile = "", .region = ""});
	return loop && credentials ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	aws_credentials_free(credentials);
	event_base_free(loop);
	return 0;
}

/* --- tests --- */

static void test_one_search_serves_all_that_wait(void **state)
{
	struct aws_waiter waiters[3];

	(void)state;
	assert_null(id_now());
	for (size_t i = 0; i < 3; i++) {
		waiters[i] = (struct aws_waiter){.done = on_done};
		assert_int_equal(aws_credentials_wait(credentials, &waiters[i]), 0);
	}
	turn();
	aws_credentials_forget(credentials, &waiters[1]);
	assert_int_equal(called, 0);
	find("instance", "A", 3600);
	assert_int_equal(sources.searches, 1);
	assert_int_equal(called, 2);
	assert_string_equal(id_now(), "A");
}

static void test_waiters_are_bounded_and_get_the_reason(void **state)
{
	static struct aws_waiter waiters[AWS_WAITERS_MAX + 1];

	(void)state;
	for (size_t i = 0; i <= AWS_WAITERS_MAX; i++) {
		waiters[i] = (struct aws_waiter){.done = on_done};
		assert_int_equal(aws_credentials_wait(credentials, &waiters[i]), i == AWS_WAITERS_MAX ? -ENOBUFS : 0);
	}
	turn();
	fail_search("no key anywhere");
	assert_int_equal(called, AWS_WAITERS_MAX);
	assert_string_equal(last_error, "no key anywhere");
}

static void start_with(const char *source, const char *id, uint64_t life_s)
{
	struct aws_waiter waiter = {.done = on_done};

	assert_int_equal(aws_credentials_wait(credentials, &waiter), 0);
	turn();
	find(source, id, life_s);
}

static void test_key_is_renewed_while_it_still_signs(void **state)
{
	(void)state;
	start_with("instance", "A", 3600);
	clock_ns += 3290 * NS_PER_S;
	assert_string_equal(id_now(), "A");
	assert_int_equal(sources.searches, 1);
	clock_ns += 20 * NS_PER_S; /* 290 s are left */
	assert_string_equal(id_now(), "A");
	assert_int_equal(sources.searches, 2);
	assert_string_equal(id_now(), "A"); /* and there is no third search */
	assert_int_equal(sources.searches, 2);
	fail_search("down");
	assert_string_equal(id_now(), "A");
	assert_int_equal(sources.searches, 2);
	clock_ns += 31 * NS_PER_S;
	assert_string_equal(id_now(), "A");
	assert_int_equal(sources.searches, 3);
	find("instance", "B", 3600);
	assert_string_equal(id_now(), "B");
	clock_ns += 3596 * NS_PER_S; /* too late to use it */
	assert_null(id_now());
}

static void test_file_is_read_again_after_a_minute(void **state)
{
	(void)state;
	start_with("file", "A", 0);
	clock_ns += 59 * NS_PER_S;
	assert_string_equal(id_now(), "A");
	clock_ns += 2 * NS_PER_S;
	assert_null(id_now());
	start_with("file", "A", 0);
	assert_int_equal(aws_credentials_generation(credentials), 1); /* the same key */
	assert_string_equal(id_now(), "A");
}

static void test_rejected_key_is_searched_for_again_unless_fixed(void **state)
{
	(void)state;
	start_with("instance", "A", 3600);
	assert_true(aws_credentials_reject(credentials, 0)); /* an older one was refused */
	assert_string_equal(id_now(), "A");
	assert_true(aws_credentials_reject(credentials, aws_credentials_generation(credentials)));
	assert_null(id_now());
	start_with("fixed", "B", 0);
	assert_false(aws_credentials_reject(credentials, aws_credentials_generation(credentials)));
	assert_string_equal(id_now(), "B");
}

static void test_texts_are_scrubbed_of_secrets_and_tokens(void **state)
{
	char *scrubbed;

	(void)state;
	start_with("instance", "A", 3600);
	scrubbed = aws_credentials_scrub(credentials, "a secret and a token");
	assert_string_equal(scrubbed, "a *** and a ***");
	free(scrubbed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_search_serves_all_that_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiters_are_bounded_and_get_the_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_is_renewed_while_it_still_signs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_is_read_again_after_a_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rejected_key_is_searched_for_again_unless_fixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_texts_are_scrubbed_of_secrets_and_tokens, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
