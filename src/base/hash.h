/* SPDX-License-Identifier: BSD-2-Clause */
/* FNV-1a of a text, for small chained hash tables. A peer that chooses the texts can make chains long, so every table
 * that uses it is bounded. */
#pragma once

#include <stdint.h>

static inline uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}
