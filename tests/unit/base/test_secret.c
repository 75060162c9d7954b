/* SPDX-License-Identifier: BSD-2-Clause */
/* A secret follows its file, and reads it only when that has changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/secret.h"

static unsigned reads;

static int read_text(const void *ctx, const char *path, char *text, struct error *err)
{
	FILE *file = fopen(path, "r");

	assert_string_equal(ctx, "context");
	reads++;
	if (!file || !fgets(text, SECRET_ROOM, file)) {
		if (file)
			fclose(file);
		return error_set(err, -EINVAL, "%s: cannot be read", path);
	}
	fclose(file);
	return 0;
}

static void put(const char *path, const char *text)
{
	char beside[128];
	FILE *file;

	snprintf(beside, sizeof(beside), "%s.new", path);
	file = fopen(beside, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(rename(beside, path), 0);
}

static void test_secret_without_a_file_never_changes(void **state)
{
	cleanup(cleanup_secret) struct secret *secret = secret_new("value", "", NULL, NULL);

	(void)state;
	assert_string_equal(secret_get(secret), "value");
	assert_int_equal(secret_generation(secret), 0);
	assert_true(secret_is_in(secret, "AUTH value"));
	assert_false(secret_is_in(secret, "AUTH"));
}

static void test_file_is_read_only_when_it_has_changed(void **state)
{
	char path[] = "/tmp/test_secret_XXXXXX";
	const int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	put(path, "first");
	cleanup(cleanup_secret) struct secret *secret = secret_new("first", path, read_text, "context");
	reads = 0;
	for (int i = 0; i < 3; i++)
		assert_string_equal(secret_get(secret), "first");
	assert_int_equal(reads, 1);
	assert_int_equal(secret_generation(secret), 0);
	put(path, "second");
	assert_string_equal(secret_get(secret), "second");
	assert_int_equal(secret_generation(secret), 1);
	assert_true(secret_is_in(secret, "the first") && secret_is_in(secret, "the second"));
	assert_int_equal(reads, 2);
	unlink(path);
	assert_string_equal(secret_get(secret), "second");
	assert_string_equal(secret_get(secret), "second");
	assert_int_equal(reads, 3);
	put(path, "third");
	assert_string_equal(secret_get(secret), "third");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_without_a_file_never_changes),
		cmocka_unit_test(test_file_is_read_only_when_it_has_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
