/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of interfaces left out stays bounded, and says how many there are in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "job/skipped.h"

static void add_many(struct skipped *skipped, int count, int code, const char *text)
{
	char name[16];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		skipped_add(skipped, name, code, text);
	}
}

static void test_text_groups_equal_reasons(void **state)
{
	cleanup(skipped_deinit) struct skipped skipped = {0};

	(void)state;
	assert_null(skipped_text(&skipped));
	skipped_add(&skipped, "a", -ENODEV, "no such interface");
	skipped_add(&skipped, "b", -ENODEV, "interface b: gone");
	skipped_add(&skipped, "c", -ENOMEM, "out of memory");
	skipped_add(&skipped, "d", -EINVAL, "bpf: no");
	cleanup(cleanup_free) char *text = skipped_text(&skipped);
	assert_string_equal(text, "a, b (gone), c (memory), d (bpf: no)");
}

static void test_list_is_cut_and_counts_on(void **state)
{
	cleanup(skipped_deinit) struct skipped skipped = {0}, all = {0};

	(void)state;
	add_many(&skipped, 3000, -ENOMEM, "");
	skipped_add_all(&all, &skipped);
	skipped_add_all(&all, &skipped);
	assert_int_equal(skipped.listed, SKIPPED_LISTED_MAX);
	assert_int_equal(skipped.total, 3000);
	assert_int_equal(all.listed, SKIPPED_LISTED_MAX);
	assert_int_equal(all.total, 6000);
	cleanup(cleanup_free) char *text = skipped_text(&all);
	assert_string_equal(text + strlen(text) - strlen("v1023 (memory) and 4976 more"),
			    "v1023 (memory) and 4976 more");
}

static void test_long_reasons_are_cut(void **state)
{
	cleanup(skipped_deinit) struct skipped skipped = {0};
	char reason[2000];

	(void)state;
	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	for (int i = 0; i < 500; i++) {
		reason[0] = (char)('a' + i % 26);
		skipped_add(&skipped, "tun0", -EINVAL, reason);
	}
	assert_int_equal(strlen(skipped.items[0].reason), SKIPPED_REASON_MAX);
	cleanup(cleanup_free) char *text = skipped_text(&skipped);
	assert_true(strlen(text) < 65535 - sizeof("skipped: "));
	assert_non_null(strstr(text, " more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_groups_equal_reasons),
		cmocka_unit_test(test_list_is_cut_and_counts_on),
		cmocka_unit_test(test_long_reasons_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
