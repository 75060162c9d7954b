/* SPDX-License-Identifier: BSD-2-Clause */
/* What is remembered, across restarts too, and what a full memory and a lost file do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "job/nonces.h"
#include "request/request.h"

#define NOW_S 1795423260
#define AGE_S 60

static char directory[PATH_MAX], path[PATH_MAX + 16];

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(directory, sizeof(directory), "%s/nonces-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/nonces", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static struct nonces *start(const char *file, uint64_t now_s)
{
	struct error err;
	struct nonces *nonces = nonces_new(&(struct nonces_options){.path = file,
								    .max_age_ns = AGE_S * NS_PER_S,
								    .now_ns = now_s * NS_PER_S},
					   &err);

	assert_non_null(nonces);
	return nonces;
}

/* The signature with this number, made at `signed_s`. */
static int use_entry(struct nonces *nonces, uint32_t number, uint64_t signed_s, const char *entry, uint64_t now_s)
{
	struct request request = {.signed_s = signed_s};
	struct error err;

	memcpy(request.mac, &number, sizeof(number));
	request.mac[8] = 1;
	return nonces_use(nonces, &request, entry, now_s * NS_PER_S, &err);
}

static int use(struct nonces *nonces, uint32_t number)
{
	return use_entry(nonces, number, NOW_S, NULL, NOW_S);
}

static void test_signature_is_good_for_one_time(void **state)
{
	struct nonces *nonces = start("", NOW_S);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(use(nonces, i), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(use(nonces, i), -EALREADY);
	nonces_free(nonces);
}

static void test_used_signatures_outlive_a_restart(void **state)
{
	struct nonces *nonces = start(path, NOW_S);
	struct stat st;

	(void)state;
	assert_int_equal(use(nonces, 1), 0);
	assert_int_equal(use(nonces, 2), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	nonces_free(nonces);
	nonces = start(path, NOW_S + 30);
	assert_int_equal(use(nonces, 1), -EALREADY);
	assert_int_equal(use(nonces, 2), -EALREADY);
	assert_int_equal(use(nonces, 3), 0); /* signed before the restart, but not used */
	nonces_free(nonces);
}

static void test_missing_directory_is_made(void **state)
{
	char inside[PATH_MAX + 32], sub[PATH_MAX + 16];

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", directory);
	snprintf(inside, sizeof(inside), "%s/nonces", sub);
	struct nonces *nonces = start(inside, NOW_S);
	assert_int_equal(use(nonces, 1), 0);
	nonces_free(nonces);
	nonces = start(inside, NOW_S + 1);
	assert_int_equal(use(nonces, 1), -EALREADY);
	nonces_free(nonces);
	assert_int_equal(unlink(inside), 0);
	assert_int_equal(rmdir(sub), 0);
}

static void test_what_is_not_remembered_is_refused(void **state)
{
	struct nonces *nonces = start(path, NOW_S);

	(void)state;
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1, NULL, NOW_S), -ESTALE);
	assert_int_equal(use(nonces, 1), 0);
	nonces_free(nonces);
	assert_int_equal(truncate(path, 100), 0); /* as good as lost */
	nonces = start(path, NOW_S + 5);
	assert_int_equal(use(nonces, 1), -ESTALE);
	assert_int_equal(use(nonces, 2), -ESTALE);
	assert_int_equal(use_entry(nonces, 3, NOW_S + 5, NULL, NOW_S + 5), 0);
	nonces_free(nonces);
}

static void test_stream_entry_may_come_again_but_not_its_signature(void **state)
{
	struct nonces *nonces = start(path, NOW_S);

	(void)state;
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, "s1-0", NOW_S), 0); /* no floor for entries */
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, "s1-0", NOW_S), 0);
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, "s2-0", NOW_S), -EALREADY);
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, NULL, NOW_S), -EALREADY);
	assert_int_equal(use(nonces, 2), 0);
	assert_int_equal(use_entry(nonces, 2, NOW_S, "s3-0", NOW_S), -EALREADY);
	/* One FNV-1a hash: a publisher can look for such ids. */
	assert_int_equal(use_entry(nonces, 3, NOW_S, "1796121830541-76921", NOW_S), 0);
	assert_int_equal(use_entry(nonces, 3, NOW_S, "1796121830541-308870", NOW_S), -EALREADY);
	nonces_free(nonces);
	nonces = start(path, NOW_S + 5);
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, "s1-0", NOW_S + 5), 0);
	assert_int_equal(use_entry(nonces, 1, NOW_S - 1000, "s4-0", NOW_S + 5), -EALREADY);
	nonces_free(nonces);
}

static void test_full_memory_forgets_only_what_is_refused_from_then_on(void **state)
{
	struct nonces *nonces = start("", NOW_S);

	(void)state;
	for (uint32_t i = 0; i < NONCES_MAX + 10; i++)
		assert_int_equal(use_entry(nonces, i, NOW_S + 1 + (i >= NONCES_MAX), NULL, NOW_S + 1), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(use_entry(nonces, i, NOW_S + 1, NULL, NOW_S + 1), -ESTALE);
	for (uint32_t i = 10; i < NONCES_MAX; i++)
		assert_int_equal(use_entry(nonces, i, NOW_S + 1, NULL, NOW_S + 1), -EALREADY);
	nonces_free(nonces);
}

static void test_forgetting_stale_signatures_refuses_no_others(void **state)
{
	struct nonces *nonces = start("", NOW_S);

	(void)state;
	for (uint32_t i = 0; i < NONCES_MAX; i++)
		assert_int_equal(use(nonces, i), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(use_entry(nonces, NONCES_MAX + i, NOW_S + 10, NULL, NOW_S + AGE_S + 10), 0);
	nonces_free(nonces);
}

static void test_file_of_another_daemon_or_of_another_kind_is_left_alone(void **state)
{
	struct nonces *first = start(path, NOW_S), *second = start(path, NOW_S);

	(void)state;
	assert_int_equal(use(first, 1), 0);
	assert_int_equal(use(second, 1), 0); /* memory of its own */
	assert_int_equal(use(second, 1), -EALREADY);
	nonces_free(second);
	nonces_free(first);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	first = start(path, NOW_S);
	assert_int_equal(use(first, 1), 0);
	nonces_free(first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_signature_is_good_for_one_time),
		TEST(test_used_signatures_outlive_a_restart),
		TEST(test_missing_directory_is_made),
		TEST(test_what_is_not_remembered_is_refused),
		TEST(test_stream_entry_may_come_again_but_not_its_signature),
		TEST(test_full_memory_forgets_only_what_is_refused_from_then_on),
		TEST(test_forgetting_stale_signatures_refuses_no_others),
		TEST(test_file_of_another_daemon_or_of_another_kind_is_left_alone),
	};

	return cmocka_run_group_tests_name("nonces", tests, NULL, NULL);
}
