/* SPDX-License-Identifier: BSD-2-Clause */
/* The optimised program has the verdicts of libpcap's unoptimised one, on whole and on truncated packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bpf/bpf_optimise.h"
#include "bpf/bpf_vm.h"
#include "expressions.h"
#include "packets.h"

#define RANDOM_EXPRESSIONS 1500
#define PACKETS_EACH 60
#define ETHERNET_BYTES 14

static int dlt = DLT_EN10MB; /* what programs are compiled for */

/* `expression`'s program by libpcap, with or without its optimiser; false: it is not valid. */
static bool compile(const char *expression, bool optimised, struct bpf_program *program)
{
	pcap_t *pcap = pcap_open_dead(dlt, 262144);

	assert_non_null(pcap);
	const int r = pcap_compile(pcap, program, expression, optimised, 0xffffff);
	pcap_close(pcap);
	return r == 0;
}

/* One program as libpcap wrote it and as it became. */
struct pair {
	const char *expression;
	struct bpf_program original;
	struct bpf_insn *optimised;
	struct bpf_vm *original_vm, *vm;
	unsigned type; /* of the packets */
	bool sets_memory_first;
};

/* libpcap's interpreter does not know the packet's type. */
static void replace_type(struct bpf_insn *program, unsigned count, unsigned type)
{
	for (unsigned i = 0; i < count; i++) {
		if (program[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
			program[i] = (struct bpf_insn){.code = BPF_LD | BPF_IMM, .k = type};
	}
}

static void meet(uint16_t *set, uint16_t known)
{
	*set &= known;
}

/* Whether memory is set before it is read. It is not in libpcap's programs after "geneve", and after "pppoes" where the
 * link layer's header has no fixed length; libpcap's interpreter does not clear it, ours does. */
static bool sets_memory_first(const struct bpf_program *program)
{
	cleanup(cleanup_free) uint16_t *set = malloc(program->bf_len * sizeof(*set)); /* on every way here */
	bool ok = true;

	assert_non_null(set);
	memset(set, 0xff, program->bf_len * sizeof(*set));
	set[0] = 0;
	for (unsigned pc = 0; pc < program->bf_len; pc++) {
		const struct bpf_insn *insn = &program->bf_insns[pc];
		const unsigned class = BPF_CLASS(insn->code);
		uint16_t known = set[pc];

		if ((class == BPF_LD || class == BPF_LDX) && BPF_MODE(insn->code) == BPF_MEM)
			ok &= known >> insn->k & 1;
		if (class == BPF_ST || class == BPF_STX)
			known |= (uint16_t)(1u << insn->k);
		if (class == BPF_JMP && BPF_OP(insn->code) == BPF_JA) {
			meet(&set[pc + 1 + insn->k], known);
		} else if (class == BPF_JMP) {
			meet(&set[pc + 1 + insn->jt], known);
			meet(&set[pc + 1 + insn->jf], known);
		} else if (class != BPF_RET) {
			meet(&set[pc + 1], known);
		}
	}
	return ok;
}

static uint32_t run_original(const struct pair *pair, const struct packet *packet, uint32_t caplen)
{
	const uint32_t by_vm = bpf_vm_run(pair->original_vm, packet->data, packet->size, caplen, pair->type);

	if (!pair->sets_memory_first)
		return by_vm;
	const uint32_t by_libpcap = bpf_filter(pair->original.bf_insns, packet->data, packet->size, caplen);
	if (by_vm != by_libpcap)
		fail_msg("%s: %u, in our machine %u (link type %d, %u of %u bytes)", pair->expression, by_libpcap,
			 by_vm, dlt, caplen, packet->size);
	return by_vm;
}

static void compare(const struct pair *pair, const struct packet *packet, uint32_t caplen)
{
	const uint32_t expected = run_original(pair, packet, caplen);
	const uint32_t by_libpcap = bpf_filter(pair->optimised, packet->data, packet->size, caplen);
	const uint32_t by_vm = bpf_vm_run(pair->vm, packet->data, packet->size, caplen, pair->type);

	if (by_libpcap != expected || by_vm != expected)
		fail_msg("%s: %u, optimised %u, in our machine %u (%u of %u bytes)", pair->expression, expected,
			 by_libpcap, by_vm, caplen, packet->size);
}

/* Returns the optimised length; 0: not optimised or not valid. */
static unsigned check(const char *expression, size_t packets_each)
{
	struct pair pair = {.expression = expression, .type = pick(2) ? PACKET_HOST : PACKET_OUTGOING};

	if (!compile(expression, false, &pair.original))
		return 0;
	pair.sets_memory_first = sets_memory_first(&pair.original);
	pair.optimised = calloc(pair.original.bf_len, sizeof(*pair.optimised));
	assert_non_null(pair.optimised);
	const int count = bpf_optimise(pair.original.bf_insns, pair.original.bf_len, pair.optimised);
	assert_true(count >= 0);
	if (count) {
		pair.original_vm = bpf_vm_new(pair.original.bf_insns, pair.original.bf_len);
		pair.vm = bpf_vm_new(pair.optimised, (unsigned)count);
		assert_non_null(pair.original_vm);
		assert_non_null(pair.vm);
		assert_true(bpf_validate(pair.optimised, count));
		replace_type(pair.original.bf_insns, pair.original.bf_len, pair.type);
		replace_type(pair.optimised, (unsigned)count, pair.type);
	}
	for (size_t i = 0; i < packets_each && count; i++) {
		const struct packet *packet = &packets[packets_each < packet_count ? pick((uint32_t)packet_count) : i];

		compare(&pair, packet, packet->size);
		compare(&pair, packet, pick(packet->size + 1));
		compare(&pair, packet, pick(packet->size < 70 ? packet->size : 70));
	}
	bpf_vm_free(pair.original_vm);
	bpf_vm_free(pair.vm);
	free(pair.optimised);
	pcap_freecode(&pair.original);
	return (unsigned)count;
}

static void test_random_expressions_keep_their_meaning(void **state)
{
	const char *rounds = getenv("PCAPDAEMON_EXPRESSIONS");
	const unsigned long count = rounds ? strtoul(rounds, NULL, 10) : RANDOM_EXPRESSIONS;
	unsigned optimised = 0;

	(void)state;
	for (unsigned long i = 0; i < count; i++) {
		struct expression expression = {.choose = pick};

		append_expression(&expression, 1 + pick(3));
		optimised += check(expression.text, PACKETS_EACH) > 0;
	}
	assert_true(optimised > count / 3);
}

/* Replaces the Ethernet header of all packets by another one. */
static void replace_headers(const uint8_t *header, size_t size)
{
	for (size_t i = 0; i < packet_count; i++) {
		struct packet *packet = &packets[i];
		const size_t rest = packet->size > ETHERNET_BYTES ? packet->size - ETHERNET_BYTES : 1;
		const size_t kept = rest < PACKET_MAX - size ? rest : PACKET_MAX - size;

		memmove(packet->data + size, packet->data + ETHERNET_BYTES, kept);
		memcpy(packet->data, header, size);
		packet->size = (uint32_t)(size + kept);
	}
}

static void test_expressions_for_other_link_types_keep_their_meaning(void **state)
{
#define LLC_SNAP 0xaa, 0xaa, 3, 0, 0, 0, 8, 0
	static const struct {
		int dlt;
		bool takes_names; /* of protocols; otherwise numbers and offsets only */
		size_t size;
		uint8_t header[60];
	} types[] = {
		{DLT_RAW, true, 0, {0}},
		{DLT_LINUX_SLL2, true, 20, {8, 0, [7] = 3, [8] = 2, 0, 0, 6}},
		{DLT_IEEE802, true, 22, {0x10, 0x40, [14] = LLC_SNAP}},
		{DLT_FDDI, true, 21, {0x50, [13] = LLC_SNAP}},
		{DLT_C_HDLC, true, 4, {0x0f, 0, 8, 0}},
		{DLT_IEEE802_11, true, 32, {8, [24] = LLC_SNAP}},
		{DLT_IEEE802_11_RADIO, true, 40, {0, 0, 8, 0, 0, 0, 0, 0, 8, [32] = LLC_SNAP}},
		{DLT_ARCNET_LINUX, true, 8, {1, 2, 0, 0, 0xd4}},
		{DLT_IP_OVER_FC, true, 24, {[16] = LLC_SNAP}},
		{DLT_FRELAY, false, 4, {0x18, 0x41, 3, 0xcc}},
		{DLT_LTALK, false, 4, {1, 2, 1, 0}},
		{DLT_AX25_KISS, false, 1, {0}},
		{DLT_CAN_SOCKETCAN, false, 8, {0, 0, 1, 0x23, 8}},
		{DLT_NETLINK, false, 16, {0}},
		{DLT_IEEE802_15_4_NOFCS, false, 4, {0}},
		{DLT_FC_2, false, 24, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		unsigned optimised = 0;

		make_packets(NULL);
		replace_headers(types[i].header, types[i].size);
		dlt = types[i].dlt;
		for (unsigned n = 0; n < RANDOM_EXPRESSIONS / 10; n++) {
			struct expression expression = {.choose = pick};

			append_expression(&expression, 1 + pick(2));
			/* Relative to a header of unknown length, libpcap's load of the type is no such load. */
			if (dlt == DLT_IEEE802_11_RADIO && strstr(expression.text, "bound"))
				continue;
			optimised += check(expression.text, PACKETS_EACH) > 0;
		}
		if (types[i].takes_names)
			assert_true(optimised > RANDOM_EXPRESSIONS / 40);
		assert_true(check("link[3] = 3 or link[5] & 7 != 1", PACKETS_EACH) > 0);
	}
	dlt = DLT_EN10MB;
	make_packets(NULL);
}

static void test_what_libpcap_miscompiles_is_right(void **state)
{
	static const struct {
		const char *expression;
		bool accepts;
	} cases[] = {
		{"host 192.168.1.1 and not ((host 1.2.3.4 or host 5.6.7.8) and icmp) and "
		 "not (host 5.6.7.8 or host 192.168.1.1)",
		 false},
		{"1/2=1/3&&1>4/5&&1>6/7", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bpf_program original;
		struct bpf_insn optimised[512];

		assert_true(check(cases[i].expression, packet_count) > 0);
		assert_true(compile(cases[i].expression, false, &original));
		assert_int_equal(bpf_optimise(original.bf_insns, original.bf_len, optimised), 1);
		assert_int_equal(optimised->code, BPF_RET | BPF_K);
		assert_int_equal(optimised->k != 0, cases[i].accepts);
		pcap_freecode(&original);
	}
}

static void test_programs_are_about_as_short_as_libpcaps(void **state)
{
	static const char *const expressions[] = {
		"udp dst port 53",
		"tcp port 443",
		"host 10.0.0.1 and port 80",
		"(host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 10.0.0.4) and not port 22",
		"tcp[13] & 2 != 0",
		"tcp[((tcp[12]&0xf0)>>2):4] = 0x47455420",
		"vlan and tcp port 80",
		"net 10.0.0.0/8 and not net 10.1.0.0/16",
		"not (tcp or udp)",
		"(port 1 or port 2 or port 3) and (port 4 or port 5 or port 6)",
		"tcp and (host 10.0.0.1 or host 10.0.0.4) and (port 80 or port 443 or port 8080) and not port 22",
		"ip[2:2] - ((ip[0]&0xf)<<2) > 40",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		struct bpf_program by_libpcap;

		assert_true(compile(expressions[i], true, &by_libpcap));
		const unsigned ours = check(expressions[i], PACKETS_EACH);
		if (!ours || ours > by_libpcap.bf_len + 2)
			fail_msg("%s: %u instructions, libpcap %u", expressions[i], ours, by_libpcap.bf_len);
		pcap_freecode(&by_libpcap);
	}
}

static void test_long_lists_stay_short(void **state)
{
	struct expression expression = {.choose = pick};
	struct bpf_program by_libpcap;

	(void)state;
	append_text(&expression, "host 10.0.0.1");
	for (uint32_t i = 1; i < 128; i++) {
		append_text(&expression, i % 3 ? " or host 10.0.1." : " or port ");
		append_number(&expression, i);
	}
	assert_true(compile(expression.text, true, &by_libpcap));
	const unsigned ours = check(expression.text, packet_count);
	if (!ours || ours > by_libpcap.bf_len)
		fail_msg("%u instructions, libpcap %u", ours, by_libpcap.bf_len);
	pcap_freecode(&by_libpcap);
}

static void test_lists_that_exclude_lists_keep_their_meaning(void **state)
{
	(void)state;
	for (uint32_t terms = 2; terms <= 60; terms += 29) {
		struct expression expression = {.choose = pick};

		for (uint32_t i = 0; i < 2 * terms; i++) {
			append_text(&expression, i == 0 ? "(" : i == terms ? ") and not (" : " or ");
			append_text(&expression, pick(2) ? "host 10.0.0." : pick(2) ? "src port " : "port ");
			append_number(&expression, pick(90));
		}
		append_text(&expression, ")");
		assert_true(check(expression.text, packet_count) > 0);
	}
}

static void test_what_is_no_program_of_libpcaps_is_left_alone(void **state)
{
	static const struct bpf_insn loop[] = {{.code = BPF_LD | BPF_IMM},
					       {.code = BPF_JMP | BPF_JA, .k = UINT32_MAX - 1},
					       {.code = BPF_RET | BPF_K}};
	static const struct bpf_insn returns_a[] = {{.code = BPF_RET | BPF_A}};
	static const struct bpf_insn far[] = {{.code = BPF_JMP | BPF_JEQ, .jt = 9}, {.code = BPF_RET | BPF_K}};
	static const struct bpf_insn memory[] = {{.code = BPF_LD | BPF_MEM, .k = 16}, {.code = BPF_RET | BPF_K}};
	static const struct bpf_insn endless[] = {{.code = BPF_LD | BPF_IMM}};
	struct bpf_insn result[3];

	(void)state;
	assert_int_equal(bpf_optimise(loop, 3, result), 0);
	assert_int_equal(bpf_optimise(returns_a, 1, result), 0);
	assert_int_equal(bpf_optimise(far, 2, result), 0);
	assert_int_equal(bpf_optimise(memory, 2, result), 0);
	assert_int_equal(bpf_optimise(endless, 1, result), 0);
	assert_int_equal(bpf_optimise(endless, 0, result), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_expressions_keep_their_meaning),
		cmocka_unit_test(test_expressions_for_other_link_types_keep_their_meaning),
		cmocka_unit_test(test_what_libpcap_miscompiles_is_right),
		cmocka_unit_test(test_programs_are_about_as_short_as_libpcaps),
		cmocka_unit_test(test_long_lists_stay_short),
		cmocka_unit_test(test_lists_that_exclude_lists_keep_their_meaning),
		cmocka_unit_test(test_what_is_no_program_of_libpcaps_is_left_alone),
	};
	return cmocka_run_group_tests(tests, make_packets, NULL);
}
