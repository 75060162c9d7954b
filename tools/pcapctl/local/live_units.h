/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file that streams past (pcapng or classic pcap, of either byte order), cut where a block or record ends: so
 * that what was written is a valid file even if the stream breaks off. Counts the packets. Does no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

#define LIVE_UNIT_BYTES_MAX ((size_t)64 << 20) /* of a block; interfaces and their texts may be many */
#define LIVE_UNITS_BYTES_MAX (LIVE_UNIT_BYTES_MAX + ((size_t)2 << 20))

enum live_units_kind { LIVE_UNITS_UNKNOWN, LIVE_UNITS_PCAPNG, LIVE_UNITS_PCAP };

struct live_units {
	struct buffer bytes;
	size_t whole_bytes; /* at the start of `bytes`: whole units */
	uint64_t packets, packet_bytes;
	uint64_t first_ns, last_ns; /* real time of the earliest and latest packet; stamps count nanoseconds */
	enum live_units_kind kind;
	bool swapped;
};

#define LIVE_UNITS_INIT                                    \
	{                                                  \
		.bytes = BUFFER_INIT(LIVE_UNITS_BYTES_MAX) \
	}

/* 0, -EBADMSG (no such file), -EMSGSIZE or -ENOMEM. */
warn_unused int live_units_feed(struct live_units *units, const void *bytes, size_t size);

/* Removes the first `size` bytes, at most whole_bytes. */
void live_units_drop(struct live_units *units, size_t size);

void live_units_deinit(struct live_units *units);
