/* SPDX-License-Identifier: BSD-2-Clause */
/* The length is the packet's without the header, so programs that load it are left to the workers. */
#include "bpf/bpf_cooked.h"

#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"

/* The fields of the header that filters load, and what the kernel has for them. */
static const struct {
	uint16_t code;
	uint32_t offset;
	uint32_t ancillary;
} fields[] = {
	{BPF_LD | BPF_H | BPF_ABS, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)},
	{BPF_LD | BPF_W | BPF_ABS, 4, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)},
	{BPF_LD | BPF_H | BPF_ABS, 8, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE)},
	{BPF_LD | BPF_B | BPF_ABS, 10, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
};

#define PACKET_TYPE fields[3].ancillary

static bool to_ancillary(struct bpf_insn *insn)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (insn->code == fields[i].code && insn->k == fields[i].offset) {
			insn->k = fields[i].ancillary;
			return true;
		}
	}
	return false;
}

static bool rewrite_load(struct bpf_insn *insn)
{
	const unsigned mode = BPF_MODE(insn->code);

	if (mode == BPF_IMM || mode == BPF_MEM)
		return true;
	if (mode == BPF_ABS && insn->k == PACKET_TYPE) /* "inbound", which libpcap compiles like that */
		return true;
	if (mode == BPF_ABS && insn->k < SLL2_HEADER_BYTES)
		return to_ancillary(insn);
	if (mode == BPF_LEN || insn->k < SLL2_HEADER_BYTES || insn->k > INT32_MAX)
		return false;
	insn->k -= SLL2_HEADER_BYTES;
	return true;
}

bool bpf_cooked_to_kernel(struct bpf_insn *program, unsigned count)
{
	bool ok = true;

	for (unsigned i = 0; i < count && ok; i++) {
		const unsigned class = BPF_CLASS(program[i].code);

		if (class == BPF_LD || class == BPF_LDX)
			ok = rewrite_load(&program[i]);
	}
	return ok;
}

bool bpf_cooked_loads_ancillary(const struct bpf_insn *insn)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
		    insn->k == fields[i].ancillary)
			return true;
	}
	return false;
}
