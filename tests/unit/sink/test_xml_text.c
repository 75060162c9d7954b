/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/s3/xml_text.h"

static void check(const char *xml, const char *name, const char *wanted)
{
	char text[32];
	const char *rest = xml_text(xml, name, text, sizeof(text));

	assert_string_equal(text, wanted ? wanted : "");
	assert_int_equal(rest != NULL, wanted != NULL);
}

static void test_texts_are_found_by_the_elements_name(void **state)
{
	(void)state;
	check("<Error><Code>SlowDown</Code></Error>", "Code", "SlowDown");
	check("<?xml?><a:b/><Codes>x</Codes><Code a=\"b\">y</Code>", "Code", "y");
	check("<Code/>", "Code", "");
	check("<Code></Code>", "Code", "");
	check("<Other>x</Other>", "Code", NULL);
	check("", "Code", NULL);
	check("<Code>cut", "Code", NULL);
	check("<Code", "Code", NULL);
	check("<Code>a<b/></Code>", "Code", NULL);
	check("<Code>0123456789012345678901234567890123456789</Code>", "Code", NULL);
	assert_true(xml_has("<Error>", "Error"));
	assert_false(xml_has("<Errors>", "Error"));
}

static void test_entities_are_decoded(void **state)
{
	(void)state;
	check("<a>&amp;&lt;&gt;&quot;&apos;</a>", "a", "&<>\"'");
	check("<a>&#47;&#x2f;&#x20AC;&#128512;&#233;</a>", "a", "//€😀é");
	check("<a>&odd; &# &#x; &#xD800; &#x110000; &</a>", "a", NULL); /* too long as it is */
	check("<a>&odd;&#x;&</a>", "a", "&odd;&#x;&");
}

static void test_repeated_elements_are_walked(void **state)
{
	const char *at = "<Key>a</Key><Id>1</Id><Key>b</Key><Id>2</Id>";
	char text[8];

	(void)state;
	at = xml_text(at, "Key", text, sizeof(text));
	at = xml_text(at, "Id", text, sizeof(text));
	assert_string_equal(text, "1");
	at = xml_text(at, "Key", text, sizeof(text));
	assert_string_equal(text, "b");
	assert_non_null(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_are_found_by_the_elements_name),
		cmocka_unit_test(test_entities_are_decoded),
		cmocka_unit_test(test_repeated_elements_are_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
