/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of pcapng and pcap files, for writers and readers: draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap. All
 * numbers are in the byte order that the magic number shows. */
#pragma once

#include <assert.h>
#include <stdint.h>

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2, /* obsolete */
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

enum option_code {
	OPTION_END = 0,
	OPTION_COMMENT = 1,

	SECTION_HARDWARE = 2,
	SECTION_OS = 3,
	SECTION_APPLICATION = 4,

	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_TSRESOL = 9,
	INTERFACE_FILTER = 11,
	INTERFACE_OS = 12,
	INTERFACE_TSOFFSET = 14,

	PACKET_FLAGS = 2,
	PACKET_DROPCOUNT = 4,

	STATISTICS_START = 2,
	STATISTICS_END = 3,
	STATISTICS_RECEIVED = 4,
	STATISTICS_DROPPED = 5,
	STATISTICS_DELIVERED = 8,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define SECTION_SIZE_UNKNOWN UINT64_MAX
#define TSRESOL_US 6 /* 10^-6 s: the default */
#define TSRESOL_NS 9
#define FILTER_IS_TEXT 0  /* an INTERFACE_FILTER's first byte: a text for libpcap */
#define FLAGS_DIRECTION 3 /* of PACKET_FLAGS: 1 inbound, 2 outbound */

struct block_header {
	uint32_t type;
	uint32_t total_size; /* repeated at the block's end */
};

struct option_header {
	uint16_t code, size;
};

struct section_body {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t size[2]; /* one 64-bit number, not aligned as one */
};

struct interface_body {
	uint16_t linktype, reserved;
	uint32_t snaplen;
};

struct statistics_body {
	uint32_t interface;
	uint32_t time_high, time_low;
};

struct packet_block {
	struct block_header block;
	uint32_t interface;
	uint32_t time_high, time_low;
	uint32_t caplen, wirelen;
};

#define PCAP_MAGIC_US 0xa1b2c3d4
#define PCAP_MAGIC_NS 0xa1b23c4d
#define PCAP_MAJOR 2
#define PCAP_MINOR 4

struct pcap_file_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t thiszone;
	uint32_t sigfigs;
	uint32_t snaplen;
	uint32_t linktype; /* upper half: the frame check sequence's length, if known */
};

struct pcap_record_header {
	uint32_t seconds, fraction;
	uint32_t caplen, wirelen;
};

static_assert(sizeof(struct section_body) == 16 && sizeof(struct interface_body) == 8, "as on the wire");
static_assert(sizeof(struct statistics_body) == 12 && sizeof(struct packet_block) == 28, "as on the wire");
static_assert(sizeof(struct pcap_file_header) == 24 && sizeof(struct pcap_record_header) == 16, "as on the wire");
