/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of compression for files: their names, extensions and first bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

#define COMPRESSION_MAGIC_BYTES 4 /* enough for compression_detect() */

/* By its name in the configuration: "gzip" or "zstd"; COMPRESSION_NONE for any other text. */
enum compression compression_by_name(const char *name);

/* ".gz", ".zst"; "" for COMPRESSION_NONE. */
const char *compression_extension(enum compression kind);

/* Bytes of a file's name without the extension that its compression has added. */
size_t compression_plain_name_size(const char *name);

/* By the first bytes of a file. A capture file never begins like a compressed one. */
enum compression compression_detect(const void *bytes, size_t size);

/* What is taken and put out by one step of compressor_run() or decompressor_run(), which advance it. */
struct compression_step {
	const uint8_t *in;
	size_t in_size;
	uint8_t *out;
	size_t out_room;
};
