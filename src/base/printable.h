/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes untrusted text safe for a terminal: it cannot move the cursor, change colours or reorder what is shown. Pure;
 * any thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/* Characters that never need quotes: those of request ids, node names and file names. */
#define PLAIN_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

struct buffer;

/*
 * Appends `text`. Each byte of a control or direction character (newline and tab included) and each byte that is not
 * UTF-8 becomes \xNN; a backslash stays. Returns what buffer_append returns.
 */
warn_unused int printable_append(struct buffer *out, const char *text, size_t size);

/* The same into `into` (`room` bytes, at least 4; for printable_word 8); a text that is too long is cut between
 * characters and ends with "…". Returns `into`. */
const char *printable(char *into, size_t room, const char *text);

/* The same as one word of a shell's command line: in single quotes, unless it is plain. */
const char *printable_word(char *into, size_t room, const char *text);

/* Columns of printable text on a terminal, one per character. */
size_t printable_width(const char *text);
