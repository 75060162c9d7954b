/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several capture files (pcapng or pcap) → one pcapng file in time order, made as it is read. Packets with the same
 * time keep the order of the inputs, and within an input the order of its file.
 *
 * Kept: every interface, named "LABEL:NAME" and described, with link type, snap length, filter, system and counts;
 * every packet with its direction and flags; every section comment, prefixed with "LABEL: ". The new file's first
 * comment lists the inputs. Omitted: comments of packets, interfaces and statistics, names, secrets.
 *
 * Inputs are read three times: for their contents, for the new file's size, and for its bytes. A file that is malformed
 * or cut short is merged up to there, and its report has the error. Files out of order are sorted if no packet is more
 * than PCAPNG_MERGE_WINDOW (shared by all such inputs) packets too late in its file.
 *
 * Memory: a packet (PCAPNG_PACKET_BLOCK_MAX) and 16 KiB per input, 8 MiB of texts, 8 MiB of interfaces, 8 MiB for
 * sorting. One reader at a time, any thread; blocks only if reading the inputs does.
 */
#pragma once

#include <stddef.h>

#include "base/byte_range.h"
#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/error.h"

#define PCAPNG_MERGE_INPUTS_MAX 1024
#define PCAPNG_MERGE_INTERFACES_MAX 65536
#define PCAPNG_MERGE_TEXT_MAX ((size_t)8 << 20) /* bytes; each input has an equal share */
#define PCAPNG_MERGE_WINDOW 131072		/* packets */

struct pcapng_merge;

struct pcapng_merge_input {
	const char *label; /* the node's name */
	struct byte_range bytes;
};

/* What the new file says of how it was made. */
struct pcapng_merge_maker {
	const char *application; /* for the section header */
	const char *missing;	 /* for the first comment: what is not in it; NULL: nothing */
};

struct pcapng_merge_report {
	uint64_t packets;
	size_t interfaces;
	uint64_t texts_omitted; /* comments and other texts */
	int error_code;		/* 0: read to its end; else from pcapng_reader_next */
	const char *error;
};

/*
 * Reads all inputs. Labels are copied; `maker->application` and the inputs' bytes must stay valid and unchanged. 0,
 * -ENOMEM, -E2BIG (too many inputs), or the result of pcapng_merge_failed().
 */
warn_unused int pcapng_merge_new(const struct pcapng_merge_input *inputs, size_t count,
				 const struct pcapng_merge_maker *maker, struct pcapng_merge **merge,
				 struct error *error);
void pcapng_merge_free(struct pcapng_merge *merge);

/* The report on an input; valid as long as the merge. */
struct pcapng_merge_report pcapng_merge_report(const struct pcapng_merge *merge, size_t input);

/* Packets that follow a later one in the new file. */
uint64_t pcapng_merge_late(const struct pcapng_merge *merge);

/* The new file; valid as long as the merge. */
struct byte_stream pcapng_merge_stream(struct pcapng_merge *merge);

/* Negative if an input could not be read again or had changed: then the stream ends too early. */
int pcapng_merge_failed(const struct pcapng_merge *merge, struct error *error);

CLEANUP_DEFINE(pcapng_merge, struct pcapng_merge, pcapng_merge_free)
