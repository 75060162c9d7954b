/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference parser for the end of a packet's headers, written from the standards, with bounds checks in a reader. Tests
 * compare the BPF program with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "bpf/headers.h"

struct header_reader {
	const uint8_t *data;
	uint32_t size;
	uint64_t at;
	bool cut; /* a read went past the end */
};

static inline uint32_t header_byte(struct header_reader *reader, uint32_t offset)
{
	if (reader->at + offset >= reader->size) {
		reader->cut = true;
		return 0;
	}
	return reader->data[reader->at + offset];
}

static inline uint32_t header_half(struct header_reader *reader, uint32_t offset)
{
	const uint32_t high = header_byte(reader, offset);

	return high << 8 | header_byte(reader, offset + 1);
}

static inline void reference_transport(struct header_reader *reader, uint32_t protocol)
{
	switch (protocol) {
	case 1:	  /* ICMP */
	case 2:	  /* IGMP */
	case 17:  /* UDP */
	case 58:  /* ICMPv6 */
	case 136: /* UDP-Lite */
		reader->at += 8;
		break;
	case 6: /* TCP */
		reader->at += (uint64_t)(header_byte(reader, 12) >> 4) * 4;
		break;
	case 33: /* DCCP */
		reader->at += (uint64_t)header_byte(reader, 4) * 4;
		break;
	case 132: /* SCTP */
		reader->at += 12;
		break;
	}
}

static inline void reference_ipv4(struct header_reader *reader)
{
	const uint32_t protocol = header_byte(reader, 9), fragment = header_half(reader, 6);

	header_byte(reader, 19);
	reader->at += (uint64_t)(header_byte(reader, 0) & 15) * 4;
	if (!(fragment & 0x1fff) && !reader->cut)
		reference_transport(reader, protocol);
}

static inline void reference_ipv6(struct header_reader *reader)
{
	uint32_t next = header_byte(reader, 6);

	header_byte(reader, 39);
	reader->at += 40;
	for (unsigned i = 0; i < HEADERS_EXTENSIONS_MAX && !reader->cut; i++) {
		const uint32_t type = next;

		if (type == 44) {
			const uint32_t offset = header_half(reader, 2) >> 3;

			next = header_byte(reader, 0);
			header_byte(reader, 7);
			reader->at += 8;
			if (offset)
				return;
		} else if (type == 51) {
			next = header_byte(reader, 0);
			reader->at += (uint64_t)(header_byte(reader, 1) + 2) * 4;
		} else if (type == 0 || type == 43 || type == 60 || type == 135 || type == 139 || type == 140) {
			next = header_byte(reader, 0);
			reader->at += (uint64_t)(header_byte(reader, 1) + 1) * 8;
		} else {
			break;
		}
	}
	if (!reader->cut)
		reference_transport(reader, next);
}

static inline void reference_ethernet(struct header_reader *reader)
{
	reader->at = 12;
	for (unsigned tag = 0; tag < 2; tag++) {
		const uint32_t type = header_half(reader, 0);

		if (type == 0x8100 || type == 0x88a8 || type == 0x9100)
			reader->at += 4;
	}
	const uint32_t type = header_half(reader, 0);
	reader->at += 2;
	if (type == 0x0800)
		reference_ipv4(reader);
	else if (type == 0x86dd)
		reference_ipv6(reader);
	else if (type == 0x0806)
		reader->at += 28;
}

/* Returns how many bytes to keep of a packet of `size` > 0 bytes. */
static inline uint32_t reference_headers(uint16_t linktype, const uint8_t *data, uint32_t size)
{
	struct header_reader reader = {.data = data, .size = size};

	if (linktype == LINKTYPE_ETHERNET)
		reference_ethernet(&reader);
	else if (header_byte(&reader, 0) >> 4 == 4)
		reference_ipv4(&reader);
	else if (header_byte(&reader, 0) >> 4 == 6)
		reference_ipv6(&reader);
	if (reader.cut || reader.at > size)
		return size;
	return reader.at ? (uint32_t)reader.at : 1;
}
