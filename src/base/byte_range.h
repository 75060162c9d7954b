/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that can be read at any offset, any number of times: memory, or part of an open file (from memfd_create or
 * O_TMPFILE, for example). Blocks only if reading the file does. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cleanup.h"

/* Owns nothing; the caller fills it in. */
struct byte_range {
	const uint8_t *bytes; /* NULL: read `fd` */
	int fd;
	uint64_t start; /* in the file */
	uint64_t size_bytes;
};

/* Copies bytes from offset `at` on: `room`, or fewer only at the end. Returns their number, or a negative errno: -EIO
 * if the file is shorter than the range. */
warn_unused ssize_t byte_range_read(const struct byte_range *range, uint64_t at, void *into, size_t room);
