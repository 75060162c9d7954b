/* SPDX-License-Identifier: BSD-2-Clause */
/* A reader over bytes in memory, which come in pieces. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "pcapng/pcapng_reader.h"

struct piecewise {
	const uint8_t *bytes;
	size_t size, at;
	size_t piece;  /* at most so many at once */
	bool hesitant; /* between two pieces, there is nothing yet */
	bool hesitates;
	int fails; /* at the end: this error instead */
};

static inline ssize_t piecewise_read(void *ctx, uint8_t *into, size_t room)
{
	struct piecewise *source = (struct piecewise *)ctx;
	size_t size = source->size - source->at;

	if (source->hesitant && (source->hesitates = !source->hesitates))
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

/* The next item, however often there is nothing yet. */
static inline int next_item(struct pcapng_reader *reader, struct pcapng_item *item, struct error *error)
{
	int r;

	do
		r = pcapng_reader_next(reader, item, error);
	while (r == -EAGAIN);
	return r;
}
