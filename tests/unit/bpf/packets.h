/* SPDX-License-Identifier: BSD-2-Clause */
/* Random packets of many kinds, the same in every run, and a socket pair that runs filters in the kernel. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKETS_MAX 4000
#define PACKET_MAX 300

struct packet {
	uint32_t size;
	uint8_t data[PACKET_MAX];
};

static struct packet packets[PACKETS_MAX];
static size_t packet_count;
static uint64_t random_state = 88172645463325252;

static inline uint32_t pick(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % below);
}

static const uint16_t ports[] = {53, 80, 443, 22, 8080, 6379, 1024, 1023, 65535, 0};

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void fill_transport(uint8_t *at)
{
	put16(at, ports[pick(10)]);
	put16(at + 2, ports[pick(10)]);
	if (!pick(4))
		put16(at, 0x0800); /* an ICMP echo request */
	at[12] = (uint8_t)((5 + pick(4)) << 4);
	at[13] = (uint8_t)pick(64);
	if (pick(2))
		memcpy(at + 20, "GET /index", 10);
}

static inline void fill_ipv4(uint8_t *at)
{
	static const uint8_t protocols[] = {6, 17, 1, 6, 17, 132, 47, 4};
	const uint32_t words = pick(3) ? 5 : 5 + pick(11);

	at[0] = (uint8_t)(0x40 | words);
	put16(at + 2, pick(1500));
	put16(at + 6, pick(4) ? 0x4000 : pick(65536)); /* fragments */
	at[8] = 64;
	at[9] = protocols[pick(8)];
	at[12] = at[16] = 10;
	at[13] = at[14] = at[17] = at[18] = 0;
	at[15] = (uint8_t)(1 + pick(4));
	at[19] = (uint8_t)(1 + pick(4));
	fill_transport(at + (size_t)words * 4);
}

static inline void fill_ipv6(uint8_t *at)
{
	static const uint8_t protocols[] = {6, 17, 58, 44, 0, 6};

	at[0] = 0x60;
	at[6] = protocols[pick(6)];
	at[8] = 0xfe;
	at[9] = 0x80;
	at[23] = (uint8_t)pick(4);
	at[24] = 0x20;
	at[25] = 0x01;
	at[39] = (uint8_t)pick(4);
	fill_transport(at + 40);
}

static inline void fill_ethernet(uint8_t *at)
{
	static const uint16_t tags[] = {0x8100, 0x8100, 0x8100, 0x88a8, 0x9100};
	static const uint16_t ids[] = {10, 100, 200};

	if (pick(8))
		at[0] = 2;
	else
		memset(at, 0xff, 6);
	at[5] = at[0] == 2 ? (uint8_t)pick(4) : 0xff;
	at[11] = (uint8_t)pick(4);
	at += 12;
	for (uint32_t tag = pick(3) ? 0 : 1 + pick(2); tag; tag--) {
		put16(at, tags[pick(5)]);
		put16(at + 2, pick(3) ? ids[pick(3)] : pick(4096));
		at += 4;
	}
	switch (pick(6)) {
	case 0:
		put16(at, 0x0806);
		put16(at + 8, 1 + pick(2));
		break;
	case 1:
		put16(at, 0x86dd);
		fill_ipv6(at + 2);
		break;
	case 2:
		put16(at, pick(2) ? 0x88cc : pick(65536));
		break;
	default:
		put16(at, 0x0800);
		fill_ipv4(at + 2);
	}
}

static inline int make_packets(void **state)
{
	(void)state;
	for (packet_count = 0; packet_count < PACKETS_MAX; packet_count++) {
		struct packet *packet = &packets[packet_count];

		packet->size = pick(3) ? 60 + pick(PACKET_MAX - 59) : 14 + pick(80);
		for (uint32_t i = 0; i < sizeof(packet->data); i++)
			packet->data[i] = pick(4) ? 0 : (uint8_t)pick(256);
		fill_ethernet(packet->data);
	}
	return 0;
}

#define KERNEL_PACKET_MAX 2048

/* A filter in the kernel: a datagram socket pair runs it over what is sent, without privileges. */
struct kernel {
	int ends[2];
};

static inline void kernel_init(struct kernel *kernel, struct sock_filter *program, size_t size)
{
	const struct sock_fprog attached = {.len = (unsigned short)size, .filter = program};

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, kernel->ends), 0);
	assert_int_equal(setsockopt(kernel->ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof(attached)), 0);
}

/* Returns how many bytes pass the filter, of at most KERNEL_PACKET_MAX; 0: rejected. */
static inline uint32_t kernel_pass(const struct kernel *kernel, const uint8_t *data, uint32_t size)
{
	uint8_t buffer[KERNEL_PACKET_MAX];

	assert_true(size <= sizeof(buffer));
	assert_int_equal(send(kernel->ends[0], data, size, 0), size);
	const ssize_t passed = recv(kernel->ends[1], buffer, sizeof(buffer), MSG_DONTWAIT);
	if (passed <= 0)
		return 0;
	assert_memory_equal(buffer, data, (size_t)passed);
	return (uint32_t)passed;
}

static inline void kernel_deinit(const struct kernel *kernel)
{
	close(kernel->ends[0]);
	close(kernel->ends[1]);
}
