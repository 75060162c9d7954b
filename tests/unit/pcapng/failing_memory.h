/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Allocations that fail on demand, for tests linked with --wrap for malloc, calloc, realloc and reallocarray. Also
 * counts allocations. For one source file per program.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

static size_t memory_calls;    /* since it was last set to 0 */
static size_t memory_fails_at; /* only this call fails; 0: none */
static size_t memory_largest;  /* bytes of the largest allocation */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static inline int memory_fails(size_t size)
{
	if (size > memory_largest)
		memory_largest = size;
	return ++memory_calls == memory_fails_at;
}

void *__wrap_malloc(size_t size)
{
	return memory_fails(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return memory_fails(count * size) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return memory_fails(size) ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return memory_fails(count * size) ? NULL : __real_reallocarray(old, count, size);
}
