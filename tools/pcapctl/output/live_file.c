/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard output keeps its flags, which other processes share: a write waits for nothing if poll() has just reported
 * room and it is no larger than PIPE_BUF.
 */
#include "pcapctl/output/live_file.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcapctl/output/atomic_file.h"

struct live_file {
	struct atomic_file *file;
	char *name;	/* NULL: nothing was written */
	bool to_stdout; /* which may block */
};

struct live_file *live_file_new(const char *path, struct error *err)
{
	struct live_file *file = calloc(1, sizeof(*file));
	struct stat st;

	if (!file) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	file->file = atomic_file_new(path, err);
	if (!file->file) {
		free(file);
		return NULL;
	}
	file->to_stdout = path && strcmp(path, "-") == 0 && fstat(STDOUT_FILENO, &st) == 0 && !S_ISREG(st.st_mode);
	return file;
}

void live_file_free(struct live_file *file)
{
	if (!file)
		return;
	atomic_file_free(file->file);
	free(file->name);
	free(file);
}

int live_file_fd(const struct live_file *file)
{
	return file->to_stdout ? STDOUT_FILENO : -1;
}

const char *live_file_name(const struct live_file *file)
{
	return file->name;
}

static short poll_stdout(short events)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = events};

	return poll(&fd, 1, 0) > 0 ? fd.revents : 0;
}

bool live_file_is_closed(const struct live_file *file)
{
	return file->to_stdout && poll_stdout(0) & (POLLERR | POLLHUP | POLLNVAL);
}

static ssize_t write_stdout(const char *bytes, size_t size, struct error *err)
{
	size_t done = 0;

	while (done < size) {
		const short ready = poll_stdout(POLLOUT);
		const size_t part = size - done < PIPE_BUF ? size - done : PIPE_BUF;

		if (ready & (POLLERR | POLLNVAL))
			return -EPIPE;
		if (!(ready & POLLOUT))
			break;
		const ssize_t written = write(STDOUT_FILENO, bytes + done, part);
		if (written < 0 && errno == EPIPE)
			return -EPIPE;
		if (written < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (written < 0)
			return error_set(err, -errno, "cannot write to standard output: %s", strerror(errno));
		done += (size_t)written;
	}
	return (ssize_t)done;
}

ssize_t live_file_write(struct live_file *file, const void *bytes, size_t size, const char *suggested,
			struct error *err)
{
	ssize_t written = (ssize_t)size;
	int r = 0;

	if (file->to_stdout)
		written = write_stdout(bytes, size, err);
	else
		r = atomic_file_write(file->file, bytes, size);
	if (!file->name && r == 0 && written >= 0)
		r = atomic_file_commit(file->file, suggested, &file->name, err);
	else if (r < 0)
		error_set(err, r, "cannot write %s: %s", file->name ? file->name : "the file", strerror(-r));
	return r < 0 ? r : written;
}
