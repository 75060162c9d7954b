/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in tunnels are found, and filters for them see only them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_union.h"
#include "bpf/tunnel.h"

static uint8_t packet[512];
static uint32_t used;

static void put(unsigned value, unsigned bytes)
{
	while (bytes--)
		packet[used++] = (uint8_t)(value >> 8 * bytes);
}

static void put_zeros(unsigned bytes)
{
	while (bytes--)
		packet[used++] = 0;
}

static void put_ethernet(unsigned type)
{
	put_zeros(12);
	put(type, 2);
}

static void put_ipv4(unsigned protocol, unsigned options_words, uint8_t host)
{
	put(0x4500 + options_words * 0x100, 2);
	put_zeros(7);
	put(protocol, 1);
	put_zeros(2);
	put(0x0a000000u + host, 4);
	put(0x0a0000ffu, 4);
	put_zeros(options_words * 4);
}

static void put_ipv6(unsigned next)
{
	put(0x60000000u, 4);
	put(next, 3);
	put_zeros(33);
}

static void put_udp(unsigned port)
{
	put(40000, 2);
	put(port, 2);
	put_zeros(4);
}

/* The inner packet: UDP from 10.0.0.1, with or without Ethernet. */
static void put_inner(bool ethernet)
{
	if (ethernet)
		put_ethernet(0x0800);
	put_ipv4(17, 0, 1);
	put_udp(53);
}

static void begin(unsigned type)
{
	memset(packet, 0xee, sizeof(packet));
	used = 0;
	put_ethernet(type);
}

static void assert_inner(uint32_t offset, uint16_t linktype)
{
	struct tunnel_packet inner = {0};

	assert_true(tunnel_find(packet, used, LINKTYPE_ETHERNET, &inner));
	assert_int_equal(inner.offset, offset);
	assert_int_equal(inner.linktype, linktype);
	for (uint32_t caplen = 0; caplen < offset; caplen++)
		assert_false(tunnel_find(packet, caplen, LINKTYPE_ETHERNET, &inner));
}

static void assert_no_inner(void)
{
	struct tunnel_packet inner;

	assert_false(tunnel_find(packet, used, LINKTYPE_ETHERNET, &inner));
}

static struct filter *compile(const char *bpf, const char *inner, uint16_t linktype)
{
	const struct filter_options options = {.bpf = bpf, .inner = inner, .linktype = linktype};
	struct filter *filter = NULL;
	struct error err;
	const char *field;

	if (filter_new(&options, &err, &field, &filter) < 0)
		fail_msg("%s", err.text);
	return filter;
}

static bool accepts(const struct filter *filter)
{
	return filter_run(filter, packet, used, used, PACKET_HOST) != 0;
}

/* Inside, the packet is UDP to port 53 from 10.0.0.1; outside, it is from 10.0.0.9. */
static void check_filters(void)
{
	static const struct {
		const char *bpf, *inner;
		bool accepted;
	} cases[] = {
		{NULL, "host 10.0.0.1", true},
		{NULL, "host 10.0.0.9", false},
		{"", "udp port 53", true},
		{"  ", "udp port 53", true},
		{NULL, "udp port 54", false},
		{"not host 10.0.0.1", "host 10.0.0.1", true},
		{"host 10.0.0.1", "udp", false},
		{"len > 60", "host 10.0.0.1 and udp dst port 53", true},
		{"len < 60", "host 10.0.0.1", false},
		{NULL, "outbound", false},
		{NULL, "inbound", true},
		{NULL, "ip6", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sock_filter program[FILTER_UNION_MAX];
		cleanup(cleanup_filter) struct filter *filter =
			compile(cases[i].bpf, cases[i].inner, LINKTYPE_ETHERNET);
		const struct filter_want want = {.filter = filter, .snaplen = 60};

		if (accepts(filter) != cases[i].accepted)
			fail_msg("bpf %s, inner %s", cases[i].bpf, cases[i].inner);
		assert_in_range(filter_union(&want, 1, &(struct filter_union_options){0}, program), 1,
				FILTER_UNION_MAX);
		assert_int_equal(filter_reach(filter), UINT32_MAX);
		assert_false(filter_reads_headers_only(filter));
	}
}

static void test_vxlan(void **state)
{
	static const unsigned ports[] = {4789, 8472};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin(0x0800);
		put_ipv4(17, i * 3, 9);
		put_udp(ports[i]);
		put(0x08000000u, 4);
		put(0x00001200u, 4);
		const uint32_t offset = used;
		put_inner(true);
		assert_inner(offset, LINKTYPE_ETHERNET);
		check_filters();
	}
	packet[14 + 20 + 12 + 8] = 0; /* the flag I */
	assert_no_inner();
}

static void test_geneve_with_and_without_options(void **state)
{
	(void)state;
	for (unsigned words = 0; words < 64; words += 21) {
		for (unsigned ethernet = 0; ethernet < 2; ethernet++) {
			begin(0x0800);
			put_ipv4(17, 0, 9);
			put_udp(6081);
			put(words, 1);
			put(0, 1);
			put(ethernet ? 0x6558 : 0x0800, 2);
			put_zeros(4 + words * 4);
			const uint32_t offset = used;
			put_inner(ethernet);
			assert_inner(offset, ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW);
			check_filters();
		}
	}
	packet[14 + 20 + 8] |= 0x40; /* its version */
	assert_no_inner();
}

static void test_gre_with_any_optional_fields(void **state)
{
	(void)state;
	for (unsigned fields = 0; fields < 8; fields++) {
		const unsigned flags =
			(fields & 1 ? 0x8000u : 0) | (fields & 2 ? 0x2000u : 0) | (fields & 4 ? 0x1000u : 0);

		for (unsigned ethernet = 0; ethernet < 2; ethernet++) {
			begin(0x0800);
			put_ipv4(47, 0, 9);
			put(flags, 2);
			put(ethernet ? 0x6558 : 0x0800, 2);
			for (unsigned bit = 1; bit < 8; bit *= 2)
				put_zeros(fields & bit ? 4 : 0);
			const uint32_t offset = used;
			put_inner(ethernet);
			assert_inner(offset, ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW);
			check_filters();
		}
	}
	packet[14 + 20 + 1] = 1; /* PPTP */
	assert_no_inner();
	packet[14 + 20 + 1] = 0;
	packet[14 + 20] = 0x40; /* routing */
	assert_no_inner();
	packet[14 + 20] = 0;
	packet[14 + 20 + 3] = 0x01; /* neither IP nor Ethernet */
	assert_no_inner();
}

static void test_outer_ipv6_with_extension_headers(void **state)
{
	static const uint8_t chains[][4] = {{17}, {0, 17}, {43, 60, 17}, {44, 17}, {51, 17}};

	(void)state;
	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		begin(0x86dd);
		put_ipv6(chains[i][0]);
		for (const uint8_t *header = chains[i]; *header != 17; header++) {
			put(header[1], 1);
			put(*header == 51 ? 4 : *header == 44 ? 0 : 1, 1);
			put_zeros(*header == 51 ? 22 : *header == 44 ? 6 : 14);
		}
		put_udp(4789);
		put(0x08000000u, 4);
		put(0, 4);
		const uint32_t offset = used;
		put_inner(true);
		assert_inner(offset, LINKTYPE_ETHERNET);
		check_filters();
	}
}

static void test_outer_vlan_tags(void **state)
{
	(void)state;
	for (unsigned tags = 1; tags <= TUNNEL_TAGS_MAX + 1; tags++) {
		begin(0x8100);
		for (unsigned tag = 1; tag <= tags; tag++) {
			put(tag, 2);
			put(tag == tags ? 0x0800 : 0x88a8, 2);
		}
		put_ipv4(47, 0, 9);
		put(0x00000800u, 4);
		const uint32_t offset = used;
		put_inner(false);
		if (tags > TUNNEL_TAGS_MAX) {
			assert_no_inner();
			continue;
		}
		assert_inner(offset, LINKTYPE_RAW);
		cleanup(cleanup_filter) struct filter *filter =
			compile("vlan 1", "src host 10.0.0.1", LINKTYPE_ETHERNET);
		assert_true(accepts(filter));
		cleanup(cleanup_filter) struct filter *other =
			compile("vlan 9", "src host 10.0.0.1", LINKTYPE_ETHERNET);
		assert_false(accepts(other));
	}
}

static void test_outer_raw_ip(void **state)
{
	struct tunnel_packet inner = {0};

	(void)state;
	used = 0;
	put_ipv4(47, 0, 9);
	put(0x00006558u, 4);
	put_inner(true);
	assert_true(tunnel_find(packet, used, LINKTYPE_RAW, &inner));
	assert_int_equal(inner.offset, 24);
	assert_int_equal(inner.linktype, LINKTYPE_ETHERNET);
	cleanup(cleanup_filter) struct filter *filter = compile(NULL, "host 10.0.0.1", LINKTYPE_RAW);
	assert_true(accepts(filter));
}

static void test_later_fragments_and_other_packets_hold_none(void **state)
{
	cleanup(cleanup_filter) struct filter *filter = compile(NULL, "host 10.0.0.1", LINKTYPE_ETHERNET);

	(void)state;
	begin(0x0800);
	put_ipv4(47, 0, 9);
	put(0x00000800u, 4);
	put_inner(false);
	packet[14 + 6] = 0x20; /* more fragments */
	assert_true(accepts(filter));
	packet[14 + 7] = 1;
	assert_no_inner();
	begin(0x0800);
	put_inner(false);
	assert_no_inner();
	assert_false(accepts(filter));
	begin(0x0806);
	put_zeros(28);
	assert_no_inner();
}

static void test_inner_ethernet_filters_match_no_raw_ip(void **state)
{
	cleanup(cleanup_filter) struct filter *filter = compile(NULL, "ether host 0:0:0:0:0:0", LINKTYPE_ETHERNET);

	(void)state;
	for (unsigned ethernet = 0; ethernet < 2; ethernet++) {
		begin(0x0800);
		put_ipv4(47, 0, 9);
		put(ethernet ? 0x6558 : 0x0800, 4);
		put_inner(ethernet);
		assert_int_equal(accepts(filter), ethernet);
	}
}

static void test_errors_name_the_field(void **state)
{
	static const struct {
		const char *bpf, *inner, *field, *text;
	} cases[] = {
		{"tcp prt 5", "tcp", "bpf", "bpf: syntax error near \"prt\": \"tcp >>>prt<<< 5\""},
		{"udp", "tcp prt 5", "inner", "inner: syntax error near \"prt\": \"tcp >>>prt<<< 5\""},
		{"tcp port 5", "tcp", "bpf", "bpf: no packet that matches it can be a tunnel"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct filter_options options = {.bpf = cases[i].bpf,
						       .inner = cases[i].inner,
						       .linktype = LINKTYPE_ETHERNET};
		struct filter *filter = NULL;
		struct error err;
		const char *field;

		assert_int_equal(filter_new(&options, &err, &field, &filter), -EINVAL);
		assert_null(filter);
		assert_string_equal(field, cases[i].field);
		assert_string_equal(err.text, cases[i].text);
	}
}

static void test_equal_filters_have_equal_inner_ones(void **state)
{
	static const char *const inner[] = {"tcp", "udp", NULL, "tcp"};
	struct filter *filters[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		filters[i] = compile("udp or ip proto 47", inner[i], LINKTYPE_ETHERNET);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned j = 0; j < 4; j++)
			assert_int_equal(filter_equal(filters[i], filters[j]), i == j || (i + j == 3 && i * j == 0));
	}
	for (unsigned i = 0; i < 4; i++)
		filter_free(filters[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vxlan),
		cmocka_unit_test(test_geneve_with_and_without_options),
		cmocka_unit_test(test_gre_with_any_optional_fields),
		cmocka_unit_test(test_outer_ipv6_with_extension_headers),
		cmocka_unit_test(test_outer_vlan_tags),
		cmocka_unit_test(test_outer_raw_ip),
		cmocka_unit_test(test_later_fragments_and_other_packets_hold_none),
		cmocka_unit_test(test_inner_ethernet_filters_match_no_raw_ip),
		cmocka_unit_test(test_errors_name_the_field),
		cmocka_unit_test(test_equal_filters_have_equal_inner_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
