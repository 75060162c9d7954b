/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several capture files (pcapng or pcap) → one pcapng file in the order of time, made while it is read. Packets of the
 * same time come in the order of the inputs, and of one input in the order of its file.
 *
 * Kept: every interface, named "LABEL:NAME" and described, with link type, snap length, filter, system and counts;
 * every packet with its direction and flags; every comment of a section, behind "LABEL: ". A comment of the new file's
 * own says what was merged. Left out: comments of packets, interfaces and statistics, names, secrets.
 *
 * Inputs are read three times: to learn what is in them, to learn the new file's size, and for its bytes. A file that
 * is broken or cut short is merged up to there, which its report says. Files whose packets are not in order come out in
 * order if no packet stands more than PCAPNG_MERGE_WINDOW (shared by all such inputs) packets too late in its file.
 *
 * Memory: a packet (PCAPNG_PACKET_BLOCK_MAX) and 16 KiB an input, 8 MiB of texts, 8 MiB of interfaces, 8 MiB for
 * sorting. One reader at a time, any thread; blocks as far as the inputs do.
 */
#pragma once

#include <stddef.h>

#include "base/byte_range.h"
#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/error.h"

#define PCAPNG_MERGE_INPUTS_MAX 1024
#define PCAPNG_MERGE_INTERFACES_MAX 65536
#define PCAPNG_MERGE_TEXT_MAX ((size_t)8 << 20) /* bytes; an equal share for each input */
#define PCAPNG_MERGE_WINDOW 131072		/* packets */

struct pcapng_merge;

struct pcapng_merge_input {
	const char *label; /* the node's name */
	struct byte_range bytes;
};

struct pcapng_merge_report {
	uint64_t packets;
	size_t interfaces;
	uint64_t left_out; /* comments and other texts */
	int error_code;	   /* 0: read to its end; else as of pcapng_reader_next */
	const char *error; /* what went wrong */
};

/*
 * Reads all inputs. `application` is what makes the file, for its section header; labels are copied; the inputs' bytes
 * must stay, and stay as they are. 0, -ENOMEM, -E2BIG: too many inputs, or as pcapng_merge_failed() says.
 */
warn_unused int pcapng_merge_new(const struct pcapng_merge_input *inputs, size_t count, const char *application,
				 struct pcapng_merge **merge, struct error *error);
void pcapng_merge_free(struct pcapng_merge *merge);

/* What became of an input; valid as long as the merge. */
struct pcapng_merge_report pcapng_merge_report(const struct pcapng_merge *merge, size_t input);

/* Packets that come out behind a later one. */
uint64_t pcapng_merge_late(const struct pcapng_merge *merge);

/* The new file; valid as long as the merge. */
struct byte_stream pcapng_merge_stream(struct pcapng_merge *merge);

/* Negative if an input could not be read any more, or was no longer what it was: then the stream ends too early. */
int pcapng_merge_failed(const struct pcapng_merge *merge, struct error *error);

CLEANUP_DEFINE(pcapng_merge, struct pcapng_merge, pcapng_merge_free)
