/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks the blocks by their lengths (pcapng, 3.1), in the section's byte order (4.1). */
#include "pcapctl/local/pcapng_probe.h"

#include <byteswap.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_SECTION = 0x0A0D0D0A, BLOCK_PACKET_OLD = 2, BLOCK_PACKET_SIMPLE = 3, BLOCK_PACKET = 6 };

#define BYTE_ORDER_MAGIC UINT32_C(0x1A2B3C4D)
#define SECTION_HEADER_SIZE 12 /* bytes between the magic and the options */
#define OPTION_COMMENT 1

static uint32_t number32(const struct pcapng_probe *probe, const void *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return probe->swapped ? bswap_32(number) : number;
}

static uint16_t number16(const struct pcapng_probe *probe, const void *at)
{
	uint16_t number;

	memcpy(&number, at, sizeof(number));
	return probe->swapped ? bswap_16(number) : number;
}

static void begin_block(struct pcapng_probe *probe)
{
	uint32_t type = number32(probe, probe->head), length;
	bool section = type == BLOCK_SECTION; /* the same in both byte orders */

	if (section && number32(probe, probe->head + 8) != BYTE_ORDER_MAGIC)
		probe->swapped = !probe->swapped;
	length = number32(probe, probe->head + 4);
	if (length < sizeof(probe->head) || (section && number32(probe, probe->head + 8) != BYTE_ORDER_MAGIC) ||
	    (!section && !probe->header_seen)) {
		probe->invalid = true;
		return;
	}
	probe->packets += type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OLD;
	probe->in_header = section && !probe->header_seen;
	probe->header_seen |= section;
	probe->block_left_bytes = length - sizeof(probe->head);
}

static size_t feed_body(struct pcapng_probe *probe, const uint8_t *at, size_t size)
{
	size_t part_size = size < probe->block_left_bytes ? size : (size_t)probe->block_left_bytes;

	if (probe->in_header && buffer_append(&probe->header, at, part_size) < 0)
		probe->in_header = false; /* the comment may be in the part that is kept */
	probe->block_left_bytes -= part_size;
	return part_size;
}

static size_t feed_head(struct pcapng_probe *probe, const uint8_t *at, size_t size)
{
	size_t room = sizeof(probe->head) - probe->head_bytes, part_size = size < room ? size : room;

	memcpy(probe->head + probe->head_bytes, at, part_size);
	probe->head_bytes += part_size;
	if (probe->head_bytes == sizeof(probe->head)) {
		probe->head_bytes = 0;
		begin_block(probe);
	}
	return part_size;
}

void pcapng_probe_feed(struct pcapng_probe *probe, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0 && !probe->invalid) {
		size_t consumed = probe->block_left_bytes ? feed_body(probe, at, size) : feed_head(probe, at, size);

		at += consumed;
		size -= consumed;
	}
}

bool pcapng_probe_comment(const struct pcapng_probe *probe, char *text, size_t room)
{
	const char *header = buffer_text(&probe->header);
	size_t at = SECTION_HEADER_SIZE;

	while (at + 4 <= probe->header.size) {
		uint16_t code = number16(probe, header + at), length = number16(probe, header + at + 2);

		at += 4;
		if (code == 0 || at + length > probe->header.size)
			return false;
		if (code == OPTION_COMMENT) {
			snprintf(text, room, "%.*s", (int)length, header + at);
			return true;
		}
		at += (size_t)(length + 3) / 4 * 4;
	}
	return false;
}

void pcapng_probe_deinit(struct pcapng_probe *probe)
{
	buffer_deinit(&probe->header);
}
