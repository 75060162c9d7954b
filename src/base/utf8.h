/* SPDX-License-Identifier: BSD-2-Clause */
/* Just enough UTF-8 (RFC 3629) to cut and to check text from outside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the well-formed character `text` begins with (1–4; `*code` is its code point), or 0: not UTF-8, cut short,
 * or size 0. Overlong forms and surrogates are not well-formed.
 */
size_t utf8_decode(const char *text, size_t size, uint32_t *code);

/* The largest n <= cap so that the first n of `size` bytes don't end inside a character. */
size_t utf8_cut(const char *text, size_t size, size_t cap);

/* Characters that steer a terminal or hide in text: C0 and C1 controls, line and paragraph separators, direction marks,
 * the byte order mark. */
bool utf8_is_unprintable(uint32_t code);
