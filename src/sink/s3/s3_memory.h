/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for parts on their way, shared by all uploads of a sink, in the order of asking. Who has memory needs no more
 * to go on, so nothing waits for ever. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define S3_MEMORY_MAX ((size_t)15 << 20) /* a part that is larger has it alone */

struct s3_room {
	void (*granted)(void *ctx); /* from within s3_memory_give */
	void *ctx;
	size_t size;
	bool waiting;
	TAILQ_ENTRY(s3_room) list;
};

struct s3_memory {
	size_t used;
	TAILQ_HEAD(, s3_room) waiting;
};

void s3_memory_init(struct s3_memory *memory);

/* True: it may take `room->size` bytes now. False: it waits for `granted`. */
bool s3_memory_take(struct s3_memory *memory, struct s3_room *room);
void s3_memory_forget(struct s3_memory *memory, struct s3_room *room); /* also if it does not wait */
void s3_memory_give(struct s3_memory *memory, size_t size);
