/* SPDX-License-Identifier: BSD-2-Clause */
/* Text from strangers on its way to a terminal: nothing in it can move the cursor, change colours or reorder what is
 * read. Pure; any thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/* Letters, digits and what never needs quotes: of request ids, node names and file names. */
#define PLAIN_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

struct buffer;

/*
 * Appends `text`: control and steering characters (also newline and tab) and bytes that are not UTF-8 as \xNN, one per
 * byte; a backslash as it is. 0, or what buffer_append says.
 */
warn_unused int printable_append(struct buffer *out, const char *text, size_t size);

/* The same into `into` (room bytes, at least 4); what does not fit is cut at a character and "…" put there. Returns
 * `into`. */
const char *printable(char *into, size_t room, const char *text);

/* Columns that printable text takes on a terminal, each character one. */
size_t printable_width(const char *text);
