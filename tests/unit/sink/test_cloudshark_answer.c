/* SPDX-License-Identifier: BSD-2-Clause */
/* CloudShark's answers: a search tells only if it lists the very name, and no odd id gets into a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buffer.h"
#include "sink/cloudshark_answer.h"

#define NAME "n1-eth0-20261123T084100.123Z-id.pcapng"

static void test_search_finds_the_very_name_only(void **state)
{
	static const struct {
		const char *body;
		enum cloudshark_search result;
		const char *id;
	} cases[] = {
		{"{\"captures\":[]}", CLOUDSHARK_ABSENT, NULL},
		{"{\"captures\":[{\"id\":\"ab12\",\"filename\":\"" NAME "\",\"size\":5}]}", CLOUDSHARK_FOUND, "ab12"},
		{"{\"captures\":[{\"id\":1,\"filename\":\"x" NAME "\"},{\"id\":2,\"filename\":\"" NAME ".gz\"}]}",
		 CLOUDSHARK_ABSENT, NULL},
		{"{\"captures\":[{\"id\":1,\"filename\":\"" NAME ".gz\"},{\"id\":2,\"filename\":\"" NAME "\"}]}",
		 CLOUDSHARK_FOUND, "2"},
		{"{\"captures\":[{\"id\":\"../x\",\"filename\":\"" NAME "\"}]}", CLOUDSHARK_UNCLEAR, NULL},
		{"{\"captures\":[{\"id\":\"ab12\"}]}", CLOUDSHARK_UNCLEAR, NULL},
		{"{\"captures\":[null,5]}", CLOUDSHARK_UNCLEAR, NULL},
		{"{\"captures\":{}}", CLOUDSHARK_UNCLEAR, NULL},
		{"{\"filename\":\"" NAME "\",\"id\":\"ab12\"}", CLOUDSHARK_UNCLEAR, NULL},
		{"[{\"id\":\"ab12\",\"filename\":\"" NAME "\"}]", CLOUDSHARK_UNCLEAR, NULL},
		{"<html>", CLOUDSHARK_UNCLEAR, NULL},
		{"", CLOUDSHARK_UNCLEAR, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char id[CLOUDSHARK_ID_SIZE] = "";

		assert_int_equal(cloudshark_answer_find(cases[i].body, strlen(cases[i].body), NAME, id),
				 cases[i].result);
		if (cases[i].id)
			assert_string_equal(id, cases[i].id);
	}
}

static void test_only_safe_ids_are_taken(void **state)
{
	static const char *const bad[] = {
		"{\"id\":\"a/b\"}", "{\"id\":\"\"}", "{\"id\":null}", "{\"id\":1.5}", "[]", ""};
	char id[CLOUDSHARK_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(cloudshark_answer_id(bad[i], strlen(bad[i]), id));
	assert_true(cloudshark_answer_id("{\"id\":-7}", 9, id));
	assert_string_equal(id, "-7");
	assert_true(cloudshark_answer_id("{\"id\":\"a_b-9\"}", 14, id));
	assert_string_equal(id, "a_b-9");
}

static void test_exceptions_are_joined(void **state)
{
	static const char body[] = "{\"status\":422,\"exceptions\":[\"one\",{\"code\": 7},\"two\"]}";
	cleanup(buffer_deinit) struct buffer reasons = BUFFER_INIT(1000);

	(void)state;
	cloudshark_answer_exceptions(body, strlen(body), &reasons);
	assert_string_equal(buffer_text(&reasons), "one; {\"code\": 7}; two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search_finds_the_very_name_only),
		cmocka_unit_test(test_only_safe_ids_are_taken),
		cmocka_unit_test(test_exceptions_are_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
