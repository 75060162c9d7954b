/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's side of a TPACKET_V3 ring, as its reader sees it (net/packet/af_packet.c, tpacket_rcv and prb_*). Blocks
 * fill in order and close when full or when the retire timer expires. At a block that is not TP_STATUS_KERNEL, the
 * queue freezes and packets are dropped; before that, the kernel checks for room a quarter of the ring ahead.
 */
#pragma once

#include <assert.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_MAC 82 /* offset of the packet's data, for Ethernet without reserve */
#define FAKE_FIRST 48
#define FAKE_SIZE_MAX 2048
#define FAKE_PACKETS_MAX (4u << 20)

struct fake_packet {
	uint64_t time_ns;    /* its stamp */
	uint64_t arrived_ns; /* boot time */
	uint64_t drops;	     /* before it */
	uint32_t size;
};

struct fake_kernel {
	uint8_t *memory;
	uint32_t block_bytes, block_count;
	uint32_t active;
	bool frozen;
	uint32_t offset, previous;
	uint64_t sequence;
	uint64_t drops;
	uint64_t refused_ahead;	     /* how often the block a quarter ahead was not free */
	uint64_t accepted;	     /* packets; the next one's number */
	struct fake_packet *packets; /* the accepted packets, by number */
	int64_t clock_offset_ns;
};

static inline struct tpacket_block_desc *fake_block(const struct fake_kernel *kernel, uint32_t index)
{
	return (void *)(kernel->memory + (size_t)(index % kernel->block_count) * kernel->block_bytes);
}

static inline uint32_t fake_status(const struct fake_kernel *kernel, uint32_t index)
{
	return __atomic_load_n(&fake_block(kernel, index)->hdr.bh1.block_status, __ATOMIC_ACQUIRE);
}

static inline uint32_t fake_room(uint32_t size)
{
	return (FAKE_MAC + size + 7) & ~7u;
}

static inline void fake_open(struct fake_kernel *kernel)
{
	struct tpacket_hdr_v1 *header = &fake_block(kernel, kernel->active)->hdr.bh1;
	uint64_t *sequence = (void *)&header->seq_num;

	__atomic_store_n(sequence, kernel->sequence++, __ATOMIC_RELAXED);
	header->num_pkts = 0;
	header->blk_len = header->offset_to_first_pkt = FAKE_FIRST;
	kernel->offset = kernel->previous = FAKE_FIRST;
	kernel->frozen = false;
}

static inline void fake_init(struct fake_kernel *kernel, uint32_t block_bytes, uint32_t block_count)
{
	*kernel = (struct fake_kernel){.block_bytes = block_bytes, .block_count = block_count, .sequence = 1};
	kernel->memory = aligned_alloc(4096, (size_t)block_bytes * block_count);
	kernel->packets = malloc(FAKE_PACKETS_MAX * sizeof(*kernel->packets));
	assert(kernel->memory && kernel->packets);
	memset(kernel->memory, 0, (size_t)block_bytes * block_count);
	fake_open(kernel);
}

static inline void fake_deinit(struct fake_kernel *kernel)
{
	free(kernel->memory);
	free(kernel->packets);
}

static inline void fake_close(struct fake_kernel *kernel, uint32_t status)
{
	struct tpacket_hdr_v1 *header = &fake_block(kernel, kernel->active)->hdr.bh1;
	struct tpacket3_hdr *last = (void *)((uint8_t *)fake_block(kernel, kernel->active) + kernel->previous);

	last->tp_next_offset = 0;
	header->ts_last_pkt.ts_sec = last->tp_sec;
	header->ts_last_pkt.ts_nsec = last->tp_nsec;
	__atomic_store_n(&header->block_status, TP_STATUS_USER | status, __ATOMIC_RELEASE);
	kernel->active = (kernel->active + 1) % kernel->block_count;
	if (fake_status(kernel, kernel->active) & TP_STATUS_USER)
		kernel->frozen = true;
	else
		fake_open(kernel);
}

/* The retire timer, as from Linux 6.18: closes the block at every expiry if there is a packet in it. */
static inline void fake_timer(struct fake_kernel *kernel)
{
	if (!kernel->frozen) {
		if (fake_block(kernel, kernel->active)->hdr.bh1.num_pkts)
			fake_close(kernel, TP_STATUS_BLK_TMO);
	} else if (!(fake_status(kernel, kernel->active) & TP_STATUS_USER)) {
		fake_open(kernel);
	}
}

/* The payload of packet `number` after its number: at least FAKE_SIZE_MAX bytes, each 7 more than the last. */
static inline const uint8_t *fake_payload(uint64_t number)
{
	static uint8_t bytes[256 + FAKE_SIZE_MAX];

	if (!bytes[1]) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i * 7);
	}
	return bytes + (uint8_t)(number * 31 + (number >> 8));
}

static inline bool fake_drop(struct fake_kernel *kernel)
{
	kernel->drops++;
	return false;
}

/* A packet of `size` bytes (at least 8: its number) arrives at a boot time, stamped `time_ns`. False: dropped. */
static inline bool fake_receive_stamped(struct fake_kernel *kernel, uint32_t size, uint64_t arrived_ns,
					uint64_t time_ns)
{
	const uint32_t room = fake_room(size);

	if (fake_status(kernel, kernel->active + kernel->block_count / 4) != TP_STATUS_KERNEL) {
		kernel->refused_ahead++;
		if (fake_status(kernel, kernel->active) != TP_STATUS_KERNEL)
			return fake_drop(kernel);
	}
	if (kernel->frozen) {
		if (fake_status(kernel, kernel->active) & TP_STATUS_USER)
			return fake_drop(kernel);
		fake_open(kernel);
	}
	if (kernel->offset + room >= kernel->block_bytes) {
		fake_close(kernel, 0);
		if (kernel->frozen)
			return fake_drop(kernel);
	}
	struct tpacket_hdr_v1 *header = &fake_block(kernel, kernel->active)->hdr.bh1;
	uint8_t *at = (uint8_t *)fake_block(kernel, kernel->active) + kernel->offset;
	struct tpacket3_hdr *packet = (void *)at;
	memset(packet, 0, FAKE_MAC);
	packet->tp_next_offset = room;
	packet->tp_sec = (uint32_t)(time_ns / 1000000000);
	packet->tp_nsec = (uint32_t)(time_ns % 1000000000);
	packet->tp_snaplen = packet->tp_len = size;
	packet->tp_mac = FAKE_MAC;
	const uint64_t number = kernel->accepted++;
	memcpy(at + FAKE_MAC, &number, sizeof(number));
	assert(number < FAKE_PACKETS_MAX && size >= sizeof(number) && size <= FAKE_SIZE_MAX);
	memcpy(at + FAKE_MAC + sizeof(number), fake_payload(number), size - sizeof(number));
	kernel->packets[number] = (struct fake_packet){.time_ns = time_ns,
						       .arrived_ns = arrived_ns,
						       .drops = kernel->drops,
						       .size = size};
	kernel->previous = kernel->offset;
	kernel->offset += room;
	header->blk_len += room;
	header->num_pkts++;
	return true;
}

/* The same, stamped by the real-time clock. */
static inline bool fake_receive(struct fake_kernel *kernel, uint32_t size, uint64_t arrived_ns)
{
	return fake_receive_stamped(kernel, size, arrived_ns, arrived_ns + (uint64_t)kernel->clock_offset_ns);
}
