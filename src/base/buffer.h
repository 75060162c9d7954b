/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing byte buffer with a cap: what would exceed `cap_bytes` fails with -EMSGSIZE. Always NUL-terminated. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

struct buffer {
	char *data; /* NULL while empty; otherwise data[size] is NUL */
	size_t size;
	size_t room;
	size_t cap_bytes;
};

#define BUFFER_INIT(cap)           \
	{                          \
		.cap_bytes = (cap) \
	}

/* Each returns 0, -EMSGSIZE (beyond the cap) or -ENOMEM; on failure the buffer is unchanged. */
warn_unused int buffer_append(struct buffer *buffer, const void *bytes, size_t size);
warn_unused int buffer_append_string(struct buffer *buffer, const char *text);
warn_unused int buffer_printf(struct buffer *buffer, const char *fmt, ...) printf_like(2, 3);

/* Copies up to `room` bytes from offset `*at` on and advances `*at` past them. Returns their number. */
size_t buffer_read(const struct buffer *buffer, size_t *at, void *into, size_t room);

void buffer_clear(struct buffer *buffer);  /* empty, memory kept */
void buffer_deinit(struct buffer *buffer); /* empty, memory freed */

/* The content (never NULL); stays valid until the buffer changes. */
const char *buffer_text(const struct buffer *buffer);
