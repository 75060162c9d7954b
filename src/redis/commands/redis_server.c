/*
 * A connection answers in the order it was asked, so the reply belongs to the first command in flight. That is also why
 * one that nobody waits for any more stays in flight until its reply is there.
 */
#include "redis/commands/redis_server.h"

#include <errno.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "redis/connection/redis_link.h"

struct redis_server {
	struct redis_link *link;
	struct redis_server_handler handler;
	bool patient;
	uint64_t used_ns;
	struct redis_pending_commands waiting; /* empty while the link is up */
	struct redis_pending_commands in_flight;
};

struct redis_pending_command *redis_server_pop_in_flight(struct redis_server *node)
{
	struct redis_pending_command *entry = TAILQ_FIRST(&node->in_flight);

	if (!entry)
		return NULL;
	TAILQ_REMOVE(&node->in_flight, entry, sent);
	entry->in_flight = false;
	return entry;
}

static void on_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	struct redis_server *node = ctx;
	struct redis_pending_command *entry;

	if (redis_link_detached(redis) || !data)
		return;
	entry = redis_server_pop_in_flight(node);
	if (!entry)
		return redis_link_restart(node->link, "the server sent a reply that nobody asked for");
	node->used_ns = clock_boottime_ns();
	node->handler.reply(node->handler.ctx, node, entry, data);
}

/* hiredis may have taken one half of it (ASKING): such a connection is no good any more. */
static int put(struct redis_server *node, redisAsyncContext *redis, struct redis_pending_command *entry)
{
	if ((entry->asking && redisAsyncCommand(redis, NULL, NULL, "ASKING") != REDIS_OK) ||
	    redisAsyncFormattedCommand(redis, on_reply, node, entry->wire, entry->size_bytes) != REDIS_OK) {
		redis_link_restart(node->link, "out of memory");
		return -ENOMEM;
	}
	entry->node = node;
	entry->state = COMMAND_SENT;
	entry->in_flight = true;
	TAILQ_INSERT_TAIL(&node->in_flight, entry, sent);
	return 0;
}

int redis_server_send(struct redis_server *node, struct redis_pending_command *entry)
{
	redisAsyncContext *redis = redis_link_context(node->link);

	node->used_ns = clock_boottime_ns();
	if (redis)
		return put(node, redis, entry);
	entry->node = node;
	entry->state = COMMAND_WAITING;
	TAILQ_INSERT_TAIL(&node->waiting, entry, list);
	return 0;
}

void redis_server_remove_waiting(struct redis_server *node, struct redis_pending_command *entry)
{
	TAILQ_REMOVE(&node->waiting, entry, list);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct redis_server *node = ctx;
	struct redis_pending_command *entry;

	while ((entry = TAILQ_FIRST(&node->waiting))) {
		TAILQ_REMOVE(&node->waiting, entry, list);
		if (put(node, redis, entry) == 0)
			continue;
		TAILQ_INSERT_HEAD(&node->waiting, entry, list);
		return;
	}
}

/* The handler may send what it gets to this very node: then it waits, behind what is looped over. */
static void on_down(void *ctx)
{
	struct redis_server *node = ctx;
	struct redis_pending_commands lost = TAILQ_HEAD_INITIALIZER(lost);
	struct redis_pending_command *entry;

	TAILQ_CONCAT(&lost, &node->in_flight, sent);
	while ((entry = TAILQ_FIRST(&lost))) {
		TAILQ_REMOVE(&lost, entry, sent);
		entry->in_flight = false;
		node->handler.lost(node->handler.ctx, node, entry);
	}
}

static void on_failed(void *ctx, const char *reason)
{
	struct redis_server *node = ctx;
	struct redis_pending_commands lost = TAILQ_HEAD_INITIALIZER(lost);
	struct redis_pending_command *entry;

	(void)reason;
	if (node->patient)
		return;
	TAILQ_CONCAT(&lost, &node->waiting, list);
	while ((entry = TAILQ_FIRST(&lost))) {
		TAILQ_REMOVE(&lost, entry, list);
		node->handler.lost(node->handler.ctx, node, entry);
	}
}

bool redis_server_is_up(const struct redis_server *node)
{
	return redis_link_context(node->link);
}

bool redis_server_is_idle(const struct redis_server *node)
{
	return TAILQ_EMPTY(&node->waiting) && TAILQ_EMPTY(&node->in_flight);
}

uint64_t redis_server_last_used_ns(const struct redis_server *node)
{
	return node->used_ns;
}

const struct redis_endpoint *redis_server_endpoint(const struct redis_server *node)
{
	return redis_link_endpoint(node->link);
}

struct redis_server *redis_server_new(struct event_base *loop, const char *role, const struct redis_options *options,
				      struct redis_server_handler handler, bool patient)
{
	cleanup(cleanup_redis_server) struct redis_server *node = calloc(1, sizeof(*node));
	const struct redis_link_handler link_handler = {.up = on_up, .down = on_down, .failed = on_failed, .ctx = node};

	if (!node)
		return NULL;
	node->handler = handler;
	node->patient = patient;
	node->used_ns = clock_boottime_ns();
	TAILQ_INIT(&node->waiting);
	TAILQ_INIT(&node->in_flight);
	node->link = redis_link_new(loop, role, options, link_handler);
	return node->link ? take(node) : NULL;
}

void redis_server_free(struct redis_server *node)
{
	if (!node)
		return;
	redis_link_free(node->link);
	free(node);
}
