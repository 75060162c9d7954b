/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What compressing a capture costs: compression_bench FILE prints, for each kind and level from 1 to 6,
 * MB of input per second of one core, the size of the result in percent, and memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/compressor.h"

#define CHUNK_BYTES (256 * 1024)
#define LEVELS_MAX 6

static uint8_t *read_file(const char *path, size_t *size)
{
	cleanup(cleanup_fclose) FILE *file = fopen(path, "rbe");
	long length;

	if (!file || fseek(file, 0, SEEK_END) < 0 || (length = ftell(file)) <= 0)
		return NULL;
	rewind(file);
	uint8_t *bytes = malloc((size_t)length);
	if (bytes)
		*size = fread(bytes, 1, (size_t)length, file);
	return bytes;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int measure(enum compression kind, int level, const uint8_t *bytes, size_t size)
{
	static uint8_t out[CHUNK_BYTES];
	const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	cleanup(cleanup_compressor) struct compressor *compressor = compressor_new(kind, level, size);
	const uint64_t began_ns = cpu_ns();
	size_t put = 0;
	int r = 1;

	if (!compressor)
		return -ENOMEM;
	for (size_t at = 0; r > 0 && at < size; at += CHUNK_BYTES) {
		const bool last = size - at <= CHUNK_BYTES;
		struct compression_step step = {.in = bytes + at, .in_size = last ? size - at : CHUNK_BYTES};

		do {
			step.out = out;
			step.out_room = sizeof(out);
			r = compressor_run(compressor, &step, last);
			put += sizeof(out) - step.out_room;
		} while (r == 0);
	}
	if (r < 0)
		return r;
	const double seconds = (double)(cpu_ns() - began_ns) / NS_PER_S;
	const size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("%s level %d: %.0f MB/s, %.1f %%, %zu KiB\n", compression_extension(kind), level,
	       (double)size / 1e6 / seconds, 100.0 * (double)put / (double)size, (after - before) / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	static const enum compression kinds[] = {COMPRESSION_ZSTD, COMPRESSION_GZIP};
	size_t size = 0;
	cleanup(cleanup_free) uint8_t *bytes = argc == 2 ? read_file(argv[1], &size) : NULL;

	if (!bytes || !size) {
		fprintf(stderr, "usage: compression_bench FILE\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (int level = 1; level <= LEVELS_MAX; level++)
			if (measure(kinds[i], level, bytes, size) < 0)
				return 1;
	return 0;
}
