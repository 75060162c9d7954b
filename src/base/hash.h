/* SPDX-License-Identifier: BSD-2-Clause */
/* FNV-1a over a text, for the small tables of chains here. Whoever can choose the texts can make chains long: tables
 * that use it are bounded. */
#pragma once

#include <stdint.h>

static inline uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}
