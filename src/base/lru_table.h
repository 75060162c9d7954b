/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table with text keys and a cap: in a full table a new entry replaces the least recently used one. Entries are the
 * caller's structs and begin with a struct lru_entry. The caller locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/cleanup.h"

struct lru_table;

/* Private. */
struct lru_entry {
	struct lru_entry *chain;
	TAILQ_ENTRY(lru_entry) use;
	char *key;
};

/* For up to `entries_max` entries of `entry_bytes` each. NULL on ENOMEM. */
struct lru_table *lru_table_new(size_t entries_max, size_t entry_bytes);
void lru_table_free(struct lru_table *table);

/* NULL if there is none. Does not count as use. */
struct lru_entry *lru_table_find(const struct lru_table *table, const char *key);

/* Marks the key's entry as just used, or makes one, zeroed after its struct lru_entry. NULL on ENOMEM. */
struct lru_entry *lru_table_touch(struct lru_table *table, const char *key, bool *is_new);

CLEANUP_DEFINE(lru_table, struct lru_table, lru_table_free)
