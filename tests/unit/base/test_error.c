/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_set_returns_the_code_and_keeps_the_text(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "key %s: %d", "port", 70000), -EINVAL);
	assert_string_equal(err.text, "key port: 70000");
}

static void test_null_error_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -ENOMEM, "text"), -ENOMEM);
	error_prefix(NULL, "prefix");
}

static void test_prefix_precedes_the_text(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, -1, "unknown key");
	error_prefix(&err, "%s:%d", "a.toml", 3);
	assert_string_equal(err.text, "a.toml:3: unknown key");
}

static void test_new_text_may_contain_the_old(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, -1, "inner");
	error_set(&err, -1, "outer(%s)", err.text);
	assert_string_equal(err.text, "outer(inner)");
}

static void test_long_text_is_cut_between_characters(void **state)
{
	struct error err;
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -1, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);

	memcpy(text + sizeof(err.text) - 2, "€", strlen("€"));
	error_set(&err, -1, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 2);

	error_prefix(&err, "%s", text);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_int_equal(err.text[0], 'x');
}

static void test_every_error_has_an_http_status(void **state)
{
	(void)state;
	assert_int_equal(error_http_status(-EINVAL), 400);
	assert_int_equal(error_http_status(-E2BIG), 400);
	assert_int_equal(error_http_status(-ESTALE), 400);
	assert_int_equal(error_http_status(-ENODEV), 404);
	assert_int_equal(error_http_status(-EALREADY), 409);
	assert_int_equal(error_http_status(-ENOSPC), 429);
	assert_int_equal(error_http_status(-EDQUOT), 429);
	assert_int_equal(error_http_status(-EBUSY), 429);
	assert_int_equal(error_http_status(-ENOBUFS), 429);
	assert_int_equal(error_http_status(-EAGAIN), 429);
	assert_int_equal(error_http_status(-ESHUTDOWN), 503);
	assert_int_equal(error_http_status(-ECANCELED), 503);
	assert_int_equal(error_http_status(-ENOMEM), 500);
	assert_int_equal(error_http_status(-EPERM), 500);
	assert_int_equal(error_http_status(0), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_returns_the_code_and_keeps_the_text),
		cmocka_unit_test(test_null_error_is_accepted),
		cmocka_unit_test(test_prefix_precedes_the_text),
		cmocka_unit_test(test_new_text_may_contain_the_old),
		cmocka_unit_test(test_long_text_is_cut_between_characters),
		cmocka_unit_test(test_every_error_has_an_http_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
