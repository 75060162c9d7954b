/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One interface's AF_PACKET TPACKET_V3 ring: memory that the kernel fills block by block. This module opens and closes
 * it and knows its settings and counters; the timeline tracks which blocks are read. Sources:
 * Documentation/networking/packet_mmap.rst, net/packet/af_packet.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/network_interface.h"
#include "capture/link_type.h"
#include "capture/ring_size.h"

struct ring_room;
struct sock_fprog;

#define RING_BLOCKS_MIN 16
#define RING_BLOCK_BYTES_MIN (256u << 10) /* a BIG TCP frame of 185,000 bytes is not cut */

#define RING_SHORTAGE_SIZE 160

struct ring {
	int fd;
	int ifindex;
	char name[NETWORK_INTERFACE_NAME_SIZE]; /* of the interface when the ring was opened */
	unsigned short hardware;		/* the interface's ARPHRD_… when the ring was opened */
	struct link_type type;			/* of all packets that count as the interface's */
	bool loopback;				/* every packet appears twice: skip the outgoing copy */
	uint8_t *memory;
	uint32_t block_bytes; /* a power of two */
	uint32_t block_count;
	uint64_t dropped; /* packets, since the ring was opened */
	struct ring_room *room;
	size_t asked_bytes;
	char shortage[RING_SHORTAGE_SIZE]; /* why it is smaller than asked for; "": it is not */
};

/* What all rings of an engine are allocated with. `begin` and `end` are called around the allocation of a large one:
 * in between, the kernel does not yield the CPU. */
struct ring_allocation {
	struct ring_room *room;
	void (*begin)(void *ctx);
	void (*end)(void *ctx);
	void *ctx;
};

struct ring_options {
	const struct network_interface *interface;
	const struct ring_allocation *allocation; /* outlives the ring */
	struct ring_blocks (*blocks)(size_t ring_bytes);
	size_t bytes, least_bytes; /* it is smaller, down to the least, if there is not memory for all of it */
	unsigned claims;	   /* number of such rings that share what memory there is; 0 counts as 1 */
	/* A block with packets retires after this at the latest (twice this before Linux 6.18). */
	uint32_t retire_ms;
	bool promiscuous;
};

/*
 * Opens a ring that receives nothing yet: set a filter if needed, then call ring_start. Blocks while the kernel
 * allocates (0.1-3 s per GiB; one that is larger than ring_room_step() is allocated twice). Returns 0, -ENODEV (the
 * interface is gone), -EPERM, -ENOMEM (not even the least), or another -errno; `err` holds text for a user.
 */
warn_unused int ring_open(const struct ring_options *options, struct error *err, struct ring **ring);
warn_unused int ring_may_open(struct error *err); /* whether this process has the privilege; 0 or -errno */
/* Starts reception. -ENODEV: the interface is gone, or its link type has changed since it was looked at. */
warn_unused int ring_start(struct ring *ring, struct error *err);
void ring_close(struct ring *ring);

/* Replaces the kernel filter atomically; NULL: every packet. Returns 0 or -errno (the old filter stays). Any thread. */
warn_unused int ring_set_filter(struct ring *ring, const struct sock_fprog *program);

/* Binds a ring whose interface is gone to another one, of the same link type; the ring's packets stay. The caller
 * stores the index in the ring. Returns 0, -ENODEV (gone again), or another -errno. */
warn_unused int ring_rebind(const struct ring *ring, const struct network_interface *interface, bool promiscuous);

/* Adds what the kernel has dropped since the last call to `ring->dropped`. One thread at a time. */
void ring_update_dropped(struct ring *ring);

enum ring_interface { RING_INTERFACE_OK, RING_INTERFACE_GONE, RING_INTERFACE_RETYPED };

/* Whether the interface is gone for good, not just down, or has another link type than the ring. */
enum ring_interface ring_check_interface(const struct ring *ring);

/* The netmask of the first IPv4 address of the interface with this name, in host byte order; 0: it has none. */
uint32_t ring_netmask(const char *interface);

size_t ring_bytes(const struct ring *ring);

CLEANUP_DEFINE(ring, struct ring, ring_close)
