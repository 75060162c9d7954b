/*
 * Written with labels, which are resolved at the end. M[0] holds where the present header begins, M[1] its type. Every
 * load is behind a check of the packet's length, for a load beyond the end would reject the packet.
 */
#include "bpf/headers.h"

#include <linux/filter.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#define WHOLE UINT32_MAX

enum label { NEXT = 0, RETURN_WHOLE, RETURN_OFFSET, RETURN_A, IPV4, IPV6, ARP, TRANSPORT, LABELS };

#define LABELS_MAX (LABELS + 8 * HEADERS_EXTENSIONS_MAX + 32)

struct writer {
	struct sock_filter *to;
	uint16_t target[HEADERS_PROGRAM_MAX]; /* of an unconditional jump: a label */
	uint16_t place[LABELS_MAX];
	uint16_t count, labels;
};

static uint16_t new_label(struct writer *writer)
{
	return writer->labels++;
}

static void put_label(struct writer *writer, uint16_t label)
{
	writer->place[label] = writer->count;
}

static void put(struct writer *writer, uint16_t code, uint32_t k)
{
	writer->target[writer->count] = NEXT;
	writer->to[writer->count++] = (struct sock_filter){.code = code, .k = k};
}

static void put_goto(struct writer *writer, uint16_t label)
{
	put(writer, BPF_JMP | BPF_JA, 0);
	writer->target[writer->count - 1] = label;
}

/* Distances of conditions have eight bits only: they choose between unconditional jumps, which reach everywhere. */
static void put_jump(struct writer *writer, uint16_t test, uint32_t k, uint16_t yes, uint16_t no)
{
	put(writer, BPF_JMP | BPF_K | test, k);
	struct sock_filter *insn = &writer->to[writer->count - 1];
	if (yes != NEXT) {
		insn->jf = 1;
		put_goto(writer, yes);
	} else {
		insn->jt = 1;
	}
	if (no != NEXT)
		put_goto(writer, no);
}

static void resolve(struct writer *writer)
{
	for (uint16_t i = 0; i < writer->count; i++) {
		if (writer->target[i] != NEXT)
			writer->to[i].k = writer->place[writer->target[i]] - i - 1u;
	}
}

/* X = M[0], and `bytes` behind it are there; otherwise the packet is kept whole. */
static void need(struct writer *writer, uint32_t bytes)
{
	const uint16_t enough = new_label(writer);
	put(writer, BPF_LDX | BPF_MEM, 0);
	put(writer, BPF_LD | BPF_W | BPF_LEN, 0);
	put(writer, BPF_JMP | BPF_JGE | BPF_X, 0); /* len - X must not wrap */
	writer->to[writer->count - 1].jt = 1;
	put_goto(writer, RETURN_WHOLE);
	put(writer, BPF_ALU | BPF_SUB | BPF_X, 0);
	put_jump(writer, BPF_JGE, bytes, enough, RETURN_WHOLE);
	put_label(writer, enough);
}

static void load_byte(struct writer *writer, uint32_t offset)
{
	put(writer, BPF_LD | BPF_B | BPF_IND, offset);
}

static void load_half(struct writer *writer, uint32_t offset)
{
	put(writer, BPF_LD | BPF_H | BPF_IND, offset);
}

/* M[0] = A + X: the next header begins there. */
static void advance(struct writer *writer)
{
	put(writer, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(writer, BPF_ST, 0);
}

static void advance_by(struct writer *writer, uint32_t bytes)
{
	put(writer, BPF_LD | BPF_MEM, 0);
	put(writer, BPF_ALU | BPF_ADD | BPF_K, bytes);
	put(writer, BPF_ST, 0);
}

static void put_ethernet(struct writer *writer)
{
	static const uint16_t tags[] = {ETHERTYPE_VLAN, 0x88a8, 0x9100};
	put(writer, BPF_LD | BPF_IMM, 12);
	put(writer, BPF_ST, 0);
	for (unsigned tag = 0; tag < 2; tag++) {
		const uint16_t tagged = new_label(writer), done = new_label(writer);
		need(writer, 2);
		load_half(writer, 0);
		for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
			put_jump(writer, BPF_JEQ, tags[i], tagged, NEXT);
		put_goto(writer, done);
		put_label(writer, tagged);
		advance_by(writer, 4);
		put_label(writer, done);
	}
	need(writer, 2);
	load_half(writer, 0);
	put(writer, BPF_ST, 1);
	advance_by(writer, 2);
	put(writer, BPF_LD | BPF_MEM, 1);
	put_jump(writer, BPF_JEQ, ETHERTYPE_IP, IPV4, NEXT);
	put_jump(writer, BPF_JEQ, ETHERTYPE_IPV6, IPV6, NEXT);
	put_jump(writer, BPF_JEQ, ETHERTYPE_ARP, ARP, RETURN_OFFSET);
}

static void put_raw(struct writer *writer)
{
	put(writer, BPF_LD | BPF_IMM, 0);
	put(writer, BPF_ST, 0);
	need(writer, 1);
	load_byte(writer, 0);
	put(writer, BPF_ALU | BPF_RSH | BPF_K, 4);
	put_jump(writer, BPF_JEQ, 4, IPV4, NEXT);
	put_jump(writer, BPF_JEQ, 6, IPV6, RETURN_OFFSET);
}

static void put_ipv4(struct writer *writer)
{
	const uint16_t first = new_label(writer);
	put_label(writer, IPV4);
	need(writer, 20);
	load_byte(writer, 9);
	put(writer, BPF_ST, 1);
	load_half(writer, 6);
	put(writer, BPF_ST, 2);
	load_byte(writer, 0);
	put(writer, BPF_ALU | BPF_AND | BPF_K, 0xf);
	put(writer, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(writer);
	put(writer, BPF_LD | BPF_MEM, 2);
	put_jump(writer, BPF_JSET, 0x1fff, RETURN_OFFSET, first);
	put_label(writer, first);
	put_goto(writer, TRANSPORT);
}

/* One extension header, if there is one; `done`: there is none. */
static void put_extension(struct writer *writer, uint16_t done)
{
	static const uint8_t plain[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_MH, 139, 140};
	const uint16_t option = new_label(writer), fragment = new_label(writer), authentication = new_label(writer);
	const uint16_t length = new_label(writer), over = new_label(writer);
	put(writer, BPF_LD | BPF_MEM, 1);
	for (size_t i = 0; i < sizeof(plain); i++)
		put_jump(writer, BPF_JEQ, plain[i], option, NEXT);
	put_jump(writer, BPF_JEQ, IPPROTO_FRAGMENT, fragment, NEXT);
	put_jump(writer, BPF_JEQ, IPPROTO_AH, authentication, done);

	put_label(writer, fragment); /* a later fragment ends here: what follows is payload */
	need(writer, 8);
	load_byte(writer, 0);
	put(writer, BPF_ST, 1);
	load_half(writer, 2);
	put(writer, BPF_ST, 2);
	advance_by(writer, 8);
	put(writer, BPF_LD | BPF_MEM, 2);
	put_jump(writer, BPF_JSET, 0xfff8, RETURN_OFFSET, over);

	put_label(writer, authentication);
	need(writer, 2);
	load_byte(writer, 0);
	put(writer, BPF_ST, 1);
	load_byte(writer, 1);
	put(writer, BPF_ALU | BPF_ADD | BPF_K, 2);
	put(writer, BPF_ALU | BPF_LSH | BPF_K, 2);
	put_goto(writer, length);

	put_label(writer, option);
	need(writer, 2);
	load_byte(writer, 0);
	put(writer, BPF_ST, 1);
	load_byte(writer, 1);
	put(writer, BPF_ALU | BPF_ADD | BPF_K, 1);
	put(writer, BPF_ALU | BPF_LSH | BPF_K, 3);
	put_label(writer, length);
	advance(writer);
	put_label(writer, over);
}

static void put_ipv6(struct writer *writer)
{
	put_label(writer, IPV6);
	need(writer, 40);
	load_byte(writer, 6);
	put(writer, BPF_ST, 1);
	advance_by(writer, 40);
}

static void put_transport(struct writer *writer)
{
	static const struct {
		uint8_t protocol, bytes;
	} fixed[] = {{IPPROTO_UDP, 8},	   {IPPROTO_ICMP, 8}, {IPPROTO_ICMPV6, 8},
		     {IPPROTO_UDPLITE, 8}, {IPPROTO_IGMP, 8}, {IPPROTO_SCTP, 12}};
	const uint16_t tcp = new_label(writer), dccp = new_label(writer);
	uint16_t labels[sizeof(fixed) / sizeof(*fixed)];
	put_label(writer, TRANSPORT);
	put(writer, BPF_LD | BPF_MEM, 1);
	put_jump(writer, BPF_JEQ, IPPROTO_TCP, tcp, NEXT);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		put_jump(writer, BPF_JEQ, fixed[i].protocol, labels[i] = new_label(writer), NEXT);
	put_jump(writer, BPF_JEQ, IPPROTO_DCCP, dccp, RETURN_OFFSET);
	put_label(writer, tcp);
	need(writer, 13);
	load_byte(writer, 12);
	put(writer, BPF_ALU | BPF_RSH | BPF_K, 4);
	put(writer, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(writer);
	put_goto(writer, RETURN_OFFSET);
	put_label(writer, dccp);
	need(writer, 5);
	load_byte(writer, 4);
	put(writer, BPF_ALU | BPF_LSH | BPF_K, 2);
	advance(writer);
	put_goto(writer, RETURN_OFFSET);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		put_label(writer, labels[i]);
		advance_by(writer, fixed[i].bytes);
		put_goto(writer, RETURN_A);
	}
}

static void put_returns(struct writer *writer, uint32_t least)
{
	const uint16_t enough = new_label(writer), less = new_label(writer);
	put_label(writer, ARP);
	advance_by(writer, 28);
	put_label(writer, RETURN_OFFSET);
	put(writer, BPF_LD | BPF_MEM, 0);
	put_label(writer, RETURN_A);
	put_jump(writer, BPF_JGE, least ? least : 1, enough, less);
	put_label(writer, less);
	put(writer, BPF_LD | BPF_IMM, least ? least : 1);
	put_label(writer, enough);
	put(writer, BPF_RET | BPF_A, 0);
	put_label(writer, RETURN_WHOLE);
	put(writer, BPF_RET | BPF_K, WHOLE);
}

/* The extension headers and the transport layer come behind IPv6, IPv4 jumps over the former. */
size_t headers_program(uint16_t linktype, uint32_t least, struct sock_filter *program)
{
	struct writer writer = {.to = program, .labels = LABELS};
	if (linktype == 1)
		put_ethernet(&writer);
	else
		put_raw(&writer);
	put_ipv4(&writer);
	put_ipv6(&writer);
	for (unsigned i = 0; i < HEADERS_EXTENSIONS_MAX; i++)
		put_extension(&writer, TRANSPORT);
	put_transport(&writer);
	put_returns(&writer, least);
	resolve(&writer);
	return writer.count;
}
