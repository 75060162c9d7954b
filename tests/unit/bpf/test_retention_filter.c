/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The retention filter, run directly and in the kernel as the last part of a union. Packets that the kernel passes must
 * get the same verdict again when they are read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_union.h"
#include "bpf/retention_filter.h"
#include "headers_reference.h"
#include "packets.h"

static struct retention_filter *retention_of(const char *bpf, uint32_t snaplen, bool headers)
{
	struct error err = {.text = ""};
	struct retention_filter *retention = NULL;
	const struct retention_filter_options options = {.bpf = bpf, .snaplen = snaplen, .headers = headers};

	if (retention_filter_new(&options, LINKTYPE_ETHERNET, &err, &retention) < 0)
		fail_msg("%s: %s", bpf, err.text);
	return retention;
}

static struct filter *compile(const char *expression)
{
	struct error err = {.text = ""};
	struct filter *filter = NULL;

	if (filter_compile(expression, LINKTYPE_ETHERNET, &err, &filter) < 0)
		fail_msg("%s: %s", expression, err.text);
	return filter;
}

static bool accepts(const struct filter *filter, const struct packet *packet)
{
	return !filter || bpf_filter(filter_program(filter), packet->data, packet->size, packet->size);
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void test_no_restriction_is_no_filter(void **state)
{
	(void)state;
	assert_null(retention_of(NULL, PACKET_SNAPLEN_MAX, false));
	assert_null(retention_of("", 262144, false));
	retention_filter_free(NULL);
	struct retention_filter *retention = retention_of("", PACKET_SNAPLEN_MAX - 1, false);
	assert_non_null(retention);
	assert_int_equal(retention_filter_snaplen(retention), PACKET_SNAPLEN_MAX - 1);
	assert_null(retention_filter_selector(retention));
	retention_filter_free(retention);
}

static void test_bad_filter_is_refused_with_an_error_text(void **state)
{
	struct error err = {.text = ""};
	struct retention_filter *retention = (void *)&err;

	(void)state;
	assert_int_equal(retention_filter_new(&(struct retention_filter_options){.bpf = "tcp prot 80", .headers = true},
					      LINKTYPE_ETHERNET, &err, &retention),
			 -EINVAL);
	assert_null(retention);
	assert_true(strlen(err.text) > 3);
}

struct restriction {
	const char *bpf;
	uint32_t snaplen;
	bool headers;
};

static const struct restriction restrictions[] = {
	{"", 1, false},
	{"", 40, false},
	{"", 128, false},
	{"", 0, true},
	{"ip", 65535, false},
	{"udp port 53", 60, false},
	{"tcp or arp", 0, true},
	{"ether[100] = 0", 50, false},	     /* reads past the kept bytes */
	{"not ether[200] = 1", 0, true},     /* likewise */
	{"ether[ether[20]] = 0", 64, false}, /* reads at an unknown offset */
	{"vlan and tcp port 80", 0, true},   /* the kernel sees the tag, which is not stripped here */
	{"len > 100", 96, false},
	{"not ip", 65535, false},
};
#define RESTRICTIONS (sizeof(restrictions) / sizeof(*restrictions))

static uint32_t expected_bytes(const struct restriction *restriction, const struct filter *filter,
			       const struct packet *packet)
{
	if (!accepts(filter, packet))
		return 0;
	if (restriction->headers)
		return reference_headers(LINKTYPE_ETHERNET, packet->data, packet->size);
	return least_of(restriction->snaplen, packet->size);
}

static void test_kept_bytes_follow_filter_and_snap_length(void **state)
{
	(void)state;
	for (size_t r = 0; r < RESTRICTIONS; r++) {
		const struct restriction *restriction = &restrictions[r];
		cleanup(cleanup_retention_filter) struct retention_filter *retention =
			retention_of(restriction->bpf, restriction->snaplen, restriction->headers);
		size_t kept = 0;

		for (size_t i = 0; i < packet_count; i++) {
			const struct packet *packet = &packets[i];
			const uint32_t expected =
				expected_bytes(restriction, retention_filter_selector(retention), packet);
			const uint32_t bytes = retention_filter_kept_bytes(retention, packet->data, packet->size,
									   packet->size, PACKET_HOST);

			if (bytes != expected)
				fail_msg("%s, %u: %u of %u bytes instead of %u", restriction->bpf, restriction->snaplen,
					 bytes, packet->size, expected);
			kept += bytes > 0;
		}
		assert_true(kept > 0 && (!*restriction->bpf || kept < packet_count));
	}
}

static void test_packet_cut_inside_its_headers_is_kept_unchanged(void **state)
{
	cleanup(cleanup_retention_filter) struct retention_filter *retention = retention_of("", 0, true);

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		const struct packet *packet = &packets[i];
		const uint32_t whole =
			retention_filter_kept_bytes(retention, packet->data, packet->size, packet->size, PACKET_HOST);

		for (uint32_t caplen = 1; caplen <= whole; caplen++)
			assert_int_equal(retention_filter_kept_bytes(retention, packet->data, packet->size, caplen,
								     PACKET_HOST),
					 caplen);
	}
}

static void test_retention_may_hide_packets_from_a_filter(void **state)
{
	static const struct {
		struct restriction restriction;
		const char *filter;
		bool hides;
	} cases[] = {
		{{"udp port 53", 65535, false}, "udp port 53", false},
		{{"udp port 53", 65535, false}, "udp port 54", true},
		{{"udp port 53", 65535, false}, "", true},
		{{"udp port 53", 40, false}, "udp port 53", true}, /* after the longest IPv4 header */
		{{"", 96, false}, "udp port 53", false},
		{{"", 96, false}, "ether[96] = 0", true},
		{{"", 96, false}, "ether[95] = 0", false},
		{{"", 96, false}, "ether[ether[20]] = 0", true},
		{{"", 1, false}, "len > 100", false},
		{{"", 1, false}, "", false},
		{{"", 0, true}, "tcp port 80", false},
		{{"", 0, true}, "ether[100] = 0", true},
		{{"", 0, true}, "", false},
	};

	(void)state;
	assert_false(retention_filter_may_hide(NULL, NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct restriction *restriction = &cases[i].restriction;
		cleanup(cleanup_retention_filter) struct retention_filter *retention =
			retention_of(restriction->bpf, restriction->snaplen, restriction->headers);
		cleanup(cleanup_filter) struct filter *filter = compile(cases[i].filter);

		if (retention_filter_may_hide(retention, filter) != cases[i].hides)
			fail_msg("\"%s\" of \"%s\", %u bytes", cases[i].filter, restriction->bpf, restriction->snaplen);
	}
}

/* --- in the kernel --- */

static const char *const live[] = {"udp port 53", "arp", "host 10.0.0.1", "ether[120] = 0", "ip6"};
#define LIVE (sizeof(live) / sizeof(*live))

struct wanted {
	struct filter *filters[LIVE];
	struct filter_want wants[LIVE];
	size_t count;
};

static void wanted_init(struct wanted *wanted, size_t count, uint32_t snaplen)
{
	wanted->count = count;
	for (size_t i = 0; i < count; i++) {
		wanted->filters[i] = compile(live[i]);
		wanted->wants[i] = (struct filter_want){.filter = wanted->filters[i], .snaplen = snaplen};
	}
}

static void wanted_deinit(const struct wanted *wanted)
{
	for (size_t i = 0; i < wanted->count; i++)
		filter_free(wanted->filters[i]);
}

static bool is_wanted(const struct wanted *wanted, const struct packet *packet)
{
	bool yes = false;

	for (size_t i = 0; i < wanted->count; i++)
		yes |= accepts(wanted->filters[i], packet);
	return yes;
}

/* `passed`: bytes that the kernel let through. History and every capture must work from those alone. */
static void check_passed(const struct wanted *wanted, const struct retention_filter *retention,
			 const struct packet *packet, uint32_t passed)
{
	const uint32_t kept =
		retention_filter_kept_bytes(retention, packet->data, packet->size, packet->size, PACKET_HOST);

	assert_true(passed >= kept);
	if (passed)
		assert_int_equal(retention_filter_kept_bytes(retention, packet->data, packet->size, passed,
							     PACKET_HOST),
				 kept);
	if (packet->size >= FILTER_UNION_MIN_BYTES && !kept && !is_wanted(wanted, packet))
		assert_int_equal(passed, 0);
	for (size_t i = 0; i < wanted->count; i++) {
		if (accepts(wanted->filters[i], packet))
			assert_true(passed >= least_of(wanted->wants[i].snaplen, packet->size));
	}
}

static void check_union(const struct restriction *restriction, size_t count, uint32_t snaplen)
{
	struct sock_filter program[FILTER_UNION_MAX];
	struct wanted wanted;
	struct kernel kernel;

	wanted_init(&wanted, count, snaplen);
	cleanup(cleanup_retention_filter) struct retention_filter *retention =
		retention_of(restriction->bpf, restriction->snaplen, restriction->headers);
	const struct filter_union_options options = {.retention = retention};
	const size_t size = filter_union(wanted.wants, wanted.count, &options, program);
	assert_in_range(size, 1, FILTER_UNION_MAX);
	kernel_init(&kernel, program, size);
	for (size_t i = 0; i < packet_count; i++) {
		const struct packet *packet = &packets[i];

		check_passed(&wanted, retention, packet, kernel_pass(&kernel, packet->data, packet->size));
	}
	kernel_deinit(&kernel);
	wanted_deinit(&wanted);
}

static void test_packets_from_the_kernel_get_the_same_verdict_again(void **state)
{
	(void)state;
	for (size_t r = 0; r < RESTRICTIONS; r++)
		check_union(&restrictions[r], 0, 0);
}

static void test_kernel_serves_captures_and_history_together(void **state)
{
	(void)state;
	for (size_t r = 0; r < RESTRICTIONS; r++) {
		check_union(&restrictions[r], LIVE, 65535);
		check_union(&restrictions[r], LIVE, 20);
		check_union(&restrictions[r], 1, 1);
	}
}

static void test_kernel_keeps_only_headers(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	struct kernel kernel;
	cleanup(cleanup_retention_filter) struct retention_filter *retention = retention_of("", 0, true);
	const struct filter_union_options options = {.retention = retention};

	(void)state;
	kernel_init(&kernel, program, filter_union(NULL, 0, &options, program));
	for (size_t i = 0; i < packet_count; i++) {
		const struct packet *packet = &packets[i];
		const uint32_t expected = packet->size < FILTER_UNION_MIN_BYTES
						  ? packet->size
						  : reference_headers(LINKTYPE_ETHERNET, packet->data, packet->size);

		assert_int_equal(kernel_pass(&kernel, packet->data, packet->size), expected);
	}
	kernel_deinit(&kernel);
}

static void test_excluded_packets_never_pass(void **state)
{
	cleanup(cleanup_filter) struct filter *exclude = compile("tcp port 6379 or udp port 53");
	cleanup(cleanup_filter) struct filter *udp = compile("udp");
	cleanup(cleanup_retention_filter) struct retention_filter *retention = retention_of("ip", 100, false);
	const struct filter_want everything = {.snaplen = 65535}, some = {.filter = udp, .snaplen = 65535};
	const struct {
		const struct filter_want *want;
		const struct retention_filter *retention;
	} cases[] = {
		{&everything, NULL}, {&everything, retention}, {&some, NULL}, {&some, retention}, {NULL, retention}};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		struct sock_filter program[FILTER_UNION_MAX];
		struct kernel kernel;
		size_t passed = 0;
		const struct filter_union_options options = {.retention = cases[c].retention, .exclude = exclude};
		const size_t size = filter_union(cases[c].want, cases[c].want ? 1 : 0, &options, program);

		assert_in_range(size, 1, FILTER_UNION_MAX);
		kernel_init(&kernel, program, size);
		for (size_t i = 0; i < packet_count; i++) {
			const struct packet *packet = &packets[i];
			const uint32_t bytes = kernel_pass(&kernel, packet->data, packet->size);
			const bool wanted = cases[c].want && accepts(cases[c].want->filter, packet);
			const uint32_t kept =
				cases[c].retention ? retention_filter_kept_bytes(retention, packet->data, packet->size,
										 packet->size, PACKET_HOST)
						   : 0;

			if (packet->size < FILTER_UNION_MIN_BYTES)
				continue;
			if (accepts(exclude, packet))
				assert_int_equal(bytes, 0);
			else if (wanted)
				assert_int_equal(bytes, packet->size);
			else
				assert_int_equal(bytes, kept);
			passed += bytes > 0;
		}
		assert_in_range(passed, 100, packet_count - 100);
		kernel_deinit(&kernel);
	}
}

/* An exclusion that the kernel cannot evaluate is left out: keeping too much beats losing packets. */
static void test_exclusion_the_kernel_evaluates_differently_is_left_out(void **state)
{
	struct sock_filter program[FILTER_UNION_MAX];
	cleanup(cleanup_filter) struct filter *exclude = compile("ether[0] / ether[20] = 1");
	const struct filter_want everything = {.snaplen = PACKET_SNAPLEN_MAX};
	const struct filter_union_options options = {.exclude = exclude};

	(void)state;
	assert_int_equal(filter_union(&everything, 1, &options, program), 0);
}

/* Runs the program in libpcap, as for a packet with a stripped tag. */
static uint32_t run_tagged(const struct sock_filter *program, size_t size, const struct packet *packet)
{
	struct bpf_insn copy[FILTER_UNION_MAX];

	memcpy(copy, program, size * sizeof(*copy));
	for (size_t i = 0; i < size; i++) {
		if (copy[i].code == (BPF_LD | BPF_W | BPF_ABS) &&
		    copy[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)) {
			copy[i].code = BPF_LD | BPF_IMM;
			copy[i].k = 1;
		}
	}
	return bpf_filter(copy, packet->data, packet->size, packet->size);
}

static void test_packets_with_a_stripped_tag_are_left_to_the_reader(void **state)
{
	(void)state;
	for (size_t r = 0; r < RESTRICTIONS; r++) {
		struct sock_filter program[FILTER_UNION_MAX];
		const struct restriction *restriction = &restrictions[r];
		cleanup(cleanup_retention_filter) struct retention_filter *retention =
			retention_of(restriction->bpf, restriction->snaplen, restriction->headers);
		const struct filter_union_options options = {.retention = retention};
		const size_t size = filter_union(NULL, 0, &options, program);

		for (size_t i = 0; i < packet_count; i++) {
			const uint32_t passed = least_of(run_tagged(program, size, &packets[i]), packets[i].size);
			const uint32_t kept = retention_filter_kept_bytes(retention, packets[i].data, packets[i].size,
									  packets[i].size, PACKET_HOST);

			assert_true(passed >= kept && passed > 0);
			assert_int_equal(retention_filter_kept_bytes(retention, packets[i].data, packets[i].size,
								     passed, PACKET_HOST),
					 kept);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_restriction_is_no_filter),
		cmocka_unit_test(test_bad_filter_is_refused_with_an_error_text),
		cmocka_unit_test(test_kept_bytes_follow_filter_and_snap_length),
		cmocka_unit_test(test_packet_cut_inside_its_headers_is_kept_unchanged),
		cmocka_unit_test(test_retention_may_hide_packets_from_a_filter),
		cmocka_unit_test(test_packets_from_the_kernel_get_the_same_verdict_again),
		cmocka_unit_test(test_kernel_serves_captures_and_history_together),
		cmocka_unit_test(test_kernel_keeps_only_headers),
		cmocka_unit_test(test_excluded_packets_never_pass),
		cmocka_unit_test(test_exclusion_the_kernel_evaluates_differently_is_left_out),
		cmocka_unit_test(test_packets_with_a_stripped_tag_are_left_to_the_reader),
	};

	return cmocka_run_group_tests(tests, make_packets, NULL);
}
