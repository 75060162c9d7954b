/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng (draft-ietf-opsawg-pcapng): one section in the host's byte order. A section header, an interface description
 * per interface, an enhanced packet block per packet, an interface statistics block per interface.
 * Text in options is UTF-8: invalid bytes become '?', and a text beyond an option's 65535 bytes is cut between
 * characters.
 */
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "pcapng/file_format.h"
#include "pcapng/file_layout.h"

#define OPTION_BYTES_MAX 65535

/* After a packet's bytes and their padding: its flags and how many are missing before it, where any of this is known.
 */
struct flags_option {
	struct option_header header;
	uint32_t flags;
};

struct dropcount_option {
	struct option_header header;
	uint32_t count[2]; /* one number of 64 bits that is not aligned as one */
};

#define OPTIONS_MAX (sizeof(struct flags_option) + sizeof(struct dropcount_option) + sizeof(struct option_header))

static_assert(sizeof(struct packet_block) <= FORMAT_FRAMING_MAX, "has room");
static_assert(sizeof(struct flags_option) == 8 && sizeof(struct dropcount_option) == 12, "as on the wire");
static_assert(3 + OPTIONS_MAX + 4 <= FORMAT_FRAMING_MAX, "has room");

static uint32_t padding(uint32_t size)
{
	return -size & 3;
}

static_assert(PACKET_DIR_UNKNOWN == 0 && PACKET_DIR_INBOUND == 1 && PACKET_DIR_OUTBOUND == 2, "as in epb_flags");

static uint32_t flags_of(const struct packet_view *packet)
{
	const uint32_t direction = packet->direction <= PACKET_DIR_OUTBOUND ? packet->direction : PACKET_DIR_UNKNOWN;

	return (packet->flags & ~(uint32_t)FLAGS_DIRECTION) | direction;
}

static uint32_t options_size(const struct packet_view *packet)
{
	const size_t size = (flags_of(packet) ? sizeof(struct flags_option) : 0) +
			    (packet->missing ? sizeof(struct dropcount_option) : 0);

	return (uint32_t)(size ? size + sizeof(struct option_header) : 0);
}

static uint32_t framing_size(const struct packet_view *packet)
{
	return (uint32_t)sizeof(struct packet_block) + padding(packet->caplen) + options_size(packet) +
	       (uint32_t)sizeof(uint32_t);
}

static size_t before(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet)
{
	const struct packet_block header = {
		.block = {BLOCK_PACKET, packet->caplen + framing_size(packet)},
		.interface = packet->interface,
		.time_high = (uint32_t)(packet->time_ns >> 32),
		.time_low = (uint32_t)packet->time_ns,
		.caplen = packet->caplen,
		.wirelen = packet->wirelen,
	};

	memcpy(into, &header, sizeof(header));
	return sizeof(header);
}

static size_t after(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet)
{
	uint32_t total_size = packet->caplen + framing_size(packet);
	uint8_t *end = mempcpy(into, "\0\0\0", padding(packet->caplen));

	if (flags_of(packet)) {
		const struct flags_option option = {{PACKET_FLAGS, sizeof(option.flags)}, flags_of(packet)};

		end = mempcpy(end, &option, sizeof(option));
	}
	if (packet->missing) {
		struct dropcount_option option = {.header = {PACKET_DROPCOUNT, sizeof(option.count)}};

		memcpy(option.count, &packet->missing, sizeof(option.count));
		end = mempcpy(end, &option, sizeof(option));
	}
	if (options_size(packet))
		end = mempcpy(end, &(struct option_header){OPTION_END, 0}, sizeof(struct option_header));
	memcpy(end, &total_size, sizeof(total_size));
	return (size_t)(end - into) + sizeof(total_size);
}

/* A block being written to a buffer. After the first error, which is kept, further calls do nothing. */
struct block {
	struct buffer *buffer;
	size_t start;
	bool has_options;
	int error;
};

static void block_append(struct block *block, const void *bytes, size_t size)
{
	if (block->error == 0)
		block->error = buffer_append(block->buffer, bytes, size);
}

static struct block block_begin(struct buffer *buffer, enum block_type type, const void *body, size_t body_size)
{
	struct block block = {.buffer = buffer, .start = buffer->size};
	const struct block_header header = {.type = type};

	block_append(&block, &header, sizeof(header));
	block_append(&block, body, body_size);
	return block;
}

static void option_begin(struct block *block, enum option_code code, size_t size)
{
	const struct option_header header = {(uint16_t)code, (uint16_t)size};

	block_append(block, &header, sizeof(header));
	block->has_options = true;
}

static void option_finish(struct block *block)
{
	block_append(block, "\0\0\0", padding((uint32_t)block->buffer->size));
}

static void option_bytes(struct block *block, enum option_code code, const void *value, size_t size)
{
	option_begin(block, code, size);
	block_append(block, value, size);
	option_finish(block);
}

static void replace_invalid_utf8(char *text, size_t size)
{
	uint32_t code;

	for (size_t at = 0, used; at < size; at += used) {
		used = utf8_decode(text + at, size - at, &code);
		if (used == 0) {
			text[at] = '?';
			used = 1;
		}
	}
}

/* A text with a prefix of some bytes. NULL or empty: no option. */
static void option_prefixed(struct block *block, enum option_code code, const char *prefix, size_t prefix_size,
			    const char *text)
{
	if (!text || *text == '\0')
		return;

	size_t size = utf8_cut(text, strlen(text), OPTION_BYTES_MAX - prefix_size);
	option_begin(block, code, prefix_size + size);
	block_append(block, prefix, prefix_size);
	block_append(block, text, size);
	if (block->error == 0)
		replace_invalid_utf8(block->buffer->data + block->buffer->size - size, size);
	option_finish(block);
}

static void option_text(struct block *block, enum option_code code, const char *text)
{
	option_prefixed(block, code, "", 0, text);
}

/* Times in options are two words like those of packets, not one number. */
static void option_time(struct block *block, enum option_code code, uint64_t time_ns)
{
	const uint32_t words[] = {(uint32_t)(time_ns >> 32), (uint32_t)time_ns};

	if (time_ns != PACKET_UNKNOWN)
		option_bytes(block, code, words, sizeof(words));
}

static void option_count(struct block *block, enum option_code code, uint64_t count)
{
	if (count != PACKET_UNKNOWN)
		option_bytes(block, code, &count, sizeof(count));
}

static int block_end(struct block *block)
{
	const struct option_header end = {OPTION_END, 0};

	if (block->has_options)
		block_append(block, &end, sizeof(end));

	/* The size fits into 32 bits however many comments there are: the buffer's cap is below that. */
	uint32_t total_size = (uint32_t)(block->buffer->size - block->start + sizeof(total_size));
	block_append(block, &total_size, sizeof(total_size));
	if (block->error == 0)
		memcpy(block->buffer->data + block->start + offsetof(struct block_header, total_size), &total_size,
		       sizeof(total_size));
	return block->error;
}

static int append_section(struct buffer *buffer, const struct capture_file_info *info)
{
	const struct section_body body = {.magic = BYTE_ORDER_MAGIC, .major = 1, .minor = 0};
	struct block block = block_begin(buffer, BLOCK_SECTION, &body, sizeof(body));

	option_text(&block, SECTION_HARDWARE, info->hardware);
	option_text(&block, SECTION_OS, info->os);
	option_text(&block, SECTION_APPLICATION, info->application);
	for (size_t i = 0; i < info->comment_count; i++)
		option_text(&block, OPTION_COMMENT, info->comments[i]);
	return block_end(&block);
}

static int append_interface(struct buffer *buffer, const struct capture_file_info *info, size_t index)
{
	const struct packet_interface *interface = &info->interfaces[index];
	const struct interface_body body = {.linktype = interface->linktype, .snaplen = interface->snaplen};
	struct block block = block_begin(buffer, BLOCK_INTERFACE, &body, sizeof(body));
	static const uint8_t tsresol = TSRESOL_NS;
	static const char filter_is_text[1] = {FILTER_IS_TEXT};

	option_text(&block, INTERFACE_NAME, interface->name);
	option_text(&block, INTERFACE_DESCRIPTION, interface->description);
	option_bytes(&block, INTERFACE_TSRESOL, &tsresol, sizeof(tsresol));
	option_prefixed(&block, INTERFACE_FILTER, filter_is_text, sizeof(filter_is_text), interface->filter);
	option_text(&block, INTERFACE_OS, interface->os ? interface->os : info->os);
	return block_end(&block);
}

/* In the middle of the file: only what is known there. */
static int append_note(struct buffer *buffer, uint32_t index, uint64_t time_ns, uint64_t delivered)
{
	const struct statistics_body body = {
		.interface = index,
		.time_high = (uint32_t)(time_ns >> 32),
		.time_low = (uint32_t)time_ns,
	};
	struct block block = block_begin(buffer, BLOCK_STATISTICS, &body, sizeof(body));

	option_count(&block, STATISTICS_DELIVERED, delivered);
	return block_end(&block);
}

static int append_statistics(struct buffer *buffer, const struct packet_interface *interface, uint32_t index,
			     uint64_t delivered)
{
	const uint64_t time_ns = interface->end_ns != PACKET_UNKNOWN ? interface->end_ns : 0;
	const struct statistics_body body = {
		.interface = index,
		.time_high = (uint32_t)(time_ns >> 32),
		.time_low = (uint32_t)time_ns,
	};
	struct block block = block_begin(buffer, BLOCK_STATISTICS, &body, sizeof(body));

	option_time(&block, STATISTICS_START, interface->start_ns);
	option_time(&block, STATISTICS_END, interface->end_ns);
	option_count(&block, STATISTICS_RECEIVED, interface->received);
	option_count(&block, STATISTICS_DROPPED, interface->dropped);
	option_count(&block, STATISTICS_DELIVERED, delivered);
	option_text(&block, OPTION_COMMENT, interface->comment);
	return block_end(&block);
}

static int head(struct buffer *buffer, const struct capture_file_info *info, uint64_t bytes_after)
{
	int r = append_section(buffer, info);
	size_t section_header_size = buffer->size;

	for (size_t i = 0; r == 0 && i < info->interface_count; i++)
		r = append_interface(buffer, info, i);
	if (r < 0)
		return r;

	/* The section's length does not include its header. */
	uint64_t section_size = SECTION_SIZE_UNKNOWN;
	if (bytes_after != FORMAT_BYTES_UNKNOWN)
		section_size = buffer->size - section_header_size + bytes_after;
	memcpy(buffer->data + sizeof(struct block_header) + offsetof(struct section_body, size), &section_size,
	       sizeof(section_size));
	return 0;
}

/* Without counts there is no statistics block. */
static bool is_counted(const struct packet_interface *interface)
{
	return interface->received != PACKET_UNKNOWN || interface->dropped != PACKET_UNKNOWN;
}

static int tail(struct buffer *buffer, const struct capture_file_info *info, const uint64_t *delivered)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < info->interface_count; i++)
		if (info->noted_ns)
			r = append_note(buffer, (uint32_t)i, info->noted_ns, delivered[i]);
		else if (is_counted(&info->interfaces[i]))
			r = append_statistics(buffer, &info->interfaces[i], (uint32_t)i, delivered[i]);
	return r;
}

const struct file_format format_pcapng = {
	.extension = "pcapng",
	.interfaces_min = 0,
	.interfaces_max = UINT16_MAX + 1, /* range of packet_view's index */
	.framing_size = framing_size,
	.before = before,
	.after = after,
	.head = head,
	.tail = tail,
};
