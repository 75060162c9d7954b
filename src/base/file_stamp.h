/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells whether a file was replaced or rewritten. Any thread; blocks as stat() does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct file_stamp {
	uint64_t device, inode, size_bytes;
	int64_t modified_ns, changed_ns;
};

/* The file's stamp now; all zero if there is none, or no path (NULL, ""). */
struct file_stamp file_stamp_read(const char *path);

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);
