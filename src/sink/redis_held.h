/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this node has stored in Redis and what has not expired yet: the account behind redis.files_size. It covers this
 * process only; files of an earlier one expire within their time. Part of the Redis sink. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct redis_held;

#define REDIS_HELD_FILES_MAX 1024 /* more have no room, whatever their size */

/* NULL on ENOMEM. */
struct redis_held *redis_held_new(uint64_t max_bytes, uint64_t ttl_ns);
void redis_held_free(struct redis_held *held);

/* Counts a file from now on, until its time is over. False: there is no room. The same key again replaces its file. */
bool redis_held_add(struct redis_held *held, const char *key, uint64_t size_bytes);
void redis_held_remove(struct redis_held *held, const char *key);

/* The `number`th key from the oldest; NULL: there are fewer. Valid until the next change. */
const char *redis_held_key(const struct redis_held *held, size_t number);
uint64_t redis_held_bytes(const struct redis_held *held);

CLEANUP_DEFINE(redis_held, struct redis_held, redis_held_free)
