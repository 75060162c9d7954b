/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Optimal string alignment: the Damerau-Levenshtein distance in which no part of a word is edited twice. Three rows of
 * the table are enough. Names longer than WORD_MAX bytes are not compared.
 */
#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 64

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	uint8_t rows[3][WORD_MAX + 1] = {0};
	uint8_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_size; j++)
		row[j] = (uint8_t)j;

	for (size_t i = 1; i <= a_size; i++) {
		uint8_t *free_row = before;

		before = above;
		above = row;
		row = free_row;

		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_size; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);
			unsigned cost = above[j - 1] + (x != y);

			cost = least(cost, least(above[j], row[j - 1]) + 1u);
			if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
				cost = least(cost, before[j - 2] + 1u);
			row[j] = (uint8_t)cost;
		}
	}
	return row[b_size];
}

/* How many edits still count as typos in a name of this length. */
static unsigned edits_allowed(size_t letters)
{
	return letters < 3 ? 0 : letters < 5 ? 1 : letters < 9 ? 2 : 3;
}

const char *suggest(const char *word, const char *const *known, size_t count)
{
	const char *nearest = NULL;
	unsigned nearest_edits = 0;
	size_t word_size = strlen(word);

	if (word_size > WORD_MAX)
		return NULL;

	for (size_t i = 0; i < count; i++) {
		size_t known_size = known[i] ? strlen(known[i]) : SIZE_MAX;

		if (known_size > WORD_MAX)
			continue;

		unsigned edits = distance(word, word_size, known[i], known_size);
		if (edits > edits_allowed(word_size > known_size ? word_size : known_size))
			continue;
		if (!nearest || edits < nearest_edits) {
			nearest = known[i];
			nearest_edits = edits;
		}
	}
	return nearest;
}
