/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All Redis connections of the daemon: requests in (channel, stream), events and presence out, and keys, for
 * acknowledgements and answers. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "redis/connection/redis_options.h"
#include "status/node_status.h"

struct config;
struct config_redis;
struct event_base;
struct event_bus;
struct jobs;
struct redis_clock;
struct redis_links;
struct reply_store;
struct secrets;

struct redis_setup {
	struct event_base *loop;
	struct event_bus *bus; /* from redis_setup_start on */
	const struct config *config;
	struct redis_links *links;
	struct jobs *jobs;	      /* from the start on */
	struct redis_options options; /* strings are the configuration's */
	struct redis_commands *keys;
	struct redis_clock *clock;	 /* exists if `keys` does */
	struct reply_store *reply_store; /* NULL without a stream: only then must answers outlive a restart */
	struct event_redis *publisher;
	struct redis_pubsub *subscriber;
	struct redis_stream *stream;
	struct presence *presence;
};

/* Where to connect, without secrets. The strings stay the configuration's. */
struct redis_options redis_setup_options(const struct config_redis *settings);

/* Sets up what jobs need. With redis.listen = false there is nothing to do. 0 or -ENOMEM. */
warn_unused int redis_setup_init(struct redis_setup *setup, struct event_base *loop, const struct config *config,
				 const struct secrets *secrets);

/* Starts taking requests and publishing events. 0 or -errno. */
warn_unused int redis_setup_start(struct redis_setup *setup, struct jobs *jobs, struct event_bus *bus,
				  const struct node_status *status);

/* Takes no more requests, and removes this node's presence. */
void redis_setup_stop(struct redis_setup *setup);

/* Events and answers that Redis has not taken yet. */
uint64_t redis_setup_pending(const struct redis_setup *setup);

/* The state of the connections; also valid before the start. */
struct node_redis redis_setup_status(const struct redis_setup *setup);

/* Call before the jobs are freed: ends their pending commands with an error. */
void redis_setup_disconnect(struct redis_setup *setup);

void redis_setup_deinit(struct redis_setup *setup);
