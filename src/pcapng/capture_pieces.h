/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file whose packets come in pieces and whose size is not known when its first byte is read:
 *
 *	new → read until 0 → { add → read until 0 }… → end → read until 0
 *
 * The file's header gives no length (pcapng: section length -1). Not thread-safe, does not block.
 */
#pragma once

#include "pcapng/capture_file.h"

struct capture_pieces;

/* Copies `info` but for the interfaces' counts and times, which `capture_pieces_end` takes. NULL on ENOMEM, for pcap
 * with other than one interface, or if the file's head would exceed FORMAT_HEAD_TAIL_MAX. */
struct capture_pieces *capture_pieces_new(enum capture_file_format format, const struct capture_file_info *info);
void capture_pieces_free(struct capture_pieces *pieces);

/*
 * Adds a piece of packets, later than those of the piece before. Walks them once; they must stay valid until they are
 * read or the pieces are freed. 0, or nothing is added: -EINVAL if a packet's interface does not exist, -EBUSY while
 * packets of the piece before are unread.
 */
warn_unused int capture_pieces_add(struct capture_pieces *pieces, struct packet_source packets);

/* Adds the interfaces' counts of delivered packets so far, as of this time (Unix): something to send while no packet
 * comes. pcap has no place for it, so nothing is added. Returns as capture_pieces_end. */
warn_unused int capture_pieces_note(struct capture_pieces *pieces, const struct packet_interface *interfaces,
				    uint64_t time_ns);

/* Ends the file with counts and times of the interfaces, the same number as at the start. 0, -ENOMEM, or -EBUSY while
 * anything is unread. */
warn_unused int capture_pieces_end(struct capture_pieces *pieces, const struct packet_interface *interfaces);

/* Returns bytes put into `into`; fewer than `room` once everything added so far is read. */
size_t capture_pieces_read(struct capture_pieces *pieces, uint8_t *into, size_t room);

/* Bytes added and not read yet. */
uint64_t capture_pieces_left(const struct capture_pieces *pieces);

CLEANUP_DEFINE(capture_pieces, struct capture_pieces, capture_pieces_free)
