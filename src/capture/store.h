/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A consumer's copied packets, in slabs that are charged to one budget shared by all consumers. One worker at a time
 * writes; after sealing, any number of readers may read.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/packet.h"
#include "base/slab_pool.h"

/* Limits all captured bytes that are not delivered yet, and provides their slabs. Any thread. */
struct budget {
	size_t limit_bytes;
	_Atomic size_t used_bytes;
	struct slab_pool *slabs;
	struct budget *parent; /* what is charged here is charged there, too; NULL: none */
};

/* Charges other memory that grows with captures. False: the budget is spent. */
warn_unused bool budget_charge(struct budget *budget, size_t bytes);
void budget_return(struct budget *budget, size_t bytes);

struct slab;

struct store {
	struct budget *budget;
	struct slab *first, *last;
	size_t charged_bytes;
	uint64_t packets;
	uint64_t latest_ns;		   /* arrival of the last packet added */
	bool out_of_order;		   /* a packet arrived before the one added before it */
	const struct store_record **order; /* when sealed and out_of_order: the records sorted by arrival */
	uint64_t order_packets;		   /* the memory to sort this many is charged */
};

void store_init(struct store *store, struct budget *budget);

/* Frees the packets and returns their charge to the budget. */
void store_deinit(struct store *store);

/* Moves the packets of `from` to `into`, which is overwritten; `from` is empty then. */
void store_move(struct store *into, struct store *from);

/* Adds one packet: `head_size` bytes from `head` (may be 0), the rest of packet->caplen from packet->data. Returns 0,
 * -ENOBUFS (budget spent) or -ENOMEM. Allocates only when a slab is full. Out of time order, packets are charged with
 * what sorting them will take, so that a spent budget does not prevent it. */
warn_unused int store_add(struct store *store, const struct packet_view *packet, const uint8_t *head,
			  uint32_t head_size);

/* Ends writing and sorts the packets by time (different CPUs' packets reach a ring slightly out of order). Returns 0 or
 * -ENOMEM; the packets are then readable unsorted. */
warn_unused int store_seal(struct store *store);

/* The position of one reader in a sealed store. */
struct store_reader {
	const struct store *store;
	const struct slab *slab;
	size_t offset; /* byte offset in the slab, or index into `order` */
};

void store_reader_init(struct store_reader *reader, const struct store *store);
bool store_reader_next(struct store_reader *reader, struct packet_view *packet);

/* The reader as a packet_source, valid as long as the reader. */
struct packet_source store_reader_source(struct store_reader *reader);
