/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of slabs. A reader has a position and no pointer, so that slabs can go while it exists: it finds its slab
 * from the first one, of which there are few.
 */
#include "base/growing_bytes.h"

#include <string.h>
#include <sys/queue.h>

#include "base/slab_pool.h"

struct slab {
	TAILQ_ENTRY(slab) list;
	uint8_t *memory;
};

struct growing_reader {
	struct growing_bytes *bytes;
	uint64_t position;
	LIST_ENTRY(growing_reader) list;
};

struct growing_bytes {
	struct growing_memory memory;
	uint64_t keep_bytes;
	uint64_t begin, size; /* begin: of the first slab; a multiple of SLAB_BYTES */
	size_t slab_count;
	bool ended;
	TAILQ_HEAD(slab_list, slab) slabs;
	LIST_HEAD(, growing_reader) readers;
};

struct growing_bytes *growing_bytes_new(const struct growing_memory *memory, uint64_t keep_bytes)
{
	struct growing_bytes *bytes = calloc(1, sizeof(*bytes));

	if (!bytes)
		return NULL;
	bytes->memory = *memory;
	bytes->keep_bytes = keep_bytes;
	TAILQ_INIT(&bytes->slabs);
	LIST_INIT(&bytes->readers);
	return bytes;
}

static void free_first(struct growing_bytes *bytes)
{
	struct slab *slab = TAILQ_FIRST(&bytes->slabs);

	TAILQ_REMOVE(&bytes->slabs, slab, list);
	slab_pool_give(bytes->memory.slabs, slab->memory);
	free(slab);
	bytes->memory.give_back(bytes->memory.ctx, SLAB_BYTES);
	bytes->slab_count--;
	bytes->begin += SLAB_BYTES;
}

void growing_bytes_free(struct growing_bytes *bytes)
{
	struct growing_reader *reader;

	if (!bytes)
		return;
	while ((reader = LIST_FIRST(&bytes->readers))) {
		LIST_REMOVE(reader, list);
		free(reader);
	}
	while (!TAILQ_EMPTY(&bytes->slabs))
		free_first(bytes);
	free(bytes);
}

/* The first byte that a reader still needs. */
static uint64_t needed_from(const struct growing_bytes *bytes)
{
	const struct growing_reader *reader;
	uint64_t needed = bytes->size;

	LIST_FOREACH(reader, &bytes->readers, list)
	{
		if (reader->position < needed)
			needed = reader->position;
	}
	return needed;
}

/* Gives up the slabs that all readers have passed, once they are more than are kept. */
static void give_up(struct growing_bytes *bytes)
{
	const uint64_t needed = needed_from(bytes);

	if (!bytes->begin && !LIST_EMPTY(&bytes->readers) && bytes->size <= bytes->keep_bytes)
		return;
	while (bytes->slab_count && bytes->begin + SLAB_BYTES <= needed)
		free_first(bytes);
}

static bool add_slab(struct growing_bytes *bytes)
{
	struct slab *slab = calloc(1, sizeof(*slab));

	if (!slab)
		return false;
	if (!bytes->memory.charge(bytes->memory.ctx, SLAB_BYTES)) {
		free(slab);
		return false;
	}
	slab->memory = slab_pool_take(bytes->memory.slabs);
	if (!slab->memory) {
		bytes->memory.give_back(bytes->memory.ctx, SLAB_BYTES);
		free(slab);
		return false;
	}
	TAILQ_INSERT_TAIL(&bytes->slabs, slab, list);
	bytes->slab_count++;
	return true;
}

uint8_t *growing_bytes_room(struct growing_bytes *bytes, size_t *room)
{
	const uint64_t end = bytes->begin + bytes->slab_count * SLAB_BYTES;

	if (bytes->size == end && !add_slab(bytes)) {
		const size_t count = bytes->slab_count;

		/* What is kept for readers that begin again gives way, if that is enough. */
		while (bytes->slab_count && bytes->begin + SLAB_BYTES <= needed_from(bytes))
			free_first(bytes);
		if (count == bytes->slab_count || !add_slab(bytes))
			return NULL;
	}
	const size_t used = bytes->size % SLAB_BYTES;
	*room = SLAB_BYTES - used;
	return TAILQ_LAST(&bytes->slabs, slab_list)->memory + used;
}

void growing_bytes_add(struct growing_bytes *bytes, size_t size)
{
	bytes->size += size;
	give_up(bytes);
}

void growing_bytes_end(struct growing_bytes *bytes)
{
	bytes->ended = true;
}

bool growing_bytes_ended(const struct growing_bytes *bytes)
{
	return bytes->ended;
}

bool growing_bytes_has_first(const struct growing_bytes *bytes)
{
	return !bytes->begin;
}

uint64_t growing_bytes_size(const struct growing_bytes *bytes)
{
	return bytes->size;
}

/* --- readers --- */

struct growing_reader *growing_bytes_add_reader(struct growing_bytes *bytes)
{
	struct growing_reader *reader = bytes->begin ? NULL : calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->bytes = bytes;
	LIST_INSERT_HEAD(&bytes->readers, reader, list);
	return reader;
}

void growing_reader_free(struct growing_reader *reader)
{
	if (!reader)
		return;
	LIST_REMOVE(reader, list);
	give_up(reader->bytes);
	free(reader);
}

static const uint8_t *find_byte(const struct growing_bytes *bytes, uint64_t position)
{
	const struct slab *slab = TAILQ_FIRST(&bytes->slabs);

	for (uint64_t skip = (position - bytes->begin) / SLAB_BYTES; skip > 0; skip--)
		slab = TAILQ_NEXT(slab, list);
	return slab->memory + position % SLAB_BYTES;
}

size_t growing_reader_read(struct growing_reader *reader, uint8_t *into, size_t room)
{
	size_t done = 0;

	while (done < room && reader->position < reader->bytes->size) {
		const uint64_t in_slab = SLAB_BYTES - reader->position % SLAB_BYTES;
		const uint64_t left = growing_reader_unread(reader);
		size_t part = room - done;

		part = part < in_slab ? part : (size_t)in_slab;
		part = part < left ? part : (size_t)left;
		memcpy(into + done, find_byte(reader->bytes, reader->position), part);
		reader->position += part;
		done += part;
	}
	if (done)
		give_up(reader->bytes);
	return done;
}

bool growing_reader_rewind(struct growing_reader *reader)
{
	if (reader->bytes->begin)
		return false;
	reader->position = 0;
	return true;
}

uint64_t growing_reader_position(const struct growing_reader *reader)
{
	return reader->position;
}

uint64_t growing_reader_unread(const struct growing_reader *reader)
{
	return reader->bytes->size - reader->position;
}

bool growing_reader_ended(const struct growing_reader *reader)
{
	return reader->bytes->ended && !growing_reader_unread(reader);
}
