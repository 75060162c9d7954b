/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a filter expression. If it compiles, it runs over a fixed set of packets, with the verdicts of libpcap's
 * unoptimised program, and becomes a union: this must accept what the filter accepts, and a packet cut by the union
 * must get the same verdict. Expressions that may look up a name (DNS, /etc) are skipped: they would make runs slow and
 * unrepeatable.
 */
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/filter.h"
#include "bpf/filter_union.h"

#define EXPRESSION_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t udp[300] = {2,	    0,	       0,  0,	      0, 1, 2, 0,  0, 0, 0, 2, 8,  0, 0x45,
				 [17] = 50, [22] = 64, 17, [26] = 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 3, 0xe8};
static const uint8_t tcp[80] = {
	2, 0, 0,	   0,	      0,	 1,  2,		  0,	0,	    0,	 0,   2,
	8, 0, 0x46,	   [17] = 66, [22] = 64, 6,  [26] = 10,	  0,	0,	    1,	 10,  0,
	0, 2, [38] = 0x30, 0x39,      0,	 80, [50] = 0x50, 0x12, [58] = 'G', 'E', 'T', ' '};
static const uint8_t arp[42] = {[0] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
static const uint8_t tagged[70] = {[12] = 0x81, 0, 0, 10, 0x81, 0, 0, 20, 0x86, 0xdd, 0x60, [28] = 17, [62] = 0, 53};
static const uint8_t runt[15] = {[12] = 8, 0, 0x4f};

static const struct {
	const uint8_t *data;
	uint32_t size;
} packets[] = {
	{udp, sizeof(udp)}, {tcp, sizeof(tcp)}, {arp, sizeof(arp)}, {tagged, sizeof(tagged)}, {runt, sizeof(runt)}};

static void check_verdicts(const char *expression, const struct filter *filter)
{
	struct bpf_program original;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);

	if (!pcap || pcap_compile(pcap, &original, expression, 0, PCAP_NETMASK_UNKNOWN) < 0)
		abort();
	pcap_close(pcap);
	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		for (uint32_t caplen = 0; caplen <= packets[i].size; caplen++) {
			const uint32_t verdict =
				bpf_filter(original.bf_insns, packets[i].data, packets[i].size, caplen);

			if (filter_run(filter, packets[i].data, packets[i].size, caplen, PACKET_HOST) != verdict ||
			    bpf_filter(filter_program(filter), packets[i].data, packets[i].size, caplen) != verdict)
				abort();
		}
	}
	pcap_freecode(&original);
}

static void check(const struct filter *filter, const struct bpf_insn *union_program, uint32_t snaplen)
{
	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		const uint32_t size = packets[i].size;
		const bool accepted = filter_run(filter, packets[i].data, size, size, PACKET_HOST) != 0;

		const uint32_t passed = bpf_filter(union_program, packets[i].data, size, size);
		if (accepted && !passed)
			abort();
		if (!accepted && passed && size >= 256) /* far above FILTER_UNION_MIN_BYTES */
			abort();
		const uint32_t cut = passed < size ? passed : size;
		if (passed && cut >= snaplen &&
		    (filter_run(filter, packets[i].data, size, cut, PACKET_HOST) != 0) != accepted)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char expression[EXPRESSION_MAX + 1];
	struct sock_filter union_program[FILTER_UNION_MAX];
	struct bpf_insn *runnable = (struct bpf_insn *)union_program;
	struct filter *filter = NULL;
	struct error err;

	if (size > EXPRESSION_MAX)
		return 0;
	memcpy(expression, data, size);
	expression[size] = '\0';
	if (filter_may_resolve_names(expression) || strstr(expression, "protochain")) /* protochain loops by design */
		return 0;
	if (filter_compile(expression, 1, &err, &filter) < 0 || !filter)
		return 0;
	/* Not what reads memory that it has not set, or the packet's type, which libpcap's interpreter does not know.
	 */
	if (!strstr(expression, "geneve") && !strstr(expression, "bound"))
		check_verdicts(expression, filter);
	const struct filter_want wants[] = {{.filter = filter, .snaplen = 20}, {.filter = filter, .snaplen = 10}};
	const size_t count = filter_union(wants, 2, &(struct filter_union_options){.loopback = false}, union_program);
	for (size_t i = 0; i < count; i++) {
		if (union_program[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT) ||
		    union_program[i].k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
			union_program[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	}
	if (count && !bpf_validate(runnable, (int)count))
		abort();
	if (count)
		check(filter, runnable, 20);
	filter_free(filter);
	return 0;
}
