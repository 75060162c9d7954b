/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a capture file as it arrives: pcapng (draft-ietf-opsawg-pcapng; both byte orders, any number of sections) or
 * pcap (micro- or nanoseconds, both byte orders). Strict: a violation of the format ends the reading with an error that
 * gives the position, after all items before it. Memory: one block (PCAPNG_BLOCK_MAX) that grows only as its bytes
 * come, a few numbers per interface. Not thread-safe; blocks only if the source does.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/packet.h"

/* The largest block that is read, in bytes, as in libpcap. Ignored types may have any size. */
#define PCAPNG_BLOCK_MAX ((uint32_t)16 << 20)
/* The largest packet block, with its options; also the most memory a reader keeps between blocks. */
#define PCAPNG_PACKET_BLOCK_MAX ((uint32_t)512 << 10)
/* The largest packet, in bytes, as in libpcap and Wireshark. */
#define PCAPNG_PACKET_MAX PACKET_SNAPLEN_MAX
#define PCAPNG_INTERFACES_MAX 4096 /* in all sections of a file */
#define PCAPNG_COMMENTS_MAX 4096   /* in one block */

struct pcapng_reader;

/* Where the bytes come from. Reads never go beyond the current block (before that, the file's first few bytes). */
struct pcapng_bytes {
	/* Returns bytes put into `into`; 0: end of file; -EAGAIN: none yet; other negative errno: failure. */
	ssize_t (*read)(void *ctx, uint8_t *into, size_t room);
	void *ctx;
};

/* NULL: not in the file. */
struct pcapng_section {
	const char *hardware, *os, *application;
};

/* PACKET_UNKNOWN: not in the file. */
struct pcapng_statistics {
	uint64_t time_ns, start_ns, end_ns;
	uint64_t received, dropped; /* as in struct packet_interface */
};

enum pcapng_item_kind { PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET, PCAPNG_STATISTICS };

/*
 * One block. What it points to is valid until the next call. Text ends at its first NUL and may be invalid UTF-8.
 */
struct pcapng_item {
	enum pcapng_item_kind kind;
	uint16_t interface; /* all but sections: numbered through all sections of the file */
	union {
		struct pcapng_section section;
		struct packet_interface description; /* of the interface; counts and times PACKET_UNKNOWN */
		struct packet_view packet;	     /* of a simple packet block: with the time of the packet before */
		struct pcapng_statistics statistics; /* totals: a later block replaces an earlier one */
	};
	const char *const *comments; /* of this block, in file order */
	size_t comment_count;
	uint64_t data_at; /* packet: offset of its bytes in the file */
};

/* NULL on ENOMEM. */
struct pcapng_reader *pcapng_reader_new(struct pcapng_bytes bytes);
void pcapng_reader_free(struct pcapng_reader *reader);

/* Starts at the beginning of a file again, as after _new; the source must be rewound, too. Keeps its memory. */
void pcapng_reader_rewind(struct pcapng_reader *reader);

/*
 * 1: an item; 0: the end; -EAGAIN: no bytes yet, call again. Any other error is final, and further calls return the
 * same: -ENODATA cut short, -EBADMSG malformed, -EMSGSIZE beyond a cap, -ENOMEM, or the source's error.
 */
warn_unused int pcapng_reader_next(struct pcapng_reader *reader, struct pcapng_item *item, struct error *error);

/* Blocks ignored so far: names, secrets, custom and unknown ones. */
uint64_t pcapng_reader_skipped(const struct pcapng_reader *reader);

CLEANUP_DEFINE(pcapng_reader, struct pcapng_reader, pcapng_reader_free)
