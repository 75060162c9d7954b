/* SPDX-License-Identifier: BSD-2-Clause */
/* How large rings and their blocks are. Those that are opened on demand: by how many a request needs and by what the
 * budget has left. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RING_SIZE_MIN (256u << 10) /* 16 blocks of 16 KiB: a jumbo frame is not cut */
#define RING_SIZE_MAX (64u << 20)
#define RING_SIZE_MANY 16	      /* interfaces: a request for more opens its rings side by side, */
#define RING_SIZE_MANY_MAX (4u << 20) /* so they are small enough not to block a CPU for long */

/* Bytes of each ring for a request for `count` interfaces, with `used` of `limit` bytes in use. A power of two, at
 * least RING_SIZE_MIN, even if that is more than is left. */
size_t ring_size_plan(size_t limit, size_t used, size_t count);

/* The largest size that fits, at most `planned`; 0: not even RING_SIZE_MIN fits. */
size_t ring_size_fit(size_t limit, size_t used, size_t planned);

struct ring_blocks {
	uint32_t bytes, count;
};

/* The blocks of a ring of this size (at least RING_SIZE_MIN) that is opened on demand: large ones, so that large frames
 * are whole, but at least RING_BLOCKS_MIN. */
struct ring_blocks ring_size_blocks(size_t ring_bytes);

#define RING_SIZE_RECORDER_MIN (4u << 20)

/* The blocks of a recorder's ring of this size (at least RING_SIZE_RECORDER_MIN). */
struct ring_blocks ring_size_recorder_blocks(size_t ring_bytes);
