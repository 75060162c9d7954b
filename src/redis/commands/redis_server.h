/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One server that commands are sent to: a link, and which commands wait for it or for its answers. A part of
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
	COMMAND_WAITING, /* at its server, for the link */
	COMMAND_SENT,
	COMMAND_DELAYED,
	COMMAND_ENDED, /* its answer is determined, if not given */
};

/* A command on its way. */
struct redis_pending_command {
	TAILQ_ENTRY(redis_pending_command) by_deadline; /* until it has ended */
	TAILQ_ENTRY(redis_pending_command) list;	/* while waiting, delayed, or ended and not answered */
	TAILQ_ENTRY(redis_pending_command) sent;	/* while in flight */
	enum redis_command_state state;
	bool in_flight; /* the server owes a reply, even if the command has ended */
	bool answered;	/* `done` was called */
	bool idempotent, needs_asking;
	int slot; /* -1: none */
	unsigned delays, redirects;
	uint64_t deadline_ns, retry_at_ns; /* boot time; ready: while delayed */
	struct redis_server *server;	   /* while waiting or in flight */
	char *wire;			   /* as it is sent; NULL once ended */
	size_t wire_size;
	redis_commands_done done;
	void *ctx;

	int code; /* once ended */
	bool maybe_executed;
	char error[160]; /* the last; cut */
};

TAILQ_HEAD(redis_pending_commands, redis_pending_command);

/* Neither may free the server, but `reply` may as its last act. The command is the handler's again in both. */
struct redis_server_handler {
	void (*reply)(void *ctx, struct redis_server *server, struct redis_pending_command *command,
		      const struct redisReply *reply);
	/* The connection is gone, or could not be made: the command was in flight, or waited. */
	void (*lost)(void *ctx, struct redis_server *server, struct redis_pending_command *command);
	void *ctx;
};

/* `keeps_waiting`: what waits goes on waiting when the link's attempts fail. NULL on ENOMEM. */
struct redis_server *redis_server_new(struct event_base *loop, const char *role, const struct redis_options *options,
				      struct redis_server_handler handler, bool keeps_waiting);
void redis_server_free(struct redis_server *server); /* its commands stay what they are: the caller's */

/* Sends it, now or when the link is up; after ASKING if `needs_asking`. 0 or -ENOMEM: then the command stays the
 * caller's, and `lost` was called for all that was in flight. */
warn_unused int redis_server_send(struct redis_server *server, struct redis_pending_command *command);

/* It waits no more. */
void redis_server_remove_waiting(struct redis_server *server, struct redis_pending_command *command);

bool redis_server_is_up(const struct redis_server *server);
bool redis_server_is_idle(const struct redis_server *server);	       /* nothing waits or is in flight */
uint64_t redis_server_last_used_ns(const struct redis_server *server); /* boot time */
const struct redis_endpoint *redis_server_endpoint(const struct redis_server *server);

/* Before it is freed: hands out what is in flight, one at a time, then NULL. */
struct redis_pending_command *redis_server_pop_in_flight(struct redis_server *server);

CLEANUP_DEFINE(redis_server, struct redis_server, redis_server_free)
