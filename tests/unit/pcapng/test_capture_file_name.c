/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pcapng/capture_file.h"

#define TIME_NS UINT64_C(1795423260123456789)

static void check(const char *node, const char *interface, const char *id, const char *expected)
{
	char name[CAPTURE_FILE_NAME_SIZE];

	assert_ptr_equal(capture_file_name(name, node, interface, TIME_NS, id, CAPTURE_FILE_PCAPNG), name);
	assert_string_equal(name, expected);
}

static void test_name_has_node_interface_time_id_and_extension(void **state)
{
	char name[CAPTURE_FILE_NAME_SIZE];

	(void)state;
	check("web-1.example", "eth0.100", "a1b2", "web-1.example-eth0.100-20261123T084100.123Z-a1b2.pcapng");
	assert_string_equal(capture_file_name(name, "n", "i", 0, "x", CAPTURE_FILE_PCAP),
			    "n-i-19700101T000000.000Z-x.pcap");
}

static void test_no_part_leads_out_of_the_directory(void **state)
{
	(void)state;
	check("../../etc/passwd", "/", "..", "_._.._etc_passwd-_-20261123T084100.123Z-_..pcapng");
	check("a/b", "eth0/../..", ".", "a_b-eth0_.._..-20261123T084100.123Z-_.pcapng");
}

static void test_no_part_is_hidden_or_empty(void **state)
{
	(void)state;
	check(".bashrc", "", "...", "_bashrc-_-20261123T084100.123Z-_...pcapng");
	check("", ".", "", "_-_-20261123T084100.123Z-_.pcapng");
}

static void test_other_characters_become_underscores(void **state)
{
	(void)state;
	check("a b\n\x01\x7f", "e\xc3\xbc\xff", "x;rm -rf $HOME'\"\\",
	      "a_b___-e___-20261123T084100.123Z-x_rm_-rf__HOME___.pcapng");
}

static void test_long_parts_are_cut(void **state)
{
	char name[CAPTURE_FILE_NAME_SIZE], part[1000], expected[65];

	(void)state;
	memset(part, 'p', sizeof(part));
	part[sizeof(part) - 1] = '\0';
	memset(expected, 'p', 64);
	expected[64] = '\0';
	capture_file_name(name, part, part, UINT64_MAX, part, CAPTURE_FILE_PCAPNG);
	assert_int_equal(strlen(name), 64 + 1 + 64 + 1 + strlen("20261123T084100.123Z") + 1 + 64 + strlen(".pcapng"));
	assert_int_equal(strspn(name, "p"), 64);
	assert_string_equal(name + strlen(name) - strlen(".pcapng"), ".pcapng");
	assert_memory_equal(name + strlen(name) - strlen(".pcapng") - 64, expected, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_has_node_interface_time_id_and_extension),
		cmocka_unit_test(test_no_part_leads_out_of_the_directory),
		cmocka_unit_test(test_no_part_is_hidden_or_empty),
		cmocka_unit_test(test_other_characters_become_underscores),
		cmocka_unit_test(test_long_parts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
