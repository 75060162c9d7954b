/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything is written under a temporary name (".NAME.spooling"), flushed, then renamed; then the directory is
 * flushed. One process has the directory at a time: it holds a lock on it. So what is half-written when it opens the
 * directory is a dead process's: temporary files, and states without a file.
 */
#include "sink/spool_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"

#define CHUNK_BYTES (256u << 10)
#define FILE_MODE 0640
#define STATE_SUFFIX ".spool"
#define TEMPORARY_PREFIX "."
#define TEMPORARY_SUFFIX ".spooling"

struct spool_directory {
	int fd;
	_Atomic uint64_t files, bytes;
};

/* --- names --- */

static bool ends_with(const char *text, const char *suffix)
{
	const size_t length = strlen(text), wanted = strlen(suffix);

	return length > wanted && strcmp(text + length - wanted, suffix) == 0;
}

static bool is_temporary(const char *name)
{
	return name[0] == TEMPORARY_PREFIX[0] && ends_with(name, TEMPORARY_SUFFIX);
}

/* A file's name: no path, no hidden file, and not what a state or a temporary file is called. */
static bool is_plain(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && !ends_with(name, STATE_SUFFIX);
}

/* 0 or -ENAMETOOLONG. */
static int name_parts(char into[static NAME_MAX + 1], const char *prefix, const char *name, const char *suffix)
{
	const int length = snprintf(into, NAME_MAX + 1, "%s%s%s", prefix, name, suffix);

	return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* --- writing --- */

static int write_all(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		const ssize_t written = write(fd, at, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

static int write_stream(int fd, struct byte_stream *file, const atomic_bool *stop)
{
	cleanup(cleanup_free) uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t left = file->size_bytes;

	if (!chunk)
		return -ENOMEM;
	if (left && fallocate(fd, 0, 0, (off_t)left) < 0 && errno == ENOSPC)
		return -ENOSPC; /* before the first byte; not every filesystem can tell */
	while (left > 0) {
		const size_t got = file->read(file->ctx, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);

		if (atomic_load(stop))
			return -ECANCELED;
		if (!got)
			return -EPROTO;
		const int r = write_all(fd, chunk, got);
		if (r < 0)
			return r;
		left -= got;
	}
	return 0;
}

/* Writes `file`, or else `text`, under the temporary name. 0, or -errno: then there is none. */
static int write_temporary(const struct spool_directory *directory, const char temporary[static NAME_MAX + 1],
			   struct byte_stream *file, const char *text, const atomic_bool *stop)
{
	cleanup(cleanup_close) const int fd =
		openat(directory->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return -errno;
	int r = file ? write_stream(fd, file, stop) : write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory->fd, temporary, 0);
	return r;
}

/* Gives it its name, for good. 0, or -errno: then there is neither. */
static int name_temporary(const struct spool_directory *directory, const char *temporary, const char *name)
{
	if (renameat(directory->fd, temporary, directory->fd, name) < 0) {
		const int r = -errno;

		unlinkat(directory->fd, temporary, 0);
		return r;
	}
	return fsync(directory->fd) < 0 && errno != EINVAL ? -errno : 0; /* EINVAL: it cannot flush a directory */
}

static int write_state(const struct spool_directory *directory, const char *name, const char *state)
{
	char state_name[NAME_MAX + 1], temporary[NAME_MAX + 1];
	int r = name_parts(state_name, "", name, STATE_SUFFIX);

	if (r == 0)
		r = name_parts(temporary, TEMPORARY_PREFIX, state_name, TEMPORARY_SUFFIX);
	if (r == 0)
		r = write_temporary(directory, temporary, NULL, state, NULL);
	return r < 0 ? r : name_temporary(directory, temporary, state_name);
}

static void remove_state(const struct spool_directory *directory, const char *name)
{
	char state_name[NAME_MAX + 1];

	if (name_parts(state_name, "", name, STATE_SUFFIX) == 0)
		unlinkat(directory->fd, state_name, 0);
}

static int write_entry(const struct spool_directory *directory, const char *name, struct byte_stream *file,
		       const char *state, const atomic_bool *stop)
{
	char temporary[NAME_MAX + 1];
	int r = name_parts(temporary, TEMPORARY_PREFIX, name, TEMPORARY_SUFFIX);

	if (r == 0)
		r = write_temporary(directory, temporary, file, NULL, stop);
	if (r < 0)
		return r;
	r = write_state(directory, name, state);
	if (r < 0)
		unlinkat(directory->fd, temporary, 0);
	else
		r = name_temporary(directory, temporary, name);
	if (r < 0) {
		unlinkat(directory->fd, name, 0);
		remove_state(directory, name);
	}
	return r;
}

static bool exists(const struct spool_directory *directory, const char *name, uint64_t *bytes)
{
	struct stat status;

	if (fstatat(directory->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	*bytes = (uint64_t)status.st_size;
	return true;
}

int spool_directory_put(struct spool_directory *directory, const char *name, struct byte_stream *file,
			const char *state, uint64_t max_bytes, const atomic_bool *stop, struct error *err)
{
	const uint64_t held = directory->bytes;
	uint64_t bytes;

	if (directory->files >= SPOOL_ENTRIES_MAX)
		return error_set(err, -EDQUOT, "the spool has %d files already", SPOOL_ENTRIES_MAX);
	if (max_bytes && (held > max_bytes || file->size_bytes > max_bytes - held))
		return error_set(err, -EDQUOT,
				 "the spool has %llu bytes already, and %llu more are over spool.max_bytes (%llu)",
				 (unsigned long long)held, (unsigned long long)file->size_bytes,
				 (unsigned long long)max_bytes);
	const int r = strlen(state) > SPOOL_STATE_MAX	? -EMSGSIZE
		      : !is_plain(name)			? -EINVAL
		      : exists(directory, name, &bytes) ? -EEXIST
							: write_entry(directory, name, file, state, stop);
	if (r < 0)
		return error_set(err, r, "the spool cannot take %s: %s", name, strerror(-r));
	directory->files++;
	directory->bytes += file->size_bytes;
	return 0;
}

int spool_directory_update(struct spool_directory *directory, const char *name, const char *state)
{
	return write_state(directory, name, state);
}

int spool_directory_remove(struct spool_directory *directory, const char *name)
{
	uint64_t bytes = 0;

	if (!is_plain(name) || !exists(directory, name, &bytes))
		return -ENOENT;
	if (unlinkat(directory->fd, name, 0) < 0)
		return -errno;
	remove_state(directory, name);
	directory->files--;
	directory->bytes -= bytes;
	return 0;
}

/* --- reading --- */

struct found {
	struct timespec written;
	char name[NAME_MAX + 1];
};

/* Calls `visit` for each regular file. 0 or -errno. */
static int visit_files(const struct spool_directory *directory,
		       int (*visit)(void *ctx, const char *name, const struct stat *status), void *ctx)
{
	const int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct stat status;
	int r = listing ? 0 : -errno;

	if (!listing && fd >= 0)
		close(fd);
	while (r == 0 && (entry = readdir(listing))) {
		if (fstatat(directory->fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
			r = visit(ctx, entry->d_name, &status);
	}
	if (listing)
		closedir(listing);
	return r;
}

static bool has_state(const struct spool_directory *directory, const char *name)
{
	char state_name[NAME_MAX + 1];
	uint64_t bytes;

	return name_parts(state_name, "", name, STATE_SUFFIX) == 0 && exists(directory, state_name, &bytes);
}

struct listing {
	const struct spool_directory *directory;
	struct found *found;
	size_t count, room;
};

static int add_entry(void *ctx, const char *name, const struct stat *status)
{
	struct listing *listing = ctx;

	if (!is_plain(name) || !has_state(listing->directory, name) || listing->count == SPOOL_ENTRIES_MAX)
		return 0;
	if (listing->count == listing->room) {
		const size_t room = listing->room ? 2 * listing->room : 64;
		struct found *found = reallocarray(listing->found, room, sizeof(*found));

		if (!found)
			return -ENOMEM;
		listing->found = found;
		listing->room = room;
	}
	struct found *found = &listing->found[listing->count++];
	found->written = status->st_mtim;
	snprintf(found->name, sizeof(found->name), "%s", name);
	return 0;
}

static int by_age(const void *left, const void *right)
{
	const struct found *a = left, *b = right;

	if (a->written.tv_sec != b->written.tv_sec)
		return a->written.tv_sec < b->written.tv_sec ? -1 : 1;
	if (a->written.tv_nsec != b->written.tv_nsec)
		return a->written.tv_nsec < b->written.tv_nsec ? -1 : 1;
	return strcmp(a->name, b->name);
}

int spool_directory_list(const struct spool_directory *directory, char (**names)[NAME_MAX + 1], size_t *count)
{
	struct listing listing = {.directory = directory};
	int r = visit_files(directory, add_entry, &listing);

	*count = 0;
	*names = r == 0 ? calloc(listing.count + 1, sizeof(**names)) : NULL;
	if (r == 0 && !*names)
		r = -ENOMEM;
	if (r == 0 && listing.count)
		qsort(listing.found, listing.count, sizeof(*listing.found), by_age);
	for (size_t i = 0; r == 0 && i < listing.count; i++)
		memcpy((*names)[(*count)++], listing.found[i].name, NAME_MAX + 1);
	free(listing.found);
	return r;
}

char *spool_directory_state(const struct spool_directory *directory, const char *name)
{
	char state_name[NAME_MAX + 1];
	struct stat status;

	if (name_parts(state_name, "", name, STATE_SUFFIX) < 0)
		return NULL;
	cleanup(cleanup_close) const int fd = openat(directory->fd, state_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > SPOOL_STATE_MAX)
		return NULL;
	cleanup(cleanup_free) char *text = calloc(1, (size_t)status.st_size + 1);
	if (!text || read(fd, text, (size_t)status.st_size) != status.st_size)
		return NULL;
	return take(text);
}

int spool_directory_open_file(const struct spool_directory *directory, const char *name, uint64_t *size_bytes,
			      const atomic_bool *stop)
{
	cleanup(cleanup_free) uint8_t *chunk = malloc(CHUNK_BYTES);
	cleanup(cleanup_close) int fd = openat(directory->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	ssize_t got = 1;

	if (!chunk)
		return -ENOMEM;
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	while (got > 0) {
		if (atomic_load(stop))
			return -ECANCELED;
		got = read(fd, chunk, CHUNK_BYTES);
		if (got < 0 && errno == EINTR)
			got = 1;
	}
	if (got < 0)
		return -errno;
	*size_bytes = (uint64_t)status.st_size;
	return take_fd(fd);
}

/* --- opening --- */

/* Whether it is the state of a file that is not there. */
static bool is_orphan(const struct spool_directory *directory, const char *name)
{
	char file_name[NAME_MAX + 1];
	uint64_t bytes;

	if (!ends_with(name, STATE_SUFFIX))
		return false;
	snprintf(file_name, sizeof(file_name), "%.*s", (int)(strlen(name) - strlen(STATE_SUFFIX)), name);
	return !exists(directory, file_name, &bytes);
}

static int count_entry(void *ctx, const char *name, const struct stat *status)
{
	struct spool_directory *directory = ctx;

	if (is_temporary(name) || is_orphan(directory, name)) {
		log_warning("spool-leftover-removed", log_str("file", name));
		unlinkat(directory->fd, name, 0);
	} else if (is_plain(name) && has_state(directory, name)) {
		directory->files++;
		directory->bytes += (uint64_t)status->st_size;
	}
	return 0;
}

int spool_directory_open(const char *path, struct spool_directory **opened, struct error *err)
{
	cleanup(cleanup_spool_directory) struct spool_directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return error_set(err, -ENOMEM, "spool.dir: out of memory");
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0)
		return error_set(err, -errno, "spool.dir: %s: %s", path, strerror(errno));
	if (flock(directory->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_set(err, -EBUSY, "spool.dir: another pcapdaemon uses %s", path)
			       : error_set(err, -errno, "spool.dir: cannot lock %s: %s", path, strerror(errno));
	const int r = visit_files(directory, count_entry, directory);
	if (r < 0)
		return error_set(err, r, "spool.dir: %s: %s", path, strerror(-r));
	*opened = take(directory);
	return 0;
}

void spool_directory_close(struct spool_directory *directory)
{
	if (directory->fd >= 0)
		close(directory->fd);
	free(directory);
}

struct spool_usage spool_directory_usage(const struct spool_directory *directory)
{
	return (struct spool_usage){.files = directory->files, .bytes = directory->bytes};
}
