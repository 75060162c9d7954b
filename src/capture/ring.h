/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One interface's AF_PACKET TPACKET_V3 ring: memory that the kernel fills block by block. This module opens it, knows
 * its settings and counters and closes it; who reads which block when is the timeline's business. Source:
 * Documentation/networking/packet_mmap.rst, net/packet/af_packet.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct sock_fprog;

#define RING_BLOCKS_MIN 16
#define RING_BLOCK_BYTES_MIN (256u << 10)

struct ring {
	int fd;
	int ifindex;
	char name[16];	   /* of the interface when it was opened */
	uint16_t linktype; /* LINKTYPE_… */
	bool loopback;	   /* every packet shows up twice: the outgoing copy is to be skipped */
	uint8_t *memory;
	uint32_t block_bytes; /* a power of two */
	uint32_t block_count;
	uint64_t dropped; /* packets, since the ring was opened */
};

/* Called before and after a ring is allocated: in between the kernel does not give up the CPU. */
struct ring_guard {
	void (*begin)(void *ctx);
	void (*end)(void *ctx);
	void *ctx;
};

struct ring_options {
	const char *interface;
	const struct ring_guard *guard; /* NULL: none */
	uint32_t block_bytes;
	uint32_t block_count; /* halved, down to RING_BLOCKS_MIN, while the kernel has no memory for it */
	uint32_t retire_ms;   /* a block with packets is handed over at the latest after so long (twice that before
				 Linux 6.18) */
	bool promiscuous;
};

/*
 * Opens a ring that receives nothing yet: attach a filter (or none), then ring_start. Blocks while the kernel allocates
 * (0.1-3 s a GiB). 0, -ENODEV (no such interface), -EPERM, -EPFNOSUPPORT (link type), -ENOMEM, other -errno; `err` says
 * it for a user.
 */
warn_unused int ring_open(const struct ring_options *options, struct error *err, struct ring **ring);
warn_unused int ring_may_open(struct error *err); /* whether this process has the right; 0 or -errno */
warn_unused int ring_start(struct ring *ring, struct error *err);
void ring_close(struct ring *ring);

/* Replaces the kernel filter at once and without a gap; NULL: every packet. 0 or -errno (the old filter stays). Any
 * thread. */
warn_unused int ring_set_filter(struct ring *ring, const struct sock_fprog *program);

/*
 * Binds a ring whose interface is gone to the one that has this name now; what it holds stays. `*ifindex` is for the
 * caller to put into the ring. 0, -ENODEV (none, or of another link type), other -errno.
 */
warn_unused int ring_rebind(const struct ring *ring, const char *interface, bool promiscuous, int *ifindex);

/* Adds what the kernel has dropped since the last call to `ring->dropped`. One thread at a time. */
void ring_update_dropped(struct ring *ring);

/* The kernel says the interface is gone for good (not just down). */
bool ring_interface_gone(const struct ring *ring);

/* What is known of an interface without opening it: 0, -ENODEV or -EPFNOSUPPORT. */
warn_unused int ring_probe(const char *interface, uint16_t *linktype, struct error *err);

CLEANUP_DEFINE(ring, struct ring, ring_close)
