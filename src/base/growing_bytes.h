/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes that are read by several readers while more are added. Bytes that every reader has passed are given up, but the
 * first `keep_bytes` stay as long as nothing else is given up: until then a reader can begin again. Not thread-safe,
 * does not block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct growing_bytes;
struct growing_reader;
struct slab_pool;

/* Where the bytes are: slabs (SLAB_BYTES each), which an account limits. */
struct growing_memory {
	struct slab_pool *slabs;
	bool (*charge)(void *ctx, size_t bytes); /* false: the account is spent */
	void (*give_back)(void *ctx, size_t bytes);
	void *ctx;
};

/* `memory` is copied. NULL on ENOMEM. */
struct growing_bytes *growing_bytes_new(const struct growing_memory *memory, uint64_t keep_bytes);
void growing_bytes_free(struct growing_bytes *bytes); /* and its readers */

/* Where the next bytes go, `*room` of them, at least one. NULL: there is no memory until readers go on. */
uint8_t *growing_bytes_room(struct growing_bytes *bytes, size_t *room);

/* `size` bytes were put there. */
void growing_bytes_add(struct growing_bytes *bytes, size_t size);

/* No more follow. */
void growing_bytes_end(struct growing_bytes *bytes);
bool growing_bytes_ended(const struct growing_bytes *bytes);

/* Whether the first byte is still there. */
bool growing_bytes_has_first(const struct growing_bytes *bytes);

uint64_t growing_bytes_size(const struct growing_bytes *bytes); /* added so far, those given up included */

/* A reader at the first byte. NULL on ENOMEM, or if the first byte is given up. */
struct growing_reader *growing_bytes_add_reader(struct growing_bytes *bytes);
void growing_reader_free(struct growing_reader *reader); /* NULL is fine; what only it needed is given up */

/* Returns bytes put into `into`; 0: there are none now. */
size_t growing_reader_read(struct growing_reader *reader, uint8_t *into, size_t room);

/* Back to the first byte. False: that is given up. */
bool growing_reader_rewind(struct growing_reader *reader);

uint64_t growing_reader_position(const struct growing_reader *reader);
uint64_t growing_reader_unread(const struct growing_reader *reader);

/* Everything is read, and no more follows. */
bool growing_reader_ended(const struct growing_reader *reader);

CLEANUP_DEFINE(growing_bytes, struct growing_bytes, growing_bytes_free)
