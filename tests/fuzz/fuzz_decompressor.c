/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a compressed file: every step advances or ends, and memory is bounded. The first byte chooses the kind
 * and how much is given at a time.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/decompressor.h"

#define OUT_BYTES 4096
#define OUT_BYTES_MAX (64u << 20) /* a small input may become large; a test need not see all of it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[OUT_BYTES];
	const enum compression kind = size && data[0] & 1 ? COMPRESSION_GZIP : COMPRESSION_ZSTD;
	const size_t chunk = size ? (size_t)(data[0] >> 1) + 1 : 1;
	cleanup(cleanup_decompressor) struct decompressor *decompressor = decompressor_new(kind);
	size_t total = 0;
	int r = 1;

	if (!decompressor)
		return 0;
	for (size_t at = 1; r > 0 && at < size; at += chunk) {
		struct compression_step step = {.in = data + at, .in_size = size - at < chunk ? size - at : chunk};

		do {
			const size_t in_before = step.in_size;

			step.out = out;
			step.out_room = OUT_BYTES;
			r = decompressor_run(decompressor, &step);
			total += OUT_BYTES - step.out_room;
			if (r == 0 && step.in_size == in_before && step.out_room == OUT_BYTES &&
			    !decompressor_is_complete(decompressor))
				abort();
		} while (r == 0 && total < OUT_BYTES_MAX);
	}
	return 0;
}
