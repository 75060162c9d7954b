/* SPDX-License-Identifier: BSD-2-Clause */
/* A file replaced by rename() has another inode; one rewritten in place another size or time. */
#include "base/file_stamp.h"

#include <stddef.h>
#include <sys/stat.h>

#include "base/clock.h"

static int64_t to_ns(struct timespec time)
{
	return time.tv_sec * (int64_t)NS_PER_S + time.tv_nsec;
}

struct file_stamp file_stamp_read(const char *path)
{
	struct stat st;

	if (!path || !*path || stat(path, &st) < 0)
		return (struct file_stamp){0};
	return (struct file_stamp){
		.device = st.st_dev,
		.inode = st.st_ino,
		.size_bytes = (uint64_t)st.st_size,
		.modified_ns = to_ns(st.st_mtim),
		.changed_ns = to_ns(st.st_ctim),
	};
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}
