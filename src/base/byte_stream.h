/* SPDX-License-Identifier: BSD-2-Clause */
/* A stream whose bytes are made as they are read: what a sink sends. One reader at a time, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTE_STREAM_GROWS UINT64_MAX

struct byte_stream {
	uint64_t size_bytes;				       /* of the whole; BYTE_STREAM_GROWS: not known yet */
	size_t (*read)(void *ctx, uint8_t *into, size_t room); /* returns bytes put into `into`; 0 only at the end */
	void (*rewind)(void *ctx);			       /* back to byte 0 */
	/* Of a stream that grows: `read` returns 0 as well while there is nothing yet, and is called on the loop's
	 * thread; `ended`: everything is read. It cannot be rewound. */
	bool (*ended)(void *ctx);
	void *ctx;
};
