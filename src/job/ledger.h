/*
 * What was answered to requests with an id, kept in Redis, so that none of them runs twice even across a restart. Loop
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct ledger;
struct redis_commands;

#define LEDGER_ANSWER_MAX (1u << 20) /* bytes of one request's events; more are not kept */

struct ledger_options {
	struct redis_commands *commands; /* must outlive it, or be freed just before it */
	const char *channel, *node;	 /* copied: part of the keys, {CHANNEL}:answer:NODE:ID */
	uint64_t keep_ns;
};

/* NULL on ENOMEM. */
struct ledger *ledger_new(const struct ledger_options *options);
void ledger_free(struct ledger *ledger);

/* Whether it can be asked right now. */
bool ledger_is_up(const struct ledger *ledger);

/* `json`: the array that was kept, NULL: nothing was, or Redis gives no answer. */
typedef void (*ledger_found)(void *ctx, const char *json, size_t size);

/* 0 (`found` follows, never from within), or a negative errno. */
warn_unused int ledger_find(struct ledger *ledger, const char *id, ledger_found found, void *ctx);

/* `stored` (NULL: nobody cares) follows, whether it was or not (which is logged), never from within. */
warn_unused int ledger_store(struct ledger *ledger, const char *id, const char *json, void (*stored)(void *ctx),
			     void *ctx);

CLEANUP_DEFINE(ledger, struct ledger, ledger_free)
