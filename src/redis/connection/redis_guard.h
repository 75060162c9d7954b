/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands between a server and hiredis: caps the memory that one reply can take, lets only RESP2 through, and refuses
 * malformed pub/sub answers, on which hiredis would abort. One guard per connection, in its `data`. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redisAsyncContext;
struct ssl_st;

/* A reply beyond these limits ends the connection. */
#define REDIS_REPLY_BYTES_MAX (64u << 20)   /* received or parsed */
#define REDIS_REPLY_ELEMENTS_MAX (1u << 16) /* of one array */
#define REDIS_REPLY_DEPTH_MAX 8		    /* arrays in arrays */

/* Puts a guard on a new connection, which frees it. `owner` is only stored. 0 or -ENOMEM. */
warn_unused int redis_guard_install(struct redisAsyncContext *redis, void *owner);

/* Watches reads and writes from now on. Call it once connected; with TLS after redisInitiateSSL on `session`. */
void redis_guard_watch(struct redisAsyncContext *redis, struct ssl_st *session);

/* True once the TLS handshake is over. */
bool redis_guard_tls_ready(const struct redisAsyncContext *redis);

/* The owner, NULL after redis_guard_release. */
void *redis_guard_owner(const struct redisAsyncContext *redis);
void redis_guard_release(const struct redisAsyncContext *redis);

/* Sets the one channel that pub/sub answers may name. 0, -EALREADY or -ENOMEM. */
warn_unused int redis_guard_set_channel(struct redisAsyncContext *redis, const char *channel);

/* True after redis_guard_set_channel: the connection then takes little but PING. */
bool redis_guard_is_subscriber(const struct redisAsyncContext *redis);

/* Bytes received so far: a sign of life. */
uint64_t redis_guard_received_bytes(const struct redisAsyncContext *redis);

/* Describes why the connection failed. */
void redis_guard_failure(const struct redisAsyncContext *redis, struct error *reason);
