/* Opens one TCP connection for hiredis, guarded and on the loop. Loop thread. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct event_base;
struct redisAsyncContext;
struct redis_link;

/* `address` is numeric: nothing here blocks. The connection is under way, not established; the caller sets its
 * callbacks. NULL with the text in `err`. */
struct redisAsyncContext *redis_connect(struct event_base *loop, const char *address, uint16_t port,
					struct redis_link *owner, struct error *err);
