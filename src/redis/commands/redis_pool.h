/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers that a client of a Cluster is connected to, and the slots that each has. Part of redis_commands; loop
 * thread.
 *
 * Server 0 is the one that the client was created for: it always exists, and has all slots until MOVED names another.
 * MOVED and ASK add the others; a minute without commands drops them.
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
void redis_pool_free(struct redis_pool *pool); /* the commands stay the caller's */

/* The server that has the slot; server 0 if `slot` is negative (none). */
struct redis_server *redis_pool_server_for_slot(const struct redis_pool *pool, int slot);

/* The server at index 0, or at an index that redis_pool_get returned. */
struct redis_server *redis_pool_server_at(const struct redis_pool *pool, int index);

/* The index of the server at `endpoint`, created if need be. -ENOBUFS: all servers are in use, or out of memory. */
warn_unused int redis_pool_get(struct redis_pool *pool, const struct redis_endpoint *endpoint);

void redis_pool_assign_slot(struct redis_pool *pool, int slot, int index);

/* The server is unreachable: its slots go back to server 0. */
void redis_pool_forget_slots(struct redis_pool *pool, const struct redis_server *server);

/* Drops servers idle for REDIS_POOL_IDLE_NS. True if any but server 0 are left. */
bool redis_pool_drop_idle(struct redis_pool *pool, uint64_t now_ns);

/* Call before redis_pool_free: returns the commands in flight, one per call, then NULL. */
struct redis_pending_command *redis_pool_pop_in_flight(struct redis_pool *pool);

CLEANUP_DEFINE(redis_pool, struct redis_pool, redis_pool_free)
