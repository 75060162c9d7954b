/* SPDX-License-Identifier: BSD-2-Clause */
/* A length has no leading zero, and is no longer than that of the longest message. */
#include "trigger/line_frame.h"

#include <string.h>

#define LENGTH_DIGITS_MAX 7 /* of LINE_BYTES_MAX */

/* The bytes of a length and its blank, and the length; 0: there is none, at least not yet. */
static size_t read_length(const char *bytes, size_t size, size_t *length)
{
	size_t digits = 0;

	*length = 0;
	if (!size || *bytes == '0')
		return 0;
	while (digits < size && digits <= LENGTH_DIGITS_MAX && bytes[digits] >= '0' && bytes[digits] <= '9')
		*length = *length * 10 + (size_t)(bytes[digits++] - '0');
	return digits && digits < size && bytes[digits] == ' ' ? digits + 1 : 0;
}

static void set_line(const char *bytes, size_t size, struct line_frame *frame)
{
	*frame = (struct line_frame){.text = bytes, .size = size, .taken = size};
	frame->size -= frame->size && bytes[frame->size - 1] == '\n';
	frame->size -= frame->size && bytes[frame->size - 1] == '\r';
}

enum line_frame_kind line_frame_first(const char *bytes, size_t size, struct line_frame *frame)
{
	size_t length;
	const size_t head = read_length(bytes, size, &length);

	if (head && length > LINE_BYTES_MAX)
		return LINE_FRAME_TOO_LONG;
	if (head && size - head < length)
		return LINE_FRAME_NONE;
	if (head) {
		set_line(bytes + head, length, frame);
		frame->taken += head;
		return LINE_FRAME_WHOLE;
	}
	const char *end = memchr(bytes, '\n', size);
	const size_t line = end ? (size_t)(end - bytes) : size;
	if (line > LINE_BYTES_MAX)
		return LINE_FRAME_TOO_LONG;
	if (!end)
		return LINE_FRAME_NONE;
	set_line(bytes, line, frame);
	frame->taken++;
	return LINE_FRAME_WHOLE;
}

enum line_frame_kind line_frame_last(const char *bytes, size_t size, struct line_frame *frame)
{
	size_t length;
	const enum line_frame_kind kind = line_frame_first(bytes, size, frame);

	if (kind != LINE_FRAME_NONE || !size)
		return kind;
	if (read_length(bytes, size, &length))
		return LINE_FRAME_CUT_OFF;
	set_line(bytes, size, frame);
	return LINE_FRAME_WHOLE;
}
