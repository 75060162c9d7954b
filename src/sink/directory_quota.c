/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes in use are counted by reading the directory, at most every SCAN_INTERVAL_NS, since users may remove files;
 * between scans what is written is added.
 *
 * A temporary file is locked (flock) for as long as it is open, so an unlocked one has lost its process. A process that
 * has just created one and not locked it yet finds out that it was taken for an orphan: its file then has no name.
 */
#include "sink/directory_quota.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/compression.h"
#include "base/log.h"

#define SCAN_INTERVAL_NS (10 * NS_PER_S)
#define PART_SUFFIX ".part"

struct directory_quota {
	struct directory_quota_options options;
	char *name_prefix;
	pthread_mutex_t lock; /* guards what follows */
	uint64_t used_bytes;
	uint64_t reserved_bytes; /* of files being written, which no scan sees */
	uint64_t scanned_ns;	 /* boot time; 0: never */
};

/* --- whose file is it? --- */

/* Whether the text begins with "-YYYYMMDDTHHMMSS.mmmZ-". */
static bool has_stamp(const char *text)
{
	static const char shape[] = "-ddddddddTdddddd.dddZ-";

	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return true;
}

static bool is_own_name(const struct directory_quota *quota, const char *name, size_t size)
{
	const size_t prefix_size = strlen(quota->name_prefix);
	char text[NAME_MAX + 1];
	const char *extension;

	if (size > NAME_MAX || size <= prefix_size || strncmp(name, quota->name_prefix, prefix_size) != 0)
		return false;
	memcpy(text, name, size);
	text[size] = '\0';
	text[compression_plain_name_size(text)] = '\0';
	extension = strrchr(text, '.');
	if (!extension || (strcmp(extension, ".pcapng") != 0 && strcmp(extension, ".pcap") != 0))
		return false;
	for (const char *at = strchr(text + prefix_size, '-'); at; at = strchr(at + 1, '-'))
		if (has_stamp(at))
			return true;
	return false;
}

static bool is_own_file(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid();
}

/* --- walking the directory --- */

typedef void (*visitor)(void *ctx, int directory_fd, const char *name, const struct stat *st);

/* Visits this node's finished files. 0 or a negative errno. */
static int visit_own(const struct directory_quota *quota, int directory_fd, visitor visit, void *ctx)
{
	const int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (!directory) {
		const int code = -errno;

		if (fd >= 0)
			close(fd);
		return code;
	}
	while ((entry = readdir(directory)))
		if (is_own_name(quota, entry->d_name, strlen(entry->d_name)) &&
		    fstatat(directory_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_own_file(&st))
			visit(ctx, directory_fd, entry->d_name, &st);
	closedir(directory);
	return 0;
}

static void add_size(void *ctx, int directory_fd, const char *name, const struct stat *st)
{
	(void)directory_fd;
	(void)name;
	*(uint64_t *)ctx += (uint64_t)st->st_size;
}

/* --- limits --- */

/* With the lock held. */
static int scan(struct directory_quota *quota, int directory_fd)
{
	const uint64_t now_ns = clock_boottime_ns();
	uint64_t bytes = 0;
	int r;

	if (quota->scanned_ns && now_ns < quota->scanned_ns + SCAN_INTERVAL_NS)
		return 0;
	r = visit_own(quota, directory_fd, add_size, &bytes);
	if (r < 0)
		return r;
	quota->used_bytes = bytes;
	quota->scanned_ns = now_ns;
	return 0;
}

static int check_bytes(struct directory_quota *quota, int directory_fd, uint64_t size_bytes, struct error *err)
{
	const uint64_t max = quota->options.max_bytes;
	int r = scan(quota, directory_fd);

	if (r < 0)
		return r;
	const uint64_t used = quota->used_bytes + quota->reserved_bytes;
	if (size_bytes <= max && used <= max - size_bytes)
		return 0;
	return error_set(err, -EDQUOT,
			 "the file has %llu bytes, and this node's files have %llu already; the limit is %llu "
			 "(local.max_bytes)",
			 (unsigned long long)size_bytes, (unsigned long long)used, (unsigned long long)max);
}

static int check_free(const struct directory_quota *quota, int directory_fd, uint64_t size_bytes, struct error *err)
{
	struct statvfs st;

	if (fstatvfs(directory_fd, &st) < 0)
		return -errno;
	const uint64_t all = (uint64_t)st.f_blocks * st.f_frsize, left = (uint64_t)st.f_bavail * st.f_frsize;
	const uint64_t keep = all / 100 * quota->options.min_free;
	if (all == 0 || (size_bytes <= left && left - size_bytes >= keep))
		return 0;
	return error_set(
		err, -EDQUOT,
		"the file has %llu bytes, and the filesystem has %llu of %llu free; %u percent have to stay free "
		"(local.min_free)",
		(unsigned long long)size_bytes, (unsigned long long)left, (unsigned long long)all,
		quota->options.min_free);
}

int directory_quota_reserve(struct directory_quota *quota, int directory_fd, uint64_t size_bytes, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&quota->lock);
	if (quota->options.max_bytes)
		r = check_bytes(quota, directory_fd, size_bytes, err);
	if (r != -EDQUOT && quota->options.min_free)
		r = check_free(quota, directory_fd, size_bytes, err);
	r = r == -EDQUOT ? r : 0; /* the write itself shows what is wrong with the directory */
	if (r == 0)
		quota->reserved_bytes += size_bytes;
	pthread_mutex_unlock(&quota->lock);
	return r;
}

void directory_quota_settle(struct directory_quota *quota, uint64_t size_bytes, bool written)
{
	pthread_mutex_lock(&quota->lock);
	quota->reserved_bytes -= size_bytes;
	if (written)
		quota->used_bytes += size_bytes;
	pthread_mutex_unlock(&quota->lock);
}

/* --- removal --- */

struct expiry {
	uint64_t before_ns; /* real time */
	uint64_t files, bytes;
	int error_code;
};

static void remove_if_old(void *ctx, int directory_fd, const char *name, const struct stat *st)
{
	struct expiry *expiry = ctx;
	const uint64_t modified_ns = (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;

	if (st->st_mtim.tv_sec < 0 || modified_ns >= expiry->before_ns)
		return;
	if (unlinkat(directory_fd, name, 0) < 0) {
		expiry->error_code = -errno;
		return;
	}
	expiry->files++;
	expiry->bytes += (uint64_t)st->st_size;
}

void directory_quota_expire(struct directory_quota *quota, int directory_fd)
{
	const uint64_t now_ns = clock_realtime_ns(), age_ns = quota->options.max_age_ns;
	struct expiry expiry = {.before_ns = now_ns > age_ns ? now_ns - age_ns : 0};

	if (!age_ns)
		return;
	const int r = visit_own(quota, directory_fd, remove_if_old, &expiry);
	if (r < 0)
		expiry.error_code = r;
	if (expiry.files) {
		pthread_mutex_lock(&quota->lock);
		quota->scanned_ns = 0;
		pthread_mutex_unlock(&quota->lock);
		log_notice("local-files-expired", log_uint("files", expiry.files), log_uint("bytes", expiry.bytes));
	}
	if (expiry.error_code < 0)
		log_warning("local-files-not-expired", log_str("error", strerror(-expiry.error_code)));
}

int directory_quota_claim(int fd)
{
	struct stat st;

	/* On a filesystem without locks the file is written all the same; orphans cannot be told apart there. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : 0;
	return fstat(fd, &st) == 0 && st.st_nlink == 0 ? -ENOENT : 0;
}

static bool is_own_part(const struct directory_quota *quota, const char *name)
{
	const size_t size = strlen(name), suffix = sizeof(PART_SUFFIX) - 1;

	return *name == '.' && size > suffix + 1 && strcmp(name + size - suffix, PART_SUFFIX) == 0 &&
	       is_own_name(quota, name + 1, size - suffix - 1);
}

static void remove_orphan(int directory_fd, const char *name)
{
	cleanup(cleanup_close) int fd = openat(directory_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat open, named;

	if (fd < 0 || fstat(fd, &open) < 0 || !is_own_file(&open) || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	if (fstatat(directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != open.st_ino ||
	    named.st_dev != open.st_dev)
		return;
	if (unlinkat(directory_fd, name, 0) == 0)
		log_notice("local-part-removed", log_str("file", name), log_uint("bytes", (uint64_t)open.st_size));
}

void directory_quota_remove_orphans(const struct directory_quota *quota, int directory_fd)
{
	const int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)))
		if (is_own_part(quota, entry->d_name))
			remove_orphan(directory_fd, entry->d_name);
	closedir(directory);
}

/* --- life --- */

struct directory_quota *directory_quota_new(const struct directory_quota_options *options)
{
	cleanup(cleanup_directory_quota) struct directory_quota *quota = calloc(1, sizeof(*quota));

	if (!quota)
		return NULL;
	pthread_mutex_init(&quota->lock, NULL);
	quota->options = *options;
	quota->name_prefix = strdup(options->name_prefix);
	return quota->name_prefix ? take(quota) : NULL;
}

void directory_quota_free(struct directory_quota *quota)
{
	if (!quota)
		return;
	pthread_mutex_destroy(&quota->lock);
	free(quota->name_prefix);
	free(quota);
}
