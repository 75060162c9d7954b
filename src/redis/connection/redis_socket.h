/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens one TCP connection for hiredis, guarded and on the loop, and starts TLS on it. Loop thread. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct event_base;
struct redisAsyncContext;
struct ssl_ctx_st;

/* The names that the server's certificate may be for (redis_tls_session). */
struct redis_tls_names {
	const char *host, *alternative;
};

/* Starts to connect to a numeric address; never blocks. The caller sets the callbacks. NULL with the text in `err`. */
struct redisAsyncContext *redis_socket_connect(struct event_base *loop, const char *address, uint16_t port, void *owner,
					       struct error *err);

/* Call it once connected: starts the guard and, unless `tls` is NULL, the handshake. 0, or -errno with the text in
 * `err`. */
warn_unused int redis_socket_start_tls(struct redisAsyncContext *redis, struct ssl_ctx_st *tls,
				       const struct redis_tls_names *names, struct error *err);
