/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean": the nearest of the known names. */
#pragma once

#include <stddef.h>

/*
 * Returns the entry of `known` (count strings, NULLs skipped) with the smallest edit distance (Damerau, transposition
 * counts one) to `word`, case ignored, or NULL if none is near enough to be a likely typo.
 */
const char *suggest(const char *word, const char *const *known, size_t count);
