/* SPDX-License-Identifier: BSD-2-Clause */
/* What libpcap's source says of interfaces that no test machine has. tests/system/test_link_types.py has the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/if_arp.h>
#include <stdio.h>

#include "base/network_interface.h"
#include "base/packet.h"
#include "capture/link_type.h"

static void test_tags_of_switches_have_their_link_type(void **state)
{
	static const struct {
		const char *tag;
		uint16_t linktype;
	} cases[] = {
		{"", LINKTYPE_ETHERNET},
		{"none", LINKTYPE_ETHERNET},
		{"brcm", 281},
		{"brcm-prepend", 282},
		{"dsa", 284},
		{"edsa", 285},
		{"trailer", LINKTYPE_ETHERNET},
		{"rtl8_4", LINKTYPE_ETHERNET},
		{"ksz9477", LINKTYPE_ETHERNET},
		{"qca", LINKTYPE_LINUX_SLL2},
		{"ocelot", LINKTYPE_LINUX_SLL2},
		{"new in 2030", LINKTYPE_LINUX_SLL2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct link_type type = link_type_of_named(ARPHRD_ETHER, "eth0", cases[i].tag);

		assert_int_equal(type.linktype, cases[i].linktype);
		assert_int_equal(type.form, type.linktype == LINKTYPE_LINUX_SLL2 ? LINK_COOKED_V2 : LINK_AS_IS);
	}
}

static void test_only_ethernet_has_tags(void **state)
{
	(void)state;
	assert_int_equal(link_type_of_named(ARPHRD_NONE, "tun0", "dsa").linktype, LINKTYPE_RAW);
	assert_int_equal(link_type_of_named(ARPHRD_LOOPBACK, "lo", "").linktype, LINKTYPE_ETHERNET);
}

static void test_android_modems_have_raw_packets(void **state)
{
	(void)state;
	assert_int_equal(link_type_of_named(ARPHRD_ETHER, "cdma_rmnet0", "").linktype, LINKTYPE_RAW);
	assert_int_equal(link_type_of_named(ARPHRD_RAWIP, "rmnet_data0", "").linktype, LINKTYPE_RAW);
	assert_int_equal(link_type_of_named(ARPHRD_ETHER, "rmnet_usb0", "").linktype, LINKTYPE_ETHERNET);
}

static void test_interface_without_a_switch_is_read_as_what_it_is(void **state)
{
	const struct network_interface device = {.name = "no such name", .hardware = ARPHRD_ETHER};

	(void)state;
	assert_int_equal(link_type_read(&device).linktype, LINKTYPE_ETHERNET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags_of_switches_have_their_link_type),
		cmocka_unit_test(test_only_ethernet_has_tags),
		cmocka_unit_test(test_android_modems_have_raw_packets),
		cmocka_unit_test(test_interface_without_a_switch_is_read_as_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
