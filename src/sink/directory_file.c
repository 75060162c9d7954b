/* SPDX-License-Identifier: BSD-2-Clause */
/* A link, unlike a rename, cannot replace an existing file. */
#include "sink/directory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compression.h"
#include "sink/directory_quota.h"

#define NAME_ATTEMPTS_MAX 100
#define FILE_MODE 0640

bool directory_file_may_pass(int code)
{
	static const int transient[] = {ENOSPC, EDQUOT, EIO,	ENOENT, EROFS,	   EINTR,    EAGAIN,
					EMFILE, ENFILE, ENOMEM, ESTALE, ETIMEDOUT, ENOTCONN, EHOSTDOWN};

	for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++)
		if (code == transient[i])
			return true;
	return false;
}

int directory_file_write(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

/* "<name>" for number 0, else "<name less extension>-<number>.<extension>", where ".pcapng.gz" is one extension. 0 or
 * -ENAMETOOLONG. */
static int numbered_name(char numbered[static NAME_MAX + 1], const char *name, unsigned number)
{
	const char *extension = memrchr(name, '.', compression_plain_name_size(name));
	int length;

	if (!extension)
		extension = name + strlen(name);
	if (number == 0)
		length = snprintf(numbered, NAME_MAX + 1, "%s", name);
	else
		length =
			snprintf(numbered, NAME_MAX + 1, "%.*s-%u%s", (int)(extension - name), name, number, extension);
	return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int directory_file_create(int directory_fd, const char *name, char temporary[static NAME_MAX + 1])
{
	for (unsigned number = 0; number < NAME_ATTEMPTS_MAX; number++) {
		char numbered[NAME_MAX + 1];
		int r = numbered_name(numbered, name, number), length, fd;

		if (r < 0)
			return r;
		length = snprintf(temporary, NAME_MAX + 1, ".%s.part", numbered);
		if (length < 0 || length > NAME_MAX)
			return -ENAMETOOLONG;
		fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
		if (fd >= 0 && directory_quota_claim(fd) == 0)
			return fd;
		if (fd >= 0)
			close(fd); /* a process that has just started took it for an orphan */
		else if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Gives the file its name unless that is taken. 0 or a negative errno; on success the temporary name is gone. */
static int link_name(int directory_fd, const char *temporary, const char *name)
{
	if (linkat(directory_fd, temporary, directory_fd, name, 0) == 0) {
		unlinkat(directory_fd, temporary, 0);
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
		return -errno;
	return renameat2(directory_fd, temporary, directory_fd, name, RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

int directory_file_name(int directory_fd, const char *temporary, const char *name, char given[static NAME_MAX + 1],
			const char **what)
{
	int r = -EEXIST;

	*what = "name";
	for (unsigned number = 0; r == -EEXIST && number < NAME_ATTEMPTS_MAX; number++) {
		r = numbered_name(given, name, number);
		if (r == 0)
			r = link_name(directory_fd, temporary, given);
	}
	if (r < 0)
		return r;
	if (fsync(directory_fd) < 0 && errno != EINVAL) { /* EINVAL: the filesystem cannot flush a directory */
		r = -errno;
		*what = "flush the directory of";
		unlinkat(directory_fd, given, 0);
	}
	return r;
}

void directory_file_url(char *url, size_t size, const char *path, const char *name)
{
	if ((size_t)snprintf(url, size, "%s/%s", path, name) >= size)
		*url = '\0';
}

bool directory_file_is_plain(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/');
}
