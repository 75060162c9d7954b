/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Presence has two kinds of keys: a sorted set of the nodes seen within a day, and for each node a text that it renews
 * while it lives. Both are untrusted: invalid entries are ignored.
 */
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_bus_internal.h"

#define NODES_PER_QUERY (FLEET_WORDS_MAX - 1)
#define NODES_MAX_TEXT "32767"

static_assert(FLEET_NODES_MAX == 32768, "NODES_MAX_TEXT is the last index");

/* Names and scores alternate, the latest seen first; makes objects with node and seen. */
static int read_names(void *ctx, const redisReply *reply, struct error *err)
{
	json_t *nodes = ctx;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
		return error_set(err, -EPROTO, "unexpected reply from Redis");
	if (reply->elements / 2 >= FLEET_NODES_MAX)
		return error_set(err, -E2BIG, "the fleet has %d nodes or more, and pcapctl handles fewer",
				 FLEET_NODES_MAX);
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		const redisReply *name = reply->element[i], *score = reply->element[i + 1];
		json_t *node;
		char *end;
		double seen;

		if (name->type != REDIS_REPLY_STRING || score->type != REDIS_REPLY_STRING)
			continue;
		seen = strtod(score->str, &end);
		if (*end || !(seen >= 0 && seen < 1e11) || strlen(name->str) != name->len)
			continue;
		node = json_pack("{s:s, s:I, s:n}", "node", name->str, "seen", (json_int_t)seen, "presence");
		if (node && json_array_append_new(nodes, node) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

struct presence_batch {
	json_t *nodes;
	size_t first, count;
};

static int read_presence_reply(void *ctx, const redisReply *reply, struct error *err)
{
	const struct presence_batch *batch = ctx;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != batch->count)
		return error_set(err, -EPROTO, "unexpected reply from Redis");
	for (size_t i = 0; i < batch->count; i++) {
		const redisReply *text = reply->element[i];
		json_t *presence = NULL;

		if (text->type == REDIS_REPLY_STRING && text->len <= FLEET_PRESENCE_MAX)
			presence = json_loadb(text->str, text->len, JSON_REJECT_DUPLICATES, NULL);
		if (json_is_object(presence))
			json_object_set(json_array_get(batch->nodes, batch->first + i), "presence", presence);
		json_decref(presence);
	}
	return 0;
}

static int fetch_presences(struct fleet_bus *bus, struct presence_batch *batch, struct error *err)
{
	const char *words[1 + NODES_PER_QUERY] = {"MGET"};
	char *keys[NODES_PER_QUERY] = {NULL};
	int r = 0;

	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		const json_t *node = json_array_get(batch->nodes, batch->first + i);

		if (asprintf(&keys[i], "{%s}:node:%s", fleet_bus_channel(bus),
			     json_string_value(json_object_get(node, "node"))) < 0) {
			keys[i] = NULL;
			r = error_set(err, -ENOMEM, "out of memory");
		}
		words[1 + i] = keys[i];
	}
	if (r == 0)
		r = fleet_bus_ask(bus, words, 1 + batch->count, read_presence_reply, batch, err);
	for (size_t i = 0; i < batch->count; i++)
		free(keys[i]);
	return r;
}

static int compare_names(const void *first, const void *second)
{
	return strcmp(json_string_value(json_object_get(*(json_t *const *)first, "node")),
		      json_string_value(json_object_get(*(json_t *const *)second, "node")));
}

static int sort_by_name(const json_t *nodes, json_t **sorted, struct error *err)
{
	size_t count = json_array_size(nodes);
	cleanup(cleanup_free) json_t **items = calloc(count + 1, sizeof(json_t *));

	*sorted = json_array();
	if (!items || !*sorted)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		items[i] = json_array_get(nodes, i);
	qsort(items, count, sizeof(json_t *), compare_names);
	for (size_t i = 0; i < count; i++)
		if (json_array_append(*sorted, items[i]) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int fleet_bus_nodes(struct fleet_bus *bus, json_t **result, struct error *err)
{
	char key[FLEET_KEY_MAX];
	const char *const words[] = {"ZREVRANGE", key, "0", NODES_MAX_TEXT, "WITHSCORES"};
	json_t *nodes = json_array();
	int r = nodes ? 0 : error_set(err, -ENOMEM, "out of memory");

	snprintf(key, sizeof(key), "{%s}:nodes", fleet_bus_channel(bus));
	if (r == 0)
		r = fleet_bus_ask(bus, words, 5, read_names, nodes, err);
	for (size_t first = 0; r == 0 && first < json_array_size(nodes); first += NODES_PER_QUERY) {
		size_t left = json_array_size(nodes) - first;
		struct presence_batch batch = {nodes, first, left < NODES_PER_QUERY ? left : NODES_PER_QUERY};

		r = fetch_presences(bus, &batch, err);
	}
	if (r == 0)
		r = sort_by_name(nodes, result, err);
	json_decref(nodes);
	return r;
}

static int accept_reply(void *ctx, const redisReply *reply, struct error *err)
{
	(void)ctx;
	(void)reply;
	(void)err;
	return 0;
}

int fleet_bus_forget(struct fleet_bus *bus, const char *node, struct error *err)
{
	char key[FLEET_KEY_MAX], registry[FLEET_KEY_MAX];
	const char *const delete[] = {"DEL", key}, *const remove[] = {"ZREM", registry, node};

	if ((size_t)snprintf(key, sizeof(key), "{%s}:node:%s", fleet_bus_channel(bus), node) >= sizeof(key))
		return error_set(err, -EINVAL, "the node's name is too long");
	snprintf(registry, sizeof(registry), "{%s}:nodes", fleet_bus_channel(bus));
	const int r = fleet_bus_ask(bus, delete, 2, accept_reply, NULL, err);
	return r < 0 ? r : fleet_bus_ask(bus, remove, 3, accept_reply, NULL, err);
}
