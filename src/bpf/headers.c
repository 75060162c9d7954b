/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Written with labels, which are resolved at the end. M[0] holds the offset of the current header, M[1] its type. A
 * check of the packet's length precedes every load, because a load beyond the end would reject the packet.
 */
#include "bpf/headers.h"

#include <linux/filter.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "base/packet.h"

#define WHOLE_PACKET UINT32_MAX

enum label { NEXT = 0, RETURN_WHOLE, RETURN_OFFSET, RETURN_A, IPV4, IPV6, ARP, TRANSPORT, LABELS };

#define LABELS_MAX (LABELS + 8 * HEADERS_EXTENSIONS_MAX + 32)

struct assembler {
	struct sock_filter *program;
	uint16_t target[HEADERS_PROGRAM_MAX]; /* label of an unconditional jump */
	uint16_t label_at[LABELS_MAX];
	uint16_t count, labels;
};

static uint16_t new_label(struct assembler *assembler)
{
	return assembler->labels++;
}

static void place_label(struct assembler *assembler, uint16_t label)
{
	assembler->label_at[label] = assembler->count;
}

static void emit(struct assembler *assembler, uint16_t code, uint32_t k)
{
	assembler->target[assembler->count] = NEXT;
	assembler->program[assembler->count++] = (struct sock_filter){.code = code, .k = k};
}

static void emit_goto(struct assembler *assembler, uint16_t label)
{
	emit(assembler, BPF_JMP | BPF_JA, 0);
	assembler->target[assembler->count - 1] = label;
}

/* Conditional jumps have only 8-bit distances: they choose between unconditional jumps, which reach everything. */
static void emit_jump(struct assembler *assembler, uint16_t test, uint32_t k, uint16_t yes, uint16_t no)
{
	emit(assembler, BPF_JMP | BPF_K | test, k);
	struct sock_filter *insn = &assembler->program[assembler->count - 1];
	if (yes != NEXT) {
		insn->jf = 1;
		emit_goto(assembler, yes);
	} else {
		insn->jt = 1;
	}
	if (no != NEXT)
		emit_goto(assembler, no);
}

static void resolve_jumps(struct assembler *assembler)
{
	for (uint16_t i = 0; i < assembler->count; i++) {
		if (assembler->target[i] != NEXT)
			assembler->program[i].k = assembler->label_at[assembler->target[i]] - i - 1u;
	}
}

/* X = M[0]. If fewer than `bytes` bytes follow it, the packet is kept whole. */
static void need_bytes(struct assembler *assembler, uint32_t bytes)
{
	const uint16_t enough = new_label(assembler);

	emit(assembler, BPF_LDX | BPF_MEM, 0);
	emit(assembler, BPF_LD | BPF_W | BPF_LEN, 0);
	emit(assembler, BPF_JMP | BPF_JGE | BPF_X, 0); /* len - X must not wrap */
	assembler->program[assembler->count - 1].jt = 1;
	emit_goto(assembler, RETURN_WHOLE);
	emit(assembler, BPF_ALU | BPF_SUB | BPF_X, 0);
	emit_jump(assembler, BPF_JGE, bytes, enough, RETURN_WHOLE);
	place_label(assembler, enough);
}

static void load_byte(struct assembler *assembler, uint32_t offset)
{
	emit(assembler, BPF_LD | BPF_B | BPF_IND, offset);
}

static void load_half(struct assembler *assembler, uint32_t offset)
{
	emit(assembler, BPF_LD | BPF_H | BPF_IND, offset);
}

/* M[0] = A + X: the offset of the next header. */
static void advance(struct assembler *assembler)
{
	emit(assembler, BPF_ALU | BPF_ADD | BPF_X, 0);
	emit(assembler, BPF_ST, 0);
}

static void advance_by(struct assembler *assembler, uint32_t bytes)
{
	emit(assembler, BPF_LD | BPF_MEM, 0);
	emit(assembler, BPF_ALU | BPF_ADD | BPF_K, bytes);
	emit(assembler, BPF_ST, 0);
}

static void emit_ethernet(struct assembler *assembler)
{
	static const uint16_t tags[] = {ETHERTYPE_VLAN, 0x88a8, 0x9100};

	emit(assembler, BPF_LD | BPF_IMM, 12);
	emit(assembler, BPF_ST, 0);
	for (unsigned tag = 0; tag < 2; tag++) {
		const uint16_t tagged = new_label(assembler), done = new_label(assembler);

		need_bytes(assembler, 2);
		load_half(assembler, 0);
		for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
			emit_jump(assembler, BPF_JEQ, tags[i], tagged, NEXT);
		emit_goto(assembler, done);
		place_label(assembler, tagged);
		advance_by(assembler, 4);
		place_label(assembler, done);
	}
	need_bytes(assembler, 2);
	load_half(assembler, 0);
	emit(assembler, BPF_ST, 1);
	advance_by(assembler, 2);
	emit(assembler, BPF_LD | BPF_MEM, 1);
	emit_jump(assembler, BPF_JEQ, ETHERTYPE_IP, IPV4, NEXT);
	emit_jump(assembler, BPF_JEQ, ETHERTYPE_IPV6, IPV6, NEXT);
	emit_jump(assembler, BPF_JEQ, ETHERTYPE_ARP, ARP, RETURN_OFFSET);
}

/* The header has the Ethernet type, as Ethernet's. */
static void emit_cooked(struct assembler *assembler)
{
	emit(assembler, BPF_LD | BPF_IMM, 0);
	emit(assembler, BPF_ST, 0);
	need_bytes(assembler, SLL2_HEADER_BYTES);
	load_half(assembler, 0);
	emit(assembler, BPF_ST, 1);
	advance_by(assembler, SLL2_HEADER_BYTES);
	emit(assembler, BPF_LD | BPF_MEM, 1);
	emit_jump(assembler, BPF_JEQ, ETHERTYPE_IP, IPV4, NEXT);
	emit_jump(assembler, BPF_JEQ, ETHERTYPE_IPV6, IPV6, RETURN_OFFSET);
}

static void emit_raw_ip(struct assembler *assembler)
{
	emit(assembler, BPF_LD | BPF_IMM, 0);
	emit(assembler, BPF_ST, 0);
	need_bytes(assembler, 1);
	load_byte(assembler, 0);
	emit(assembler, BPF_ALU | BPF_RSH | BPF_K, 4);
	emit_jump(assembler, BPF_JEQ, 4, IPV4, NEXT);
	emit_jump(assembler, BPF_JEQ, 6, IPV6, RETURN_OFFSET);
}

static void emit_ipv4(struct assembler *assembler)
{
	const uint16_t first = new_label(assembler);

	place_label(assembler, IPV4);
	need_bytes(assembler, 20);
	load_byte(assembler, 9);
	emit(assembler, BPF_ST, 1);
	load_half(assembler, 6);
	emit(assembler, BPF_ST, 2);
	load_byte(assembler, 0);
	emit(assembler, BPF_ALU | BPF_AND | BPF_K, 0xf);
	emit(assembler, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(assembler);
	emit(assembler, BPF_LD | BPF_MEM, 2);
	emit_jump(assembler, BPF_JSET, 0x1fff, RETURN_OFFSET, first);
	place_label(assembler, first);
	emit_goto(assembler, TRANSPORT);
}

/* One extension header; jumps to `done` if there is none. */
static void emit_extension(struct assembler *assembler, uint16_t done)
{
	static const uint8_t plain[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_MH, 139, 140};
	const uint16_t option = new_label(assembler), fragment = new_label(assembler),
		       authentication = new_label(assembler);
	const uint16_t length = new_label(assembler), over = new_label(assembler);

	emit(assembler, BPF_LD | BPF_MEM, 1);
	for (size_t i = 0; i < sizeof(plain); i++)
		emit_jump(assembler, BPF_JEQ, plain[i], option, NEXT);
	emit_jump(assembler, BPF_JEQ, IPPROTO_FRAGMENT, fragment, NEXT);
	emit_jump(assembler, BPF_JEQ, IPPROTO_AH, authentication, done);

	place_label(assembler, fragment); /* after the first fragment only payload follows */
	need_bytes(assembler, 8);
	load_byte(assembler, 0);
	emit(assembler, BPF_ST, 1);
	load_half(assembler, 2);
	emit(assembler, BPF_ST, 2);
	advance_by(assembler, 8);
	emit(assembler, BPF_LD | BPF_MEM, 2);
	emit_jump(assembler, BPF_JSET, 0xfff8, RETURN_OFFSET, over);

	place_label(assembler, authentication);
	need_bytes(assembler, 2);
	load_byte(assembler, 0);
	emit(assembler, BPF_ST, 1);
	load_byte(assembler, 1);
	emit(assembler, BPF_ALU | BPF_ADD | BPF_K, 2);
	emit(assembler, BPF_ALU | BPF_LSH | BPF_K, 2);
	emit_goto(assembler, length);

	place_label(assembler, option);
	need_bytes(assembler, 2);
	load_byte(assembler, 0);
	emit(assembler, BPF_ST, 1);
	load_byte(assembler, 1);
	emit(assembler, BPF_ALU | BPF_ADD | BPF_K, 1);
	emit(assembler, BPF_ALU | BPF_LSH | BPF_K, 3);
	place_label(assembler, length);
	advance(assembler);
	place_label(assembler, over);
}

static void emit_ipv6(struct assembler *assembler)
{
	place_label(assembler, IPV6);
	need_bytes(assembler, 40);
	load_byte(assembler, 6);
	emit(assembler, BPF_ST, 1);
	advance_by(assembler, 40);
}

static void emit_transport(struct assembler *assembler)
{
	static const struct {
		uint8_t protocol, bytes;
	} fixed[] = {{IPPROTO_UDP, 8},	   {IPPROTO_ICMP, 8}, {IPPROTO_ICMPV6, 8},
		     {IPPROTO_UDPLITE, 8}, {IPPROTO_IGMP, 8}, {IPPROTO_SCTP, 12}};
	const uint16_t tcp = new_label(assembler), dccp = new_label(assembler);
	uint16_t labels[sizeof(fixed) / sizeof(*fixed)];

	place_label(assembler, TRANSPORT);
	emit(assembler, BPF_LD | BPF_MEM, 1);
	emit_jump(assembler, BPF_JEQ, IPPROTO_TCP, tcp, NEXT);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		emit_jump(assembler, BPF_JEQ, fixed[i].protocol, labels[i] = new_label(assembler), NEXT);
	emit_jump(assembler, BPF_JEQ, IPPROTO_DCCP, dccp, RETURN_OFFSET);
	place_label(assembler, tcp);
	need_bytes(assembler, 13);
	load_byte(assembler, 12);
	emit(assembler, BPF_ALU | BPF_RSH | BPF_K, 4);
	emit(assembler, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(assembler);
	emit_goto(assembler, RETURN_OFFSET);
	place_label(assembler, dccp);
	need_bytes(assembler, 5);
	load_byte(assembler, 4);
	emit(assembler, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(assembler);
	emit_goto(assembler, RETURN_OFFSET);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		place_label(assembler, labels[i]);
		advance_by(assembler, fixed[i].bytes);
		emit_goto(assembler, RETURN_A);
	}
}

static void emit_returns(struct assembler *assembler, uint32_t min_bytes)
{
	const uint16_t enough = new_label(assembler), less = new_label(assembler);

	place_label(assembler, ARP);
	advance_by(assembler, 28);
	place_label(assembler, RETURN_OFFSET);
	emit(assembler, BPF_LD | BPF_MEM, 0);
	place_label(assembler, RETURN_A);
	emit_jump(assembler, BPF_JGE, min_bytes ? min_bytes : 1, enough, less);
	place_label(assembler, less);
	emit(assembler, BPF_LD | BPF_IMM, min_bytes ? min_bytes : 1);
	place_label(assembler, enough);
	emit(assembler, BPF_RET | BPF_A, 0);
	place_label(assembler, RETURN_WHOLE);
	emit(assembler, BPF_RET | BPF_K, WHOLE_PACKET);
}

bool headers_knows(uint16_t linktype)
{
	return linktype == LINKTYPE_ETHERNET || linktype == LINKTYPE_RAW || linktype == LINKTYPE_LINUX_SLL2;
}

/* IPv6 is followed by its extension headers and the transport layer; IPv4 jumps to the latter. */
size_t headers_program(uint16_t linktype, uint32_t min_bytes, struct sock_filter *program)
{
	struct assembler assembler = {.program = program, .labels = LABELS};

	if (linktype == LINKTYPE_ETHERNET)
		emit_ethernet(&assembler);
	else if (linktype == LINKTYPE_LINUX_SLL2)
		emit_cooked(&assembler);
	else
		emit_raw_ip(&assembler);
	emit_ipv4(&assembler);
	emit_ipv6(&assembler);
	for (unsigned i = 0; i < HEADERS_EXTENSIONS_MAX; i++)
		emit_extension(&assembler, TRANSPORT);
	emit_transport(&assembler);
	emit_returns(&assembler, min_bytes);
	resolve_jumps(&assembler);
	return assembler.count;
}
