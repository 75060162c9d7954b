/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads files itself, as the user who runs pcapctl. */
#include "pcapctl/cli/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "config/config.h"

#define CHUNK_SIZE 16384

int input_file_read_until(const char *path, bool (*is_whole)(const struct buffer *read), struct buffer *into,
			  struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	cleanup(cleanup_close) int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	char chunk[CHUNK_SIZE];
	ssize_t got = 1;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	while (got != 0 && !(is_whole && is_whole(into))) {
		got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno != EINTR)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		if (got > 0 && buffer_append(into, chunk, (size_t)got) < 0)
			return error_set(err, -EFBIG, "%s: is larger than %zu bytes", path, into->cap_bytes);
	}
	return 0;
}

int input_file_read(const char *path, struct buffer *into, struct error *err)
{
	return input_file_read_until(path, NULL, into, err);
}

int input_file_read_config(const char *path, struct config **config, struct error *err)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(INPUT_FILE_MAX),
					     faults = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);
	int r = input_file_read(path, &text, err);

	if (r < 0)
		return r;
	r = config_load_text_for_client(buffer_text(&text), text.size, path, &faults, config);
	if (r == -EINVAL)
		return error_set(err, r, "%.*s", (int)strcspn(buffer_text(&faults), "\n"), buffer_text(&faults));
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}
