/* SPDX-License-Identifier: BSD-2-Clause */
/* A short list, searched under a lock that is held while a filter is compiled. Failures are remembered, too: a name
 * that no server knows is looked up once. */
#include "bpf/filter_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 64 /* beyond that, filters are compiled each time */

struct entry {
	uint16_t linktype;
	uint32_t netmask;
	int result;
	struct error error;
	const char *field;
	struct filter *filter;
};

struct filter_cache {
	pthread_mutex_t lock;
	struct entry *entries[ENTRIES_MAX];
	unsigned count;
};

struct filter_cache *filter_cache_new(void)
{
	struct filter_cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

static void free_entry(struct entry *entry)
{
	filter_free(entry->filter);
	free(entry);
}

void filter_cache_free(struct filter_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->count; i++)
		free_entry(cache->entries[i]);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

/* Only "ip broadcast" depends on the netmask, of which hundreds of interfaces may have as many. */
static uint32_t netmask_needed(const struct filter_options *options)
{
	const bool needed = (options->bpf && strstr(options->bpf, "broadcast")) ||
			    (options->inner && strstr(options->inner, "broadcast")) ||
			    (options->required && strstr(options->required, "broadcast"));

	return needed ? options->netmask : 0;
}

/* The new entry, in the cache if there is room. NULL on ENOMEM. */
static struct entry *compile_entry(struct filter_cache *cache, const struct filter_options *options)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->linktype = options->linktype;
	entry->netmask = netmask_needed(options);
	entry->result = filter_new(options, &entry->error, &entry->field, &entry->filter);
	if (entry->result != -ENOMEM && cache->count < ENTRIES_MAX)
		cache->entries[cache->count++] = entry;
	return entry;
}

static struct entry *find_entry(const struct filter_cache *cache, const struct filter_options *options)
{
	for (unsigned i = 0; i < cache->count; i++) {
		if (cache->entries[i]->linktype == options->linktype &&
		    cache->entries[i]->netmask == netmask_needed(options))
			return cache->entries[i];
	}
	return NULL;
}

int filter_cache_get(struct filter_cache *cache, const struct filter_options *options, struct error *err,
		     const char **field, struct filter **filter)
{
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find_entry(cache, options);
	if (!entry)
		entry = compile_entry(cache, options);
	const int r = entry ? entry->result : error_set(err, -ENOMEM, "out of memory");
	if (entry) {
		*field = entry->field;
		*filter = filter_share(entry->filter);
	}
	if (entry && r < 0)
		error_set(err, r, "%s", entry->error.text);
	if (entry && find_entry(cache, options) != entry)
		free_entry(entry);
	pthread_mutex_unlock(&cache->lock);
	return r;
}
