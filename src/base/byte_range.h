/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that can be read anywhere, any number of times: in memory, or a part of an open file (one of memfd_create or
 * O_TMPFILE, say). Blocks as far as the file does. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cleanup.h"

/* Owns nothing; either kind is filled in as it stands. */
struct byte_range {
	const uint8_t *bytes; /* NULL: `fd` */
	int fd;
	uint64_t start; /* in the file */
	uint64_t size_bytes;
};

/* Bytes put into `into`: `room`, or what there is up to the end; 0 only there. Or -errno: -EIO if the file is shorter
 * than the range. */
warn_unused ssize_t byte_range_read(const struct byte_range *range, uint64_t at, void *into, size_t room);
