/* SPDX-License-Identifier: BSD-2-Clause */
/* Just enough UTF-8 (RFC 3629) to cut and to check text from outside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Returns the bytes of the well-formed character at the start of `text` (1–4; `*code` is its code point), or 0: not
 * UTF-8, truncated, or size 0. Overlong forms and surrogates are not well-formed.
 */
size_t utf8_decode(const char *text, size_t size, uint32_t *code);

/* The largest n <= cap such that the first n of `size` bytes do not end inside a character. */
size_t utf8_cut(const char *text, size_t size, size_t cap);

/* Characters that control a terminal or are invisible: C0 and C1 controls, line and paragraph separators, direction
 * marks, the byte order mark. */
bool utf8_is_unprintable(uint32_t code);
