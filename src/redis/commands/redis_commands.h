/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands with keys, over a link that is kept up, to a single server, a master behind Sentinels, or a Cluster. That it
 * is a Cluster shows in its answers: MOVED and ASK are followed, over links to the nodes they name. All calls and
 * callbacks on the loop's thread.
 *
 * Each command is answered exactly once: with the server's reply, or with why there is none. What a server puts off
 * (TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY, BUSY, UNBLOCKED) or redirects was not executed and is sent
 * again, until the deadline. A command whose connection is lost before the answer came is sent again only if it is
 * idempotent; any other is answered with -ECONNRESET and `maybe_executed`: whether it was executed is unknown, and only
 * the caller can find out.
 *
 * Commands may overtake each other when some are redirected or put off: who needs an order waits for the answers.
 * While one blocks (XREADGROUP … BLOCK) those sent after it to the same server wait: it needs a client of its own,
 * with block_ns in the redis_options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct redisReply;
struct redis_commands;
struct redis_endpoint;
struct redis_options;

#define REDIS_COMMANDS_BYTES_MAX (16u << 20) /* of all unanswered commands of a client */
#define REDIS_COMMANDS_MAX 4096		     /* their number */
#define REDIS_COMMANDS_SERVERS_MAX 32	     /* nodes of a Cluster that are connected to at a time */

struct redis_command {
	int argc;
	const char *const *argv;
	const size_t *argvlen;	 /* NULL: strings */
	int key;		 /* index of the argument that is the key; 0: 1; beyond the last: there is none */
	const char *routing_key; /* goes where this key is, which is no argument; NULL: see `key` */
	bool idempotent;	 /* executing it twice is as good as once */
};

struct redis_result {
	/*
	 * 0           `reply` is the server's, and no error
	 * -EREMOTEIO  the server refused; `error` is its text
	 * -ECONNRESET the connection was lost, see above
	 * -ETIMEDOUT  no answer until the deadline
	 * -ECANCELED  the client was freed
	 * -ENOMEM
	 */
	int code;
	const struct redisReply *reply;
	const char *error;   /* NULL with code 0 */
	bool maybe_executed; /* with a code other than 0 and -EREMOTEIO: it may have been executed */
};

/* May send more, and may free the client unless that is what calls it. */
typedef void (*redis_commands_done)(void *ctx, const struct redis_result *result);

/* Options are copied. `role` as in redis_link_new. `deadline_ns`: 0 is 30 s. NULL on ENOMEM. */
struct redis_commands *redis_commands_new(struct event_base *loop, const char *role,
					  const struct redis_options *options, uint64_t deadline_ns);

/* Calls what callbacks are left, from within; sending from them is refused. */
void redis_commands_free(struct redis_commands *client);

/* Copies the arguments. `done` (NULL: nobody cares) is not called from within. 0, -ENOBUFS (too many or too large, see
 * above), -EINVAL (no arguments), -ESHUTDOWN (the client is being freed) or -ENOMEM: then `done` is never called. */
warn_unused int redis_commands_send(struct redis_commands *client, const struct redis_command *command,
				    redis_commands_done done, void *ctx);

/* Commands that are not answered yet. */
size_t redis_commands_pending(const struct redis_commands *client);

/* Whether the link to its server (in a Cluster: to one of the nodes) is up. */
bool redis_commands_up(const struct redis_commands *client);

/* Where that link leads to, or did last; "" before there was one. */
const struct redis_endpoint *redis_commands_endpoint(const struct redis_commands *client);

CLEANUP_DEFINE(redis_commands, struct redis_commands, redis_commands_free)
