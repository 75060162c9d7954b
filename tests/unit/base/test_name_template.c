/* SPDX-License-Identifier: BSD-2-Clause */
/* Values in URLs, paths and texts: none of them can leave its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/name_template.h"

static const struct name_values plain = {
	.node = "edge7",
	.interface = "eth0",
	.customer = "ACME & Söhne/Nord",
	.id = "id-1",
	.capture = "id-1.2",
	.name = "edge7-eth0.pcapng",
	.tags = "customer:ACME,node:edge7",
	.comment = "why\r\nX-Evil: 1",
	.time_ns = UINT64_C(1795423260123000000), /* 2026-11-23T08:41:00.123Z */
};

static void check(const char *text, enum name_template_place place, const struct name_values *values,
		  const char *expected)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(8192);

	assert_null(name_template_objection(text));
	assert_int_equal(name_template_expand(text, place, values, &out), 0);
	assert_string_equal(buffer_text(&out), expected);
}

static void test_every_placeholder_has_its_value(void **state)
{
	(void)state;
	check("{node} {interface} {id} {capture} {name} {date} {time}", NAME_TEMPLATE_TEXT, &plain,
	      "edge7 eth0 id-1 id-1.2 edge7-eth0.pcapng 2026-11-23 084100");
	check("{tags}|{customer}", NAME_TEMPLATE_TEXT, &plain, "customer:ACME,node:edge7|ACME & Söhne/Nord");
	check("no placeholder", NAME_TEMPLATE_TEXT, &plain, "no placeholder");
	check("", NAME_TEMPLATE_TEXT, &plain, "");
	check("{{name}} {name}}}", NAME_TEMPLATE_TEXT, &plain, "{name} edge7-eth0.pcapng}");
}

static void test_list_for_messages_names_every_placeholder(void **state)
{
	const char *at = NAME_TEMPLATE_PLACEHOLDERS;
	unsigned count = 0;

	(void)state;
	for (; *at; count++) {
		const char *end = strchr(at, '}') + 1;
		char one[32];

		snprintf(one, sizeof(one), "%.*s", (int)(end - at), at);
		assert_null(name_template_objection(one));
		at = strncmp(end, ", ", 2) ? end : end + 2;
	}
	assert_int_equal(count, 10);
}

static void test_url_encodes_values_by_place(void **state)
{
	(void)state;
	check("https://h/{customer}/{name}?c={customer}", NAME_TEMPLATE_URL, &plain,
	      "https://h/ACME%20%26%20S%C3%B6hne_Nord/edge7-eth0.pcapng?c=ACME%20%26%20S%C3%B6hne%2FNord");
	check("https://h/%20{{x}}/{node}?sig=a%2Bb", NAME_TEMPLATE_URL, &plain, "https://h/%20{x}/edge7?sig=a%2Bb");
}

static void test_value_cannot_leave_its_directory(void **state)
{
	struct name_values values = plain;

	(void)state;
	values.customer = "..";
	check("https://h/a/{customer}/x", NAME_TEMPLATE_URL, &values, "https://h/a/_./x");
	check("/a/{customer}/x", NAME_TEMPLATE_PATH, &values, "/a/_./x");
	check("/a/.{customer}/x", NAME_TEMPLATE_PATH, &values, "/a/._./x");
	values.customer = "../../etc/passwd\\..";
	check("https://h/{customer}", NAME_TEMPLATE_URL, &values, "https://h/_._.._etc_passwd_..");
	check("/{customer}", NAME_TEMPLATE_PATH, &values, "/_._.._etc_passwd_..");
	values.customer = "a\nb?c#d\"e'f";
	check("https://h/{customer}", NAME_TEMPLATE_URL, &values, "https://h/a_b%3Fc%23d%22e%27f");
	check("/{customer}", NAME_TEMPLATE_PATH, &values, "/a_b_c_d_e_f");
	values.customer = NULL;
	check("https://h/{customer}/x?c={customer}", NAME_TEMPLATE_URL, &values, "https://h/_/x?c=");
	check("/{customer}/x", NAME_TEMPLATE_PATH, &values, "/_/x");
}

static void test_text_cannot_begin_another_line(void **state)
{
	(void)state;
	check("X-Comment: {comment}", NAME_TEMPLATE_TEXT, &plain, "X-Comment: why  X-Evil: 1");
}

static void test_long_value_is_cut_between_characters(void **state)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(8192);
	char longer[NAME_VALUE_MAX + 8];
	struct name_values values = plain;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	memcpy(longer + NAME_VALUE_MAX - 1, "ö", 2);
	longer[NAME_VALUE_MAX + 4] = '\0';
	values.customer = longer;
	assert_int_equal(name_template_expand("{customer}", NAME_TEMPLATE_URL, &values, &out), 0);
	assert_int_equal(out.size, NAME_VALUE_MAX - 1);
}

static void test_result_has_a_cap(void **state)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(10);

	(void)state;
	assert_int_equal(name_template_expand("{name}", NAME_TEMPLATE_URL, &plain, &out), -EMSGSIZE);
}

static void test_unknown_placeholder_and_stray_brace_are_named(void **state)
{
	static const char *const unknown[] = {"{nmae}", "x{}", "{ name}", "{name }", "{names}", "{nam}", "{a{name}"};
	static const char *const stray[] = {"}", "{", "{name", "a}b", "{name}}", "{{{"};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		const char *objection = name_template_objection(unknown[i]);

		assert_non_null(objection);
		assert_non_null(strstr(objection, "unknown placeholder (there are {node}"));
	}
	for (size_t i = 0; i < sizeof(stray) / sizeof(*stray); i++) {
		const char *objection = name_template_objection(stray[i]);

		assert_non_null(objection);
		assert_non_null(strstr(objection, "brace"));
	}
}

static void test_placeholders_of_a_text_are_found(void **state)
{
	(void)state;
	assert_true(name_template_has("https://h/{node}/{name}", "name"));
	assert_true(name_template_has("{{{name}", "name"));
	assert_false(name_template_has("https://h/{node}/{{name}}", "name"));
	assert_false(name_template_has("https://h/name", "name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_placeholder_has_its_value),
		cmocka_unit_test(test_list_for_messages_names_every_placeholder),
		cmocka_unit_test(test_url_encodes_values_by_place),
		cmocka_unit_test(test_value_cannot_leave_its_directory),
		cmocka_unit_test(test_text_cannot_begin_another_line),
		cmocka_unit_test(test_long_value_is_cut_between_characters),
		cmocka_unit_test(test_result_has_a_cap),
		cmocka_unit_test(test_unknown_placeholder_and_stray_brace_are_named),
		cmocka_unit_test(test_placeholders_of_a_text_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
