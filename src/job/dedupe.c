/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key includes everything a request asks for except its duration: folding is only right if the other capture gets
 * the same packets to the same destinations.
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

struct alert {
	struct lru_entry entry;	  /* first: the table frees it */
	char id[REQUEST_ID_SIZE]; /* of the request that was admitted; "": it was put off */
	uint64_t since_ns;	  /* boot time at which its cooldown began */
};

struct dedupe {
	const struct config *config;
	struct lru_table *alerts;
};

struct dedupe *dedupe_new(const struct config *config)
{
	cleanup(cleanup_dedupe) struct dedupe *dedupe = calloc(1, sizeof(*dedupe));

	if (!dedupe)
		return NULL;
	dedupe->config = config;
	dedupe->alerts = lru_table_new(DEDUPE_ALERTS_MAX, sizeof(struct alert));
	return dedupe->alerts ? take(dedupe) : NULL;
}

void dedupe_free(struct dedupe *dedupe)
{
	if (!dedupe)
		return;
	lru_table_free(dedupe->alerts);
	free(dedupe);
}

static int append_wanted(struct buffer *key, const struct request *request)
{
	int r = buffer_printf(key,
			      "\n%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			      " %d %d %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 "\n%s",
			      request->snap, request->packets, request->bytes, request->before_ns, request->from_ns,
			      request->to_ns, request->format, request->merge, request->drop_duplicates,
			      request->follow, request->files, request->every_ns, request->every_bytes,
			      request->bpf ? request->bpf : "");

	if (r == 0 && request->inner)
		r = buffer_printf(key, "\ninner %zu %s", strlen(request->inner), request->inner);
	if (r == 0 && request->required)
		r = buffer_printf(key, "\nrequired %zu %s", strlen(request->required), request->required);
	/* "any" means what the request may capture on. */
	if (r == 0 && request->allowed)
		r = buffer_printf(key, "\n%s %s", request->allowed->section, request->key ? request->key->name : "");
	for (size_t i = 0; i < request->interface_count && r == 0; i++)
		r = buffer_printf(key, "\n%s", request->interfaces[i].name);
	for (size_t i = 0; i < request->destination_count && r == 0; i++)
		r = buffer_printf(key, "\n> %s", request->destinations[i]);
	for (size_t i = 0; i < request->first_of_count && r == 0; i++)
		r = buffer_printf(key, "\n? %s", request->first_of[i]);
	return r;
}

/* The key that requests for the same alert share; false: none. Every part but the filter is one line. */
static bool make_key(const struct request *request, struct buffer *key)
{
	int r = -EINVAL;

	if (request->dedupe)
		r = buffer_printf(key, "dedupe %s", request->dedupe);
	else if (request->alertid)
		r = buffer_printf(key, "alertid %s\n%s", request->alertid, request->customer ? request->customer : "");
	return r == 0 && append_wanted(key, request) == 0;
}

static struct alert *find(const struct dedupe *dedupe, const struct buffer *key)
{
	struct lru_entry *entry = lru_table_find(dedupe->alerts, buffer_text(key));

	return entry ? container_of(entry, struct alert, entry) : NULL;
}

static struct alert *touch(struct dedupe *dedupe, const struct buffer *key)
{
	bool is_new;
	struct lru_entry *entry = lru_table_touch(dedupe->alerts, buffer_text(key), &is_new);

	return entry ? container_of(entry, struct alert, entry) : NULL;
}

const char *dedupe_find(const struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	const uint64_t cooldown_ns = dedupe->config->limits.cooldown_ns;

	if (!cooldown_ns || !make_key(request, &key))
		return NULL;
	const struct alert *alert = find(dedupe, &key);
	return alert && *alert->id && now_ns - alert->since_ns < cooldown_ns ? alert->id : NULL;
}

void dedupe_remember(struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);

	if (!dedupe->config->limits.cooldown_ns || !make_key(request, &key))
		return;
	struct alert *alert = touch(dedupe, &key);
	if (!alert)
		return; /* a repetition will run again: better twice than not at all */
	snprintf(alert->id, sizeof(alert->id), "%s", request->id);
	alert->since_ns = now_ns;
}

void dedupe_forget(struct dedupe *dedupe, const struct request *request)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	struct alert *alert = make_key(request, &key) ? find(dedupe, &key) : NULL;

	if (alert && strcmp(alert->id, request->id) == 0)
		alert->id[0] = '\0';
}

void dedupe_renew(struct dedupe *dedupe, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);

	if (!make_key(request, &key) || !find(dedupe, &key))
		return;
	struct alert *alert = touch(dedupe, &key);
	if (alert)
		alert->since_ns = now_ns;
}
