/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file format adds to packets: a head before all, framing around each, a tail after all. The packets' own bytes
 * never pass through here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/packet.h"
#include "pcapng/capture_file.h"

/* The most bytes a format puts before or after a packet's bytes. */
#define FORMAT_FRAMING_MAX 32

/* Bytes of the head and of the tail. The format cuts interface and comment texts at 64 KiB; this bounds their number.
 */
#define FORMAT_HEAD_TAIL_MAX ((size_t)64 * 1024 * 1024)

/* The file's length is not known yet. */
#define FORMAT_BYTES_UNKNOWN UINT64_MAX

struct file_format {
	const char *extension;
	size_t interfaces_min, interfaces_max;

	/* Bytes of `before` and `after` together. */
	uint32_t (*framing_size)(const struct packet_view *packet);
	size_t (*before)(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet);
	size_t (*after)(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet);

	/* 0, -ENOMEM or -EMSGSIZE (the buffer's cap). `bytes_after` follow the head, or FORMAT_BYTES_UNKNOWN. */
	int (*head)(struct buffer *buffer, const struct capture_file_info *info, uint64_t bytes_after);
	/* `delivered`: packets in the file, by interface. */
	int (*tail)(struct buffer *buffer, const struct capture_file_info *info, const uint64_t *delivered);
};

extern const struct file_format format_pcapng;
extern const struct file_format format_pcap;

const struct file_format *file_format_of(enum capture_file_format format);
