/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file compressed into memory. Its size is known before its first byte is read, as every sink needs it. One thread at
 * a time; once it is complete, any number of readers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/compression.h"

struct compressed_file;
struct slab_pool;

/* Whom the memory is charged to. Any thread. */
struct compressed_file_account {
	bool (*charge)(void *ctx, size_t bytes); /* false: there is no more */
	void (*give_back)(void *ctx, size_t bytes);
	void *ctx;
};

struct compressed_file_options {
	enum compression kind;
	struct slab_pool *slabs;
	struct compressed_file_account account;
};

/* `source_bytes`: what it will be given. The options are copied. NULL on ENOMEM. */
struct compressed_file *compressed_file_new(const struct compressed_file_options *options, uint64_t source_bytes);
void compressed_file_free(struct compressed_file *file);

/* Adds the next bytes; `last`: they are the last, and the file is complete. 0, -ENOBUFS (the account is spent), -ENOMEM
 * or -EIO; after an error it can only be freed. */
warn_unused int compressed_file_add(struct compressed_file *file, const void *bytes, size_t size, bool last);

uint64_t compressed_file_size(const struct compressed_file *file);

/* Opens a stream over the complete file. False on ENOMEM. */
warn_unused bool compressed_file_open(const struct compressed_file *file, struct byte_stream *stream);
void compressed_file_close(struct byte_stream *stream);

CLEANUP_DEFINE(compressed_file, struct compressed_file, compressed_file_free)
