/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/utf8.h"

static void test_well_formed_characters_are_decoded(void **state)
{
	static const struct {
		const char *text;
		uint32_t code;
	} good[] = {{"a", 'a'},
		    {"\x7f", 0x7f},
		    {"\xc2\x80", 0x80},
		    {"\xdf\xbf", 0x7ff},
		    {"\xe0\xa0\x80", 0x800},
		    {"\xe2\x82\xac", 0x20ac},
		    {"\xed\x9f\xbf", 0xd7ff},
		    {"\xee\x80\x80", 0xe000},
		    {"\xf0\x90\x80\x80", 0x10000},
		    {"\xf4\x8f\xbf\xbf", 0x10ffff}};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		uint32_t code = 0;

		assert_int_equal(utf8_decode(good[i].text, strlen(good[i].text), &code), strlen(good[i].text));
		assert_int_equal(code, good[i].code);
		assert_int_equal(utf8_decode(good[i].text, strlen(good[i].text) - 1, &code), 0);
	}
	uint32_t code = 1;
	assert_int_equal(utf8_decode("\0", 1, &code), 1);
	assert_int_equal(code, 0);
}

static void test_ill_formed_bytes_are_refused(void **state)
{
	static const char *const bad[] = {"\x80",
					  "\xbf",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xed\xbf\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf8\x88\x80\x80",
					  "\xff\xff\xff\xff",
					  "\xc3(",
					  "\xe2\x82(",
					  "\xf0\x90\x80("};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint32_t code = 1234;

		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &code), 0);
		assert_int_equal(code, 1234);
	}
}

static void test_text_is_cut_between_characters(void **state)
{
	const char *text = "a€😀"; /* 1 + 3 + 4 bytes */
	static const size_t cut[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 8};

	(void)state;
	for (size_t cap = 0; cap < sizeof(cut) / sizeof(*cut); cap++)
		assert_int_equal(utf8_cut(text, strlen(text), cap), cut[cap]);
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
	assert_int_equal(utf8_cut("\x80\x80", 2, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed_characters_are_decoded),
		cmocka_unit_test(test_ill_formed_bytes_are_refused),
		cmocka_unit_test(test_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
