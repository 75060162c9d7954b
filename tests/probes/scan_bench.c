/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures how fast one core scans: cursors over a ring of small packets with few matches, in packets and bytes per
 * second. With a second argument, writes the same packets to a pcap file, for comparison with tcpdump -r. With a third,
 * uses that filter instead of "udp port 53".
 */
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "bpf/filter.h"
#include "capture/cursor.h"
#include "capture/timeline.h"

#define BLOCK_BYTES (1u << 20)
#define BLOCK_FIRST 48 /* offset of a block's first packet */
#define MAC 82	       /* offset of the packet's data */
#define PACKET_BYTES 64
#define ROOM ((MAC + PACKET_BYTES + 7u) & ~7u)
#define PACKETS_PER_BLOCK ((BLOCK_BYTES - BLOCK_FIRST) / ROOM)
#define PACKET_NS 100 /* between two stamps */
#define MATCH_EVERY 10000
#define ROUNDS 5

static void fill_packet(uint8_t *at, uint64_t number)
{
	const uint64_t time_ns = number * PACKET_NS;
	struct tpacket3_hdr *packet = (void *)at;

	packet->tp_next_offset = ROOM;
	packet->tp_sec = (uint32_t)(time_ns / NS_PER_S);
	packet->tp_nsec = (uint32_t)(time_ns % NS_PER_S);
	packet->tp_snaplen = packet->tp_len = PACKET_BYTES;
	packet->tp_mac = MAC;
	uint8_t *data = at + MAC;
	const uint16_t port = number % MATCH_EVERY ? (uint16_t)(1024 + number % 60000) : 53;
	data[12] = 0x08;
	data[14] = 0x45;
	data[23] = 17;
	data[34] = 0x80;
	data[36] = (uint8_t)(port >> 8);
	data[37] = (uint8_t)port;
}

static int write_file(const uint8_t *ring, size_t blocks, const char *path)
{
	static const uint32_t header[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	cleanup(cleanup_fclose) FILE *file = fopen(path, "wbe");

	if (!file || fwrite(header, sizeof(header), 1, file) != 1)
		return -1;
	for (size_t i = 0; i < blocks * PACKETS_PER_BLOCK; i++) {
		const uint8_t *at =
			ring + i / PACKETS_PER_BLOCK * BLOCK_BYTES + BLOCK_FIRST + i % PACKETS_PER_BLOCK * ROOM;
		const struct tpacket3_hdr *packet = (const void *)at;
		const uint32_t record[] = {packet->tp_sec, packet->tp_nsec / 1000, PACKET_BYTES, PACKET_BYTES};

		if (fwrite(record, sizeof(record), 1, file) != 1 || fwrite(at + MAC, PACKET_BYTES, 1, file) != 1)
			return -1;
	}
	return 0;
}

/* Returns the seconds for one pass with `count` cursors. */
static double scan_once(const uint8_t *ring, size_t blocks, const struct filter *filter, unsigned count,
			bool matches_are_known)
{
	static uint8_t scratch[SCAN_SCRATCH_BYTES];
	const struct scan_context context = {.type = {LINKTYPE_ETHERNET, LINK_AS_IS}, .scratch = scratch};
	struct budget budget = {.limit_bytes = SIZE_MAX};
	struct cursor cursors[SCAN_GROUP_MAX] = {0}, *group[SCAN_GROUP_MAX];

	for (unsigned i = 0; i < count; i++) {
		cursors[i] = (struct cursor){.filter = filter,
					     .snaplen = 65535,
					     .max_packets = UINT64_MAX,
					     .max_bytes = UINT64_MAX,
					     .until_ns = UINT64_MAX};
		store_init(&cursors[i].store, &budget);
		group[i] = &cursors[i];
	}
	const struct arrival_bounds bounds = {.retired_ns = blocks * PACKETS_PER_BLOCK * PACKET_NS};
	const uint64_t start_ns = clock_boottime_ns();
	for (size_t i = 0; i < blocks; i++) {
		const struct span span = {.bounds = bounds,
					  .end_ns = bounds.retired_ns,
					  .first = ring + i * BLOCK_BYTES + BLOCK_FIRST,
					  .packets = PACKETS_PER_BLOCK,
					  .number = i * PACKETS_PER_BLOCK};

		cursor_scan(group, count, &span, &context);
	}
	const double seconds = (double)(clock_boottime_ns() - start_ns) / NS_PER_S;
	const uint64_t expected = (blocks * PACKETS_PER_BLOCK + MATCH_EVERY - 1) / MATCH_EVERY;
	for (unsigned i = 0; i < count; i++) {
		if (matches_are_known && cursors[i].store.packets != expected)
			exit(1);
		store_deinit(&cursors[i].store);
	}
	return seconds;
}

int main(int argc, char **argv)
{
	const size_t blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
	struct error err;
	struct filter *filter = NULL;

	if (!blocks || filter_compile(argc > 3 ? argv[3] : "udp port 53", 1, &err, &filter) < 0) {
		fprintf(stderr, "usage: %s [MIB] [FILE|\"\"] [EXPRESSION]\n", argv[0]);
		return 2;
	}
	uint8_t *ring = mmap(NULL, blocks * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		return 1;
	const uint64_t packets = blocks * PACKETS_PER_BLOCK;
	for (uint64_t i = 0; i < packets; i++)
		fill_packet(ring + i / PACKETS_PER_BLOCK * BLOCK_BYTES + BLOCK_FIRST + i % PACKETS_PER_BLOCK * ROOM, i);
	if (argc > 2 && *argv[2] && write_file(ring, blocks, argv[2]) < 0) {
		perror(argv[2]);
		return 1;
	}
	for (unsigned count = 1; count <= SCAN_GROUP_MAX; count *= 4) {
		double best = 1e9;

		for (unsigned round = 0; round < ROUNDS; round++) {
			const double seconds = scan_once(ring, blocks, filter, count, argc <= 3);

			best = seconds < best ? seconds : best;
		}
		printf("%2u cursors: %6.1f M packets/s, %5.2f GB/s of ring, %6.1f ns a packet\n", count,
		       (double)packets / best / 1e6, (double)packets * ROOM / best / 1e9, best * 1e9 / (double)packets);
	}
	filter_free(filter);
	return 0;
}
