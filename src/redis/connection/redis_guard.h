/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands between a server and hiredis: caps what one reply can make us hold, lets only RESP2 through, and refuses
 * pub/sub answers of a shape on which hiredis would abort. One guard per connection, in its `data`. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redisAsyncContext;
struct ssl_st;

/* What a server can make us hold at most: a reply beyond these ends the connection. */
#define REDIS_REPLY_BYTES_MAX (64u << 20)   /* of one reply, received or parsed */
#define REDIS_REPLY_ELEMENTS_MAX (1u << 16) /* of one array */
#define REDIS_REPLY_DEPTH_MAX 8		    /* arrays in arrays */

/* Puts a guard on a new connection; it is freed with the connection. `owner` is not touched. 0 or -ENOMEM. */
warn_unused int redis_guard_install(struct redisAsyncContext *redis, void *owner);

/* Once connected, and after redisInitiateSSL if `session` is not NULL: watches reads and writes. */
void redis_guard_watch(struct redisAsyncContext *redis, struct ssl_st *session);

/* True once the TLS handshake is over. */
bool redis_guard_tls_ready(const struct redisAsyncContext *redis);

/* The owner, NULL after redis_guard_release. */
void *redis_guard_owner(const struct redisAsyncContext *redis);
void redis_guard_release(const struct redisAsyncContext *redis);

/* The one channel of which pub/sub answers may speak. 0, -EALREADY or -ENOMEM. */
warn_unused int redis_guard_set_channel(struct redisAsyncContext *redis, const char *channel);

/* True after redis_guard_set_channel: the connection takes little else than PING any more. */
bool redis_guard_is_subscriber(const struct redisAsyncContext *redis);

/* Bytes received so far: a sign of life. */
uint64_t redis_guard_received_bytes(const struct redisAsyncContext *redis);

/* Why this connection failed, in words. */
void redis_guard_failure(const struct redisAsyncContext *redis, struct error *reason);
