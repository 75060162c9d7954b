/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The union is the programs end to end: a program's "reject" becomes a jump to the next one, its "accept" stays. A load
 * beyond the packet's end would reject for all of them, so loads get a length check in front that jumps to the next
 * program as well. No expression is compiled twice, and no optimiser has to understand fifty of them at once. libpcap's
 * programs set registers and memory before they use them, so one can run after another.
 */
#include "bpf/filter_union.h"

#include <string.h>

#include <linux/if_packet.h>

#include "base/packet.h"
#include "bpf/bpf_cooked.h"
#include "bpf/filter_internal.h"
#include "bpf/retention_filter.h"

static uint32_t union_snaplen(const struct filter_want *wants, size_t count)
{
	uint32_t snaplen = 1; /* 0 would reject */

	for (size_t i = 0; i < count; i++) {
		uint32_t reach = wants[i].filter ? wants[i].filter->reach : 0;
		uint32_t need = reach > wants[i].snaplen ? reach : wants[i].snaplen;

		snaplen = snaplen > need ? snaplen : need;
	}
	return snaplen;
}

/* --- joining the programs --- */

/* The output. Holds at most FILTER_UNION_MAX instructions; `count` also counts those that do not fit. */
struct assembly {
	struct sock_filter *program;
	size_t count;
	uint32_t snaplen;      /* what "accept" returns */
	uint32_t min_bytes;    /* shorter packets do not get to the programs */
	bool accept_continues; /* "accept" jumps past the program and the instruction after it */
	bool cooked;	       /* the program was rewritten by bpf_cooked.h */
};

static void emit(struct assembly *assembly, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (assembly->count < FILTER_UNION_MAX)
		assembly->program[assembly->count] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
	assembly->count++;
}

static bool is_jump(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) != BPF_JA;
}

static bool is_load(const struct bpf_insn *insn, unsigned mode)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == mode;
}

static bool loads_ancillary(const struct assembly *assembly, const struct bpf_insn *insn)
{
	return filter_loads_type(insn) || (assembly->cooked && bpf_cooked_loads_ancillary(insn));
}

/* An offset beyond any packet: libpcap's interpreter rejects it, the kernel would take it for one of its extensions. */
static bool exceeds_any_packet(const struct assembly *assembly, const struct bpf_insn *insn)
{
	return insn->k > INT32_MAX && !loads_ancillary(assembly, insn);
}

#define EXPANSION_MAX 7 /* instructions that one becomes at most */

/* How many instructions one becomes. */
static unsigned emitted_size(const struct assembly *assembly, const struct bpf_insn *insn)
{
	if (is_jump(insn))
		return insn->jt > UINT8_MAX / EXPANSION_MAX || insn->jf > UINT8_MAX / EXPANSION_MAX ? 3 : 1;
	if (is_load(insn, BPF_IND))
		return exceeds_any_packet(assembly, insn) ? 1 : EXPANSION_MAX;
	if (is_load(insn, BPF_ABS) && !exceeds_any_packet(assembly, insn) && !loads_ancillary(assembly, insn) &&
	    insn->k + filter_load_width(insn->code) > assembly->min_bytes)
		return 4;
	return 1;
}

/* Rejects: jumps to the end of the program. */
static void emit_reject(struct assembly *assembly, size_t end)
{
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(end - assembly->count - 1), 0, 0);
}

static void emit_reject_below(struct assembly *assembly, uint16_t source, uint32_t k, size_t end)
{
	emit(assembly, BPF_JMP | BPF_JGE | source, k, 1, 0);
	emit_reject(assembly, end);
}

/* A load after a check that the packet is long enough. The check may use the accumulator, which the load is about to
 * set. */
static void emit_load(struct assembly *assembly, const struct bpf_insn *insn, size_t end)
{
	if (exceeds_any_packet(assembly, insn)) {
		emit_reject(assembly, end);
		return;
	}
	if (emitted_size(assembly, insn) > 1) {
		emit(assembly, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
		if (is_load(insn, BPF_IND)) {
			emit_reject_below(assembly, BPF_X, 0, end);
			emit(assembly, BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0);
		}
		emit_reject_below(assembly, BPF_K, insn->k + filter_load_width(insn->code), end);
	}
	emit(assembly, insn->code, insn->k, 0, 0);
}

/* `target`: positions of the instructions after this one. */
static void emit_jump(struct assembly *assembly, const struct bpf_insn *insn, const uint32_t *target)
{
	const size_t yes = target[insn->jt], no = target[insn->jf];

	if (emitted_size(assembly, insn) == 1) {
		const size_t next = assembly->count + 1;

		emit(assembly, insn->code, insn->k, (uint8_t)(yes - next), (uint8_t)(no - next));
		return;
	}
	emit(assembly, insn->code, insn->k, 0, 1);
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(yes - assembly->count - 1), 0, 0);
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(no - assembly->count - 1), 0, 0);
}

/* Appends one program. Its rejects, explicit or by a load beyond the packet's end, jump past it. */
static void append_program(struct assembly *assembly, const struct filter *filter)
{
	const struct bpf_program *from = &filter->kernel;
	uint32_t offsets[FILTER_UNION_MAX + 1];

	if (from->bf_len > FILTER_UNION_MAX) {
		assembly->count += from->bf_len;
		return;
	}
	assembly->cooked = filter->linktype == LINKTYPE_LINUX_SLL2;
	offsets[0] = (uint32_t)assembly->count;
	for (unsigned i = 0; i < from->bf_len; i++)
		offsets[i + 1] = offsets[i] + emitted_size(assembly, &from->bf_insns[i]);
	const size_t end = offsets[from->bf_len];
	for (unsigned i = 0; i < from->bf_len; i++) {
		const struct bpf_insn *insn = &from->bf_insns[i];

		if (is_jump(insn))
			emit_jump(assembly, insn, &offsets[i + 1]);
		else if (insn->code == (BPF_JMP | BPF_JA))
			emit(assembly, insn->code, offsets[i + 1 + insn->k] - offsets[i + 1], 0, 0);
		else if (insn->code == (BPF_RET | BPF_K) && !insn->k)
			emit_reject(assembly, end);
		else if (insn->code == (BPF_RET | BPF_K) && assembly->accept_continues)
			emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(end - assembly->count), 0, 0);
		else if (insn->code == (BPF_RET | BPF_K))
			emit(assembly, insn->code, assembly->snaplen, 0, 0);
		else if (is_load(insn, BPF_ABS) || is_load(insn, BPF_IND))
			emit_load(assembly, insn, end);
		else
			emit(assembly, insn->code, insn->k, 0, 0);
	}
}

static void emit_reject_outgoing(struct assembly *assembly)
{
	emit(assembly, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE), 0, 0);
	emit(assembly, BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1);
	emit(assembly, BPF_RET | BPF_K, 0, 0, 0);
}

/* Accepts packets too short to be examined. */
static void emit_accept_short(struct assembly *assembly)
{
	emit(assembly, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
	emit(assembly, BPF_JMP | BPF_JGE | BPF_K, assembly->min_bytes, 1, 0);
	emit(assembly, BPF_RET | BPF_K, assembly->snaplen, 0, 0);
}

static void emit_accept_tagged(struct assembly *assembly)
{
	emit(assembly, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT), 0, 0);
	emit(assembly, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	emit(assembly, BPF_RET | BPF_K, assembly->snaplen, 0, 0);
}

/* Rejects what the filter accepts, and continues with the rest. */
static void emit_exclude(struct assembly *assembly, const struct filter *filter)
{
	assembly->accept_continues = true;
	append_program(assembly, filter);
	emit(assembly, BPF_JMP | BPF_JA, 1, 0, 0);
	emit(assembly, BPF_RET | BPF_K, 0, 0, 0);
	assembly->accept_continues = false;
}

/* Applies the retention filter to what no consumer wants. */
static void emit_retention(struct assembly *assembly, const struct retention_filter *retention)
{
	size_t count;
	const struct sock_filter *length = retention_filter_length_program(retention, &count);

	assembly->accept_continues = true;
	if (retention_filter_selector(retention)) {
		append_program(assembly, retention_filter_selector(retention));
		emit(assembly, BPF_RET | BPF_K, 0, 0, 0);
	}
	for (size_t i = 0; i < count; i++)
		emit(assembly, length[i].code, length[i].k, length[i].jt, length[i].jf);
}

/* Raises min_bytes to what the filter needs. False: the kernel cannot run it. */
static bool account_for(struct assembly *assembly, const struct filter *filter)
{
	if (filter && filter->min_bytes > assembly->min_bytes)
		assembly->min_bytes = filter->min_bytes;
	return !filter || filter->kernel_compatible;
}

/* Bursts of alerts request the same filter many times. */
static bool is_repeated(const struct filter_want *wants, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (filter_equal(wants[i].filter, wants[index].filter))
			return true;
	}
	return false;
}

/* Every packet that passes the first `prefix_count` instructions is wanted whole. */
static size_t accept_all(struct assembly *assembly, size_t prefix_count)
{
	if (!prefix_count)
		return 0;
	assembly->count = prefix_count;
	emit(assembly, BPF_RET | BPF_K, UINT32_MAX, 0, 0);
	return assembly->count;
}

size_t filter_union(const struct filter_want *wants, size_t count, const struct filter_union_options *options,
		    struct sock_filter *program)
{
	const struct retention_filter *retention = options->retention;
	struct assembly assembly = {.program = program,
				    .snaplen = union_snaplen(wants, count),
				    .min_bytes = FILTER_UNION_MIN_BYTES};
	bool everything = false,
	     kernel_compatible = !retention || account_for(&assembly, retention_filter_selector(retention));
	const struct filter *exclude = account_for(&assembly, options->exclude) ? options->exclude : NULL;

	if (retention) { /* a packet that one consumer wants may be history for the next */
		const struct filter_want kept = {.filter = retention_filter_selector(retention),
						 .snaplen = retention_filter_snaplen(retention)};
		const uint32_t snaplen = union_snaplen(&kept, 1);

		assembly.snaplen = snaplen > assembly.snaplen ? snaplen : assembly.snaplen;
	}
	for (size_t i = 0; i < count; i++) {
		everything |= !wants[i].filter;
		kernel_compatible &= account_for(&assembly, wants[i].filter);
	}
	if (options->loopback && (count || retention))
		emit_reject_outgoing(&assembly);
	const size_t prefix_count = assembly.count;
	if (everything ? assembly.snaplen >= PACKET_SNAPLEN_MAX && !exclude : !kernel_compatible)
		return accept_all(&assembly, prefix_count);
	if ((!everything || exclude) && (count || retention))
		emit_accept_short(&assembly);
	if (exclude) /* it is meant for packets without their tag, as the kernel sees them */
		emit_exclude(&assembly, exclude);
	if (!everything && (count || retention))
		emit_accept_tagged(&assembly);
	for (size_t i = 0; i < count && !everything && assembly.count < FILTER_UNION_MAX; i++) {
		if (!is_repeated(wants, i))
			append_program(&assembly, wants[i].filter);
	}
	if (retention && !everything)
		emit_retention(&assembly, retention);
	else
		emit(&assembly, BPF_RET | BPF_K, everything ? assembly.snaplen : 0, 0, 0);
	return assembly.count > FILTER_UNION_MAX ? accept_all(&assembly, prefix_count) : assembly.count;
}
