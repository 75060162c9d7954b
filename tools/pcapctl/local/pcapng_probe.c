/* Blocks are walked by their lengths (pcapng, 3.1); the order of bytes is the section's (4.1). */
#include "pcapctl/local/pcapng_probe.h"

#include <byteswap.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_SECTION = 0x0A0D0D0A, BLOCK_PACKET_OLD = 2, BLOCK_PACKET_SIMPLE = 3, BLOCK_PACKET = 6 };

#define ORDER_MAGIC UINT32_C(0x1A2B3C4D)
#define SECTION_FIXED 12 /* bytes between the magic and the options */
#define OPTION_COMMENT 1

static uint32_t number32(const struct pcapng_glance *glance, const void *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return glance->swapped ? bswap_32(number) : number;
}

static uint16_t number16(const struct pcapng_glance *glance, const void *at)
{
	uint16_t number;

	memcpy(&number, at, sizeof(number));
	return glance->swapped ? bswap_16(number) : number;
}

static void begin_block(struct pcapng_glance *glance)
{
	uint32_t type = number32(glance, glance->head), length;
	bool section = type == BLOCK_SECTION; /* the same in both orders */

	if (section && number32(glance, glance->head + 8) != ORDER_MAGIC)
		glance->swapped = !glance->swapped;
	length = number32(glance, glance->head + 4);
	if (length < sizeof(glance->head) || (section && number32(glance, glance->head + 8) != ORDER_MAGIC) ||
	    (!section && !glance->had_header)) {
		glance->broken = true;
		return;
	}
	glance->packets += type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OLD;
	glance->in_header = section && !glance->had_header;
	glance->had_header |= section;
	glance->left = length - sizeof(glance->head);
}

static size_t take_rest(struct pcapng_glance *glance, const uint8_t *at, size_t size)
{
	size_t piece = size < glance->left ? size : (size_t)glance->left;

	if (glance->in_header && buffer_append(&glance->header, at, piece) < 0)
		glance->in_header = false; /* the comment may be in what there is */
	glance->left -= piece;
	return piece;
}

static size_t take_head(struct pcapng_glance *glance, const uint8_t *at, size_t size)
{
	size_t room = sizeof(glance->head) - glance->have, piece = size < room ? size : room;

	memcpy(glance->head + glance->have, at, piece);
	glance->have += piece;
	if (glance->have == sizeof(glance->head)) {
		glance->have = 0;
		begin_block(glance);
	}
	return piece;
}

void pcapng_glance_take(struct pcapng_glance *glance, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0 && !glance->broken) {
		size_t taken = glance->left ? take_rest(glance, at, size) : take_head(glance, at, size);

		at += taken;
		size -= taken;
	}
}

bool pcapng_glance_comment(const struct pcapng_glance *glance, char *text, size_t room)
{
	const char *header = buffer_text(&glance->header);
	size_t at = SECTION_FIXED;

	while (at + 4 <= glance->header.size) {
		uint16_t code = number16(glance, header + at), length = number16(glance, header + at + 2);

		at += 4;
		if (code == 0 || at + length > glance->header.size)
			return false;
		if (code == OPTION_COMMENT) {
			snprintf(text, room, "%.*s", (int)length, header + at);
			return true;
		}
		at += (size_t)(length + 3) / 4 * 4;
	}
	return false;
}

void pcapng_glance_deinit(struct pcapng_glance *glance)
{
	buffer_deinit(&glance->header);
}
