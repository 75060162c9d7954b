/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers to requests with an id, kept in Redis, so that none of them runs twice even across a restart. Loop
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct reply_store;
struct redis_commands;

#define REPLY_STORE_BYTES_MAX (1u << 20) /* of one request's events; more are not saved */

struct reply_store_options {
	struct redis_commands *commands; /* must outlive the store, or be freed just before it */
	const char *channel, *node;	 /* copied: part of the keys, {CHANNEL}:answer:NODE:ID */
	uint64_t ttl_ns;
};

/* NULL on ENOMEM. */
struct reply_store *reply_store_new(const struct reply_store_options *options);
void reply_store_free(struct reply_store *store);

/* Whether Redis can be asked now. */
bool reply_store_is_up(const struct reply_store *store);

/* `json`: the array that was saved; NULL: none, or with a negative `code` (see struct redis_result) unknown. */
typedef void (*reply_store_found)(void *ctx, int code, const char *json, size_t size);

/* 0 (`on_found` follows, never within this call), or a negative errno. */
warn_unused int reply_store_find(struct reply_store *store, const char *id, reply_store_found on_found, void *ctx);

/* 0 (`on_saved`, unless NULL, follows even if saving fails, which is logged; never within this call), or a negative
 * errno: -EMSGSIZE beyond REPLY_STORE_BYTES_MAX. */
warn_unused int reply_store_save(struct reply_store *store, const char *id, const char *json,
				 void (*on_saved)(void *ctx), void *ctx);

CLEANUP_DEFINE(reply_store, struct reply_store, reply_store_free)
