/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each packet has three parts: the framing before it, its bytes, the framing after it. Reading copies from the current
 * part and moves on to the next. Framing is made in a small scratch when the reader gets there: any number of packets
 * costs the same memory, and reading them twice gives the same bytes.
 */
#include "pcapng/packet_bytes.h"

#include <string.h>

static void enter(struct packet_bytes *bytes, enum packet_part part, const void *at, size_t size)
{
	bytes->part = part;
	bytes->at = at;
	bytes->left = size;
}

static void enter_next_packet(struct packet_bytes *bytes)
{
	if (bytes->packets.next && bytes->packets.next(bytes->packets.ctx, &bytes->packet))
		enter(bytes, PACKET_PART_BEFORE, bytes->scratch, bytes->format->before(bytes->scratch, &bytes->packet));
	else
		enter(bytes, PACKET_PART_NONE, NULL, 0);
}

/* The current part is read. */
static void enter_next_part(struct packet_bytes *bytes)
{
	switch (bytes->part) {
	case PACKET_PART_BEFORE:
		enter(bytes, PACKET_PART_DATA, bytes->packet.data, bytes->packet.caplen);
		break;
	case PACKET_PART_DATA:
		enter(bytes, PACKET_PART_AFTER, bytes->scratch, bytes->format->after(bytes->scratch, &bytes->packet));
		break;
	case PACKET_PART_AFTER:
		enter_next_packet(bytes);
		break;
	case PACKET_PART_NONE:
		break;
	}
}

bool packet_bytes_measure(const struct packet_bytes *bytes, size_t interface_count, uint64_t *size_bytes,
			  uint64_t *delivered)
{
	struct packet_view packet;

	bytes->packets.rewind(bytes->packets.ctx);
	while (bytes->packets.next(bytes->packets.ctx, &packet)) {
		if (packet.interface >= interface_count || packet.caplen > PACKET_BYTES_MAX)
			return false;
		*size_bytes += (uint64_t)bytes->format->framing_size(&packet) + packet.caplen;
		delivered[packet.interface]++;
	}
	return true;
}

void packet_bytes_rewind(struct packet_bytes *bytes)
{
	bytes->packets.rewind(bytes->packets.ctx);
	/* As if a packet had just ended. */
	enter(bytes, PACKET_PART_AFTER, NULL, 0);
}

size_t packet_bytes_read(struct packet_bytes *bytes, uint8_t *into, size_t room)
{
	size_t done = 0;

	while (done < room) {
		while (bytes->left == 0 && bytes->part != PACKET_PART_NONE)
			enter_next_part(bytes);
		if (bytes->part == PACKET_PART_NONE)
			break;

		size_t size = bytes->left < room - done ? bytes->left : room - done;
		memcpy(into + done, bytes->at, size);
		bytes->at += size;
		bytes->left -= size;
		done += size;
	}
	return done;
}
