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
	COMMAND_WAITING, /* at its node, for the link */
	COMMAND_SENT,
	COMMAND_DELAYED,
	COMMAND_ENDED, /* its answer is determined, if not given */
};

/* A command on its way. */
struct redis_pending_command {
	TAILQ_ENTRY(redis_pending_command) order; /* while not over: by deadline */
	TAILQ_ENTRY(redis_pending_command) list;  /* while waiting, delayed, or over and not answered */
	TAILQ_ENTRY(redis_pending_command) sent;  /* while in flight */
	enum redis_command_state state;
	bool in_flight; /* the server owes a reply, even if the command is over */
	bool answered;	/* `done` was called */
	bool idempotent, asking;
	int slot; /* -1: none */
	unsigned tries, redirects;
	uint64_t deadline_ns, ready_ns; /* boot time; ready: while delayed */
	struct redis_server *node;	/* while waiting or in flight */
	char *wire;			/* as it is sent; NULL once over */
	size_t size_bytes;
	redis_commands_done done;
	void *ctx;

	int code; /* once over */
	bool maybe_executed;
	char error[160]; /* the last; cut */
};

TAILQ_HEAD(redis_pending_commands, redis_pending_command);

/* Neither may free the node, but `reply` may as its last act. The entry is the handler's again in both. */
struct redis_server_handler {
	void (*reply)(void *ctx, struct redis_server *node, struct redis_pending_command *entry,
		      const struct redisReply *reply);
	/* The connection is gone, or could not be made: the entry was in flight, or waited. */
	void (*lost)(void *ctx, struct redis_server *node, struct redis_pending_command *entry);
	void *ctx;
};

/* `patient`: what waits goes on waiting when the link's attempts fail. NULL on ENOMEM. */
struct redis_server *redis_server_new(struct event_base *loop, const char *role, const struct redis_options *options,
				      struct redis_server_handler handler, bool patient);
void redis_server_free(struct redis_server *node); /* its entries stay what they are: the caller's */

/* Sends it, now or when the link is up; after ASKING if `asking`. 0 or -ENOMEM: then the entry stays the caller's,
 * and `lost` was called for all that was in flight. */
warn_unused int redis_server_send(struct redis_server *node, struct redis_pending_command *entry);

/* It waits no more. */
void redis_server_remove_waiting(struct redis_server *node, struct redis_pending_command *entry);

bool redis_server_is_up(const struct redis_server *node);
bool redis_server_is_idle(const struct redis_server *node);	     /* nothing waits or is in flight */
uint64_t redis_server_last_used_ns(const struct redis_server *node); /* boot time */
const struct redis_endpoint *redis_server_endpoint(const struct redis_server *node);

/* Before it is freed: hands out what is in flight, one at a time, then NULL. */
struct redis_pending_command *redis_server_pop_in_flight(struct redis_server *node);

CLEANUP_DEFINE(redis_server, struct redis_server, redis_server_free)
