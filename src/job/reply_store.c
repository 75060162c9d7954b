/* SPDX-License-Identifier: BSD-2-Clause */
/* Each operation under way is a small object; redis_commands caps their number. */
#include "job/reply_store.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "request/request.h"

struct reply_store {
	struct redis_commands *commands;
	char *prefix; /* of the keys */
	uint64_t ttl_ms;
};

struct operation {
	reply_store_found on_found;
	void (*on_saved)(void *ctx);
	void *ctx;
	char id[REQUEST_ID_SIZE];
};

static struct operation *new_operation(const char *id, void *ctx)
{
	struct operation *operation = calloc(1, sizeof(*operation));

	if (!operation)
		return NULL;
	operation->ctx = ctx;
	snprintf(operation->id, sizeof(operation->id), "%s", id);
	return operation;
}

static void on_found_reply(void *ctx, const struct redis_result *answer)
{
	cleanup(cleanup_free) struct operation *operation = ctx;
	const bool found = answer->code == 0 && answer->reply->type == REDIS_REPLY_STRING;

	if (answer->code < 0 && answer->code != -ECANCELED)
		log_warning("ledger-unread", log_str("request", operation->id), log_str("error", answer->error));
	operation->on_found(operation->ctx, answer->code, found ? answer->reply->str : NULL,
			    found ? answer->reply->len : 0);
}

static void on_saved_reply(void *ctx, const struct redis_result *answer)
{
	cleanup(cleanup_free) struct operation *operation = ctx;

	if (answer->code < 0)
		log_warning("ledger-unwritten", log_str("request", operation->id), log_str("error", answer->error));
	if (operation->on_saved)
		operation->on_saved(operation->ctx);
}

static int send(struct reply_store *store, const struct redis_command *command, redis_commands_done done,
		struct operation *operation)
{
	const int r = redis_commands_send(store->commands, command, done, operation);

	if (r < 0)
		free(operation);
	return r;
}

int reply_store_find(struct reply_store *store, const char *id, reply_store_found on_found, void *ctx)
{
	cleanup(cleanup_free) char *key = NULL;
	struct operation *operation = new_operation(id, ctx);

	if (asprintf(&key, "%s%s", store->prefix, id) < 0)
		key = NULL;
	if (!operation || !key) {
		free(operation);
		return -ENOMEM;
	}
	operation->on_found = on_found;
	const char *const argv[] = {"GET", key};
	return send(store, &(struct redis_command){.argc = 2, .argv = argv, .idempotent = true}, on_found_reply,
		    operation);
}

int reply_store_save(struct reply_store *store, const char *id, const char *json, void (*on_saved)(void *ctx),
		     void *ctx)
{
	cleanup(cleanup_free) char *key = NULL;
	char ttl[24];

	if (strlen(json) > REPLY_STORE_BYTES_MAX)
		return -EMSGSIZE;
	struct operation *operation = new_operation(id, ctx);
	if (asprintf(&key, "%s%s", store->prefix, id) < 0)
		key = NULL;
	if (!operation || !key) {
		free(operation);
		return -ENOMEM;
	}
	operation->on_saved = on_saved;
	snprintf(ttl, sizeof(ttl), "%" PRIu64, store->ttl_ms);
	const char *const argv[] = {"SET", key, json, "PX", ttl};
	return send(store, &(struct redis_command){.argc = 5, .argv = argv, .idempotent = true}, on_saved_reply,
		    operation);
}

bool reply_store_is_up(const struct reply_store *store)
{
	return redis_commands_up(store->commands);
}

struct reply_store *reply_store_new(const struct reply_store_options *options)
{
	struct reply_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->commands = options->commands;
	store->ttl_ms = options->ttl_ns / NS_PER_MS;
	if (asprintf(&store->prefix, "{%s}:answer:%s:", options->channel, options->node) < 0) {
		free(store);
		return NULL;
	}
	return store;
}

void reply_store_free(struct reply_store *store)
{
	if (!store)
		return;
	free(store->prefix);
	free(store);
}
