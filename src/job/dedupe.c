/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a request wants is part of its key (all but how long): folding one into another is only right if the other
 * captures the same packets and takes them to the same places.
 */
#include "job/dedupe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/lru_table.h"
#include "config/config.h"

#define KEY_BYTES_MAX (128 * 1024) /* a request has at most 64 KiB */

struct dedupe_event {
	struct lru_entry entry;	  /* first: the table frees it */
	char id[REQUEST_ID_SIZE]; /* the request that was taken */
	uint64_t since_ns;	  /* boot time at which its cooldown began */
};

struct dedupe {
	const struct config *config;
	struct lru_table *events;
};

struct dedupe *dedupe_new(const struct config *config)
{
	cleanup(cleanup_dedupe) struct dedupe *dedupe = calloc(1, sizeof(*dedupe));
	if (!dedupe)
		return NULL;
	dedupe->config = config;
	dedupe->events = lru_table_new(DEDUPE_EVENTS_MAX, sizeof(struct dedupe_event));
	return dedupe->events ? take(dedupe) : NULL;
}

void dedupe_free(struct dedupe *dedupe)
{
	if (!dedupe)
		return;
	lru_table_free(dedupe->events);
	free(dedupe);
}

static int append_wanted(struct buffer *key, const struct request *request)
{
	int r = buffer_printf(key,
			      "\n%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d\n%s",
			      request->snap, request->packets, request->bytes, request->before_ns, request->from_ns,
			      request->to_ns, request->format, request->merge, request->bpf ? request->bpf : "");
	if (r == 0 && request->inner)
		r = buffer_printf(key, "\ninner %zu %s", strlen(request->inner), request->inner);
	for (size_t i = 0; i < request->interface_count && r == 0; i++)
		r = buffer_printf(key, "\n%s", request->interfaces[i].name);
	for (size_t i = 0; i < request->destination_count && r == 0; i++)
		r = buffer_printf(key, "\n> %s", request->destinations[i]);
	return r;
}

/* What makes two requests the same event; false: nothing does. Texts of requests hold no newline where it would matter:
 * each part but the last few is of one line. */
static bool make_key(const struct request *request, struct buffer *key)
{
	int r = -EINVAL;
	if (request->dedupe)
		r = buffer_printf(key, "dedupe %s", request->dedupe);
	else if (request->alertid)
		r = buffer_printf(key, "alertid %s\n%s", request->alertid, request->customer ? request->customer : "");
	return r == 0 && append_wanted(key, request) == 0;
}

static struct dedupe_event *find(const struct dedupe *dedupe, const struct buffer *key)
{
	struct lru_entry *entry = lru_table_find(dedupe->events, buffer_text(key));
	return entry ? container_of(entry, struct dedupe_event, entry) : NULL;
}

static struct dedupe_event *touch(struct dedupe *dedupe, const struct buffer *key)
{
	bool is_new;
	struct lru_entry *entry = lru_table_touch(dedupe->events, buffer_text(key), &is_new);
	return entry ? container_of(entry, struct dedupe_event, entry) : NULL;
}

const char *dedupe_find(const struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	const uint64_t cooldown_ns = dedupe->config->limits.cooldown_ns;
	if (!cooldown_ns || !make_key(request, &key))
		return NULL;
	const struct dedupe_event *event = find(dedupe, &key);
	return event && now_ns - event->since_ns < cooldown_ns ? event->id : NULL;
}

void dedupe_remember(struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	if (!dedupe->config->limits.cooldown_ns || !make_key(request, &key))
		return;
	struct dedupe_event *event = touch(dedupe, &key);
	if (!event)
		return; /* it will run again: better twice than not at all */
	snprintf(event->id, sizeof(event->id), "%s", request->id);
	event->since_ns = now_ns;
}

void dedupe_renew(struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	if (!make_key(request, &key) || !find(dedupe, &key))
		return;
	struct dedupe_event *event = touch(dedupe, &key);
	if (event)
		event->since_ns = now_ns;
}
