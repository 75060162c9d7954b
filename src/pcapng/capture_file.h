/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets → the bytes of a capture file (pcapng or pcap), made as they are read. No I/O, no copy of the packets: a
 * reader gets the file's bytes straight from the packets' memory. Formats: draft-ietf-opsawg-pcapng (EPB, IDB, ISB,
 * SHB), draft-ietf-opsawg-pcap (nanosecond magic 0xa1b23c4d).
 */
#pragma once

#include <stddef.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/packet.h"

struct capture_file;

struct capture_file_info {
	const char *hardware, *os, *application; /* section header options; NULL: omitted */
	const char *const *comments;		 /* section header comments (opt_comment), in this order */
	size_t comment_count;
	const struct packet_interface *interfaces;
	size_t interface_count; /* pcap: exactly one */
	uint64_t noted_ns;	/* Unix time: of counts in the middle of a file; 0: they end it */
};

enum capture_file_format { CAPTURE_FILE_PCAPNG, CAPTURE_FILE_PCAP };

/*
 * Walks `packets` once to learn the size. `info` is copied; the packets' memory must outlive the file. NULL on ENOMEM,
 * for pcap with other than one interface, or if a packet's interface is not in `info`.
 */
struct capture_file *capture_file_new(enum capture_file_format format, const struct capture_file_info *info,
				      struct packet_source packets);
void capture_file_free(struct capture_file *file);

/* The file as a stream; valid as long as the file. Its streams share one position: one reader at a time. */
struct byte_stream capture_file_stream(struct capture_file *file);

#define CAPTURE_FILE_NAME_SIZE 256

/*
 * "<node>-<interface>-<YYYYMMDDTHHMMSS.mmmZ>-<id>.<extension>", every part reduced to [A-Za-z0-9._-] (anything else
 * becomes "_"; no part is empty, begins with a dot or is longer than 64 bytes). Returns `name`.
 */
/* What every such name of a node begins with. Returns `prefix`. */
const char *capture_file_name_prefix(char prefix[static CAPTURE_FILE_NAME_SIZE], const char *node);

const char *capture_file_name(char name[static CAPTURE_FILE_NAME_SIZE], const char *node, const char *interface,
			      uint64_t time_ns, const char *id, enum capture_file_format format);

CLEANUP_DEFINE(capture_file, struct capture_file, capture_file_free)
