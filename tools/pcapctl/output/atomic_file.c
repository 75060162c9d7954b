/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes under a temporary name in the same directory, and renames at the end; writes to a device or a pipe directly. A
 * name that a peer suggests is taken with link(2), which never replaces a file, so numbers are tried until a name is
 * free.
 */
#include "pcapctl/output/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/printable.h"

#define NAME_BYTES_MAX 200
#define NAMES_TRIED_MAX 1000

struct atomic_file {
	int fd;
	bool in_place;	 /* writes to a device, a pipe or standard output */
	bool close_fd;	 /* atomic_file_free closes fd */
	char *path;	 /* NULL: not known yet */
	char *temporary; /* NULL: none */
	int error;
};

static int open_temporary(struct atomic_file *file, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (asprintf(&file->temporary, "%.*s.pcapctl-XXXXXX", slash ? (int)(slash - path + 1) : 0, path ? path : "") <
	    0) {
		file->temporary = NULL;
		return -ENOMEM;
	}
	file->fd = mkostemp(file->temporary, O_CLOEXEC);
	if (file->fd >= 0)
		return 0;
	int r = -errno;
	free(take(file->temporary));
	return r;
}

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

static int open_output(struct atomic_file *file, const char *path)
{
	struct stat st;

	if (is_stdout(path)) {
		file->fd = STDOUT_FILENO;
		file->in_place = true;
		return 0;
	}
	if (path && !(file->path = strdup(path)))
		return -ENOMEM;
	file->close_fd = true;
	if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (path && stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		file->in_place = true;
		file->fd = open(path, O_WRONLY | O_CLOEXEC);
		return file->fd < 0 ? -errno : 0;
	}
	return open_temporary(file, path);
}

static int check_stdout(struct error *err)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, -EBADF, "cannot write to standard output: %s", strerror(EBADF));
	if (isatty(STDOUT_FILENO))
		return error_set(err, -EINVAL,
				 "packets are not written to a terminal: redirect standard output to a pipe or a file");
	return 0;
}

static int fail(const char *path, int r, struct error *err)
{
	return error_set(err, r, "cannot write %s: %s", path ? path : "to the current directory", strerror(-r));
}

/* Does not open a device or a pipe: closing it would end the reader's input. */
int atomic_file_check(const char *path, struct error *err)
{
	cleanup(cleanup_atomic_file) struct atomic_file *file = NULL;
	struct stat st;

	if (is_stdout(path))
		return check_stdout(err);
	if (path && stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return access(path, W_OK) < 0 ? fail(path, -errno, err) : 0;
	file = atomic_file_new(path, err);
	return file ? 0 : -EIO;
}

struct atomic_file *atomic_file_new(const char *path, struct error *err)
{
	cleanup(cleanup_atomic_file) struct atomic_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	file->fd = -1;
	if (is_stdout(path) && check_stdout(err) < 0)
		return NULL;
	r = open_output(file, path);
	if (r < 0) {
		fail(path, r, err);
		return NULL;
	}
	return take(file);
}

void atomic_file_free(struct atomic_file *file)
{
	if (!file)
		return;
	if (file->temporary)
		unlink(file->temporary);
	if (file->close_fd && file->fd >= 0)
		close(file->fd);
	free(file->temporary);
	free(file->path);
	free(file);
}

int atomic_file_write(struct atomic_file *file, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (file->error == 0 && size > 0) {
		ssize_t written = write(file->fd, at, size);

		if (written < 0 && errno != EINTR)
			file->error = -errno;
		if (written <= 0)
			continue;
		at += written;
		size -= (size_t)written;
	}
	return file->error;
}

/* Replaces characters as the daemon does in its file names. */
static void sanitize_name(const char *suggested, char name[static NAME_BYTES_MAX + 1])
{
	static const char allowed[] = PLAIN_CHARACTERS;
	size_t size = suggested ? strnlen(suggested, NAME_BYTES_MAX) : 0;

	for (size_t i = 0; i < size; i++)
		name[i] = strchr(allowed, suggested[i]) ? suggested[i] : '_';
	name[size] = '\0';
	if (size == 0)
		snprintf(name, NAME_BYTES_MAX + 1, "capture.pcapng");
	else if (name[0] == '.' || name[0] == '-')
		name[0] = '_';
}

static int link_free_name(struct atomic_file *file, const char *suggested, char **name)
{
	char sanitized[NAME_BYTES_MAX + 1];
	const char *dot;

	sanitize_name(suggested, sanitized);
	dot = strrchr(sanitized, '.');
	for (unsigned i = 0; i < NAMES_TRIED_MAX; i++) {
		cleanup(cleanup_free) char *free_name = NULL;
		int stem = (int)(dot && dot > sanitized ? (size_t)(dot - sanitized) : strlen(sanitized));

		if ((i == 0 ? asprintf(&free_name, "%s", sanitized)
			    : asprintf(&free_name, "%.*s-%u%s", stem, sanitized, i, sanitized + stem)) < 0) {
			free_name = NULL;
			return -ENOMEM;
		}
		if (link(file->temporary, free_name) == 0) {
			unlink(file->temporary);
			free(take(file->temporary));
			*name = take(free_name);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int finish(struct atomic_file *file, const char *suggested, char **name)
{
	mode_t mask = umask(0);

	umask(mask);
	if (file->error < 0)
		return file->error;
	if (file->in_place) {
		*name = strdup(file->path ? file->path : "-");
		return *name ? 0 : -ENOMEM;
	}
	if (fchmod(file->fd, 0666 & ~mask) < 0)
		return -errno;
	if (!file->path)
		return link_free_name(file, suggested, name);
	*name = strdup(file->path);
	if (!*name)
		return -ENOMEM;
	if (rename(file->temporary, file->path) == 0) {
		free(take(file->temporary));
		return 0;
	}
	free(take(*name));
	return -errno;
}

int atomic_file_commit(struct atomic_file *file, const char *suggested, char **name, struct error *err)
{
	int r = finish(file, suggested, name);

	if (r < 0)
		return error_set(err, r, "cannot write %s: %s", file->path ? file->path : "the file", strerror(-r));
	return 0;
}
