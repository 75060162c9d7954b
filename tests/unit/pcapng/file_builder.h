/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds capture files, valid or not, in either byte order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUILDER_ROOM (1 << 20)

struct builder {
	bool big; /* big endian */
	size_t size, block;
	uint8_t bytes[BUILDER_ROOM];
};

static inline void put(struct builder *b, const void *bytes, size_t size)
{
	if (size)
		memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
}

static inline void put_number(struct builder *b, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		b->bytes[b->size++] = (uint8_t)(value >> 8 * (b->big ? size - 1 - i : i));
}

static inline void put_u16(struct builder *b, uint16_t value)
{
	put_number(b, value, 2);
}

static inline void put_u32(struct builder *b, uint32_t value)
{
	put_number(b, value, 4);
}

static inline void put_u64(struct builder *b, uint64_t value)
{
	put_number(b, value, 8);
}

/* A 64-bit number as two words, the high one first. */
static inline void put_words(struct builder *b, uint64_t value)
{
	put_u32(b, (uint32_t)(value >> 32));
	put_u32(b, (uint32_t)value);
}

static inline void put_padding(struct builder *b)
{
	while ((b->size - b->block) % 4)
		b->bytes[b->size++] = 0;
}

static inline void begin(struct builder *b, uint32_t type)
{
	b->block = b->size;
	put_u32(b, type);
	put_u32(b, 0);
}

static inline void set_u32(struct builder *b, size_t at, uint32_t value)
{
	const size_t size = b->size;

	b->size = at;
	put_u32(b, value);
	b->size = size;
}

static inline void end(struct builder *b)
{
	const uint32_t size = (uint32_t)(b->size - b->block + 4);

	put_u32(b, size);
	set_u32(b, b->block + 4, size);
}

static inline void option(struct builder *b, uint16_t code, const void *value, size_t size)
{
	put_u16(b, code);
	put_u16(b, (uint16_t)size);
	put(b, value, size);
	put_padding(b);
}

static inline void option_string(struct builder *b, uint16_t code, const char *text)
{
	option(b, code, text, strlen(text));
}

static inline void option_number(struct builder *b, uint16_t code, uint64_t value, unsigned size)
{
	put_u16(b, code);
	put_u16(b, (uint16_t)size);
	put_number(b, value, size);
	put_padding(b);
}

static inline void option_words(struct builder *b, uint16_t code, uint64_t value)
{
	put_u16(b, code);
	put_u16(b, 8);
	put_words(b, value);
}

static inline void begin_section(struct builder *b)
{
	begin(b, 0x0a0d0d0a);
	put_u32(b, 0x1a2b3c4d);
	put_u16(b, 1);
	put_u16(b, 0);
	put_u64(b, UINT64_MAX);
}

static inline void section(struct builder *b)
{
	begin_section(b);
	end(b);
}

static inline void begin_interface(struct builder *b, uint16_t linktype, uint32_t snaplen)
{
	begin(b, 1);
	put_u16(b, linktype);
	put_u16(b, 0);
	put_u32(b, snaplen);
}

/* Ethernet with nanoseconds. */
static inline void interface_ns(struct builder *b, const char *name)
{
	begin_interface(b, 1, 262144);
	if (name)
		option_string(b, 2, name);
	option_number(b, 9, 9, 1);
	end(b);
}

static inline void begin_packet(struct builder *b, uint32_t interface, uint64_t ticks, const char *data)
{
	begin(b, 6);
	put_u32(b, interface);
	put_words(b, ticks);
	put_u32(b, (uint32_t)strlen(data));
	put_u32(b, (uint32_t)strlen(data) + 1);
	put(b, data, strlen(data));
	put_padding(b);
}

static inline void packet(struct builder *b, uint32_t interface, uint64_t ticks, const char *data)
{
	begin_packet(b, interface, ticks, data);
	end(b);
}

static inline void pcap_header(struct builder *b, uint32_t magic, uint32_t linktype)
{
	put_u32(b, magic);
	put_u16(b, 2);
	put_u16(b, 4);
	put_u64(b, 0);
	put_u32(b, 65535);
	put_u32(b, linktype);
}

static inline void pcap_record(struct builder *b, uint32_t seconds, uint32_t fraction, const char *data)
{
	put_u32(b, seconds);
	put_u32(b, fraction);
	put_u32(b, (uint32_t)strlen(data));
	put_u32(b, (uint32_t)strlen(data) + 2);
	put(b, data, strlen(data));
}
