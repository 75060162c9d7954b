/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a capture file as it arrives: pcapng (draft-ietf-opsawg-pcapng; both byte orders, any number of sections) or
 * pcap (micro- or nanoseconds, both byte orders). Strict: what breaks a rule of the format ends the reading with an
 * error that says where, after everything up to there has been given. Memory: one block (PCAPNG_BLOCK_MAX) that grows
 * only as its bytes come, some numbers an interface. Not thread-safe; blocks as far as the source does.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/packet.h"

/* A block that is looked into, in bytes; as libpcap. Others are skipped, whatever their size. */
#define PCAPNG_BLOCK_MAX ((uint32_t)16 << 20)
/* Of these a block that holds a packet, with its options; what a reader keeps between two blocks. */
#define PCAPNG_PACKET_BLOCK_MAX ((uint32_t)512 << 10)
/* Of one packet, in bytes; as libpcap and Wireshark. */
#define PCAPNG_PACKET_MAX PACKET_SNAPLEN_MAX
#define PCAPNG_INTERFACES_MAX 4096 /* of one file, all its sections together */
#define PCAPNG_COMMENTS_MAX 4096   /* of one block */

struct pcapng_reader;

/* Where the bytes come from. Asked for no more than the file's next few bytes or the block that it stands in. */
struct pcapng_bytes {
	/* Bytes put into `into`, 0 at the end of the file, -EAGAIN: none yet, other -errno: reading fails. */
	ssize_t (*read)(void *ctx, uint8_t *into, size_t room);
	void *ctx;
};

/* NULL: not said. */
struct pcapng_section {
	const char *hardware, *os, *application;
};

/* PACKET_UNKNOWN: not said. */
struct pcapng_statistics {
	uint64_t time_ns, start_ns, end_ns;
	uint64_t received, dropped; /* as in struct packet_interface */
};

enum pcapng_item_kind { PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET, PCAPNG_STATISTICS };

/*
 * One block. What it points to stays valid until the next call. Text ends at its first NUL; whether it is UTF-8 is not
 * checked.
 */
struct pcapng_item {
	enum pcapng_item_kind kind;
	uint16_t interface; /* all but sections: counted through all sections of the file */
	union {
		struct pcapng_section section;
		struct packet_interface description; /* of the interface; counts and times PACKET_UNKNOWN */
		struct packet_view packet; /* one of a simple packet block has the time of the packet before */
		struct pcapng_statistics statistics; /* counts so far: a later block replaces an earlier one */
	};
	const char *const *comments; /* of this block, in their order */
	size_t comment_count;
	uint64_t data_at; /* packet: where its bytes begin in the file */
};

/* NULL on ENOMEM. */
struct pcapng_reader *pcapng_reader_new(struct pcapng_bytes bytes);
void pcapng_reader_free(struct pcapng_reader *reader);

/* To the beginning of a file, as after _new: the source must have gone back, too. Keeps its memory. */
void pcapng_reader_rewind(struct pcapng_reader *reader);

/*
 * 1: an item, 0: the end, -EAGAIN: no bytes yet, to be called again. Else the file is over, and every further call says
 * the same: -ENODATA cut short, -EBADMSG malformed, -EMSGSIZE beyond a cap, -ENOMEM, or what the source said.
 */
warn_unused int pcapng_reader_next(struct pcapng_reader *reader, struct pcapng_item *item, struct error *error);

/* Blocks so far that hold nothing for us: names, secrets, custom and unknown ones. */
uint64_t pcapng_reader_skipped(const struct pcapng_reader *reader);

CLEANUP_DEFINE(pcapng_reader, struct pcapng_reader, pcapng_reader_free)
