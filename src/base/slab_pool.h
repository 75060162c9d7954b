/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slabs: packet memory in pieces of one size, shared by all code that copies packets. A slab that is given back stays
 * mapped for a while: memory this process has touched before is 10 to 50 times as fast as fresh memory. Any thread may
 * call all functions but slab_pool_new and slab_pool_free.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define SLAB_BYTES (2u << 20) /* one huge page */

/* Up to this much, warm memory is what captures have left unused; more is touched at start and kept. */
#define SLAB_POOL_CASUAL_BYTES (64u << 20)

struct slab_pool;

struct slab_pool_options {
	size_t warm_bytes; /* most memory that stays mapped while unused */
	size_t use_bytes;  /* the most in use at once; never warms more */
	uint64_t idle_ns;  /* unused slabs are unmapped after this time without use of the pool */
};

struct slab_pool_usage {
	size_t warm_bytes; /* mapped, not in use */
	size_t used_bytes;
};

/* Starts the pool's thread. If warm_bytes is more than SLAB_POOL_CASUAL_BYTES, another thread touches all of it at
 * idle priority, logs `warm-memory-ready` and ends. NULL and errno on failure. */
struct slab_pool *slab_pool_new(const struct slab_pool_options *options);

/* Every slab must have been given back. */
void slab_pool_free(struct slab_pool *pool);

/* SLAB_BYTES, page aligned, left out of core dumps, with undefined contents. Maps and touches a fresh slab if none is
 * warm. NULL: out of memory. */
void *slab_pool_take(struct slab_pool *pool);

void slab_pool_give(struct slab_pool *pool, void *memory);

struct slab_pool_usage slab_pool_usage(struct slab_pool *pool);

CLEANUP_DEFINE(slab_pool, struct slab_pool, slab_pool_free)
