/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One server that commands are sent to: its link, and the commands that wait for the link or for an answer. Part of
 * redis_commands; loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "redis/commands/redis_commands.h"

struct redis_endpoint;
struct redis_server;

enum redis_command_state {
	COMMAND_WAITING, /* for its server's link */
	COMMAND_SENT,
	COMMAND_DELAYED,
	COMMAND_ENDED, /* its answer is determined, perhaps not given yet */
};

struct redis_pending_command {
	TAILQ_ENTRY(redis_pending_command) by_deadline; /* until it ends */
	TAILQ_ENTRY(redis_pending_command) list;	/* while waiting, delayed, or ended but unanswered */
	TAILQ_ENTRY(redis_pending_command) sent;	/* while in flight */
	enum redis_command_state state;
	bool in_flight; /* the server owes a reply, even if the command has ended */
	bool answered;	/* `done` was called */
	bool idempotent, needs_asking;
	int slot; /* -1: none */
	unsigned delays, redirects;
	uint64_t deadline_ns, retry_at_ns; /* boot time; retry_at_ns only while delayed */
	struct redis_server *server;	   /* while waiting or in flight */
	char *wire;			   /* as sent; NULL once ended */
	size_t wire_size;
	redis_commands_done done;
	void *ctx;

	int code; /* once ended */
	bool maybe_executed;
	char error[160]; /* the last one, truncated */
};

TAILQ_HEAD(redis_pending_commands, redis_pending_command);

/* `lost` must not free the server; `reply` may, as its last act. Both hand the command back to the handler. */
struct redis_server_handler {
	void (*reply)(void *ctx, struct redis_server *server, struct redis_pending_command *command,
		      const struct redisReply *reply);
	/* The connection was lost with the command in flight, or could not be made while it waited. */
	void (*lost)(void *ctx, struct redis_server *server, struct redis_pending_command *command);
	void *ctx;
};

/* `keeps_waiting`: commands go on waiting when an attempt to connect fails. NULL on ENOMEM. */
struct redis_server *redis_server_new(struct event_base *loop, const char *role, const struct redis_options *options,
				      struct redis_server_handler handler, bool keeps_waiting);
void redis_server_free(struct redis_server *server); /* its commands stay the caller's */

/* Sends the command now or once the link is up, after ASKING if `needs_asking`. 0 or -ENOMEM: then the command stays
 * the caller's, and `lost` was called for all commands in flight. */
warn_unused int redis_server_send(struct redis_server *server, struct redis_pending_command *command);

/* Takes back a command that waits for the link. */
void redis_server_remove_waiting(struct redis_server *server, struct redis_pending_command *command);

/* It answered READONLY: the link leaves it. `lost` is called for all commands in flight. */
void redis_server_replaced(struct redis_server *server, const char *error);

bool redis_server_is_up(const struct redis_server *server);
unsigned redis_server_connections(const struct redis_server *server);  /* since the start */
bool redis_server_is_idle(const struct redis_server *server);	       /* nothing waits or is in flight */
uint64_t redis_server_last_used_ns(const struct redis_server *server); /* boot time */
const struct redis_endpoint *redis_server_endpoint(const struct redis_server *server);

/* Call before redis_server_free: returns the commands in flight, one per call, then NULL. */
struct redis_pending_command *redis_server_pop_in_flight(struct redis_server *server);

CLEANUP_DEFINE(redis_server, struct redis_server, redis_server_free)
