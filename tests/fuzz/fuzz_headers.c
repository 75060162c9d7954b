/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a packet: the headers program keeps at least one byte, never reads past the end (which would reject the
 * packet) and agrees with the reference parser. The first byte of the input selects link type and minimum.
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

static void check(uint16_t linktype, uint32_t min_bytes, const uint8_t *packet, uint32_t size)
{
	struct bpf_insn *program = programs[linktype == LINKTYPE_ETHERNET];
	const size_t count = headers_program(linktype, min_bytes, (struct sock_filter *)program);

	if (!count || count > HEADERS_PROGRAM_MAX || !bpf_validate(program, (int)count))
		abort();
	const uint32_t answer = bpf_filter(program, packet, size, size);
	const uint32_t kept = answer < size ? answer : size;
	const uint32_t headers = reference_headers(linktype, packet, size);
	const uint32_t minimum = min_bytes < size ? min_bytes : size;
	if (!answer || kept != (headers > minimum ? headers : minimum))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > PACKET_MAX)
		return 0;
	const uint32_t min_bytes = data[0] >> 1;
	uint8_t *packet = malloc(size - 1); /* a sanitizer sees a read past its end */
	if (!packet)
		return 0;
	memcpy(packet, data + 1, size - 1);
	check(data[0] & 1 ? 101 : 1, min_bytes, packet, (uint32_t)size - 1);
	free(packet);
	return 0;
}
