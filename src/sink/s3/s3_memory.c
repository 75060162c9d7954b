/* SPDX-License-Identifier: BSD-2-Clause */
/* Only counts: the callers allocate. */
#include "sink/s3/s3_memory.h"

void s3_memory_init(struct s3_memory *memory)
{
	memory->used = 0;
	TAILQ_INIT(&memory->waiting);
}

static bool fits(const struct s3_memory *memory, const struct s3_room *room)
{
	return memory->used == 0 || (memory->used < S3_MEMORY_MAX && room->size <= S3_MEMORY_MAX - memory->used);
}

bool s3_memory_take(struct s3_memory *memory, struct s3_room *room)
{
	if (TAILQ_EMPTY(&memory->waiting) && fits(memory, room)) {
		memory->used += room->size;
		return true;
	}
	room->waiting = true;
	TAILQ_INSERT_TAIL(&memory->waiting, room, list);
	return false;
}

static void grant(struct s3_memory *memory)
{
	struct s3_room *room;

	while ((room = TAILQ_FIRST(&memory->waiting)) && fits(memory, room)) {
		s3_memory_forget(memory, room);
		memory->used += room->size;
		room->granted(room->ctx);
	}
}

void s3_memory_forget(struct s3_memory *memory, struct s3_room *room)
{
	if (!room->waiting)
		return;
	room->waiting = false;
	TAILQ_REMOVE(&memory->waiting, room, list);
}

void s3_memory_give(struct s3_memory *memory, size_t size)
{
	memory->used -= size;
	grant(memory);
}
