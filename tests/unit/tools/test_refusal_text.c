/* SPDX-License-Identifier: BSD-2-Clause */
/* Refusals name options, not the request's fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "pcapctl/cli/refusal_text.h"

static void test_fields_become_options(void **state)
{
	static const struct {
		const char *field, *reason, *text;
	} cases[] = {
		{"to_destinations", "to_destinations: no destination \"s3\"", "-d: no destination \"s3\""},
		{"interface", "interface: this host has no \"eth9\"", "-i: this host has no \"eth9\""},
		{"before", "before: is too long", "--before: is too long"},
		{"drop_duplicates", "drop_duplicates: needs merge", "--drop-duplicates: needs merge"},
		{"sig", "sig: is used", "--key-file: is used"},
		/* No option, another text, no field. */
		{"bpf", "bpf: syntax error", "bpf: syntax error"},
		{"interface", "interface eth9: gone", "interface eth9: gone"},
		{"", "the daemon is stopping", "the daemon is stopping"},
		{"\x1b", "\x1b: no", "\x1b: no"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup(buffer_deinit) struct buffer buffer = BUFFER_INIT(100);

		assert_string_equal(refusal_text(cases[i].field, cases[i].reason, &buffer), cases[i].text);
	}
}

static void test_long_reasons_stay_as_they_are(void **state)
{
	cleanup(buffer_deinit) struct buffer buffer = BUFFER_INIT(10);

	(void)state;
	assert_string_equal(refusal_text("snap", "snap: more than fits", &buffer), "snap: more than fits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_become_options),
		cmocka_unit_test(test_long_reasons_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
