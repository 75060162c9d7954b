/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filters and their union. The kernel itself runs the unions, attached to a socket pair (packets.h). Such a pair has no
 * VLAN tag or packet type: for these ancillary values, the tests put constants into the program and run it with
 * libpcap's interpreter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_syntax.h"
#include "bpf/filter_union.h"
#include "packets.h"

static const struct filter_union_options plain, without_outgoing = {.loopback = true};

static struct filter *compile(const char *expression)
{
	struct error err;
	struct filter *filter = NULL;

	if (filter_compile(expression, LINKTYPE_ETHERNET, &err, &filter) < 0)
		fail_msg("%s: %s", expression, err.text);
	return filter;
}

static uint32_t run(const struct filter *filter, const struct packet *packet, uint32_t caplen)
{
	return filter ? bpf_filter(filter_program(filter), packet->data, packet->size, caplen) : packet->size;
}

static uint32_t kernel_run(const struct kernel *kernel, const struct packet *packet)
{
	return kernel_pass(kernel, packet->data, packet->size);
}

static void check_packet(const struct filter_want *wants, size_t count, const struct packet *packet, uint32_t passed)
{
	bool wanted = false;

	for (size_t i = 0; i < count; i++) {
		const bool verdict = run(wants[i].filter, packet, packet->size) != 0;

		wanted |= verdict;
		if (!verdict || !passed)
			continue;
		if (!run(wants[i].filter, packet, passed))
			fail_msg("filter %zu rejects the packet once it is cut at %u of %u", i, passed, packet->size);
		assert_true(passed >= wants[i].snaplen || passed == packet->size);
	}
	for (size_t i = 0; i < count && passed; i++) {
		if (run(wants[i].filter, packet, passed) && !run(wants[i].filter, packet, packet->size))
			fail_msg("filter %zu accepts the packet once it is cut at %u of %u", i, passed, packet->size);
	}
	if (wanted && !passed)
		fail_msg("a wanted packet of %u bytes was rejected", packet->size);
	if (!wanted && passed && packet->size >= FILTER_UNION_MIN_BYTES)
		fail_msg("an unwanted packet of %u bytes was accepted", packet->size);
}

static void check_union(const struct filter_want *wants, size_t count)
{
	struct sock_filter program[FILTER_UNION_MAX];
	struct kernel kernel;
	const size_t size = filter_union(wants, count, &plain, program);

	assert_in_range(size, 1, FILTER_UNION_MAX);
	kernel_init(&kernel, program, size);
	for (size_t i = 0; i < packet_count; i++)
		check_packet(wants, count, &packets[i], kernel_run(&kernel, &packets[i]));
	kernel_deinit(&kernel);
}

static const char *const expressions[] = {
	"ip",
	"ip6",
	"arp",
	"tcp",
	"udp port 53",
	"tcp port 80 or tcp port 443",
	"port 22",
	"src port 53 and dst port 80",
	"portrange 1000-9000",
	"host 10.0.0.1",
	"src host 10.0.0.2 and not dst host 10.0.0.3",
	"net 10.0.0.0/30",
	"ip6 host fe80::1",
	"ether host 02:00:00:00:00:01",
	"ether broadcast",
	"multicast",
	"vlan",
	"vlan 10",
	"vlan and tcp port 80",
	"vlan 100 and vlan 200",
	"vlan and vlan and ip",
	"not vlan",
	"tcp[13] & 2 != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp[((tcp[12]&0xf0)>>2):4] = 0x47455420",
	"udp[10:2] = 0",
	"ip[0] & 0xf != 5",
	"ip6[6] = 6",
	"ether[100] = 0",
	"ether[100:4] != 0",
	"not ether[200] = 1",
	"ether[ether[20]] = 0",
	"len > 100",
	"less 90",
	"greater 128",
	"not ip",
	"not (tcp or udp)",
	"icmp or icmp6",
	"icmp[icmptype] = icmp-echo",
	"proto 132",
	"ip[6:2] & 0x1fff != 0",
	"ether proto 0x88cc",
	"ip proto 47 or mpls",
	"ether[12:2] > 0x600 and ether[12:2] < 0x1000",
	"tcp and (host 10.0.0.1 or host 10.0.0.4) and (port 80 or port 443 or port 8080) and not port 22",
	"ip[2:2] - ((ip[0]&0xf)<<2) > 40",
	"ether[0] * 3 + ether[5] = 7",
	"   ",
};
#define EXPRESSIONS (sizeof(expressions) / sizeof(*expressions))

static void test_union_of_one_filter_equals_that_filter(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSIONS; i++) {
		cleanup(cleanup_filter) struct filter *filter = compile(expressions[i]);
		const struct filter_want want = {.filter = filter, .snaplen = 65535};
		const struct filter_want small = {.filter = filter, .snaplen = 10};

		check_union(&want, 1);
		check_union(&small, 1);
	}
}

static void test_each_expression_accepts_some_but_not_all_packets(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < EXPRESSIONS; i++) {
		cleanup(cleanup_filter) struct filter *filter = compile(expressions[i]);
		size_t accepted = 0;

		for (size_t p = 0; p < packet_count; p++)
			accepted += run(filter, &packets[p], packets[p].size) != 0;
		if (!accepted || accepted == packet_count)
			fail_msg("%s: accepts %zu of %zu packets", expressions[i], accepted, packet_count);
	}
}

static void test_union_accepts_exactly_what_its_members_accept(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct filter *filters[12];
		struct filter_want wants[12];
		const size_t count = 2 + pick(11);

		for (size_t i = 0; i < count; i++) {
			filters[i] = compile(expressions[pick(EXPRESSIONS - 1)]);
			wants[i] = (struct filter_want){.filter = filters[i], .snaplen = pick(2) ? 65535 : pick(100)};
		}
		check_union(wants, count);
		for (size_t i = 0; i < count; i++)
			filter_free(filters[i]);
	}
}

static void test_union_of_fifty_filters_fits(void **state)
{
	struct filter *filters[50];
	struct filter_want wants[50];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		char expression[64];

		snprintf(expression, sizeof(expression), "host 10.0.%u.1 and tcp port %u", i % 3, 75 + i);
		filters[i] = compile(expression);
		wants[i] = (struct filter_want){.filter = filters[i], .snaplen = 65535};
	}
	check_union(wants, 50);
	for (unsigned i = 0; i < 50; i++)
		filter_free(filters[i]);
}

static void test_long_expression_keeps_its_jumps(void **state)
{
	char expression[4096] = "tcp port 80";

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		const size_t length = strlen(expression);

		snprintf(expression + length, sizeof(expression) - length, " or (udp port %u and ether[%u] = %u)",
			 50 + i, 60 + i, i % 3);
	}
	cleanup(cleanup_filter) struct filter *filter = compile(expression);
	struct filter *other = compile("arp or ip6");
	const struct filter_want wants[] = {{.filter = filter, .snaplen = 100}, {.filter = other, .snaplen = 200}};
	check_union(wants, 2);
	filter_free(other);
}

/* A load beyond the packet ends a classic BPF program at once; the members after it must run all the same. */
static void test_load_beyond_the_packet_affects_only_its_own_filter(void **state)
{
	static const char *const reaching[] = {"ether[250] = 1",  "not ether[299] = 1",	   "tcp[60] = 0",
					       "ip[ip[8]:4] = 1", "ether[4294967295] = 1", "ether[0xfffff000] = 8"};

	(void)state;
	for (size_t i = 0; i < sizeof(reaching) / sizeof(*reaching); i++) {
		cleanup(cleanup_filter) struct filter *first = compile(reaching[i]);
		cleanup(cleanup_filter) struct filter *second = compile("ip or arp");
		const struct filter_want wants[] = {{.filter = first, .snaplen = 65535},
						    {.filter = second, .snaplen = 65535}};

		check_union(wants, 2);
	}
}

static void test_filter_the_kernel_evaluates_differently_has_no_union(void **state)
{
	static const char *const different[] = {"ether[0] / ether[20] = 1", "ether[0] % ether[20] = 1",
						"ether[0] << ether[20] = 0", "ether[0] >> ether[20] = 0",
						"ip6 protochain 17"};

	(void)state;
	for (size_t i = 0; i < sizeof(different) / sizeof(*different); i++) {
		struct sock_filter program[FILTER_UNION_MAX];
		cleanup(cleanup_filter) struct filter *filter = compile(different[i]);
		const struct filter_want want = {.filter = filter, .snaplen = 65535};

		assert_int_equal(filter_union(&want, 1, &plain, program), 0);
	}
}

static void test_filters_that_do_not_fit_have_no_union(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	struct filter *filters[400];
	struct filter_want wants[400];
	size_t fits = 0;

	(void)state;
	for (size_t count = 1; count <= 400; count++) {
		char expression[64];

		snprintf(expression, sizeof(expression), "host 10.0.0.1 and tcp port %zu", count);
		filters[count - 1] = compile(expression);
		wants[count - 1] = (struct filter_want){.filter = filters[count - 1], .snaplen = 65535};
		const size_t size = filter_union(wants, count, &plain, program);
		assert_true(size <= FILTER_UNION_MAX);
		if (size)
			assert_int_equal(++fits, count);
	}
	assert_in_range(fits, 60, 399);
	for (size_t i = 0; i < 400; i++)
		filter_free(filters[i]);
}

static void test_repeated_filter_takes_room_once(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	static struct filter_want wants[1000];
	struct filter *filters[2] = {compile("host 10.0.0.1 and tcp port 80"),
				     compile("host 10.0.0.1 and tcp port 80")};

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		wants[i] = (struct filter_want){.filter = filters[i % 2], .snaplen = 65535};
	assert_int_equal(filter_union(wants, 1000, &plain, program), filter_union(wants, 1, &plain, program));
	check_union(wants, 40);
	filter_free(filters[0]);
	filter_free(filters[1]);
}

static void test_empty_union_rejects_every_packet(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];

	(void)state;
	for (unsigned loopback = 0; loopback < 2; loopback++) {
		struct kernel kernel;
		const size_t size = filter_union(NULL, 0, loopback ? &without_outgoing : &plain, program);

		assert_in_range(size, 1, 8);
		kernel_init(&kernel, program, size);
		for (size_t i = 0; i < 100; i++)
			assert_int_equal(kernel_run(&kernel, &packets[i]), 0);
		kernel_deinit(&kernel);
	}
}

static void test_want_without_filter_accepts_every_packet(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");
	const struct filter_want whole[] = {{.filter = filter, .snaplen = 10}, {.snaplen = PACKET_SNAPLEN_MAX}};

	(void)state;
	assert_int_equal(filter_union(whole, 2, &plain, program), 0);
	const struct filter_want cut[] = {{.filter = filter, .snaplen = 10}, {.snaplen = 40}};
	check_union(cut, 2);
	struct kernel kernel;
	kernel_init(&kernel, program, filter_union(cut, 2, &plain, program));
	uint32_t longest = 0;
	for (size_t i = 0; i < packet_count; i++) {
		const uint32_t passed = kernel_run(&kernel, &packets[i]);

		longest = passed > longest ? passed : longest;
	}
	assert_in_range(longest, 40, 80); /* the ports after the longest IPv4 header */
	kernel_deinit(&kernel);
}

static void test_zero_snap_length_does_not_reject(void **state)
{
	cleanup(cleanup_filter) struct filter *filter = compile("len > 100");
	const struct filter_want want = {.filter = filter};

	(void)state;
	check_union(&want, 1);
}

/* Runs the program in libpcap, with the kernel's ancillary values as constants. */
static uint32_t run_with(const struct sock_filter *program, size_t size, const struct packet *packet, uint32_t tagged,
			 uint32_t type)
{
	struct bpf_insn copy[FILTER_UNION_MAX];

	memcpy(copy, program, size * sizeof(*copy));
	for (size_t i = 0; i < size; i++) {
		const uint32_t extension = copy[i].k - (uint32_t)SKF_AD_OFF;

		if (copy[i].code != (BPF_LD | BPF_W | BPF_ABS) || copy[i].k < (uint32_t)SKF_AD_OFF)
			continue;
		assert_true(extension == SKF_AD_VLAN_TAG_PRESENT || extension == SKF_AD_PKTTYPE);
		copy[i].code = BPF_LD | BPF_IMM;
		copy[i].k = extension == SKF_AD_PKTTYPE ? type : tagged;
	}
	return bpf_filter(copy, packet->data, packet->size, packet->size);
}

static void test_packets_with_a_stripped_tag_are_all_accepted(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	cleanup(cleanup_filter) struct filter *filter = compile("vlan 10 and udp port 53");
	const struct filter_want want = {.filter = filter, .snaplen = 200};
	const size_t size = filter_union(&want, 1, &plain, program);
	size_t rejected = 0;

	(void)state;
	for (size_t i = 0; i < packet_count; i++) {
		assert_true(run_with(program, size, &packets[i], 1, PACKET_HOST) >= 200);
		rejected += run_with(program, size, &packets[i], 0, PACKET_HOST) == 0;
	}
	assert_true(rejected > packet_count / 2);
}

static void test_loopback_rejects_outgoing_copies_first(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	cleanup(cleanup_filter) struct filter *filter = compile("ip");
	cleanup(cleanup_filter) struct filter *incompatible = compile("ether[0] / ether[20] = 1");
	const struct {
		struct filter_want want;
		bool everything;
	} cases[] = {
		{{.filter = filter, .snaplen = 65535}, false},
		{{.snaplen = 100}, true},
		{{.snaplen = PACKET_SNAPLEN_MAX}, true},
		{{.filter = incompatible, .snaplen = 100}, true}, /* the kernel leaves it to the reader */
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		const size_t size = filter_union(&cases[c].want, 1, &without_outgoing, program);
		const bool everything = cases[c].everything;
		size_t accepted = 0;

		assert_in_range(size, 1, FILTER_UNION_MAX);

		for (size_t i = 0; i < packet_count; i++) {
			for (uint32_t tagged = 0; tagged < 2; tagged++)
				assert_int_equal(run_with(program, size, &packets[i], tagged, PACKET_OUTGOING), 0);
			accepted += run_with(program, size, &packets[i], 0, PACKET_HOST) != 0;
		}
		assert_true(everything ? accepted == packet_count : accepted > 100 && accepted < packet_count);
		const size_t without = filter_union(&cases[c].want, 1, &plain, program);
		if (without)
			assert_true(run_with(program, without, &packets[0], 1, PACKET_OUTGOING) > 0);
	}
}

static void test_bad_expressions_are_refused_with_an_error_text(void **state)
{
	static const char *const bad[] = {"tcp prot 80",
					  "(",
					  "port 99999",
					  "ip and ip6 and",
					  "host 1.2.3.4.5",
					  "vlan 5000",
					  "ether[0",
					  "ether[0] / 0 = 1",
					  "tcp and udp and ip and arp",
					  "\x01\xff",
					  "wlan type mgt"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = {.text = ""};
		struct filter *filter = NULL;

		if (filter_compile(bad[i], LINKTYPE_ETHERNET, &err, &filter) == 0)
			fail_msg("%s: compiled", bad[i]);
		assert_null(filter);
		assert_true(strlen(err.text) > 3);
	}
}

static void test_errors_show_the_place(void **state)
{
	static const struct {
		const char *expression, *text;
	} cases[] = {
		{"udp prot 53", "syntax error near \"prot\": \"udp >>>prot<<< 53\""},
		{"tcp port", "syntax error, the end is missing: \"tcp port>>><<<\""},
		{"(tcp or\tudp", "syntax error, the end is missing: \"(tcp or udp>>><<<\""},
		{"tcp or udp)", "syntax error near \")\": \"tcp or udp>>>)<<<\""},
		{"tcp && || udp", "syntax error near \"||\": \"tcp && >>>||<<< udp\""},
		{"host \u00e9", "syntax error near \"\u00e9\": \"host >>>\u00e9<<<\""},
		{"host \xff", "syntax error near \"?\": \"host >>>?<<<\""},
		{"tcp[13] & 2 != 0 and tcp[(tcp[12]&0xf0)>>2] = 1 2",
		 "syntax error near \"2\": \"tcp[13] & 2 != 0 and tcp[(tcp[12]&0xf0)>>2] = 1 >>>2<<<\""},
		{"port 80 or port 99999", "illegal port number 99999 > 65535: \"port 80 or port >>>99999<<<\""},
		{"vlan 5000", "VLAN tag 5000 greater than maximum 4095: \"vlan >>>5000<<<\""},
		{"udp and host 10.0.0.300", "invalid IPv4 address '10.0.0.300': \"udp and host >>>10.0.0.300<<<\""},
		{"tcp and arp", "expression rejects all packets: \"tcp and arp\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err;

		assert_int_equal(filter_check(cases[i].expression, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].text);
	}
}

static void test_long_expressions_are_shown_around_the_place(void **state)
{
	char expression[1000] = "";
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		snprintf(expression + strlen(expression), sizeof(expression) - strlen(expression), "%s %d or ",
			 i == 15 ? "prot" : "port", i);
	assert_int_equal(filter_check(expression, &err), -EINVAL);
	assert_non_null(strstr(err.text, "or >>>prot<<< 15 or"));
	assert_non_null(strstr(err.text, ": \"..."));
	assert_in_range(strlen(err.text), 200, 300);
}

static void test_syntax_is_checked_without_names(void **state)
{
	static const char *const good[] = {"host no.such.name.invalid",
					   "port nosuchservice and not host also.not.there.invalid",
					   "src host a or b and dst net c and portrange d-e",
					   "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
					   "icmp[icmptype] = icmp-echo or icmp6[icmp6type] = icmp6-echo",
					   "ip proto \\tcp and gateway there",
					   "ether host aa:bb:cc:dd:ee:ff",
					   "(vlan and (host a or b and (port c or d))) or mpls",
					   "len > 5 and ip[6:2] & 0x1fff = 0"};
	static const char *const bad[] = {"host no.such.name.invalid prot 5", "host a and or b", "tcp prot 5", "host"};
	struct error err;

	(void)state;
	assert_int_equal(filter_check_syntax(NULL, &err), 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (filter_check_syntax(good[i], &err) < 0)
			fail_msg("%s: %s", good[i], err.text);
	}
	for (size_t i = 0; i < EXPRESSIONS; i++)
		assert_int_equal(filter_check_syntax(expressions[i], &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(filter_check_syntax(bad[i], &err), -EINVAL);
}

static void test_empty_expression_is_no_filter(void **state)
{
	struct error err;
	struct filter *filter = (void *)&err;

	(void)state;
	assert_int_equal(filter_compile(NULL, LINKTYPE_ETHERNET, &err, &filter), 0);
	assert_null(filter);
	filter = (void *)&err;
	assert_int_equal(filter_compile("", LINKTYPE_ETHERNET, &err, &filter), 0);
	assert_null(filter);
	assert_null(filter_program(NULL));
	filter_free(NULL);
}

static void test_number_of_terms_is_limited(void **state)
{
	struct error err;
	struct filter *filter = NULL;
	char expression[8192] = "port 1";

	(void)state;
	for (unsigned i = 2; i <= FILTER_TERMS_MAX + 1; i++) {
		const size_t length = strlen(expression);

		if (i == FILTER_TERMS_MAX + 1) {
			assert_int_equal(filter_compile(expression, LINKTYPE_RAW, &err, &filter), 0);
			filter_free(filter);
			filter = NULL;
		}
		snprintf(expression + length, sizeof(expression) - length, " %s port %u", i % 2 ? "or" : "||", i);
	}
	assert_int_equal(filter_compile(expression, LINKTYPE_RAW, &err, &filter), -EINVAL);
	assert_null(filter);
	snprintf(expression, sizeof(expression), "host ::1"); /* libpcap needs no space there */
	for (unsigned i = 0; i < FILTER_TERMS_MAX; i++)
		memcpy(expression + strlen(expression), "or ::1", sizeof("or ::1"));
	assert_int_equal(filter_compile(expression, LINKTYPE_RAW, &err, &filter), -EINVAL);
	assert_non_null(strstr(err.text, "more than 128 terms"));
}

static void check_direction(const char *expression, uint16_t linktype, bool if_outgoing, bool if_other)
{
	struct sock_filter program[FILTER_UNION_MAX];
	struct error err;
	cleanup(cleanup_filter) struct filter *filter = NULL;
	const struct packet packet = {.size = 60, .data = {[12] = 8, 0, 0x45}};

	assert_int_equal(filter_compile(expression, linktype, &err, &filter), 0);
	assert_true(filter_reach(filter) < 64);
	const struct filter_want want = {.filter = filter, .snaplen = 65535};
	const size_t size = filter_union(&want, 1, &plain, program);
	for (unsigned type = PACKET_HOST; type <= PACKET_OUTGOING; type++) {
		const bool accepted = type == PACKET_OUTGOING ? if_outgoing : if_other;
		struct sock_filter typed[FILTER_UNION_MAX];

		assert_int_equal(filter_run(filter, packet.data, packet.size, packet.size, type) != 0, accepted);
		memcpy(typed, program, size * sizeof(*typed));
		for (size_t i = 0; i < size; i++) {
			if (typed[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
				typed[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, type);
			else if (typed[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT))
				typed[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
		}
		assert_int_equal(bpf_filter((struct bpf_insn *)typed, packet.data, packet.size, packet.size) != 0,
				 accepted);
	}
}

static void test_direction_is_the_packets_type(void **state)
{
	(void)state;
	check_direction("outbound", LINKTYPE_ETHERNET, true, false);
	check_direction("inbound", LINKTYPE_ETHERNET, false, true);
	check_direction("outbound", LINKTYPE_RAW, true, false);
	check_direction("inbound and ip", LINKTYPE_ETHERNET, false, true);
	check_direction("outbound or inbound", LINKTYPE_ETHERNET, true, true);
	check_direction("outbound and arp", LINKTYPE_ETHERNET, false, false);
}

static void test_ip_broadcast_is_that_of_the_netmask(void **state)
{
	struct error err;
	struct filter *filter = NULL;
	struct packet packet = {.size = 60, .data = {[12] = 8, 0, 0x45, [30] = 10, 1, 2, 0xff}};

	(void)state;
	assert_int_equal(filter_compile_with_netmask("ip broadcast", LINKTYPE_ETHERNET, 0xffffff00, &err, &filter), 0);
	assert_true(run(filter, &packet, packet.size) > 0);
	packet.data[33] = 0xfe;
	assert_int_equal(run(filter, &packet, packet.size), 0);
	filter_free(filter);
	filter = NULL;
	assert_int_equal(filter_compile_with_netmask("ip broadcast", LINKTYPE_ETHERNET, 0xfffffff1, &err, &filter), 0);
	assert_true(run(filter, &packet, packet.size) > 0);
	filter_free(filter);
	filter = NULL;
	assert_int_equal(filter_compile("ip broadcast", LINKTYPE_ETHERNET, &err, &filter), -EINVAL);
	assert_string_equal(err.text, "\"ip broadcast\" needs an interface with an IPv4 address, for its netmask");
	assert_int_equal(filter_check("ip broadcast", &err), 0);
}

static void test_raw_ip_begins_with_the_ip_header(void **state)
{
	struct error err;
	cleanup(cleanup_filter) struct filter *filter = NULL;

	(void)state;
	assert_int_equal(filter_compile("udp dst port 53", LINKTYPE_RAW, &err, &filter), 0);
	struct packet packet = {.size = 60, .data = {0x45, [9] = 17, [23] = 53}};
	assert_true(run(filter, &packet, packet.size) > 0);
	packet.data[23] = 54;
	assert_int_equal(run(filter, &packet, packet.size), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_expression_accepts_some_but_not_all_packets),
		cmocka_unit_test(test_union_of_one_filter_equals_that_filter),
		cmocka_unit_test(test_union_accepts_exactly_what_its_members_accept),
		cmocka_unit_test(test_union_of_fifty_filters_fits),
		cmocka_unit_test(test_long_expression_keeps_its_jumps),
		cmocka_unit_test(test_load_beyond_the_packet_affects_only_its_own_filter),
		cmocka_unit_test(test_filter_the_kernel_evaluates_differently_has_no_union),
		cmocka_unit_test(test_filters_that_do_not_fit_have_no_union),
		cmocka_unit_test(test_repeated_filter_takes_room_once),
		cmocka_unit_test(test_empty_union_rejects_every_packet),
		cmocka_unit_test(test_want_without_filter_accepts_every_packet),
		cmocka_unit_test(test_zero_snap_length_does_not_reject),
		cmocka_unit_test(test_packets_with_a_stripped_tag_are_all_accepted),
		cmocka_unit_test(test_loopback_rejects_outgoing_copies_first),
		cmocka_unit_test(test_bad_expressions_are_refused_with_an_error_text),
		cmocka_unit_test(test_errors_show_the_place),
		cmocka_unit_test(test_long_expressions_are_shown_around_the_place),
		cmocka_unit_test(test_syntax_is_checked_without_names),
		cmocka_unit_test(test_empty_expression_is_no_filter),
		cmocka_unit_test(test_number_of_terms_is_limited),
		cmocka_unit_test(test_direction_is_the_packets_type),
		cmocka_unit_test(test_ip_broadcast_is_that_of_the_netmask),
		cmocka_unit_test(test_raw_ip_begins_with_the_ip_header),
	};

	return cmocka_run_group_tests(tests, make_packets, NULL);
}
