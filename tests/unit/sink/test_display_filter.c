/* SPDX-License-Identifier: BSD-2-Clause */
/* Display filters are made only where they hide nothing that the capture filter takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sink/display_filter.h"

#define ARP(address) "(arp.src.proto_ipv4 == " address " || arp.dst.proto_ipv4 == " address ")"
#define HOST(address) "(ip.addr == " address " || " ARP(address) ")"

static void assert_display(const char *capture, const char *expected)
{
	cleanup(cleanup_free) char *display = display_filter_from_capture(capture);

	if (!expected && display)
		fail_msg("%s became %s", capture, display);
	if (expected && !display)
		fail_msg("%s became nothing", capture);
	if (expected)
		assert_string_equal(display, expected);
}

static void test_addresses_and_protocols_are_translated(void **state)
{
	(void)state;
	assert_display("host 10.0.0.1", HOST("10.0.0.1"));
	assert_display(" ip host 10.0.0.1 ", "ip.addr == 10.0.0.1");
	assert_display("src host 10.0.0.1", "(ip.src == 10.0.0.1 || arp.src.proto_ipv4 == 10.0.0.1)");
	assert_display("arp dst host 10.0.0.1", "arp.dst.proto_ipv4 == 10.0.0.1");
	assert_display("net 10.0.0.0/8", HOST("10.0.0.0/8"));
	assert_display("dst net 2001:db8::/32", "ipv6.dst == 2001:db8::/32");
	assert_display("host 2001:db8::1", "ipv6.addr == 2001:db8::1");
	assert_display("arp", "arp");
	assert_display("ip6", "ipv6");
	assert_display("icmp", "ip.proto == 1");
}

static void test_terms_join_from_the_left(void **state)
{
	(void)state;
	assert_display("ip or arp and icmp", "((ip || arp) && ip.proto == 1)");
	assert_display("ip || (arp && icmp)", "(ip || (arp && ip.proto == 1))");
	assert_display("host 10.0.0.1 and host 10.0.0.2 and tcp port 443",
		       "(" HOST("10.0.0.1") " && " HOST("10.0.0.2") ")");
	assert_display("tcp and arp", "arp");
	assert_display("ip and not port 22", "ip");
	assert_display("!(arp or ip) and ip6", "ipv6");
}

static void test_what_is_not_sure_is_left_out(void **state)
{
	static const char *const filters[] = {
		"",
		"port 53",
		"tcp",
		"udp src port 53",
		"not host 10.0.0.1",
		"ip or port 53",
		"host example.net",
		"net 10.1",
		"host 10.0.0.1 or 10.0.0.2",
		"src or dst host 10.0.0.1",
		"10.0.0.1",
		"vlan 5 and host 10.0.0.1",
		"ether host 00:00:00:00:00:01",
		"ip[8] = 1",
		"tcp host 10.0.0.1",
		"host",
		"host 10.0.0.1 and",
		"(host 10.0.0.1",
		"host 10.0.0.1)",
		"host 10.0.0.1 ip",
		"ip \\tcp",
		"host and",
		"((((((((((((((((((((((((((((((((((ip))))))))))))))))))))))))))))))))))",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		assert_display(filters[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_and_protocols_are_translated),
		cmocka_unit_test(test_terms_join_from_the_left),
		cmocka_unit_test(test_what_is_not_sure_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
