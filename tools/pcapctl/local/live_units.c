/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks: pcapng, 3.1 and 4.3. Records: draft-ietf-opsawg-pcap. */
#include "pcapctl/local/live_units.h"

#include <byteswap.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define BLOCK_SECTION UINT32_C(0x0A0D0D0A)
#define BLOCK_PACKET 6
#define BYTE_ORDER_MAGIC UINT32_C(0x1A2B3C4D)
#define PCAP_MAGIC_NS UINT32_C(0xA1B23C4D)
#define BLOCK_HEAD_BYTES 12
#define BLOCK_TIME_AT 12   /* of an enhanced packet block */
#define BLOCK_CAPLEN_AT 20 /* of an enhanced packet block */
#define PCAP_HEAD_BYTES 24
#define RECORD_HEAD_BYTES 16
#define RECORD_CAPLEN_AT 8

static uint32_t number(const struct live_units *units, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return units->swapped ? bswap_32(value) : value;
}

/* Finds out what kind of file it is, from the first BLOCK_HEAD_BYTES. */
static int recognise(struct live_units *units, const uint8_t *at)
{
	uint32_t first, order;

	units->swapped = false;
	first = number(units, at);
	order = number(units, at + 8);
	if (first == BLOCK_SECTION && (order == BYTE_ORDER_MAGIC || order == bswap_32(BYTE_ORDER_MAGIC)))
		units->kind = LIVE_UNITS_PCAPNG;
	else if (first == PCAP_MAGIC_NS || first == bswap_32(PCAP_MAGIC_NS))
		units->kind = LIVE_UNITS_PCAP;
	else
		return -EBADMSG;
	units->swapped = units->kind == LIVE_UNITS_PCAPNG ? order != BYTE_ORDER_MAGIC : first != PCAP_MAGIC_NS;
	return 0;
}

/* Size of the unit at `at`, of which `left` bytes are there; 0: too few to tell. */
static uint64_t unit_size(const struct live_units *units, const uint8_t *at, size_t left, bool is_first)
{
	if (units->kind == LIVE_UNITS_PCAPNG)
		return left < BLOCK_HEAD_BYTES ? 0 : number(units, at + 4);
	if (is_first)
		return PCAP_HEAD_BYTES;
	return left < RECORD_HEAD_BYTES ? 0 : (uint64_t)RECORD_HEAD_BYTES + number(units, at + RECORD_CAPLEN_AT);
}

static void count(struct live_units *units, const uint8_t *at, uint64_t size, bool is_first)
{
	const bool pcapng = units->kind == LIVE_UNITS_PCAPNG;

	if (pcapng ? number(units, at) != BLOCK_PACKET || size < BLOCK_CAPLEN_AT + 4 : is_first)
		return;
	const uint32_t high = number(units, at + (pcapng ? BLOCK_TIME_AT : 0));
	const uint32_t low = number(units, at + (pcapng ? BLOCK_TIME_AT : 0) + 4);
	const uint64_t time_ns = pcapng ? (uint64_t)high << 32 | low : high * NS_PER_S + low;
	if (!units->packets || time_ns < units->first_ns)
		units->first_ns = time_ns;
	if (time_ns > units->last_ns)
		units->last_ns = time_ns;
	units->packets++;
	units->packet_bytes += number(units, at + (pcapng ? BLOCK_CAPLEN_AT : RECORD_CAPLEN_AT));
}

int live_units_feed(struct live_units *units, const void *bytes, size_t size)
{
	bool is_first = units->kind == LIVE_UNITS_UNKNOWN;
	int r = buffer_append(&units->bytes, bytes, size);

	if (r == 0 && is_first && units->bytes.size < BLOCK_HEAD_BYTES)
		return 0;
	if (r == 0 && is_first)
		r = recognise(units, (const uint8_t *)units->bytes.data);
	while (r == 0) {
		const uint8_t *at = (const uint8_t *)units->bytes.data + units->whole_bytes;
		const size_t left = units->bytes.size - units->whole_bytes;
		const uint64_t unit_bytes = left ? unit_size(units, at, left, is_first) : 0;

		if (!unit_bytes)
			return 0;
		if (units->kind == LIVE_UNITS_PCAPNG && unit_bytes < BLOCK_HEAD_BYTES)
			return -EBADMSG;
		if (unit_bytes > LIVE_UNIT_BYTES_MAX)
			return -EMSGSIZE;
		if (unit_bytes > left) {
			units->kind = is_first ? LIVE_UNITS_UNKNOWN : units->kind;
			return 0;
		}
		count(units, at, unit_bytes, is_first);
		units->whole_bytes += unit_bytes;
		is_first = false;
	}
	return r;
}

void live_units_drop(struct live_units *units, size_t size)
{
	if (!size)
		return;
	memmove(units->bytes.data, units->bytes.data + size, units->bytes.size - size);
	units->bytes.size -= size;
	units->bytes.data[units->bytes.size] = '\0';
	units->whole_bytes -= size;
}

void live_units_deinit(struct live_units *units)
{
	buffer_deinit(&units->bytes);
}
