/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Collects the bytes of one block (pcap: header or record) at a time, as they come, and parses each once it is whole.
 * The only state of an incomplete block is how many of its bytes are there: after -EAGAIN the next call simply starts
 * on the block again. Blocks of ignored types are skipped in small steps.
 */
#include "pcapng/pcapng_reader.h"

#include <errno.h>

#include "pcapng/pcapng_reader_internal.h"

#define ROOM_MIN 4096 /* of the block; skipped bytes are read in pieces of this size, too */
#define BLOCK_MIN (sizeof(struct block_header) + sizeof(uint32_t))
#define BLOCK_START_MAX (sizeof(struct block_header) + sizeof(uint32_t)) /* with a section's byte-order magic */

struct pcapng_reader *pcapng_reader_new(struct pcapng_bytes bytes)
{
	cleanup(cleanup_pcapng_reader) struct pcapng_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->bytes = bytes;
	reader->room_bytes = ROOM_MIN;
	reader->block = malloc(reader->room_bytes);
	if (!reader->block)
		return NULL;
	return take(reader);
}

void pcapng_reader_free(struct pcapng_reader *reader)
{
	if (!reader)
		return;

	free(reader->block);
	free(reader->interfaces);
	free(reader->comments);
	free(reader);
}

void pcapng_reader_rewind(struct pcapng_reader *reader)
{
	*reader = (struct pcapng_reader){.bytes = reader->bytes,
					 .block = reader->block,
					 .room_bytes = reader->room_bytes,
					 .interfaces = reader->interfaces,
					 .interface_room = reader->interface_room,
					 .comments = reader->comments,
					 .comment_room = reader->comment_room};
}

int reader_grow(void *array, size_t *room, size_t count, size_t max, size_t element_size)
{
	void **elements = (void **)array;

	if (count < *room)
		return 0;
	if (count >= max)
		return -EMSGSIZE;
	const size_t more = *room == 0 ? 8 : *room * 2;
	void *grown = reallocarray(*elements, more < max ? more : max, element_size);
	if (!grown)
		return -ENOMEM;
	*elements = grown;
	*room = more < max ? more : max;
	return 0;
}

int reader_add_interface(struct pcapng_reader *reader, const struct known_interface *known, struct pcapng_item *item)
{
	int r = reader_grow(&reader->interfaces, &reader->interface_room, reader->interface_count,
			    PCAPNG_INTERFACES_MAX, sizeof(*reader->interfaces));

	if (r == -EMSGSIZE)
		return error_set(&reader->error, r, "more than %d interfaces", PCAPNG_INTERFACES_MAX);
	if (r < 0)
		return error_set(&reader->error, r, "no memory for an interface");
	item->interface = (uint16_t)reader->interface_count;
	reader->interfaces[reader->interface_count++] = *known;
	return 0;
}

/* Bytes from the source; 0: end of file; -EAGAIN; or negative with a text. */
static ssize_t read_bytes(struct pcapng_reader *reader, uint8_t *into, size_t room)
{
	const ssize_t got = reader->bytes.read(reader->bytes.ctx, into, room);

	if (got < 0 && got != -EAGAIN)
		error_set(&reader->error, 0, "reading: %s", strerror((int)-got));
	return got;
}

static int cut_short(struct pcapng_reader *reader)
{
	return error_set(&reader->error, -ENODATA, "the file is cut short");
}

/* Grows with the bytes that have come: a size that is only claimed costs no memory. */
static int make_room(struct pcapng_reader *reader, size_t size)
{
	const size_t more = reader->room_bytes > ROOM_MIN ? reader->room_bytes * 2 : 2 * ROOM_MIN;
	const size_t room = more < size ? more : size;
	uint8_t *block = realloc(reader->block, room);

	if (!block)
		return error_set(&reader->error, -ENOMEM, "no memory for a block of %zu bytes", size);
	reader->block = block;
	reader->room_bytes = room;
	return 0;
}

/* 1: the first `size` bytes of the block are there; 0: the file ends before the block; or negative. */
static int need_bytes(struct pcapng_reader *reader, size_t size)
{
	while (reader->have_bytes < size) {
		if (reader->have_bytes == reader->room_bytes) {
			int r = make_room(reader, size);

			if (r < 0)
				return r;
		}
		const size_t end = size < reader->room_bytes ? size : reader->room_bytes;
		const ssize_t got = read_bytes(reader, reader->block + reader->have_bytes, end - reader->have_bytes);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return reader->have_bytes == 0 ? 0 : cut_short(reader);
		reader->have_bytes += (size_t)got;
	}
	return 1;
}

static void continue_after(struct pcapng_reader *reader, uint32_t size)
{
	reader->at += size;
	reader->have_bytes = 0;
}

/* A reader does not keep a large block's memory: a merge has many readers. */
static void give_back_room(struct pcapng_reader *reader)
{
	if (reader->room_bytes <= PCAPNG_PACKET_BLOCK_MAX)
		return;
	uint8_t *block = realloc(reader->block, ROOM_MIN);
	if (!block)
		return;
	reader->block = block;
	reader->room_bytes = ROOM_MIN;
}

/* 1 once the block is skipped. */
static int skip(struct pcapng_reader *reader)
{
	uint32_t end;

	while (reader->skip_left_bytes > 0) {
		const size_t size = reader->skip_left_bytes < ROOM_MIN ? reader->skip_left_bytes : ROOM_MIN;
		const ssize_t got = read_bytes(reader, reader->block, size);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return cut_short(reader);
		reader->skip_left_bytes -= (size_t)got;
	}
	int r = need_bytes(reader, sizeof(end));
	if (r <= 0)
		return r < 0 ? r : cut_short(reader);
	end = reader_u32(reader, reader->block);
	if (end != reader->skip_bytes)
		return error_set(&reader->error, -EBADMSG, "block of %u bytes has %u as its final size",
				 reader->skip_bytes, end);
	continue_after(reader, reader->skip_bytes);
	reader->skip_bytes = 0;
	reader->skipped_blocks++;
	return 1;
}

static void begin_skip(struct pcapng_reader *reader, uint32_t size)
{
	reader->skip_bytes = size;
	reader->skip_left_bytes = size - BLOCK_MIN;
	reader->have_bytes = 0;
}

/* A section header's magic gives the byte order, even of its own size. */
static int learn_byte_order(struct pcapng_reader *reader)
{
	uint32_t magic;

	memcpy(&magic, reader->block + sizeof(struct block_header), sizeof(magic));
	if (magic != BYTE_ORDER_MAGIC && bswap_32(magic) != BYTE_ORDER_MAGIC)
		return error_set(&reader->error, -EBADMSG, "section with byte-order magic 0x%08x", magic);
	reader->swapped = magic != BYTE_ORDER_MAGIC;
	return 0;
}

/* Type and size of the next block. 1; 0: the file ends; or negative. */
static int begin_block(struct pcapng_reader *reader, uint32_t *type, uint32_t *size)
{
	int r = need_bytes(reader, sizeof(struct block_header));

	if (r <= 0)
		return r;
	*type = reader_u32(reader, reader->block);
	if (*type == BLOCK_SECTION) {
		r = need_bytes(reader, BLOCK_START_MAX);
		if (r > 0)
			r = learn_byte_order(reader);
		if (r < 0)
			return r;
	}
	*size = reader_u32(reader, reader->block + offsetof(struct block_header, total_size));
	if (*size < BLOCK_MIN || *size % 4 != 0)
		return error_set(&reader->error, -EBADMSG, "block of %u bytes", *size);
	return 1;
}

/* A section with fewer bytes than its length is cut short, even if the last block is whole. */
static int end_of_file(struct pcapng_reader *reader)
{
	if (reader->section_left_bytes != SECTION_SIZE_UNKNOWN && reader->section_left_bytes > 0)
		return cut_short(reader);
	return 0;
}

static void count_for_section(struct pcapng_reader *reader, uint32_t type, uint32_t size)
{
	if (type == BLOCK_SECTION || reader->section_left_bytes == SECTION_SIZE_UNKNOWN)
		return;
	reader->section_left_bytes = size < reader->section_left_bytes ? reader->section_left_bytes - size : 0;
}

/* 1: an item; 2: no item in this block; 0: the end; or negative. */
static int next_block(struct pcapng_reader *reader, struct pcapng_item *item)
{
	uint32_t type, size;
	int r;

	if (reader->skip_bytes > 0) {
		r = skip(reader);
		return r == 1 ? 2 : r;
	}
	r = begin_block(reader, &type, &size);
	if (r <= 0)
		return r < 0 ? r : end_of_file(reader);
	if (pcapng_block_max(type) == 0) {
		count_for_section(reader, type, size);
		begin_skip(reader, size);
		return 2;
	}
	if (size > pcapng_block_max(type))
		return error_set(&reader->error, -EMSGSIZE, "block of %u bytes", size);

	r = need_bytes(reader, size);
	if (r < 0)
		return r;
	const uint32_t end = reader_u32(reader, reader->block + size - sizeof(end));
	if (end != size)
		return error_set(&reader->error, -EBADMSG, "block of %u bytes has %u as its final size", size, end);
	count_for_section(reader, type, size);
	r = pcapng_block_read(reader, type, size, item);
	return r < 0 ? r : 1;
}

static int next_record(struct pcapng_reader *reader, struct pcapng_item *item)
{
	uint32_t size;
	int r = need_bytes(reader, sizeof(struct pcap_record_header));

	if (r <= 0)
		return r;
	r = pcap_record_size(reader, &size);
	if (r == 0)
		r = need_bytes(reader, size);
	if (r > 0)
		r = pcap_record_read(reader, item);
	return r < 0 ? r : 1;
}

/* Finds out the kind of file. 1: an item; 2: no item yet; or negative. */
static int begin_file(struct pcapng_reader *reader, struct pcapng_item *item)
{
	uint32_t magic;
	int r = need_bytes(reader, sizeof(magic));

	if (r == 0)
		return error_set(&reader->error, -ENODATA, "the file is empty");
	if (r < 0)
		return r;
	memcpy(&magic, reader->block, sizeof(magic));
	if (magic == BLOCK_SECTION) {
		reader->kind = FILE_PCAPNG;
		return 2;
	}
	if (!pcap_magic_known(magic))
		return error_set(&reader->error, -EBADMSG, "neither pcapng nor pcap");
	r = need_bytes(reader, sizeof(struct pcap_file_header));
	if (r > 0)
		r = pcap_header_read(reader, item);
	if (r < 0)
		return r;
	reader->kind = FILE_PCAP;
	return 1;
}

static int next_part(struct pcapng_reader *reader, struct pcapng_item *item)
{
	switch (reader->kind) {
	case FILE_PCAPNG:
		return next_block(reader, item);
	case FILE_PCAP:
		return next_record(reader, item);
	default:
		return begin_file(reader, item);
	}
}

static int next_item(struct pcapng_reader *reader, struct pcapng_item *item)
{
	int r;

	if (reader->handed_out) {
		continue_after(reader, (uint32_t)reader->have_bytes);
		give_back_room(reader);
	}
	reader->handed_out = false;
	do {
		*item = (struct pcapng_item){.kind = PCAPNG_SECTION};
		r = next_part(reader, item);
	} while (r == 2);
	reader->handed_out = r == 1;
	if (r == 1 && item->kind == PCAPNG_PACKET)
		reader->last_time_ns = item->packet.time_ns;
	return r;
}

int pcapng_reader_next(struct pcapng_reader *reader, struct pcapng_item *item, struct error *error)
{
	struct pcapng_item next;

	if (reader->failed == 0) {
		int r = next_item(reader, &next);

		if (r >= 0 || r == -EAGAIN) {
			if (r == 1)
				*item = next;
			return r;
		}
		reader->failed = r;
		error_prefix(&reader->error, "byte %llu", (unsigned long long)reader->at);
	}
	return error_set(error, reader->failed, "%s", reader->error.text);
}

uint64_t pcapng_reader_skipped(const struct pcapng_reader *reader)
{
	return reader->skipped_blocks;
}
