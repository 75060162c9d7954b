/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keyed commands to a single server, to the master that Sentinels name, or to a Cluster, over a link that is kept up. A
 * Cluster shows in its answers: MOVED and ASK are followed, over links to the nodes they name. All calls and callbacks
 * run on the loop's thread.
 *
 * Each command gets exactly one answer: the server's reply, or the reason why there is none. A command that the server
 * puts off (TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY, BUSY, UNBLOCKED) or redirects was not executed, and
 * is sent again until the deadline. If the connection is lost before the answer arrives, an idempotent command is sent
 * again; any other is answered with -ECONNRESET and `maybe_executed`: only the caller can find out whether it was.
 *
 * Commands may overtake each other when some are redirected or put off: a caller that needs an order waits for each
 * answer. A blocking command (XREADGROUP … BLOCK) holds up all later ones to the same server: it needs a client of its
 * own, with block_ns in the redis_options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct redisReply;
/* A redirection is not followed unless a Cluster is expected: the server could send us, and the password, anywhere. */
#define REDIS_CLUSTER_HINT "is this a Cluster? then set redis.cluster, or --redis-cluster"

struct redis_commands;
struct redis_endpoint;
struct redis_options;

#define REDIS_COMMANDS_BYTES_MAX (16u << 20) /* of all unanswered commands of one client */
#define REDIS_COMMANDS_MAX 4096		     /* their number */
#define REDIS_COMMANDS_SERVERS_MAX 32	     /* nodes of a Cluster connected at a time */

struct redis_command {
	int argc;
	const char *const *argv;
	const size_t *argvlen;	 /* NULL: strings */
	int key;		 /* index of the argument that is the key; 0 means 1; beyond the last: no key */
	const char *routing_key; /* send it where this key is, which is no argument; NULL: see `key` */
	bool idempotent;	 /* executing it twice does no harm */
};

struct redis_result {
	/*
	 * 0           `reply` is the server's reply, and no error
	 * -EREMOTEIO  the server refused; `error` is its text
	 * -ECONNRESET the connection was lost (see above)
	 * -ETIMEDOUT  no answer before the deadline
	 * -ECANCELED  the client was freed
	 * -ENOMEM
	 */
	int code;
	const struct redisReply *reply;
	const char *error;   /* NULL with code 0 */
	bool maybe_executed; /* with any code but 0 and -EREMOTEIO: it may have been executed */
};

/* May send commands, and may free the client unless redis_commands_free is the caller. */
typedef void (*redis_commands_done)(void *ctx, const struct redis_result *result);

/* Options are copied. `role` as in redis_link_new. `deadline_ns` 0 means 30 s. NULL on ENOMEM. */
struct redis_commands *redis_commands_new(struct event_base *loop, const char *role,
					  const struct redis_options *options, uint64_t deadline_ns);

/* Calls all outstanding callbacks before it returns; they cannot send. */
void redis_commands_free(struct redis_commands *client);

/* Copies the arguments. `done` (may be NULL) is never called before this returns. 0, -ENOBUFS (too many or too large,
 * see above), -EINVAL (no arguments), -ESHUTDOWN (the client is being freed) or -ENOMEM; on failure `done` is never
 * called. */
warn_unused int redis_commands_send(struct redis_commands *client, const struct redis_command *command,
				    redis_commands_done done, void *ctx);

/* Commands that are unanswered, or to which the server still owes a reply. */
size_t redis_commands_pending(const struct redis_commands *client);

/* Whether the link to the server (in a Cluster: to one of the configured nodes) is up. */
bool redis_commands_up(const struct redis_commands *client);

/* How many connections that link has had. */
unsigned redis_commands_connections(const struct redis_commands *client);

/* Where that link leads, or led last; host "" before the first. */
const struct redis_endpoint *redis_commands_endpoint(const struct redis_commands *client);

CLEANUP_DEFINE(redis_commands, struct redis_commands, redis_commands_free)
