/* SPDX-License-Identifier: BSD-2-Clause */
/* A file is read with pread(2) until the range is complete, memory is copied. */
#include "base/byte_range.h"

#include <errno.h>
#include <string.h>

static int read_file(const struct byte_range *range, uint64_t at, uint8_t *into, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t got = pread(range->fd, into + done, size - done, (off_t)(range->start + at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		done += (size_t)got;
	}
	return 0;
}

ssize_t byte_range_read(const struct byte_range *range, uint64_t at, void *into, size_t room)
{
	if (at >= range->size_bytes || room == 0)
		return 0;

	const uint64_t left = range->size_bytes - at;
	const size_t size = left < room ? (size_t)left : room;
	if (range->bytes) {
		memcpy(into, range->bytes + at, size);
		return (ssize_t)size;
	}
	int r = read_file(range, at, into, size);
	return r < 0 ? r : (ssize_t)size;
}
