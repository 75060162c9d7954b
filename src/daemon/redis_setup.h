/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything of the daemon that speaks Redis: requests in (channel, stream), events and presence out, and the keys that
 * acknowledgements and answers go to. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "redis/connection/redis_options.h"
#include "status/node_status.h"

struct config;
struct event_base;
struct event_bus;
struct jobs;
struct reply_store;

struct redis_setup {
	struct event_base *loop;
	const struct config *config;
	struct redis_options options; /* strings are the configuration's */
	struct redis_commands *keys;
	struct reply_store *reply_store; /* NULL: without a stream nothing has to outlive a restart */
	struct event_redis *publisher;
	struct redis_pubsub *subscriber;
	struct redis_stream *stream;
	struct presence *presence;
};

/* Nothing at all with redis.listen = false. What is needed before there are jobs. 0 or -ENOMEM. */
warn_unused int redis_setup_init(struct redis_setup *setup, struct event_base *loop, const struct config *config);

/* Requests come and events go from now on. 0 or -errno. */
warn_unused int redis_setup_start(struct redis_setup *setup, struct jobs *jobs, struct event_bus *bus,
				  const struct node_status *status);

/* No more requests; says good-bye. */
void redis_setup_stop(struct redis_setup *setup);

/* Events and answers that Redis has not taken yet. */
uint64_t redis_setup_pending(const struct redis_setup *setup);

/* How it goes, also before it was started. */
struct node_redis redis_setup_status(const struct redis_setup *setup);

/* Before the jobs are freed: whoever waits for an answer is told that none comes. */
void redis_setup_disconnect(struct redis_setup *setup);

void redis_setup_deinit(struct redis_setup *setup);
