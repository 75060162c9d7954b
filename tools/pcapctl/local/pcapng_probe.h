/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the packets of a pcapng file that streams past, and finds its first comment. Keeps only the first section's
 * header. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

#define PCAPNG_PROBE_HEADER_MAX ((size_t)16 << 10) /* bytes of the section's header */

struct pcapng_probe {
	uint64_t packets;
	uint8_t head[12];	   /* of the next block */
	size_t head_bytes;	   /* of `head` that have arrived */
	uint64_t block_left_bytes; /* of the current block that have not arrived */
	bool swapped, in_header, header_seen;
	bool invalid; /* not pcapng: the rest is ignored */
	struct buffer header;
};

#define PCAPNG_PROBE_INIT                                      \
	{                                                      \
		.header = BUFFER_INIT(PCAPNG_PROBE_HEADER_MAX) \
	}

void pcapng_probe_feed(struct pcapng_probe *probe, const void *bytes, size_t size);

/* The first section's first comment, cut to `room`. False: there is none. */
bool pcapng_probe_comment(const struct pcapng_probe *probe, char *text, size_t room);

void pcapng_probe_deinit(struct pcapng_probe *probe);
