/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One buffer holds the head until `end` puts the tail there; between the two come the packets of the piece added last.
 * Packets per interface are counted while pieces are added.
 */
#include "pcapng/capture_pieces.h"

#include <errno.h>
#include <string.h>

#include "pcapng/packet_bytes.h"

struct capture_pieces {
	struct buffer text; /* head or tail */
	size_t text_read;
	struct packet_bytes packets;
	uint64_t left_bytes;
	size_t interface_count;
	uint64_t *delivered, *delivered_next; /* by interface; the latter is for the piece being added */
};

struct capture_pieces *capture_pieces_new(enum capture_file_format format, const struct capture_file_info *info)
{
	cleanup(cleanup_capture_pieces) struct capture_pieces *pieces = calloc(1, sizeof(*pieces));
	const struct file_format *file_format = file_format_of(format);

	if (!pieces || info->interface_count < file_format->interfaces_min ||
	    info->interface_count > file_format->interfaces_max)
		return NULL;
	pieces->packets = (struct packet_bytes){.format = file_format, .part = PACKET_PART_NONE};
	pieces->interface_count = info->interface_count;
	pieces->delivered = calloc(info->interface_count + 1, sizeof(*pieces->delivered));
	pieces->delivered_next = calloc(info->interface_count + 1, sizeof(*pieces->delivered_next));
	pieces->text.cap_bytes = FORMAT_HEAD_TAIL_MAX;
	if (!pieces->delivered || !pieces->delivered_next ||
	    file_format->head(&pieces->text, info, FORMAT_BYTES_UNKNOWN) < 0)
		return NULL;
	pieces->left_bytes = pieces->text.size;
	return take(pieces);
}

void capture_pieces_free(struct capture_pieces *pieces)
{
	if (!pieces)
		return;

	buffer_deinit(&pieces->text);
	free(pieces->delivered);
	free(pieces->delivered_next);
	free(pieces);
}

int capture_pieces_add(struct capture_pieces *pieces, struct packet_source packets)
{
	struct packet_bytes next = {.format = pieces->packets.format, .packets = packets};
	uint64_t size_bytes = 0;

	if (pieces->left_bytes > pieces->text.size - pieces->text_read)
		return -EBUSY;
	memcpy(pieces->delivered_next, pieces->delivered, pieces->interface_count * sizeof(*pieces->delivered));
	if (!packet_bytes_measure(&next, pieces->interface_count, &size_bytes, pieces->delivered_next))
		return -EINVAL;

	uint64_t *delivered = pieces->delivered;
	pieces->delivered = pieces->delivered_next;
	pieces->delivered_next = delivered;
	pieces->packets = next;
	pieces->left_bytes += size_bytes;
	packet_bytes_rewind(&pieces->packets);
	return 0;
}

static int add_tail(struct capture_pieces *pieces, const struct capture_file_info *info)
{
	if (pieces->left_bytes > 0)
		return -EBUSY;
	buffer_clear(&pieces->text);
	pieces->text_read = 0;
	int r = pieces->packets.format->tail(&pieces->text, info, pieces->delivered);
	if (r < 0)
		buffer_clear(&pieces->text);
	pieces->left_bytes = pieces->text.size;
	return r;
}

int capture_pieces_note(struct capture_pieces *pieces, const struct packet_interface *interfaces, uint64_t time_ns)
{
	return add_tail(pieces, &(struct capture_file_info){.interfaces = interfaces,
							    .interface_count = pieces->interface_count,
							    .noted_ns = time_ns});
}

int capture_pieces_end(struct capture_pieces *pieces, const struct packet_interface *interfaces)
{
	return add_tail(pieces, &(struct capture_file_info){.interfaces = interfaces,
							    .interface_count = pieces->interface_count});
}

size_t capture_pieces_read(struct capture_pieces *pieces, uint8_t *into, size_t room)
{
	size_t done = buffer_read(&pieces->text, &pieces->text_read, into, room);

	done += packet_bytes_read(&pieces->packets, into + done, room - done);
	pieces->left_bytes -= done;
	return done;
}

uint64_t capture_pieces_left(const struct capture_pieces *pieces)
{
	return pieces->left_bytes;
}
