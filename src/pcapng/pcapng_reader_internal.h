/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the reader's files: framing in pcapng_reader.c, contents of pcapng blocks in pcapng_blocks.c, pcap in
 * pcap_records.c. */
#pragma once

#include <byteswap.h>
#include <string.h>

#include "pcapng/file_layout.h"
#include "pcapng/pcapng_reader.h"

enum file_kind { FILE_UNKNOWN, FILE_PCAPNG, FILE_PCAP };

struct known_interface {
	uint32_t snaplen; /* 0: no limit */
	uint8_t tsresol;
	int64_t tsoffset_s;
};

struct pcapng_reader {
	struct pcapng_bytes bytes;
	enum file_kind kind;
	bool swapped; /* this section is not in the host's byte order */

	/* The first `have_bytes` of the current unit: a block, a record or the file's header. */
	uint64_t at; /* where it begins in the file */
	uint8_t *block;
	size_t have_bytes, room_bytes;
	bool handed_out; /* complete and returned: the next call goes on after it */

	uint64_t skip_left_bytes; /* of a skipped block: before the size at its end */
	uint32_t skip_bytes;	  /* the skipped block's size; 0: none is being skipped */
	uint64_t skipped_blocks;

	uint64_t section_left_bytes; /* or SECTION_SIZE_UNKNOWN */
	struct known_interface *interfaces;
	size_t interface_count, interface_room;
	size_t section_first; /* interface 0 of the section */
	uint8_t pcap_tsresol;
	uint64_t last_time_ns;

	const char **comments;
	size_t comment_count, comment_room;

	int failed; /* negative errno: the end */
	struct error error;
};

/* The largest block of this type that is read; 0: the type is skipped. */
uint32_t pcapng_block_max(uint32_t type);

/*
 * Reads a whole block of such a type into an item. 0, or negative with reader->error. The section's byte order is
 * known.
 */
int pcapng_block_read(struct pcapng_reader *reader, uint32_t type, uint32_t size, struct pcapng_item *item);

/* The same for pcap's file header and records. */
bool pcap_magic_known(uint32_t magic);
int pcap_header_read(struct pcapng_reader *reader, struct pcapng_item *item);
/* The size of the record, from its header. 0 or negative. */
int pcap_record_size(struct pcapng_reader *reader, uint32_t *size);
int pcap_record_read(struct pcapng_reader *reader, struct pcapng_item *item);

/* Adds an interface and sets its index in the item. 0, -ENOMEM or -EMSGSIZE. */
int reader_add_interface(struct pcapng_reader *reader, const struct known_interface *known, struct pcapng_item *item);

/* Makes room for one more element, at most `max`, by doubling. 0, -ENOMEM or -EMSGSIZE. */
int reader_grow(void *array, size_t *room, size_t count, size_t max, size_t element_size);

/* Numbers in the section's byte order, at any alignment. */
static inline uint16_t reader_u16(const struct pcapng_reader *reader, const void *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? bswap_16(value) : value;
}

static inline uint32_t reader_u32(const struct pcapng_reader *reader, const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? bswap_32(value) : value;
}

static inline uint64_t reader_u64(const struct pcapng_reader *reader, const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? bswap_64(value) : value;
}

/* Two words, the high one first in either byte order. */
static inline uint64_t reader_words(const struct pcapng_reader *reader, const void *at)
{
	const uint8_t *bytes = (const uint8_t *)at;

	return (uint64_t)reader_u32(reader, bytes) << 32 | reader_u32(reader, bytes + 4);
}
