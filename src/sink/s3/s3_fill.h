/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the next bytes of a file into memory and hashes them, on a thread: a signature needs the hash before the first
 * byte is sent, and neither may hold up the loop. Loop thread, unless noted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "sink/s3/aws_sign.h"

#define S3_SUM_SIZE 45 /* SHA-256 in base64, and its end */

struct offload;
struct s3_fill;

struct s3_bytes {
	uint8_t *bytes; /* owned by the caller of s3_fill_start */
	size_t size;
	char hash[AWS_HASH_SIZE], sum[S3_SUM_SIZE];
};

/* Called once, from the loop, unless the fill is cancelled. `got` < size: the file ended early. */
typedef void (*s3_fill_done)(void *ctx, size_t got);

/*
 * Reads `into->size` bytes to `into->bytes`. The stream, `into` and its bytes belong to the fill until it is done or
 * cancelled. NULL: ENOMEM, or no thread.
 */
struct s3_fill *s3_fill_start(struct offload *threads, const struct byte_stream *stream, struct s3_bytes *into,
			      s3_fill_done done, void *ctx);

/* Waits until the thread does not use the stream any more: at most until it has read one piece of 64 KiB. */
void s3_fill_cancel(struct s3_fill *fill);
