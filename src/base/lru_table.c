/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash table with chains, and a list of its entries by last use. */
#include "base/lru_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define BUCKETS 1024

struct lru_table {
	struct lru_entry *buckets[BUCKETS];
	TAILQ_HEAD(, lru_entry) by_use; /* least recently used first */
	size_t count, entries_max, entry_bytes;
};

struct lru_table *lru_table_new(size_t entries_max, size_t entry_bytes)
{
	struct lru_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	TAILQ_INIT(&table->by_use);
	table->entries_max = entries_max;
	table->entry_bytes = entry_bytes;
	return table;
}

static void drop_oldest(struct lru_table *table)
{
	struct lru_entry *oldest = TAILQ_FIRST(&table->by_use);
	struct lru_entry **at = &table->buckets[hash_text(oldest->key) % BUCKETS];

	while (*at != oldest)
		at = &(*at)->chain;
	*at = oldest->chain;
	TAILQ_REMOVE(&table->by_use, oldest, use);
	table->count--;
	free(oldest->key);
	free(oldest);
}

void lru_table_free(struct lru_table *table)
{
	if (!table)
		return;
	while (table->count)
		drop_oldest(table);
	free(table);
}

struct lru_entry *lru_table_find(const struct lru_table *table, const char *key)
{
	struct lru_entry *entry = table->buckets[hash_text(key) % BUCKETS];

	while (entry && strcmp(entry->key, key) != 0)
		entry = entry->chain;
	return entry;
}

struct lru_entry *lru_table_touch(struct lru_table *table, const char *key, bool *is_new)
{
	struct lru_entry *entry = lru_table_find(table, key);

	*is_new = !entry;
	if (entry) {
		TAILQ_REMOVE(&table->by_use, entry, use);
	} else {
		entry = calloc(1, table->entry_bytes);
		if (!entry || !(entry->key = strdup(key))) {
			free(entry);
			return NULL;
		}
		while (table->count >= table->entries_max)
			drop_oldest(table);
		struct lru_entry **bucket = &table->buckets[hash_text(key) % BUCKETS];
		entry->chain = *bucket;
		*bucket = entry;
		table->count++;
	}
	TAILQ_INSERT_TAIL(&table->by_use, entry, use);
	return entry;
}
