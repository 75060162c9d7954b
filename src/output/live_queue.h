/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets of a running capture on their way to its reader: pieces come in by interface, batches in time order go
 * out. Memory is given back as batches are read. Not thread-safe, does not block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/packet.h"

struct live_queue;
struct store;

#define LIVE_QUEUE_BATCH_PACKETS 4096

/* For pieces of this many parts, of which `packets` and `bytes` are delivered in all. NULL on ENOMEM. */
struct live_queue *live_queue_new(size_t parts, uint64_t packets, uint64_t bytes);
void live_queue_free(struct live_queue *queue);

/* Packets of the part get this interface index; before the first batch. */
void live_queue_set_interface(struct live_queue *queue, size_t part, uint16_t interface);

/* Takes the packets, which are sealed and later than the part's before. 0, or -ENOMEM: they are left where they are. */
warn_unused int live_queue_add(struct live_queue *queue, size_t part, struct store *packets);

/*
 * Begins a batch: packets that arrived before `until_ns` (boot time), at most LIVE_QUEUE_BATCH_PACKETS. The batch
 * before must have been walked; its memory is given back.
 */
void live_queue_begin_batch(struct live_queue *queue, uint64_t until_ns);

/* The batch; valid until the next one begins. */
struct packet_source live_queue_batch(struct live_queue *queue);

/* Whether nothing is left for another batch; valid once a batch was walked. */
bool live_queue_is_empty(const struct live_queue *queue);

/* Packets of all batches walked so far. */
uint64_t live_queue_packets(const struct live_queue *queue);
uint64_t live_queue_bytes(const struct live_queue *queue);

CLEANUP_DEFINE(live_queue, struct live_queue, live_queue_free)
