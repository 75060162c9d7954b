/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A consumer's own memory: the packets it took, copied out of the ring into slabs that are charged to one budget shared
 * by all consumers. Written by one worker at a time, then sealed, then read by any number of readers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/packet.h"
#include "base/slab_pool.h"

/* All captured bytes not yet delivered, and where their memory comes from. Any thread. */
struct budget {
	size_t limit_bytes;
	_Atomic size_t used_bytes;
	struct slab_pool *slabs;
};

struct slab;

struct store {
	struct budget *budget;
	struct slab *first, *last;
	size_t charged_bytes;
	uint64_t packets;
	uint64_t latest_ns;		   /* real time of the last packet added */
	bool out_of_order;		   /* a packet came with an earlier time than the one before it */
	const struct store_record **order; /* sealed and out_of_order: the records by time */
};

void store_init(struct store *store, struct budget *budget);

/* Frees the packets and gives the budget back. */
void store_deinit(struct store *store);

/*
 * Adds one packet; `head_size` bytes from `head`, the rest of packet->caplen from packet->data (head_size may be 0). 0,
 * -ENOBUFS (budget spent) or -ENOMEM. Amortised: allocates only when a slab is full.
 */
warn_unused int store_add(struct store *store, const struct packet_view *packet, const uint8_t *head,
			  uint32_t head_size);

/* No packet is added any more; brings them into the order of time (packets of different CPUs reach a ring slightly out
 * of it). 0 or -ENOMEM. */
warn_unused int store_seal(struct store *store);

/* One reader's place in a sealed store. */
struct store_reader {
	const struct store *store;
	const struct slab *slab;
	size_t offset; /* bytes into the slab, or an index into `order` */
};

void store_reader_init(struct store_reader *reader, const struct store *store);
bool store_reader_next(struct store_reader *reader, struct packet_view *packet);

/* The reader as a packet_source; valid as long as the reader. */
struct packet_source store_reader_source(struct store_reader *reader);
