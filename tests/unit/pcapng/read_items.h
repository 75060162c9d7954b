/* SPDX-License-Identifier: BSD-2-Clause */
/* A pcapng_reader over bytes in memory that come in pieces. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "pcapng/pcapng_reader.h"

struct piecewise {
	const uint8_t *bytes;
	size_t size, at;
	size_t piece; /* largest read */
	bool stalls;  /* returns -EAGAIN before each piece */
	bool stalled;
	int fails; /* returned at the end, instead of 0 */
};

static inline ssize_t piecewise_read(void *ctx, uint8_t *into, size_t room)
{
	struct piecewise *source = (struct piecewise *)ctx;
	size_t size = source->size - source->at;

	if (source->stalls && (source->stalled = !source->stalled))
		return -EAGAIN;
	if (size == 0)
		return source->fails;
	if (size > room)
		size = room;
	if (size > source->piece)
		size = source->piece;
	memcpy(into, source->bytes + source->at, size);
	source->at += size;
	return (ssize_t)size;
}

static inline struct pcapng_bytes piecewise_bytes(struct piecewise *source)
{
	return (struct pcapng_bytes){.read = piecewise_read, .ctx = source};
}

/* Reads the next item; repeats on -EAGAIN. */
static inline int next_item(struct pcapng_reader *reader, struct pcapng_item *item, struct error *error)
{
	int r;

	do
		r = pcapng_reader_next(reader, item, error);
	while (r == -EAGAIN);
	return r;
}
