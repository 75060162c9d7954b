/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF VM against libpcap's interpreter: whole filters and random programs, over random packets cut at every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>

#include "bpf/bpf_vm.h"

#define PACKET_BYTES 96
#define RANDOM_PROGRAMS 20000
#define PROGRAM_MAX 40

static uint32_t random_state;

static uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* Often resembles known protocols, so that filters reach their deep branches. */
static void make_packet(uint8_t packet[PACKET_BYTES])
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x1234};
	static const uint8_t protocols[] = {6, 17, 1, 58, 132, 44, 0, 47};

	for (size_t i = 0; i < PACKET_BYTES; i++)
		packet[i] = (uint8_t)(random_number() >> 8);
	const uint16_t type = types[random_number() % 6];
	packet[12] = (uint8_t)(type >> 8);
	packet[13] = (uint8_t)type;
	packet[14] = type == 0x86dd ? 0x60 : (uint8_t)(0x45 + random_number() % 3);
	packet[20] &= random_number() % 4 ? 0x40 : 0xff;
	packet[21] &= random_number() % 4 ? 0 : 0xff;
	packet[23] = protocols[random_number() % 8];
	if (type == 0x86dd)
		packet[20] = protocols[random_number() % 8];
	if (random_number() % 2)
		packet[36] = 0, packet[37] = 53;
}

static void compare(const struct bpf_insn *program, const struct bpf_vm *vm, const uint8_t *packet, uint32_t caplen)
{
	const uint32_t wirelen = caplen + random_number() % 3 * 50;
	/* A copy of exactly that size, so that a sanitizer sees a read past the end. */
	uint8_t *copy = malloc(caplen ? caplen : 1);

	assert_non_null(copy);
	memcpy(copy, packet, caplen);
	assert_int_equal(bpf_vm_run(vm, copy, wirelen, caplen, PACKET_HOST),
			 bpf_filter(program, copy, wirelen, caplen));
	free(copy);
}

static void test_filters_agree_with_libpcap_at_every_caplen(void **state)
{
	static const char *const expressions[] = {
		"ip",
		"ip6",
		"arp",
		"udp port 53",
		"tcp port 80 or icmp",
		"host 10.0.0.1",
		"net 10.0.0.0/8 and not tcp",
		"vlan 7 and udp",
		"vlan and vlan",
		"tcp[13] & 2 != 0",
		"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
		"ip6 protochain 17",
		"len > 60 and udp[4:2] * 2 > 100",
		"greater 80 or less 30",
		"portrange 50-60",
		"ether[0] & 1 = 0 and ip[8] - 1 < 64",
		"ip[2:2] / 3 = 20 or ip[2:2] % 7 = 3",
		"icmp6 or sctp port 53",
		"(ip[0] & 0xf) << 2 = ip[9] or ip[6:2] ^ 0x4000 = 0",
		"ether multicast or ether broadcast",
	};

	(void)state;
	random_state = 1;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		for (int optimise = 0; optimise < 2; optimise++) {
			struct bpf_program program;
			uint8_t packet[PACKET_BYTES];

			assert_int_equal(pcap_compile(pcap, &program, expressions[i], optimise, PCAP_NETMASK_UNKNOWN),
					 0);
			struct bpf_vm *vm = bpf_vm_new(program.bf_insns, program.bf_len);
			assert_non_null(vm);
			for (unsigned n = 0; n < 60; n++) {
				make_packet(packet);
				for (uint32_t caplen = 0; caplen <= PACKET_BYTES; caplen++)
					compare(program.bf_insns, vm, packet, caplen);
			}
			bpf_vm_free(vm);
			pcap_freecode(&program);
		}
	}
	pcap_close(pcap);
}

/* Makes a valid program: jumps go forward and stay inside, scratch indices exist, shifts are below 32. */
static unsigned make_program(struct bpf_insn program[PROGRAM_MAX])
{
	static const uint16_t codes[] = {
		BPF_LD | BPF_W | BPF_ABS,
		BPF_LD | BPF_H | BPF_ABS,
		BPF_LD | BPF_B | BPF_ABS,
		BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_H | BPF_IND,
		BPF_LD | BPF_B | BPF_IND,
		BPF_LD | BPF_W | BPF_LEN,
		BPF_LD | BPF_IMM,
		BPF_LD | BPF_MEM,
		BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_MEM,
		BPF_LDX | BPF_W | BPF_LEN,
		BPF_LDX | BPF_MSH | BPF_B,
		BPF_ST,
		BPF_STX,
		BPF_JMP | BPF_JA,
		BPF_JMP | BPF_JEQ | BPF_K,
		BPF_JMP | BPF_JGT | BPF_K,
		BPF_JMP | BPF_JGE | BPF_K,
		BPF_JMP | BPF_JSET | BPF_K,
		BPF_JMP | BPF_JEQ | BPF_X,
		BPF_JMP | BPF_JGT | BPF_X,
		BPF_JMP | BPF_JGE | BPF_X,
		BPF_JMP | BPF_JSET | BPF_X,
		BPF_ALU | BPF_ADD | BPF_K,
		BPF_ALU | BPF_SUB | BPF_K,
		BPF_ALU | BPF_MUL | BPF_K,
		BPF_ALU | BPF_DIV | BPF_K,
		BPF_ALU | BPF_MOD | BPF_K,
		BPF_ALU | BPF_AND | BPF_K,
		BPF_ALU | BPF_OR | BPF_K,
		BPF_ALU | BPF_XOR | BPF_K,
		BPF_ALU | BPF_LSH | BPF_K,
		BPF_ALU | BPF_RSH | BPF_K,
		BPF_ALU | BPF_ADD | BPF_X,
		BPF_ALU | BPF_SUB | BPF_X,
		BPF_ALU | BPF_MUL | BPF_X,
		BPF_ALU | BPF_DIV | BPF_X,
		BPF_ALU | BPF_MOD | BPF_X,
		BPF_ALU | BPF_AND | BPF_X,
		BPF_ALU | BPF_OR | BPF_X,
		BPF_ALU | BPF_XOR | BPF_X,
		BPF_ALU | BPF_LSH | BPF_X,
		BPF_ALU | BPF_RSH | BPF_X,
		BPF_ALU | BPF_NEG,
		BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA,
		BPF_RET | BPF_K,
		BPF_RET | BPF_A,
	};
	const unsigned count = BPF_MEMWORDS + 2 + random_number() % (PROGRAM_MAX - BPF_MEMWORDS - 2);

	for (unsigned i = 0; i < BPF_MEMWORDS; i++) /* libpcap does not clear its scratch memory */
		program[i] = (struct bpf_insn){.code = BPF_ST, .k = i};
	for (unsigned i = BPF_MEMWORDS; i < count; i++) {
		struct bpf_insn *insn = &program[i];
		const unsigned left = count - i - 1;

		*insn = (struct bpf_insn){.code = codes[random_number() % (sizeof(codes) / sizeof(*codes))]};
		insn->k = random_number() % 4 ? random_number() % 60 : random_number();
		if (i == count - 1)
			insn->code = random_number() % 2 ? BPF_RET | BPF_A : BPF_RET | BPF_K;
		const unsigned operation = BPF_OP(insn->code);
		if (BPF_CLASS(insn->code) == BPF_JMP && operation == BPF_JA) {
			insn->k = random_number() % left;
		} else if (BPF_CLASS(insn->code) == BPF_JMP) {
			insn->jt = (uint8_t)(random_number() % left);
			insn->jf = (uint8_t)(random_number() % left);
		} else if (BPF_CLASS(insn->code) == BPF_ALU && BPF_SRC(insn->code) == BPF_K) {
			if (operation == BPF_LSH || operation == BPF_RSH)
				insn->k %= 32;
			else if ((operation == BPF_DIV || operation == BPF_MOD) && !insn->k)
				insn->k = 3;
		} else if (insn->code == (BPF_LD | BPF_MEM) || insn->code == (BPF_LDX | BPF_MEM) ||
			   insn->code == BPF_ST || insn->code == BPF_STX) {
			insn->k %= BPF_MEMWORDS;
		}
	}
	return count;
}

static void test_random_programs_agree_with_libpcap(void **state)
{
	(void)state;
	random_state = 7;
	for (unsigned n = 0; n < RANDOM_PROGRAMS; n++) {
		struct bpf_insn program[PROGRAM_MAX];
		uint8_t packet[PACKET_BYTES];
		const unsigned count = make_program(program);

		if (!bpf_validate(program, (int)count))
			continue;
		struct bpf_vm *vm = bpf_vm_new(program, count);
		assert_non_null(vm);
		make_packet(packet);
		for (unsigned i = 0; i < 8; i++)
			compare(program, vm, packet, random_number() % (PACKET_BYTES + 1));
		bpf_vm_free(vm);
	}
}

static void test_invalid_programs_are_refused(void **state)
{
	const struct bpf_insn unknown[] = {{.code = 0xffff}, {.code = BPF_RET | BPF_K}};
	const struct bpf_insn outside[] = {{.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 1}, {.code = BPF_RET | BPF_K}};
	const struct bpf_insn endless[] = {{.code = BPF_LD | BPF_IMM}};
	const struct bpf_insn memory[] = {{.code = BPF_ST, .k = BPF_MEMWORDS}, {.code = BPF_RET | BPF_K}};

	(void)state;
	assert_null(bpf_vm_new(unknown, 2));
	assert_null(bpf_vm_new(outside, 2));
	assert_null(bpf_vm_new(endless, 1));
	assert_null(bpf_vm_new(memory, 2));
	assert_null(bpf_vm_new(memory, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters_agree_with_libpcap_at_every_caplen),
		cmocka_unit_test(test_random_programs_agree_with_libpcap),
		cmocka_unit_test(test_invalid_programs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
