/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An array holds the servers, and a table maps every slot to one of them: finding a server costs nothing, dropping one
 * takes a pass over the table. The slots of a dropped server go back to server 0, which redirects to their owner.
 */
#include "redis/commands/redis_pool.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "redis/connection/redis_endpoint.h"

#define SERVERS_MAX (1 + REDIS_COMMANDS_SERVERS_MAX)
#define BACKOFF_MAX_NS NS_PER_S /* commands for a dead server go elsewhere only when its next attempt has failed */

struct redis_pool {
	struct event_base *loop;
	char *role;
	struct redis_options options; /* owns its strings */
	struct redis_server_handler handler;
	struct redis_server *servers[SERVERS_MAX]; /* the first always exists */
	uint8_t slot_owners[REDIS_CLUSTER_SLOTS];  /* index of a server; 0 unless MOVED named another */
};

struct redis_server *redis_pool_server_for_slot(const struct redis_pool *pool, int slot)
{
	return pool->servers[slot < 0 ? 0 : pool->slot_owners[slot]];
}

struct redis_server *redis_pool_server_at(const struct redis_pool *pool, int index)
{
	return pool->servers[index];
}

void redis_pool_assign_slot(struct redis_pool *pool, int slot, int index)
{
	pool->slot_owners[slot] = (uint8_t)index;
}

/* --- adding servers --- */

static struct redis_server *new_server(struct redis_pool *pool, const struct redis_endpoint *endpoint)
{
	struct redis_options options = pool->options;

	/* This server and no other. */
	options.host = endpoint->host;
	options.port = endpoint->port;
	options.nodes = NULL;
	options.node_count = 0;
	options.sentinels = NULL;
	options.sentinel_count = 0;
	options.backoff_max_ns = BACKOFF_MAX_NS;
	if (!options.tls_name)
		options.tls_name = pool->options.host;
	return redis_server_new(pool->loop, pool->role, &options, pool->handler, false);
}

static void release_slots(struct redis_pool *pool, size_t index)
{
	for (size_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++)
		if (pool->slot_owners[slot] == index)
			pool->slot_owners[slot] = 0;
}

static void drop_server(struct redis_pool *pool, size_t index)
{
	release_slots(pool, index);
	redis_server_free(take(pool->servers[index]));
}

/* An index for one more server, if need be that of the one idle longest. 0: all are in use. */
static size_t find_index(const struct redis_pool *pool)
{
	size_t index = 0;

	for (size_t i = 1; i < SERVERS_MAX; i++) {
		const struct redis_server *server = pool->servers[i];

		if (!server)
			return i;
		if (redis_server_is_idle(server) &&
		    (index == 0 || redis_server_last_used_ns(server) < redis_server_last_used_ns(pool->servers[index])))
			index = i;
	}
	return index;
}

int redis_pool_get(struct redis_pool *pool, const struct redis_endpoint *endpoint)
{
	struct redis_server *server;
	size_t index;

	for (size_t i = 0; i < SERVERS_MAX; i++)
		if (pool->servers[i] && redis_endpoint_equal(redis_server_endpoint(pool->servers[i]), endpoint))
			return (int)i;
	index = find_index(pool);
	server = index ? new_server(pool, endpoint) : NULL;
	if (!server)
		return -ENOBUFS;
	if (pool->servers[index])
		drop_server(pool, index);
	pool->servers[index] = server;
	return (int)index;
}

/* --- dropping servers --- */

void redis_pool_forget_slots(struct redis_pool *pool, const struct redis_server *server)
{
	for (size_t i = 1; i < SERVERS_MAX; i++)
		if (pool->servers[i] == server)
			release_slots(pool, i);
}

bool redis_pool_drop_idle(struct redis_pool *pool, uint64_t now_ns)
{
	bool left = false;

	for (size_t i = 1; i < SERVERS_MAX; i++) {
		const struct redis_server *server = pool->servers[i];

		if (server && redis_server_is_idle(server) &&
		    now_ns >= redis_server_last_used_ns(server) + REDIS_POOL_IDLE_NS)
			drop_server(pool, i);
		left |= pool->servers[i] != NULL;
	}
	return left;
}

struct redis_pending_command *redis_pool_pop_in_flight(struct redis_pool *pool)
{
	struct redis_pending_command *command = NULL;

	for (size_t i = 0; !command && i < SERVERS_MAX; i++)
		if (pool->servers[i])
			command = redis_server_pop_in_flight(pool->servers[i]);
	return command;
}

/* --- new and free --- */

struct redis_pool *redis_pool_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_server_handler handler)
{
	cleanup(cleanup_redis_pool) struct redis_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->loop = loop;
	pool->handler = handler;
	pool->role = strdup(role);
	if (redis_options_copy(&pool->options, options) < 0 || !pool->role)
		return NULL;
	pool->servers[0] = redis_server_new(loop, role, &pool->options, handler, true);
	return pool->servers[0] ? take(pool) : NULL;
}

void redis_pool_free(struct redis_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < SERVERS_MAX; i++)
		redis_server_free(pool->servers[i]);
	redis_options_free(&pool->options);
	free(pool->role);
	free(pool);
}
