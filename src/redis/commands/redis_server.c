/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection answers in the order of its commands, so a reply belongs to the first command in flight. That is why an
 * ended command stays in flight until its reply arrives.
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
	bool keeps_waiting;
	unsigned connections;
	uint64_t last_used_ns;
	struct redis_pending_commands waiting; /* empty while the link is up */
	struct redis_pending_commands in_flight;
};

struct redis_pending_command *redis_server_pop_in_flight(struct redis_server *server)
{
	struct redis_pending_command *command = TAILQ_FIRST(&server->in_flight);

	if (!command)
		return NULL;
	TAILQ_REMOVE(&server->in_flight, command, sent);
	command->in_flight = false;
	return command;
}

static void on_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	struct redis_server *server = ctx;
	struct redis_pending_command *command;

	if (redis_link_detached(redis) || !data)
		return;
	command = redis_server_pop_in_flight(server);
	if (!command) {
		redis_link_restart(server->link, "the server sent an unexpected reply");
		return;
	}
	server->last_used_ns = clock_boottime_ns();
	server->handler.reply(server->handler.ctx, server, command, data);
}

/* If this fails, hiredis may have queued half of it (ASKING): the connection is unusable. */
static int write_command(struct redis_server *server, redisAsyncContext *redis, struct redis_pending_command *command)
{
	if ((command->needs_asking && redisAsyncCommand(redis, NULL, NULL, "ASKING") != REDIS_OK) ||
	    redisAsyncFormattedCommand(redis, on_reply, server, command->wire, command->wire_size) != REDIS_OK) {
		redis_link_restart(server->link, "out of memory");
		return -ENOMEM;
	}
	command->server = server;
	command->state = COMMAND_SENT;
	command->in_flight = true;
	TAILQ_INSERT_TAIL(&server->in_flight, command, sent);
	return 0;
}

int redis_server_send(struct redis_server *server, struct redis_pending_command *command)
{
	redisAsyncContext *redis = redis_link_context(server->link);

	server->last_used_ns = clock_boottime_ns();
	if (redis)
		return write_command(server, redis, command);
	command->server = server;
	command->state = COMMAND_WAITING;
	TAILQ_INSERT_TAIL(&server->waiting, command, list);
	return 0;
}

void redis_server_remove_waiting(struct redis_server *server, struct redis_pending_command *command)
{
	TAILQ_REMOVE(&server->waiting, command, list);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct redis_server *server = ctx;
	struct redis_pending_command *command;

	server->connections++;
	while ((command = TAILQ_FIRST(&server->waiting))) {
		TAILQ_REMOVE(&server->waiting, command, list);
		if (write_command(server, redis, command) == 0)
			continue;
		TAILQ_INSERT_HEAD(&server->waiting, command, list);
		return;
	}
}

/* The handler may send a lost command to this server again: it joins `waiting`, not the list looped over. */
static void on_down(void *ctx)
{
	struct redis_server *server = ctx;
	struct redis_pending_commands lost = TAILQ_HEAD_INITIALIZER(lost);
	struct redis_pending_command *command;

	TAILQ_CONCAT(&lost, &server->in_flight, sent);
	while ((command = TAILQ_FIRST(&lost))) {
		TAILQ_REMOVE(&lost, command, sent);
		command->in_flight = false;
		server->handler.lost(server->handler.ctx, server, command);
	}
}

static void on_failed(void *ctx, const char *reason)
{
	struct redis_server *server = ctx;
	struct redis_pending_commands lost = TAILQ_HEAD_INITIALIZER(lost);
	struct redis_pending_command *command;

	(void)reason;
	if (server->keeps_waiting)
		return;
	TAILQ_CONCAT(&lost, &server->waiting, list);
	while ((command = TAILQ_FIRST(&lost))) {
		TAILQ_REMOVE(&lost, command, list);
		server->handler.lost(server->handler.ctx, server, command);
	}
}

void redis_server_replaced(struct redis_server *server, const char *error)
{
	redis_link_replaced(server->link, error);
}

bool redis_server_is_up(const struct redis_server *server)
{
	return redis_link_context(server->link);
}

unsigned redis_server_connections(const struct redis_server *server)
{
	return server->connections;
}

bool redis_server_is_idle(const struct redis_server *server)
{
	return TAILQ_EMPTY(&server->waiting) && TAILQ_EMPTY(&server->in_flight);
}

uint64_t redis_server_last_used_ns(const struct redis_server *server)
{
	return server->last_used_ns;
}

const struct redis_endpoint *redis_server_endpoint(const struct redis_server *server)
{
	return redis_link_endpoint(server->link);
}

struct redis_server *redis_server_new(struct event_base *loop, const char *role, const struct redis_options *options,
				      struct redis_server_handler handler, bool keeps_waiting)
{
	cleanup(cleanup_redis_server) struct redis_server *server = calloc(1, sizeof(*server));
	const struct redis_link_handler link_handler = {.up = on_up,
							.down = on_down,
							.failed = on_failed,
							.ctx = server};

	if (!server)
		return NULL;
	server->handler = handler;
	server->keeps_waiting = keeps_waiting;
	server->last_used_ns = clock_boottime_ns();
	TAILQ_INIT(&server->waiting);
	TAILQ_INIT(&server->in_flight);
	server->link = redis_link_new(loop, role, options, link_handler);
	return server->link ? take(server) : NULL;
}

void redis_server_free(struct redis_server *server)
{
	if (!server)
		return;
	redis_link_free(server->link);
	free(server);
}
