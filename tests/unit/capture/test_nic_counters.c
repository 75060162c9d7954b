/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's word of an interface's losses, byte for byte; and which of a driver's counters mean one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "capture/nic_counters.h"

static _Alignas(8) uint8_t reply[4096];
static size_t reply_size;

static void begin(uint16_t type)
{
	memset(reply, 0, sizeof(reply));
	reply_size = NLMSG_LENGTH(sizeof(struct ifinfomsg));
	((struct nlmsghdr *)(void *)reply)->nlmsg_type = type;
}

static void attribute(uint16_t type, const void *data, size_t size)
{
	const struct rtattr header = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};

	memcpy(reply + reply_size, &header, sizeof(header));
	memcpy(reply + reply_size + RTA_LENGTH(0), data, size);
	reply_size += RTA_ALIGN(header.rta_len);
	((struct nlmsghdr *)(void *)reply)->nlmsg_len = (uint32_t)reply_size;
}

static const struct rtnl_link_stats64 stats = {.rx_dropped = UINT64_C(0x123456789a),
					       .rx_missed_errors = 7,
					       .rx_packets = 20,
					       .tx_packets = 22,
					       .tx_dropped = 9};

static void make_reply(void)
{
	begin(RTM_NEWLINK);
	attribute(IFLA_IFNAME, "eth0", 5);
	attribute(IFLA_ADDRESS, "\1\2\3", 3);
	attribute(IFLA_STATS64, &stats, sizeof(stats));
	attribute(IFLA_QDISC, "fq", 3);
}

static void test_counters_and_name_are_read(void **state)
{
	struct nic_counters counters = {0};
	char name[16] = "";

	(void)state;
	make_reply();
	assert_true(nic_counters_parse(reply, reply_size, &counters, name));
	assert_string_equal(name, "eth0");
	assert_true(counters.rx_dropped == stats.rx_dropped && counters.rx_missed_errors == 7);
	assert_int_equal(counters.packets, 42);
	assert_false(counters.up || counters.carrier);
	/* A kernel with fewer counters. */
	begin(RTM_NEWLINK);
	attribute(IFLA_STATS64, &stats, offsetof(struct rtnl_link_stats64, tx_aborted_errors));
	assert_true(nic_counters_parse(reply, reply_size, &counters, name));
	assert_int_equal(counters.rx_missed_errors, 7);
}

static void test_state_is_read_and_loopback_counts_packets_once(void **state)
{
	struct nic_counters counters = {0};
	struct ifinfomsg link = {.ifi_flags = IFF_UP | IFF_LOOPBACK | 0x10000};
	char name[16] = "";

	(void)state;
	make_reply();
	memcpy(reply + NLMSG_LENGTH(0), &link, sizeof(link));
	assert_true(nic_counters_parse(reply, reply_size, &counters, name));
	assert_true(counters.up && counters.carrier);
	assert_int_equal(counters.packets, 20);
}

static void test_what_is_no_interface_with_counters_is_refused(void **state)
{
	struct nic_counters counters = {0};
	char name[16];

	(void)state;
	begin(NLMSG_ERROR);
	attribute(IFLA_STATS64, &stats, sizeof(stats));
	assert_false(nic_counters_parse(reply, reply_size, &counters, name));
	begin(RTM_NEWLINK);
	attribute(IFLA_IFNAME, "eth0", 5);
	assert_false(nic_counters_parse(reply, reply_size, &counters, name));
	make_reply();
	for (size_t size = 0; size < reply_size; size++)
		assert_false(nic_counters_parse(reply, size, &counters, name));
	/* The first attribute is shorter than its header, or longer than the message. */
	static const uint16_t lengths[] = {0, 1, 2, 3, 1000, UINT16_MAX};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		make_reply();
		memcpy(reply + NLMSG_LENGTH(sizeof(struct ifinfomsg)), &lengths[i], sizeof(lengths[i]));
		assert_false(nic_counters_parse(reply, reply_size, &counters, name));
	}
}

static void test_growth_is_known_if_both_ends_are(void **state)
{
	const struct nic_counters before = {
		.known = true, .up = true, .rx_dropped = 10, .rx_missed_errors = 20, .queue_drops = 30, .packets = 1};
	const struct nic_counters after = {.known = true,
					   .carrier = true,
					   .rx_dropped = 15,
					   .rx_missed_errors = 20,
					   .queue_drops = 29,
					   .packets = 9};
	const struct nic_counters unknown = {0};

	(void)state;
	const struct nic_counters grown = nic_counters_since(&before, &after);
	assert_true(grown.known);
	assert_false(grown.up); /* the state is that of the end */
	assert_true(grown.carrier);
	assert_int_equal(grown.packets, 8);
	assert_int_equal(grown.rx_dropped, 5);
	assert_int_equal(grown.rx_missed_errors, 0);
	assert_int_equal(grown.queue_drops, 0); /* it was reset */
	assert_false(nic_counters_since(&before, &unknown).known);
	assert_int_equal(nic_counters_since(&unknown, &after).rx_dropped, 0);
}

static void test_queue_drops_are_known_by_their_names(void **state)
{
	static const char *const drops[] = {"rx_queue_0_drops",	      "rx3_dropped",	    "rx-1.alloc_no_buf",
					    "rx0_out_of_buffer_drop", "RX2: missed frames", "rxq7_no_buffer"};
	static const char *const others[] = {
		"rx_dropped",		"rx_missed_errors", "tx_queue_0_dropped", "rx_queue_0_packets",
		"rx_queue_0_xdp_drops", "port.rx_dropped",  "tx3_drops",	  ""};

	(void)state;
	for (size_t i = 0; i < sizeof(drops) / sizeof(*drops); i++)
		assert_true(nic_counter_is_queue_drop(drops[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(nic_counter_is_queue_drop(others[i]));
}

static void test_counters_of_a_real_interface_are_known(void **state)
{
	struct nic_counters counters;
	const int ifindex = (int)if_nametoindex("lo");

	(void)state;
	if (!ifindex)
		skip();
	nic_counters_read(ifindex, &counters);
	assert_true(counters.known);
	nic_counters_read(INT32_MAX, &counters);
	assert_false(counters.known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_and_name_are_read),
		cmocka_unit_test(test_state_is_read_and_loopback_counts_packets_once),
		cmocka_unit_test(test_what_is_no_interface_with_counters_is_refused),
		cmocka_unit_test(test_growth_is_known_if_both_ends_are),
		cmocka_unit_test(test_queue_drops_are_known_by_their_names),
		cmocka_unit_test(test_counters_of_a_real_interface_are_known),
	};

	return cmocka_run_group_tests_name("nic_counters", tests, NULL, NULL);
}
