/*
 * The union is made by laying the programs end to end: a program's "reject" becomes a jump to the next one, its
 * "accept" stays. A load beyond the packet's end rejects too, and would end them all: loads get a check of the length
 * in front, which jumps to the next program as well. No expression is compiled twice, and no optimiser has to
 * understand fifty of them at once. libpcap's programs set their registers and memory before they use them, so one can
 * run after another.
 */
#include "capture/filter.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <strings.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#define COMPILE_SNAPLEN 262144 /* what "accept" returns; the snap length proper is applied when copying */
#define REACH_UNKNOWN UINT32_MAX
#define MSH_MAX 255	 /* highest offset of an IP header length that the union is made for */
#define IP_HEADER_MAX 60 /* the most that BPF_MSH can yield */

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

struct filter {
	struct bpf_program program;
	uint32_t reach;	 /* no load goes beyond this offset; REACH_UNKNOWN: cannot be told */
	uint32_t floor;	 /* bytes that a packet must have to be shown to it by the union */
	bool kernel_can; /* the kernel comes to libpcap's verdict, and goes on behind it */
};

static uint32_t load_width(uint16_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	default:
		return 1;
	}
}

/* The index register holds an IP header length or a constant wherever it is loaded by MSH or IMM; anything else may be
 * any number. */
static uint32_t find_reach(const struct bpf_program *program)
{
	uint32_t reach = 0, index_max = 0, indexed = 0; /* the last: of loads behind the index */
	for (unsigned i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];
		uint32_t end = 0;
		if (BPF_CLASS(insn->code) == BPF_LDX || insn->code == (BPF_MISC | BPF_TAX)) {
			if (insn->code == (BPF_LDX | BPF_B | BPF_MSH)) {
				end = insn->k + 1;
				index_max = index_max > IP_HEADER_MAX ? index_max : IP_HEADER_MAX;
			} else if (insn->code == (BPF_LDX | BPF_IMM)) {
				index_max = index_max > insn->k ? index_max : insn->k;
			} else {
				index_max = REACH_UNKNOWN;
			}
		} else if (BPF_CLASS(insn->code) == BPF_LD &&
			   (BPF_MODE(insn->code) == BPF_ABS || BPF_MODE(insn->code) == BPF_IND)) {
			end = insn->k + load_width(insn->code);
			if (BPF_MODE(insn->code) == BPF_IND)
				indexed = indexed > end ? indexed : end;
		}
		reach = reach > end ? reach : end;
	}
	if (!indexed)
		return reach;
	if (index_max > UINT16_MAX || indexed > UINT16_MAX)
		return REACH_UNKNOWN;
	return reach > indexed + index_max ? reach : indexed + index_max;
}

static bool is_word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == ':';
}

static unsigned count_terms(const char *expression)
{
	unsigned terms = 1;
	for (const char *at = expression; *at;) {
		const char *end = at;
		while (is_word_character(*end))
			end++;
		const size_t length = (size_t)(end - at);
		if ((length == 2 && strncasecmp(at, "or", 2) == 0) || (length == 3 && strncasecmp(at, "and", 3) == 0) ||
		    (!length && (strncmp(at, "||", 2) == 0 || strncmp(at, "&&", 2) == 0)))
			terms++;
		at = length ? end : at + 1;
	}
	return terms;
}

/*
 * Whether a program can be one of several in the kernel: a division by zero would end them all, and shifts by 32 or
 * more bits mean different things to the kernel and to libpcap, and it knows no way back (protochain). IP header
 * lengths are loaded without a check, which needs packets of a length.
 */
static void check_for_kernel(struct filter *filter)
{
	filter->kernel_can = true;
	for (unsigned i = 0; i < filter->program.bf_len; i++) {
		const struct bpf_insn *insn = &filter->program.bf_insns[i];
		const unsigned operation = BPF_OP(insn->code);
		if (insn->code == (BPF_LDX | BPF_B | BPF_MSH)) {
			filter->kernel_can &= insn->k <= MSH_MAX;
			filter->floor = insn->k + 1 > filter->floor ? insn->k + 1 : filter->floor;
		} else if (BPF_CLASS(insn->code) == BPF_ALU) {
			const bool shift = operation == BPF_LSH || operation == BPF_RSH;
			const bool divide = operation == BPF_DIV || operation == BPF_MOD;
			const bool safe = BPF_SRC(insn->code) == BPF_K ? !shift || insn->k < 32 : !shift && !divide;
			filter->kernel_can &= safe;
		} else if (BPF_CLASS(insn->code) == BPF_RET) {
			filter->kernel_can &= BPF_RVAL(insn->code) == BPF_K;
		} else if (insn->code == (BPF_JMP | BPF_JA)) {
			filter->kernel_can &= insn->k < filter->program.bf_len - i;
		}
	}
}

int filter_compile(const char *expression, uint16_t linktype, struct error *err, struct filter **result)
{
	if (!expression || !*expression) {
		*result = NULL;
		return 0;
	}
	if (count_terms(expression) > FILTER_TERMS_MAX)
		return error_set(err, -EINVAL, "more than %d terms joined by and/or: use nets or port ranges",
				 FILTER_TERMS_MAX);
	cleanup(cleanup_filter) struct filter *filter = calloc(1, sizeof(*filter));
	/* LINKTYPE_RAW (101) is DLT_RAW (12) on Linux; Ethernet is 1 in both. */
	pcap_t *pcap = pcap_open_dead(linktype == 101 ? DLT_RAW : linktype, COMPILE_SNAPLEN);
	if (!filter || !pcap) {
		if (pcap)
			pcap_close(pcap);
		return error_set(err, -ENOMEM, "out of memory");
	}
	int r = pcap_compile(pcap, &filter->program, expression, 1, PCAP_NETMASK_UNKNOWN);
	if (r < 0)
		error_set(err, -EINVAL, "%s", pcap_geterr(pcap));
	pcap_close(pcap);
	if (r < 0)
		return -EINVAL;
	filter->reach = find_reach(&filter->program);
	check_for_kernel(filter);
	*result = take(filter);
	return 0;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

const struct bpf_insn *filter_program(const struct filter *filter)
{
	return filter ? filter->program.bf_insns : NULL;
}

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

/* --- one program out of many --- */

/* What is written: FILTER_UNION_MAX instructions at most; `count` goes on counting when there are more. */
struct assembly {
	struct sock_filter *to;
	size_t count;
	uint32_t snaplen; /* what "accept" returns */
	uint32_t floor;	  /* bytes that every packet that gets to the programs has */
};

static void emit(struct assembly *assembly, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (assembly->count < FILTER_UNION_MAX)
		assembly->to[assembly->count] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
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

/* An offset that no packet has: libpcap's interpreter rejects, the kernel would take it for one of its extensions. */
static bool is_beyond_all(const struct bpf_insn *insn)
{
	return insn->k > INT32_MAX;
}

#define GUARDED_MAX 7 /* instructions that one becomes at most */

/* How many instructions one becomes. */
static unsigned laid_size(const struct assembly *assembly, const struct bpf_insn *insn)
{
	if (is_jump(insn))
		return insn->jt > UINT8_MAX / GUARDED_MAX || insn->jf > UINT8_MAX / GUARDED_MAX ? 3 : 1;
	if (is_load(insn, BPF_IND))
		return is_beyond_all(insn) ? 1 : GUARDED_MAX;
	if (is_load(insn, BPF_ABS) && !is_beyond_all(insn) && insn->k + load_width(insn->code) > assembly->floor)
		return 4;
	return 1;
}

/* The jump to the end of a program: it rejects. */
static void emit_reject(struct assembly *assembly, size_t end)
{
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(end - assembly->count - 1), 0, 0);
}

static void emit_unless_at_least(struct assembly *assembly, uint16_t source, uint32_t k, size_t end)
{
	emit(assembly, BPF_JMP | BPF_JGE | source, k, 1, 0);
	emit_reject(assembly, end);
}

/* A load, behind a check that the packet is long enough. The accumulator is free: the load is about to set it. */
static void emit_load(struct assembly *assembly, const struct bpf_insn *insn, size_t end)
{
	if (is_beyond_all(insn)) {
		emit_reject(assembly, end);
		return;
	}
	if (laid_size(assembly, insn) > 1) {
		emit(assembly, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
		if (is_load(insn, BPF_IND)) {
			emit_unless_at_least(assembly, BPF_X, 0, end);
			emit(assembly, BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0);
		}
		emit_unless_at_least(assembly, BPF_K, insn->k + load_width(insn->code), end);
	}
	emit(assembly, insn->code, insn->k, 0, 0);
}

/* `target`: where the instructions behind this one are. */
static void emit_jump(struct assembly *assembly, const struct bpf_insn *insn, const uint32_t *target)
{
	const size_t yes = target[insn->jt], no = target[insn->jf];
	if (laid_size(assembly, insn) == 1) {
		const size_t next = assembly->count + 1;
		emit(assembly, insn->code, insn->k, (uint8_t)(yes - next), (uint8_t)(no - next));
		return;
	}
	emit(assembly, insn->code, insn->k, 0, 1);
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(yes - assembly->count - 1), 0, 0);
	emit(assembly, BPF_JMP | BPF_JA, (uint32_t)(no - assembly->count - 1), 0, 0);
}

/* Appends one program; its rejects, spoken or by a load beyond the packet's end, jump behind it. */
static void append_program(struct assembly *assembly, const struct bpf_program *from)
{
	uint32_t places[FILTER_UNION_MAX + 1];
	if (from->bf_len > FILTER_UNION_MAX) {
		assembly->count += from->bf_len;
		return;
	}
	places[0] = (uint32_t)assembly->count;
	for (unsigned i = 0; i < from->bf_len; i++)
		places[i + 1] = places[i] + laid_size(assembly, &from->bf_insns[i]);
	const size_t end = places[from->bf_len];
	for (unsigned i = 0; i < from->bf_len; i++) {
		const struct bpf_insn *insn = &from->bf_insns[i];
		if (is_jump(insn))
			emit_jump(assembly, insn, &places[i + 1]);
		else if (insn->code == (BPF_JMP | BPF_JA))
			emit(assembly, insn->code, places[i + 1 + insn->k] - places[i + 1], 0, 0);
		else if (insn->code == (BPF_RET | BPF_K) && !insn->k)
			emit_reject(assembly, end);
		else if (insn->code == (BPF_RET | BPF_K))
			emit(assembly, insn->code, assembly->snaplen, 0, 0);
		else if (is_load(insn, BPF_ABS) || is_load(insn, BPF_IND))
			emit_load(assembly, insn, end);
		else
			emit(assembly, insn->code, insn->k, 0, 0);
	}
}

/* Rejects outgoing copies on a loopback; accepts what is tagged, or too short to be looked into. */
static void emit_prologue(struct assembly *assembly, bool loopback, bool everything)
{
	if (loopback) {
		emit(assembly, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE), 0, 0);
		emit(assembly, BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1);
		emit(assembly, BPF_RET | BPF_K, 0, 0, 0);
	}
	if (everything)
		return;
	emit(assembly, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT), 0, 0);
	emit(assembly, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
	emit(assembly, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
	emit(assembly, BPF_JMP | BPF_JGE | BPF_K, assembly->floor, 1, 0);
	emit(assembly, BPF_RET | BPF_K, assembly->snaplen, 0, 0);
}

size_t filter_union(const struct filter_want *wants, size_t count, bool loopback, struct sock_filter *program)
{
	struct assembly assembly = {.to = program, .snaplen = union_snaplen(wants, count), .floor = FILTER_UNION_FLOOR};
	bool everything = false, kernel_can = true;
	for (size_t i = 0; i < count; i++) {
		const struct filter *filter = wants[i].filter;
		everything |= !filter;
		if (!filter)
			continue;
		kernel_can &= filter->kernel_can;
		assembly.floor = filter->floor > assembly.floor ? filter->floor : assembly.floor;
	}
	if (everything ? assembly.snaplen >= UINT16_MAX : !kernel_can)
		return 0;
	if (count)
		emit_prologue(&assembly, loopback, everything);
	for (size_t i = 0; i < count && !everything && assembly.count < FILTER_UNION_MAX; i++)
		append_program(&assembly, &wants[i].filter->program);
	emit(&assembly, BPF_RET | BPF_K, everything ? assembly.snaplen : 0, 0, 0);
	return assembly.count > FILTER_UNION_MAX ? 0 : assembly.count;
}
