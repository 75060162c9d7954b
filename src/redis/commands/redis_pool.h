/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers that a client of a Cluster is connected to, and which of them has which slots. A part of redis_commands;
 * loop thread.
 *
 * Server 0 is the one that the client was made for: it is always there, and has all slots until a MOVED says otherwise.
 * The others come with MOVED and ASK, and go when nothing was to be sent to them for a minute.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "redis/commands/redis_cluster.h"
#include "redis/commands/redis_commands.h"
#include "redis/commands/redis_server.h"
#include "redis/connection/redis_options.h"

struct redis_endpoint;
struct redis_pool;

#define REDIS_POOL_IDLE_NS (60 * NS_PER_S)

/* Options are copied. NULL on ENOMEM. */
struct redis_pool *redis_pool_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_server_handler handler);
void redis_pool_free(struct redis_pool *pool); /* commands stay what they are: the caller's */

/* Who has the slot; negative: any may do, server 0 does. */
struct redis_server *redis_pool_server_for_slot(const struct redis_pool *pool, int slot);

/* Server 0, and whoever is at an index that redis_pool_get told. */
struct redis_server *redis_pool_server_at(const struct redis_pool *pool, int index);

/* The index of the server at the endpoint, which is made if need be. -ENOBUFS: all places are in use, or no memory. */
warn_unused int redis_pool_get(struct redis_pool *pool, const struct redis_endpoint *endpoint);

void redis_pool_assign_slot(struct redis_pool *pool, int slot, int index);

/* The server cannot be reached: its slots are server 0's again. */
void redis_pool_forget_slots(struct redis_pool *pool, const struct redis_server *server);

/* Drops what was idle for REDIS_POOL_IDLE_NS. True: others than server 0 are left. */
bool redis_pool_drop_idle(struct redis_pool *pool, uint64_t now_ns);

/* Before all are freed: hands out what is in flight anywhere, one at a time, then NULL. */
struct redis_pending_command *redis_pool_pop_in_flight(struct redis_pool *pool);

CLEANUP_DEFINE(redis_pool, struct redis_pool, redis_pool_free)
