/* SPDX-License-Identifier: BSD-2-Clause */
/* The label of a refused message: what can be read of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "request/request_label.h"

static void check_text(const char *found, const char *expected)
{
	if (expected)
		assert_string_equal(found ? found : "(none)", expected);
	else
		assert_null(found);
}

static void test_labels_of_refused_messages_are_read(void **state)
{
	static const struct {
		const char *message, *tags, *customer, *alertid;
		bool is_integer;
		const char *rule;
	} cases[] = {
		{"{\"rule\":\"ids\",\"bpf\":1}", NULL, NULL, NULL, false, "ids"},
		{"{\"rule\":\"i d s\"}", NULL, NULL, NULL, false, NULL},
		{"{\"rule\":5}", NULL, NULL, NULL, false, NULL},
		{"{\"tags\":\"a,b\",\"customer\":\"ACME\",\"alertid\":655443,\"nonsense\":[]}", "a,b", "ACME", "655443",
		 true, NULL},
		{"{\"alertid\":\"x-1\",\"alertid\":\"x-2\"}", NULL, NULL, "x-2", false, NULL},
		{"{\"alertid\":0,\"alertstr\":\"x-3\",\"aliasmatched\":true}", NULL, NULL, "x-3", false, NULL},
		{"{\"tags\":5,\"customer\":[\"ACME\"],\"alertid\":1.5}", NULL, NULL, NULL, false, NULL},
		{"{\"tags\":\"\",\"customer\":\"a\\u0007b\",\"alertid\":0}", NULL, NULL, NULL, false, NULL},
		{"[\"tags\"]", NULL, NULL, NULL, false, NULL},
		{"{\"tags\":\"a\"", NULL, NULL, NULL, false, NULL},
		{"{\"tags\":\"a\",\"deep\":[[[[[1]]]]]}", NULL, NULL, NULL, false, NULL},
		{"", NULL, NULL, NULL, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct request_label label;

		request_label_read(cases[i].message, strlen(cases[i].message), &label);
		check_text(label.tags, cases[i].tags);
		check_text(label.customer, cases[i].customer);
		check_text(label.alertid, cases[i].alertid);
		assert_int_equal(label.alertid_is_integer, cases[i].is_integer);
		check_text(label.rule, cases[i].rule);
		request_label_deinit(&label);
	}
}

static void test_texts_that_no_request_could_have_are_left_out(void **state)
{
	const size_t size = 5000;
	cleanup(cleanup_free) char *message = malloc(size + 1);
	struct request_label label;

	(void)state;
	memset(message, 'x', size);
	memcpy(message, "{\"tags\":\"", 9);
	strncpy(message + size - 2, "\"}", 3);
	request_label_read(message, size, &label);
	assert_null(label.tags);
	request_label_deinit(&label);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels_of_refused_messages_are_read),
		cmocka_unit_test(test_texts_that_no_request_could_have_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
