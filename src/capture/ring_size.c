/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request gets equal rings from half of the budget, or if that is in use already, from a share of what is left: one
 * after the other, hundreds of requests find room, each less than the one before.
 */
#include "capture/ring_size.h"

#include "base/quantity.h"
#include "capture/ring.h"

#define RECORDER_BLOCK_BYTES MIB
#define RECORDER_BLOCK_BYTES_MAX (64 * MIB)
#define RECORDER_BLOCKS_WANTED 256 /* a quarter and 10 blocks are unusable: more blocks waste less */
#define SHARES_MIN 64		   /* of what is left, one request for one interface gets this part */

static size_t power_of_two_below(size_t size)
{
	size_t power = RING_SIZE_MIN;

	while (power * 2 <= size)
		power *= 2;
	return power;
}

size_t ring_size_plan(size_t limit, size_t used, size_t count)
{
	const size_t max = count > RING_SIZE_MANY ? RING_SIZE_MANY_MAX : RING_SIZE_MAX;
	const size_t of_half = limit / 2 > used ? (limit / 2 - used) / count : 0;
	const size_t of_rest = limit > used ? (limit - used) / (2 * count > SHARES_MIN ? 2 * count : SHARES_MIN) : 0;
	const size_t share = of_half > of_rest ? of_half : of_rest;

	return power_of_two_below(share < max ? share : max);
}

size_t ring_size_fit(size_t limit, size_t used, size_t planned)
{
	const size_t left = limit > used ? limit - used : 0;
	size_t size = planned;

	while (size > left && size > RING_SIZE_MIN)
		size /= 2;
	return size <= left ? size : 0;
}

struct ring_blocks ring_size_blocks(size_t ring_bytes)
{
	uint32_t bytes = ring_bytes >= 32 * MIB ? MIB : RING_BLOCK_BYTES_MIN;

	while (ring_bytes / bytes < RING_BLOCKS_MIN)
		bytes /= 2;
	return (struct ring_blocks){.bytes = bytes, .count = (uint32_t)(ring_bytes / bytes)};
}

struct ring_blocks ring_size_recorder_blocks(size_t ring_bytes)
{
	uint32_t bytes = RECORDER_BLOCK_BYTES;

	while (bytes > RING_BLOCK_BYTES_MIN && ring_bytes / bytes < RECORDER_BLOCKS_WANTED)
		bytes /= 2;
	while (ring_bytes / bytes > UINT16_MAX && bytes < RECORDER_BLOCK_BYTES_MAX)
		bytes *= 2;
	const size_t count = ring_bytes / bytes;
	return (struct ring_blocks){.bytes = bytes, .count = count > UINT16_MAX ? UINT16_MAX : (uint32_t)count};
}
