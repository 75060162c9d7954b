/* SPDX-License-Identifier: BSD-2-Clause */
/* All files have the same time to live, so the list is in the order in which they expire. */
#include "sink/redis_held.h"

#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"

struct held_file {
	TAILQ_ENTRY(held_file) list;
	uint64_t size_bytes, expires_ns; /* boot time */
	char key[];
};

struct redis_held {
	uint64_t max_bytes, ttl_ns, bytes;
	size_t count;
	TAILQ_HEAD(, held_file) files;
};

static void drop(struct redis_held *held, struct held_file *file)
{
	TAILQ_REMOVE(&held->files, file, list);
	held->bytes -= file->size_bytes;
	held->count--;
	free(file);
}

void redis_held_remove(struct redis_held *held, const char *key)
{
	struct held_file *file;

	TAILQ_FOREACH(file, &held->files, list)
	{
		if (strcmp(file->key, key) == 0) {
			drop(held, file);
			return;
		}
	}
}

bool redis_held_add(struct redis_held *held, const char *key, uint64_t size_bytes)
{
	const uint64_t now_ns = clock_boottime_ns();
	struct held_file *file;

	redis_held_remove(held, key);
	while ((file = TAILQ_FIRST(&held->files)) && file->expires_ns <= now_ns)
		drop(held, file);
	if (held->count >= REDIS_HELD_FILES_MAX || size_bytes > held->max_bytes ||
	    held->bytes > held->max_bytes - size_bytes)
		return false;
	file = calloc(1, sizeof(*file) + strlen(key) + 1);
	if (!file)
		return false;
	memcpy(file->key, key, strlen(key) + 1);
	file->size_bytes = size_bytes;
	file->expires_ns = now_ns + held->ttl_ns;
	TAILQ_INSERT_TAIL(&held->files, file, list);
	held->bytes += size_bytes;
	held->count++;
	return true;
}

const char *redis_held_key(const struct redis_held *held, size_t number)
{
	const struct held_file *file = TAILQ_FIRST(&held->files);

	for (; file && number > 0; number--)
		file = TAILQ_NEXT(file, list);
	return file ? file->key : NULL;
}

uint64_t redis_held_bytes(const struct redis_held *held)
{
	return held->bytes;
}

struct redis_held *redis_held_new(uint64_t max_bytes, uint64_t ttl_ns)
{
	struct redis_held *held = calloc(1, sizeof(*held));

	if (!held)
		return NULL;
	held->max_bytes = max_bytes;
	held->ttl_ns = ttl_ns;
	TAILQ_INIT(&held->files);
	return held;
}

void redis_held_free(struct redis_held *held)
{
	struct held_file *file;

	if (!held)
		return;
	while ((file = TAILQ_FIRST(&held->files)))
		drop(held, file);
	free(held);
}
