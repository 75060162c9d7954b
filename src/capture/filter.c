/*
 * The union is made by laying the programs end to end: a program's "reject" becomes a jump to the next one, its
 * "accept" stays. No expression is compiled twice, and no optimiser has to understand fifty of them at once. libpcap's
 * programs set their registers and memory before they use them, so one can run after another.
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
#define IP_HEADER_MAX 60 /* the most that BPF_MSH can yield */

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

struct filter {
	struct bpf_program program;
	uint32_t reach; /* no load goes beyond this offset; REACH_UNKNOWN: cannot be told */
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
	uint32_t reach = 0, index_max = 0;
	bool indexed = false;
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
			indexed |= BPF_MODE(insn->code) == BPF_IND;
			end = insn->k + load_width(insn->code);
		}
		reach = reach > end ? reach : end;
	}
	if (!indexed)
		return reach;
	return index_max > UINT16_MAX || reach > UINT16_MAX ? REACH_UNKNOWN : reach + index_max;
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
	uint32_t snaplen = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t reach = wants[i].filter ? wants[i].filter->reach : 0;
		uint32_t need = reach > wants[i].snaplen ? reach : wants[i].snaplen;
		snaplen = snaplen > need ? snaplen : need;
	}
	return snaplen;
}

/* Appends one program; its rejects jump behind it. Jump distances of conditions stay as they are, for nothing moves
 * inside. */
static size_t append_program(const struct bpf_program *from, uint32_t snaplen, struct sock_filter *to)
{
	for (unsigned i = 0; i < from->bf_len; i++) {
		const struct bpf_insn *insn = &from->bf_insns[i];
		to[i] = (struct sock_filter){.code = insn->code, .jt = insn->jt, .jf = insn->jf, .k = insn->k};
		if (insn->code == (BPF_RET | BPF_K))
			to[i] = insn->k ? (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen)
					: (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, from->bf_len - i - 1);
	}
	return from->bf_len;
}

size_t filter_union(const struct filter_want *wants, size_t count, bool loopback, struct sock_filter *program)
{
	const uint32_t snaplen = union_snaplen(wants, count);
	bool everything = false;
	size_t size = 8; /* the prologue and the last reject */
	for (size_t i = 0; i < count; i++) {
		everything |= !wants[i].filter;
		size += wants[i].filter ? wants[i].filter->program.bf_len : 0;
	}
	if ((everything && snaplen >= UINT16_MAX) || (!everything && size > FILTER_UNION_MAX))
		return 0;
	size_t n = 0;
	if (loopback && count) {
		program[n++] =
			(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
		program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1);
		program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	}
	if (everything) {
		program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen);
		return n;
	}
	if (count) {
		program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							    (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
		program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
		program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen);
	}
	for (size_t i = 0; i < count; i++)
		n += append_program(&wants[i].filter->program, snaplen, program + n);
	program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return n;
}
