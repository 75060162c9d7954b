/* SPDX-License-Identifier: BSD-2-Clause */
/* Magic numbers: RFC 1952 (gzip, with its only method, deflate), RFC 8878 (Zstandard). */
#include "base/compression.h"

#include <string.h>

static const struct {
	const char *name, *extension, *magic;
	size_t magic_bytes;
} kinds[] = {
	[COMPRESSION_NONE] = {"none", "", "", 0},
	[COMPRESSION_GZIP] = {"gzip", ".gz", "\x1f\x8b\x08", 3},
	[COMPRESSION_ZSTD] = {"zstd", ".zst", "\x28\xb5\x2f\xfd", COMPRESSION_MAGIC_BYTES},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

enum compression compression_by_name(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(name, kinds[i].name) == 0)
			return (enum compression)i;
	return COMPRESSION_NONE;
}

const char *compression_extension(enum compression kind)
{
	return kinds[kind].extension;
}

size_t compression_plain_name_size(const char *name)
{
	const size_t size = strlen(name);

	for (size_t i = COMPRESSION_NONE + 1; i < KINDS; i++) {
		const size_t extension_size = strlen(kinds[i].extension);

		if (size > extension_size && strcmp(name + size - extension_size, kinds[i].extension) == 0)
			return size - extension_size;
	}
	return size;
}

enum compression compression_detect(const void *bytes, size_t size)
{
	for (size_t i = COMPRESSION_NONE + 1; i < KINDS; i++)
		if (size >= kinds[i].magic_bytes && memcmp(bytes, kinds[i].magic, kinds[i].magic_bytes) == 0)
			return (enum compression)i;
	return COMPRESSION_NONE;
}
