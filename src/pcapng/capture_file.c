/*
 * A capture file as a sequence of pieces: head, then for each packet what stands before it, its bytes, what stands
 * after it, and at last the tail. Reading copies from the piece it stands in and goes on to the next. Head and tail are
 * made once; what stands around packets is made in a small scratch when the reader gets there. So a file costs the same
 * memory however many packets it has, and reading it twice gives the same bytes.
 */
#include "pcapng/capture_file.h"

#include <stdlib.h>
#include <string.h>

#include "pcapng/format.h"

/* Of head and tail each. Interface and comment texts are cut at 64 KiB by the format; this bounds their number. */
#define ENDS_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Far above any snap length; keeps a packet's block within the formats' 32-bit sizes. */
#define PACKET_BYTES_MAX ((uint32_t)1 << 30)

enum part { PART_HEAD, PART_BEFORE, PART_PACKET, PART_AFTER, PART_TAIL, PART_END };

struct capture_file {
	const struct file_format *format;
	struct packet_source packets;
	struct buffer head, tail;
	uint64_t size_bytes;

	/* Reading position: `left` bytes at `at` are what remains of the current piece. */
	enum part part;
	const uint8_t *at;
	size_t left;
	struct packet_view packet;
	uint8_t scratch[FORMAT_AROUND_MAX];
};

const struct file_format *file_format_of(enum capture_file_format format)
{
	return format == CAPTURE_FILE_PCAP ? &format_pcap : &format_pcapng;
}

static void enter(struct capture_file *file, enum part part, const void *bytes, size_t size)
{
	file->part = part;
	file->at = bytes;
	file->left = size;
}

static void rewind_file(void *ctx)
{
	struct capture_file *file = ctx;

	file->packets.rewind(file->packets.ctx);
	enter(file, PART_HEAD, file->head.data, file->head.size);
}

static void enter_next_packet(struct capture_file *file)
{
	if (file->packets.next(file->packets.ctx, &file->packet))
		enter(file, PART_BEFORE, file->scratch, file->format->before(file->scratch, &file->packet));
	else
		enter(file, PART_TAIL, file->tail.data, file->tail.size);
}

/* The current piece is used up. */
static void enter_next_part(struct capture_file *file)
{
	switch (file->part) {
	case PART_HEAD:
	case PART_AFTER:
		enter_next_packet(file);
		break;
	case PART_BEFORE:
		enter(file, PART_PACKET, file->packet.data, file->packet.caplen);
		break;
	case PART_PACKET:
		enter(file, PART_AFTER, file->scratch, file->format->after(file->scratch, &file->packet));
		break;
	case PART_TAIL:
	case PART_END:
		enter(file, PART_END, NULL, 0);
		break;
	}
}

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct capture_file *file = ctx;
	size_t done = 0;

	while (done < room) {
		while (file->left == 0 && file->part != PART_END)
			enter_next_part(file);
		if (file->part == PART_END)
			break;

		size_t size = file->left < room - done ? file->left : room - done;
		memcpy(into + done, file->at, size);
		file->at += size;
		file->left -= size;
		done += size;
	}
	return done;
}

/* Adds up what the packets will take; false if one can't stand in such a file. */
static bool measure(struct capture_file *file, const struct capture_file_info *info, uint64_t *delivered)
{
	struct packet_view packet;

	file->packets.rewind(file->packets.ctx);
	while (file->packets.next(file->packets.ctx, &packet)) {
		if (packet.interface >= info->interface_count || packet.caplen > PACKET_BYTES_MAX)
			return false;
		file->size_bytes += (uint64_t)file->format->around_size(&packet) + packet.caplen;
		delivered[packet.interface]++;
	}
	return true;
}

struct capture_file *capture_file_new(enum capture_file_format format, const struct capture_file_info *info,
				      struct packet_source packets)
{
	cleanup(cleanup_capture_file) struct capture_file *file = calloc(1, sizeof(*file));
	cleanup(cleanup_free) uint64_t *delivered = calloc(info->interface_count + 1, sizeof(*delivered));

	if (!file || !delivered)
		return NULL;
	file->format = file_format_of(format);
	file->packets = packets;
	file->head.cap_bytes = ENDS_BYTES_MAX;
	file->tail.cap_bytes = ENDS_BYTES_MAX;

	if (info->interface_count < file->format->interfaces_min ||
	    info->interface_count > file->format->interfaces_max || !measure(file, info, delivered))
		return NULL;
	if (file->format->tail(&file->tail, info, delivered) < 0)
		return NULL;
	file->size_bytes += file->tail.size;
	if (file->format->head(&file->head, info, file->size_bytes) < 0)
		return NULL;
	file->size_bytes += file->head.size;
	rewind_file(file);
	return take(file);
}

void capture_file_free(struct capture_file *file)
{
	if (!file)
		return;

	buffer_deinit(&file->head);
	buffer_deinit(&file->tail);
	free(file);
}

struct byte_stream capture_file_stream(struct capture_file *file)
{
	return (struct byte_stream){.size_bytes = file->size_bytes,
				    .read = read_file,
				    .rewind = rewind_file,
				    .ctx = file};
}
