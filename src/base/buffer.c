/* SPDX-License-Identifier: BSD-2-Clause */
/* A byte buffer that doubles up to its cap. A failed call leaves it unchanged. */
#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define ROOM_MIN 64

/* Makes room for `more` bytes and the NUL. */
static int reserve(struct buffer *buffer, size_t more)
{
	size_t needed, room;

	if (__builtin_add_overflow(buffer->size, more, &needed) || needed > buffer->cap_bytes ||
	    __builtin_add_overflow(needed, 1, &needed))
		return -EMSGSIZE;
	if (needed <= buffer->room)
		return 0;

	if (__builtin_mul_overflow(buffer->room, 2, &room) || room < needed)
		room = needed < ROOM_MIN ? ROOM_MIN : needed;
	if (room - 1 > buffer->cap_bytes)
		room = buffer->cap_bytes + 1;

	char *data = realloc(buffer->data, room);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->room = room;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
	int r = reserve(buffer, size);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
	return 0;
}

int buffer_append_string(struct buffer *buffer, const char *text)
{
	return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int length = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (length < 0)
		return errno == ENOMEM ? -ENOMEM : -EMSGSIZE; /* longer than INT_MAX */

	int r = reserve(buffer, (size_t)length);
	if (r < 0)
		return r;

	va_start(args, fmt);
	vsnprintf(buffer->data + buffer->size, (size_t)length + 1, fmt, args);
	va_end(args);
	buffer->size += (size_t)length;
	return 0;
}

size_t buffer_read(const struct buffer *buffer, size_t *at, void *into, size_t room)
{
	const size_t left = buffer->size - *at;
	const size_t size = left < room ? left : room;

	if (size > 0)
		memcpy(into, buffer->data + *at, size);
	*at += size;
	return size;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
	if (buffer->data)
		buffer->data[0] = '\0';
}

void buffer_deinit(struct buffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
	buffer->size = 0;
	buffer->room = 0;
}

const char *buffer_text(const struct buffer *buffer)
{
	return buffer->data ? buffer->data : "";
}
