/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of texts with a cap: when it is full, the entry that was used least recently goes. The caller's entries begin
 * with a struct lru_entry. The caller locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/cleanup.h"

struct lru_table;

struct lru_entry {
	struct lru_entry *chain; /* private, like the next */
	TAILQ_ENTRY(lru_entry) use;
	char *key;
};

/* For at most `entries_max` entries of `entry_bytes` each. NULL on ENOMEM. */
struct lru_table *lru_table_new(size_t entries_max, size_t entry_bytes);
void lru_table_free(struct lru_table *table);

/* NULL: there is none. Finding is no use. */
struct lru_entry *lru_table_find(const struct lru_table *table, const char *key);

/* Uses the entry of this key; made, with zeroes behind its struct lru_entry, if there is none. NULL on ENOMEM. */
struct lru_entry *lru_table_touch(struct lru_table *table, const char *key, bool *is_new);

CLEANUP_DEFINE(lru_table, struct lru_table, lru_table_free)
