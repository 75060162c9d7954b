/* SPDX-License-Identifier: BSD-2-Clause */
/* The packets of a source as file bytes: the part between a file's head and tail. */
#pragma once

#include "pcapng/file_format.h"

/* Far above any snap length; keeps a packet's block within 32-bit sizes. */
#define PACKET_BYTES_MAX ((uint32_t)1 << 30)

enum packet_part { PACKET_PART_BEFORE, PACKET_PART_DATA, PACKET_PART_AFTER, PACKET_PART_NONE };

struct packet_bytes {
	const struct file_format *format;
	struct packet_source packets;

	/* Reading position: `left` bytes at `at` are what remains of the current part. */
	enum packet_part part;
	const uint8_t *at;
	size_t left;
	struct packet_view packet;
	uint8_t scratch[FORMAT_FRAMING_MAX];
};

/*
 * Walks the source once: adds the bytes its packets will take to `*size_bytes` and their number per interface to
 * `delivered`. False if a packet's interface is beyond `interface_count` or the packet is too large.
 */
bool packet_bytes_measure(const struct packet_bytes *bytes, size_t interface_count, uint64_t *size_bytes,
			  uint64_t *delivered);

/* Goes back to before the first packet. */
void packet_bytes_rewind(struct packet_bytes *bytes);

/* Returns bytes put into `into`; fewer than `room` only at the end. */
size_t packet_bytes_read(struct packet_bytes *bytes, uint8_t *into, size_t room);
