/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a packet: the program that tells headers from payload keeps something of it, never looks beyond its end
 * (which would reject it), and comes to the same answer as a parser that is no BPF program. First byte: the link type
 * and the least that is kept.
 */
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/bpf/headers_reference.h"
#include "base/packet.h"

#define PACKET_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bpf_insn programs[2][HEADERS_PROGRAM_MAX];

static void check(uint16_t linktype, uint32_t least, const uint8_t *packet, uint32_t size)
{
	struct bpf_insn *program = programs[linktype == LINKTYPE_ETHERNET];
	const size_t count = headers_program(linktype, least, (struct sock_filter *)program);
	if (!count || count > HEADERS_PROGRAM_MAX || !bpf_validate(program, (int)count))
		abort();
	const uint32_t answer = bpf_filter(program, packet, size, size);
	const uint32_t kept = answer < size ? answer : size;
	const uint32_t headers = reference_headers(linktype, packet, size);
	const uint32_t floor = least < size ? least : size;
	if (!answer || kept != (headers > floor ? headers : floor))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > PACKET_MAX)
		return 0;
	const uint32_t least = data[0] >> 1;
	uint8_t *packet = malloc(size - 1); /* its end is watched */
	if (!packet)
		return 0;
	memcpy(packet, data + 1, size - 1);
	check(data[0] & 1 ? 101 : 1, least, packet, (uint32_t)size - 1);
	free(packet);
	return 0;
}
