/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of ids, newest first, each with the latest event of each of its captures. A small chained hash table finds
 * them; both are bounded by REPLY_CACHE_IDS_MAX. All memory is charged: additions make room by forgetting the oldest
 * ids; what exceeds the bounds of a single id is not remembered.
 */
#include "job/reply_cache.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "event/event_bus.h"
#include "event/event_copy.h"
#include "event/event_parse.h"

#define BUCKETS 1024

struct reply {
	struct reply *chain;	     /* same bucket */
	struct reply *older, *newer; /* by age */
	char *id;
	struct event **events; /* one per capture, the latest */
	size_t event_count;
	size_t bytes; /* its memory in all */
};

struct reply_cache {
	struct reply *buckets[BUCKETS];
	struct reply *newest, *oldest;
	size_t count, event_count, bytes;
};

static size_t bucket_of(const char *id)
{
	return hash_text(id) % BUCKETS;
}

struct reply_cache *reply_cache_new(void)
{
	return calloc(1, sizeof(struct reply_cache));
}

static void free_reply(struct reply *reply)
{
	for (size_t i = 0; i < reply->event_count; i++)
		event_copy_free(reply->events[i]);
	free(reply->events);
	free(reply->id);
	free(reply);
}

static void forget(struct reply_cache *cache, struct reply *reply)
{
	struct reply **at = &cache->buckets[bucket_of(reply->id)];

	while (*at != reply)
		at = &(*at)->chain;
	*at = reply->chain;
	if (reply->newer)
		reply->newer->older = reply->older;
	else
		cache->newest = reply->older;
	if (reply->older)
		reply->older->newer = reply->newer;
	else
		cache->oldest = reply->newer;
	cache->count--;
	cache->event_count -= reply->event_count;
	cache->bytes -= reply->bytes;
	free_reply(reply);
}

static void forget_oldest(struct reply_cache *cache)
{
	forget(cache, cache->oldest);
}

void reply_cache_free(struct reply_cache *cache)
{
	if (!cache)
		return;
	while (cache->oldest)
		forget_oldest(cache);
	free(cache);
}

size_t reply_cache_bytes(const struct reply_cache *cache)
{
	return cache->bytes;
}

static void charge(struct reply_cache *cache, struct reply *reply, size_t bytes)
{
	reply->bytes += bytes;
	cache->bytes += bytes;
}

static void enforce_bounds(struct reply_cache *cache)
{
	while (cache->count > REPLY_CACHE_IDS_MAX || cache->event_count > REPLY_CACHE_EVENTS_MAX ||
	       cache->bytes > REPLY_CACHE_BYTES_MAX)
		forget_oldest(cache);
}

static struct reply *find_reply(const struct reply_cache *cache, const char *id)
{
	struct reply *reply = cache->buckets[bucket_of(id)];

	while (reply && strcmp(reply->id, id) != 0)
		reply = reply->chain;
	return reply;
}

bool reply_cache_knows(const struct reply_cache *cache, const char *id)
{
	return find_reply(cache, id);
}

size_t reply_cache_capture_count(const struct reply_cache *cache, const char *id)
{
	const struct reply *reply = find_reply(cache, id);

	return reply ? reply->event_count : 0;
}

char *reply_cache_json(const struct reply_cache *cache, const char *id)
{
	const struct reply *reply = find_reply(cache, id);
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(REPLY_CACHE_BYTES_MAX);
	int r = reply && reply->event_count ? buffer_append_string(&text, "[") : -ENOENT;

	for (size_t i = 0; r == 0 && i < reply->event_count; i++) {
		cleanup(cleanup_free) char *json = event_json(reply->events[i]);

		r = json ? buffer_printf(&text, "%s%s", i ? "," : "", json) : -ENOMEM;
	}
	if (r == 0)
		r = buffer_append_string(&text, "]");
	return r == 0 ? take(text.data) : NULL;
}

void reply_cache_forget(struct reply_cache *cache, const char *id)
{
	struct reply *reply = find_reply(cache, id);

	if (reply)
		forget(cache, reply);
}

bool reply_cache_restore(struct reply_cache *cache, const char *id, const char *json, size_t size)
{
	json_t *array = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
	const size_t count = json_array_size(array);
	bool complete = count > 0;

	if (complete)
		reply_cache_track(cache, id);
	for (size_t i = 0; i < count && complete; i++) {
		cleanup(cleanup_free) char *text = json_dumps(json_array_get(array, i), JSON_COMPACT);
		cleanup(cleanup_event_copy) struct event *event = text ? event_parse(text, strlen(text)) : NULL;

		complete = event && event->id && strcmp(event->id, id) == 0;
		if (complete)
			reply_cache_on_event(cache, event, text);
	}
	if (!complete)
		reply_cache_forget(cache, id);
	json_decref(array);
	return complete;
}

bool reply_cache_visit(const struct reply_cache *cache, const char *id, reply_cache_visitor visit, void *ctx)
{
	const struct reply *reply = find_reply(cache, id);

	if (reply)
		visit(ctx, reply->id, reply->events, reply->event_count);
	return reply;
}

void reply_cache_visit_all(const struct reply_cache *cache, reply_cache_visitor visit, void *ctx)
{
	for (const struct reply *reply = cache->newest; reply; reply = reply->older)
		visit(ctx, reply->id, reply->events, reply->event_count);
}

bool reply_cache_repeat(struct reply_cache *cache, const char *id, struct event_bus *bus)
{
	const struct reply *reply = find_reply(cache, id);

	if (!reply)
		return false;
	for (size_t i = 0; i < reply->event_count; i++) {
		struct event again = *reply->events[i];

		again.duplicate = true;
		again.time_ns = clock_realtime_ns();
		event_bus_publish(bus, &again);
	}
	return true;
}

void reply_cache_track(struct reply_cache *cache, const char *id)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	if (!reply || !(reply->id = strdup(id))) {
		free(reply);
		return;
	}
	struct reply **bucket = &cache->buckets[bucket_of(id)];
	reply->chain = *bucket;
	*bucket = reply;
	reply->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = reply;
	else
		cache->oldest = reply;
	cache->newest = reply;
	cache->count++;
	charge(cache, reply, sizeof(*reply) + strlen(id) + 1);
	enforce_bounds(cache);
}

static bool same_capture(const struct event *a, const struct event *b)
{
	return a->capture && b->capture ? strcmp(a->capture, b->capture) == 0 : a->capture == b->capture;
}

/* The slot for the capture's event, a new one if it has none yet; NULL: no room. */
static struct event **slot_of(struct reply_cache *cache, struct reply *reply, const struct event *event)
{
	for (size_t i = 0; i < reply->event_count; i++) {
		if (same_capture(reply->events[i], event))
			return &reply->events[i];
	}
	if (reply->event_count >= REPLY_CACHE_CAPTURES_MAX)
		return NULL;
	struct event **events = realloc(reply->events, (reply->event_count + 1) * sizeof(*events));
	if (!events)
		return NULL;
	reply->events = events;
	reply->events[reply->event_count] = NULL;
	cache->event_count++;
	charge(cache, reply, sizeof(*events));
	return &reply->events[reply->event_count++];
}

void reply_cache_on_event(void *ctx, const struct event *event, const char *json)
{
	struct reply_cache *cache = ctx;

	(void)json;
	struct reply *reply = event->id && !event->duplicate ? find_reply(cache, event->id) : NULL;
	if (!reply)
		return;
	const size_t bytes = event_copy_bytes(event);
	if (reply->bytes + sizeof(*reply->events) + bytes > REPLY_CACHE_BYTES_MAX)
		return;
	cleanup(cleanup_event_copy) struct event *copy = event_copy(event);
	struct event **slot = copy ? slot_of(cache, reply, event) : NULL;
	if (!slot)
		return;
	if (*slot) {
		const size_t old = event_copy_bytes(*slot);

		reply->bytes -= old;
		cache->bytes -= old;
		event_copy_free(*slot);
	}
	*slot = take(copy);
	charge(cache, reply, bytes);
	enforce_bounds(cache);
}
