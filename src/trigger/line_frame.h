/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages in a stream of bytes: lines, or what has its length in bytes and a blank before it, "27 <34>1 …", as syslog
 * over TCP and TLS does (RFC 6587, RFC 5425). Each message may be of either kind. Pure; any thread.
 */
#pragma once

#include <stddef.h>

#define LINE_BYTES_MAX (1024 * 1024)

enum line_frame_kind {
	LINE_FRAME_NONE, /* no whole message yet */
	LINE_FRAME_WHOLE,
	LINE_FRAME_TOO_LONG, /* a message of more than LINE_BYTES_MAX */
	LINE_FRAME_CUT_OFF,  /* the stream ends within a message that has its length before it */
};

struct line_frame {
	const char *text; /* in the bytes, without length, newline and a carriage return before that */
	size_t size;	  /* may be 0 */
	size_t taken;	  /* bytes up to the next message */
};

/* The first message of `bytes`; `frame` is filled for LINE_FRAME_WHOLE. */
enum line_frame_kind line_frame_first(const char *bytes, size_t size, struct line_frame *frame);

/* The same for all that is left at the stream's end: the last line may have no newline. */
enum line_frame_kind line_frame_last(const char *bytes, size_t size, struct line_frame *frame);
