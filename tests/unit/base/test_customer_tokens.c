/* SPDX-License-Identifier: BSD-2-Clause */
/* Tokens by customer: customers are compared exactly, and faults name the line and no token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/customer_tokens.h"

static const char *refuse_blanks(const char *token)
{
	return strchr(token, ' ') ? "has a blank" : NULL;
}

static void assert_token(const char *text, const char *customer, const char *token)
{
	size_t size = 0;
	const char *found = customer_tokens_find(text, customer, &size);

	if (!token) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(size, strlen(token));
	assert_memory_equal(found, token, size);
}

static void test_customers_are_compared_exactly(void **state)
{
	static const char text[] = "# comment\nACME:abc123\n\nB\xc3\xbc"
				   "cher & Co: south:def\r\n ACME :x\nacme:lower\nlast:end";
	struct error err;

	(void)state;
	assert_int_equal(customer_tokens_check(text, refuse_blanks, &err), 0);
	assert_token(text, "ACME", "abc123");
	assert_token(text, "acme", "lower");
	assert_token(text, " ACME ", "x");
	assert_token(text,
		     "B\xc3\xbc"
		     "cher & Co: south",
		     "def");
	assert_token(text, "last", "end");
	assert_token(text, "ACM", NULL);
	assert_token(text, "ACME ", NULL);
	assert_token(text, "ACMEX", NULL);
	assert_token(text, "# comment", NULL);
	assert_token(text, "", NULL);
}

static void test_faults_name_the_line_and_no_token(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"a:b\n\nsecret\n", "line 3: must be CUSTOMER:TOKEN"},
		{":secret", "line 1: must be CUSTOMER:TOKEN"},
		{"a:", "line 1: must be CUSTOMER:TOKEN"},
		{"a:\r\n", "line 1: must be CUSTOMER:TOKEN"},
		{"a:b\n#a:b\na:secret\n", "line 3: the customer is there already, in line 1"},
		{"a:b\nb:the secret\n", "line 2: the token has a blank"},
		{"", "has no CUSTOMER:TOKEN"},
		{"# a:b\n\r\n\n", "has no CUSTOMER:TOKEN"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = {0};

		assert_int_equal(customer_tokens_check(cases[i].text, refuse_blanks, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_customers_are_compared_exactly),
		cmocka_unit_test(test_faults_name_the_line_and_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
