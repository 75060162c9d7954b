/* SPDX-License-Identifier: BSD-2-Clause */
/* A stream of known length whose bytes are made as they are read: what a sink sends. One reader at a time, any
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct byte_stream {
	uint64_t size_bytes;				       /* of the whole */
	size_t (*read)(void *ctx, uint8_t *into, size_t room); /* returns bytes put into `into`; 0 only at the end */
	void (*rewind)(void *ctx);			       /* back to byte 0 */
	void *ctx;
};
