/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was answered to requests with an id, kept in Redis, so that none of them runs twice even across a restart. Loop
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct reply_store;
struct redis_commands;

#define REPLY_STORE_BYTES_MAX (1u << 20) /* bytes of one request's events; more are not kept */

struct reply_store_options {
	struct redis_commands *commands; /* must outlive it, or be freed just before it */
	const char *channel, *node;	 /* copied: part of the keys, {CHANNEL}:answer:NODE:ID */
	uint64_t ttl_ns;
};

/* NULL on ENOMEM. */
struct reply_store *reply_store_new(const struct reply_store_options *options);
void reply_store_free(struct reply_store *store);

/* Whether it can be asked right now. */
bool reply_store_is_up(const struct reply_store *store);

/* `json`: the array that was kept, NULL: nothing was, or Redis gives no answer. */
typedef void (*reply_store_found)(void *ctx, const char *json, size_t size);

/* 0 (`on_found` follows, never from within), or a negative errno. */
warn_unused int reply_store_find(struct reply_store *store, const char *id, reply_store_found on_found, void *ctx);

/* `on_stored` (NULL: nobody cares) follows, whether it was or not (which is logged), never from within. */
warn_unused int reply_store_save(struct reply_store *store, const char *id, const char *json,
				 void (*on_stored)(void *ctx), void *ctx);

CLEANUP_DEFINE(reply_store, struct reply_store, reply_store_free)
