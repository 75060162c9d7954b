/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a whole stream into memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/byte_stream.h"

/* Reads from byte 0 in steps of `step` bytes; `*size` is what came. The caller frees the result. */
static inline uint8_t *read_all(const struct byte_stream *stream, size_t step, size_t *size)
{
	/* The stream's announced size, and room to notice more. */
	uint8_t *bytes = (uint8_t *)malloc(stream->size_bytes + step + 1);

	stream->rewind(stream->ctx);
	*size = 0;
	for (size_t got; bytes && *size <= stream->size_bytes; *size += got) {
		got = stream->read(stream->ctx, bytes + *size, step);
		if (got == 0)
			break;
	}
	return bytes;
}
