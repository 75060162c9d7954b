/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes choose a filter expression by a grammar, and change packets. The optimised program, run by libpcap and by
 * our machine, must have the verdicts of libpcap's unoptimised one.
 */
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/bpf/expressions.h"
#include "bpf/bpf_optimise.h"
#include "bpf/bpf_vm.h"

#define PACKETS 24
#define PACKET_BYTES 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_left;

static uint32_t next_choice(uint32_t below)
{
	if (!input_left)
		return 0;
	input_left--;
	return *input++ % below;
}

static const uint8_t bases[][PACKET_BYTES] = {
	{2, [12] = 8, 0, 0x45, [22] = 64, 17, [26] = 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 80},
	{2, [12] = 8, 0, 0x46, [22] = 64, 6, [26] = 10, 0, 0, 2, 10, 0, 0, 1, [38] = 1, 187, 0, 22, [50] = 0x50, 2},
	{2, [12] = 0x86, 0xdd, 0x60, [20] = 6, 64, 0xfe, 0x80, [37] = 1, [54] = 0, 80, 1, 187, [66] = 0x50, 0x12},
	{2, [12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, [28] = 10, 0, 0, 1, [38] = 10, 0, 0, 2},
	{2, [12] = 0x81, 0, 0, 10, 8, 0, 0x45, [27] = 6, [30] = 10, 0, 0, 1, 10, 0, 0, 3, 0, 80, 0, 53},
};

static void make_packet(uint8_t packet[static PACKET_BYTES])
{
	memcpy(packet, bases[next_choice(sizeof(bases) / sizeof(*bases))], PACKET_BYTES);
	for (uint32_t changes = next_choice(4); changes; changes--)
		packet[next_choice(70)] = (uint8_t)next_choice(256);
}

static void check(const struct bpf_insn *original, const struct bpf_insn *optimised, unsigned count)
{
	uint8_t packet[PACKET_BYTES];
	struct bpf_vm *vm = bpf_vm_new(optimised, count);

	if (!vm || !bpf_validate(optimised, (int)count))
		abort();
	for (unsigned i = 0; i < PACKETS; i++) {
		make_packet(packet);
		const uint32_t caplen = next_choice(2) ? next_choice(PACKET_BYTES) : PACKET_BYTES;
		const uint32_t verdict = bpf_filter(original, packet, PACKET_BYTES, caplen);

		if (bpf_filter(optimised, packet, PACKET_BYTES, caplen) != verdict ||
		    bpf_vm_run(vm, packet, PACKET_BYTES, caplen, PACKET_HOST) != verdict)
			abort();
	}
	bpf_vm_free(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct expression expression = {.choose = next_choice};
	struct bpf_program original;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);

	input = data;
	input_left = size;
	append_expression(&expression, 1 + next_choice(3));
	/* Not what reads memory that it has not set, or the packet's type, which libpcap's interpreter does not know.
	 */
	const int r = !pcap || strstr(expression.text, "geneve") || strstr(expression.text, "bound")
			      ? -1
			      : pcap_compile(pcap, &original, expression.text, 0, 0xffffff);
	if (pcap)
		pcap_close(pcap);
	if (r < 0)
		return 0;
	struct bpf_insn *optimised = calloc(original.bf_len, sizeof(*optimised));
	const int count = optimised ? bpf_optimise(original.bf_insns, original.bf_len, optimised) : 0;
	if (count > 0)
		check(original.bf_insns, optimised, (unsigned)count);
	free(optimised);
	pcap_freecode(&original);
	return 0;
}
