/* SPDX-License-Identifier: BSD-2-Clause */
/* A block begins with its type and its size, four bytes each; its size is at least 12. */
#include "sink/whole_blocks.h"

#include <string.h>

#define BLOCK_MIN 12

void whole_blocks_pass(struct whole_blocks *blocks, const uint8_t *bytes, size_t size)
{
	const uint64_t passed = blocks->passed_bytes + size;

	while (blocks->passed_bytes < passed) {
		const uint64_t at = blocks->passed_bytes - blocks->end_bytes; /* in the block */
		const uint64_t wanted = at < sizeof(blocks->header) ? sizeof(blocks->header) : blocks->size;
		const uint64_t left = passed - blocks->passed_bytes;
		const size_t step = (size_t)(wanted - at < left ? wanted - at : left);

		if (at < sizeof(blocks->header))
			memcpy(blocks->header + at, bytes, step);
		bytes += step;
		blocks->passed_bytes += step;
		if (at + step == sizeof(blocks->header)) {
			memcpy(&blocks->size, blocks->header + 4, sizeof(blocks->size));
			blocks->size = blocks->size < BLOCK_MIN ? BLOCK_MIN : blocks->size;
		} else if (at >= sizeof(blocks->header) && at + step == blocks->size) {
			blocks->end_bytes = blocks->passed_bytes;
		}
	}
}
