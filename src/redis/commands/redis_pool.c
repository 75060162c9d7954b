/*
 * Nodes lie in an array, and a table of all slots says which of them has which: finding one costs nothing, the
 * leaving of one a pass over the table. A node that goes gives its slots to node 0, which sends on to who has them.
 */
#include "redis/commands/redis_pool.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "redis/connection/redis_endpoint.h"

#define COUNT (1 + REDIS_COMMANDS_SERVERS_MAX)
#define BACKOFF_MAX_NS NS_PER_S /* what waits at a node that is dead learns only then who has its slots now */

struct redis_pool {
	struct event_base *loop;
	char *role;
	struct redis_options options; /* its strings are ours */
	struct redis_server_handler handler;
	struct redis_server *nodes[COUNT];  /* the first is always there */
	uint8_t slots[REDIS_CLUSTER_SLOTS]; /* index of a node; 0 where there is none any more */
};

struct redis_server *redis_pool_server_for_slot(const struct redis_pool *nodes, int slot)
{
	return nodes->nodes[slot < 0 ? 0 : nodes->slots[slot]];
}

struct redis_server *redis_pool_server_at(const struct redis_pool *nodes, int index)
{
	return nodes->nodes[index];
}

void redis_pool_assign_slot(struct redis_pool *nodes, int slot, int index)
{
	nodes->slots[slot] = (uint8_t)index;
}

/* --- coming --- */

static struct redis_server *make_node(struct redis_pool *nodes, const struct redis_endpoint *endpoint)
{
	struct redis_options options = nodes->options;

	/* This one and no other. */
	options.host = endpoint->host;
	options.port = endpoint->port;
	options.nodes = NULL;
	options.node_count = 0;
	options.sentinels = NULL;
	options.sentinel_count = 0;
	options.backoff_max_ns = BACKOFF_MAX_NS;
	if (!options.tls_name)
		options.tls_name = nodes->options.host;
	return redis_server_new(nodes->loop, nodes->role, &options, nodes->handler, false);
}

static void forget_slots(struct redis_pool *nodes, size_t index)
{
	for (size_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++)
		if (nodes->slots[slot] == index)
			nodes->slots[slot] = 0;
}

static void drop_node(struct redis_pool *nodes, size_t index)
{
	forget_slots(nodes, index);
	redis_server_free(take(nodes->nodes[index]));
}

/* A place for one more node; that of the one idle for longest if need be. 0: all are in use. */
static size_t find_place(const struct redis_pool *nodes)
{
	size_t place = 0;

	for (size_t i = 1; i < COUNT; i++) {
		const struct redis_server *node = nodes->nodes[i];

		if (!node)
			return i;
		if (redis_server_is_idle(node) &&
		    (place == 0 || redis_server_last_used_ns(node) < redis_server_last_used_ns(nodes->nodes[place])))
			place = i;
	}
	return place;
}

int redis_pool_get(struct redis_pool *nodes, const struct redis_endpoint *endpoint)
{
	struct redis_server *node;
	size_t place;

	for (size_t i = 0; i < COUNT; i++)
		if (nodes->nodes[i] && redis_endpoint_equal(redis_server_endpoint(nodes->nodes[i]), endpoint))
			return (int)i;
	place = find_place(nodes);
	node = place ? make_node(nodes, endpoint) : NULL;
	if (!node)
		return -ENOBUFS;
	if (nodes->nodes[place])
		drop_node(nodes, place);
	nodes->nodes[place] = node;
	return (int)place;
}

/* --- going --- */

void redis_pool_forget_slots(struct redis_pool *nodes, const struct redis_server *node)
{
	for (size_t i = 1; i < COUNT; i++)
		if (nodes->nodes[i] == node)
			forget_slots(nodes, i);
}

bool redis_pool_drop_idle(struct redis_pool *nodes, uint64_t now_ns)
{
	bool left = false;

	for (size_t i = 1; i < COUNT; i++) {
		const struct redis_server *node = nodes->nodes[i];

		if (node && redis_server_is_idle(node) &&
		    now_ns >= redis_server_last_used_ns(node) + REDIS_POOL_IDLE_NS)
			drop_node(nodes, i);
		left |= nodes->nodes[i] != NULL;
	}
	return left;
}

struct redis_pending_command *redis_pool_pop_in_flight(struct redis_pool *nodes)
{
	struct redis_pending_command *entry = NULL;

	for (size_t i = 0; !entry && i < COUNT; i++)
		if (nodes->nodes[i])
			entry = redis_server_pop_in_flight(nodes->nodes[i]);
	return entry;
}

/* --- life --- */

struct redis_pool *redis_pool_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_server_handler handler)
{
	cleanup(cleanup_redis_pool) struct redis_pool *nodes = calloc(1, sizeof(*nodes));

	if (!nodes)
		return NULL;
	nodes->loop = loop;
	nodes->handler = handler;
	nodes->role = strdup(role);
	if (redis_options_copy(&nodes->options, options) < 0 || !nodes->role)
		return NULL;
	nodes->nodes[0] = redis_server_new(loop, role, &nodes->options, handler, true);
	return nodes->nodes[0] ? take(nodes) : NULL;
}

void redis_pool_free(struct redis_pool *nodes)
{
	if (!nodes)
		return;
	for (size_t i = 0; i < COUNT; i++)
		redis_server_free(nodes->nodes[i]);
	redis_options_free(&nodes->options);
	free(nodes->role);
	free(nodes);
}
