/* SPDX-License-Identifier: BSD-2-Clause */
/* Resolves names without blocking the loop, and without waiting for a name server at shutdown. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct event_base;
struct resolve;

#define RESOLVE_ADDRESSES_MAX 16
#define RESOLVE_ADDRESS_SIZE 64 /* an IPv6 address with its zone */

struct resolve_result {
	const char *error; /* NULL: at least one address */
	size_t count;
	char address[RESOLVE_ADDRESSES_MAX][RESOLVE_ADDRESS_SIZE]; /* numeric, in the order of RFC 6724 */
};

typedef void (*resolve_done)(void *ctx, const struct resolve_result *result);

/* True if `host` is a numeric address, which `result` then holds. */
bool resolve_numeric(const char *host, struct resolve_result *result);

/* Looks `host` up on a thread of its own. `done` is called once on the loop, unless cancelled before, and must not free
 * the handle, which frees itself afterwards. NULL if no thread could be started. */
struct resolve *resolve_start(struct event_base *loop, const char *host, resolve_done done, void *ctx);

/* `done` is not called any more. Does not wait for the thread. */
void resolve_cancel(struct resolve *resolve);
