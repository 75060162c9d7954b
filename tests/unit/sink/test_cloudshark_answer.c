/* SPDX-License-Identifier: BSD-2-Clause */
/* CloudShark's answers: no odd id gets into a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buffer.h"
#include "sink/cloudshark_answer.h"

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
		cmocka_unit_test(test_only_safe_ids_are_taken),
		cmocka_unit_test(test_exceptions_are_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
