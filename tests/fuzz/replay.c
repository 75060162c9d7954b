/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target over a corpus: each file whole, and cut after each of its first CUTS_MAX bytes, so that a parser
 * also meets the end of its input everywhere. Each input is a heap block of exactly its size, so that a sanitizer sees
 * a read past the end. Prints TAP, one test per file; a crash shows as missing results. An empty corpus fails.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CUTS_MAX 512	      /* truncated inputs per file */
#define INPUT_MAX (64u << 20) /* bytes of one file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *bytes, size_t size)
{
	uint8_t *input = malloc(size ? size : 1);

	if (!input)
		abort();
	if (size)
		memcpy(input, bytes, size);
	LLVMFuzzerTestOneInput(input, size);
	free(input);
}

static int read_file(const char *path, uint8_t **bytes, size_t *size)
{
	cleanup(cleanup_fclose) FILE *file = fopen(path, "rbe");
	cleanup(cleanup_free) uint8_t *content = NULL;
	long end;

	if (!file || fseek(file, 0, SEEK_END) != 0)
		return -errno;
	end = ftell(file);
	if (end < 0 || (unsigned long)end > INPUT_MAX)
		return -EFBIG;
	rewind(file);
	content = malloc((size_t)end + 1);
	if (!content)
		return -ENOMEM;
	if (fread(content, 1, (size_t)end, file) != (size_t)end)
		return -EIO;
	*bytes = take(content);
	*size = (size_t)end;
	return 0;
}

static bool replay(const char *directory, const char *name)
{
	cleanup(cleanup_free) char *path = NULL;
	cleanup(cleanup_free) uint8_t *bytes = NULL;
	size_t size = 0;

	if (asprintf(&path, "%s/%s", directory, name) < 0 || read_file(path, &bytes, &size) < 0)
		return false;
	for (size_t cut = 0; cut < size && cut < CUTS_MAX; cut++)
		run(bytes, cut);
	run(bytes, size);
	return true;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int count, failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	count = scandir(argv[1], &entries, visible, alphasort);
	if (count <= 0) {
		fprintf(stderr, "%s: nothing to replay\n", argv[1]);
		free(entries);
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		bool ok = replay(argv[1], entries[i]->d_name);

		failed += !ok;
		printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, entries[i]->d_name);
		fflush(stdout);
		free(entries[i]);
	}
	free(entries);
	return failed ? 1 : 0;
}
