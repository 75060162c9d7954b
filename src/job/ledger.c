/* Each question is a small object of its own while it is under way; how many there can be is the commands' cap. */
#include "job/ledger.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "request/request.h"

struct ledger {
	struct redis_commands *commands;
	char *prefix; /* of the keys */
	uint64_t keep_ms;
};

struct question {
	ledger_found found;
	void (*stored)(void *ctx);
	void *ctx;
	char id[REQUEST_ID_SIZE];
};

static struct question *new_question(const char *id, void *ctx)
{
	struct question *question = calloc(1, sizeof(*question));
	if (!question)
		return NULL;
	question->ctx = ctx;
	snprintf(question->id, sizeof(question->id), "%s", id);
	return question;
}

static void on_found(void *ctx, const struct redis_result *answer)
{
	cleanup(cleanup_free) struct question *question = ctx;
	const bool kept = answer->code == 0 && answer->reply->type == REDIS_REPLY_STRING;
	if (answer->code < 0 && answer->code != -ECANCELED)
		log_warning("ledger-unread", log_str("request", question->id), log_str("error", answer->error));
	question->found(question->ctx, kept ? answer->reply->str : NULL, kept ? answer->reply->len : 0);
}

static void on_stored(void *ctx, const struct redis_result *answer)
{
	cleanup(cleanup_free) struct question *question = ctx;
	if (answer->code < 0)
		log_warning("ledger-unwritten", log_str("request", question->id), log_str("error", answer->error));
	if (question->stored)
		question->stored(question->ctx);
}

static int send(struct ledger *ledger, const struct redis_command *command, redis_commands_done done,
		struct question *question)
{
	const int r = redis_commands_send(ledger->commands, command, done, question);
	if (r < 0)
		free(question);
	return r;
}

int ledger_find(struct ledger *ledger, const char *id, ledger_found found, void *ctx)
{
	cleanup(cleanup_free) char *key = NULL;
	struct question *question = new_question(id, ctx);
	if (asprintf(&key, "%s%s", ledger->prefix, id) < 0)
		key = NULL;
	if (!question || !key) {
		free(question);
		return -ENOMEM;
	}
	question->found = found;
	const char *const argv[] = {"GET", key};
	return send(ledger, &(struct redis_command){.argc = 2, .argv = argv, .idempotent = true}, on_found, question);
}

int ledger_store(struct ledger *ledger, const char *id, const char *json, void (*stored)(void *ctx), void *ctx)
{
	cleanup(cleanup_free) char *key = NULL;
	char keep[24];
	if (strlen(json) > LEDGER_ANSWER_MAX)
		return -EMSGSIZE;
	struct question *question = new_question(id, ctx);
	if (asprintf(&key, "%s%s", ledger->prefix, id) < 0)
		key = NULL;
	if (!question || !key) {
		free(question);
		return -ENOMEM;
	}
	question->stored = stored;
	snprintf(keep, sizeof(keep), "%" PRIu64, ledger->keep_ms);
	const char *const argv[] = {"SET", key, json, "PX", keep};
	return send(ledger, &(struct redis_command){.argc = 5, .argv = argv, .idempotent = true}, on_stored, question);
}

bool ledger_is_up(const struct ledger *ledger)
{
	return redis_commands_up(ledger->commands);
}

struct ledger *ledger_new(const struct ledger_options *options)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	if (!ledger)
		return NULL;
	ledger->commands = options->commands;
	ledger->keep_ms = options->keep_ns / NS_PER_MS;
	if (asprintf(&ledger->prefix, "{%s}:answer:%s:", options->channel, options->node) < 0) {
		free(ledger);
		return NULL;
	}
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	free(ledger->prefix);
	free(ledger);
}
