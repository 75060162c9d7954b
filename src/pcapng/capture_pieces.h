/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file whose packets come one piece after the other and whose size nobody knows when its first byte is read:
 *
 *	new → read until 0 → { add → read until 0 }… → end → read until 0
 *
 * The file says that its length is not known (pcapng: section length -1). Not thread-safe, does not block.
 */
#pragma once

#include "pcapng/capture_file.h"

struct capture_pieces;

/* `info` is copied but for the interfaces' counts and times, which `capture_pieces_end` takes. NULL on ENOMEM, for pcap
 * with other than one interface, or if what `info` says takes over FORMAT_HEAD_TAIL_MAX. */
struct capture_pieces *capture_pieces_new(enum capture_file_format format, const struct capture_file_info *info);
void capture_pieces_free(struct capture_pieces *pieces);

/*
 * More packets, later ones than those of the piece before. Walks them once; they must stay until they are read or the
 * pieces are freed. 0; -EINVAL if one names an interface that there isn't, -EBUSY while packets of the piece before are
 * left to be read: then nothing is added.
 */
warn_unused int capture_pieces_add(struct capture_pieces *pieces, struct packet_source packets);

/* No more packets. Takes counts and times of the interfaces, as many as there were at the start. 0, -ENOMEM,
 * -EBUSY while anything is left to be read. */
warn_unused int capture_pieces_end(struct capture_pieces *pieces, const struct packet_interface *interfaces);

/* Bytes put into `into`; fewer than `room` once all that has been added is read. */
size_t capture_pieces_read(struct capture_pieces *pieces, uint8_t *into, size_t room);

/* What is there to be read, in bytes. */
uint64_t capture_pieces_left(const struct capture_pieces *pieces);

CLEANUP_DEFINE(capture_pieces, struct capture_pieces, capture_pieces_free)
