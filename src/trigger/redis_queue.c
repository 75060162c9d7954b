/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One blocking read after the other, each of a batch. A stream is read after the last entry that was seen; the first is
 * looked up, because "$" in each read would lose what comes between two of them. An item of a list whose answer is lost
 * with the connection is lost. Reads that bring nothing and do not block are slowed down.
 */
#include "trigger/redis_queue.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_options.h"

#define BLOCK_S "5"
#define BLOCK_MS "5000"
#define BLOCK_NS (5 * NS_PER_S)
#define COUNT "100" /* messages in one answer */
#define RETRY_S 1
#define EMPTY_MIN_NS NS_PER_S /* an empty answer that comes sooner did not block */
#define ID_SIZE 64

struct redis_queue {
	enum redis_queue_kind kind;
	struct redis_commands *reader;
	struct event *retry;
	struct trigger_handler handler;
	char *key, *field, *origin;
	char last_id[ID_SIZE]; /* of a stream; "": not known yet */
	uint64_t asked_ns;     /* boot time of the last read */
	struct log_rate rate;
};

static void read_next(struct redis_queue *queue);

static void retry_later(struct redis_queue *queue)
{
	const struct timeval delay = {.tv_sec = RETRY_S};

	event_add(queue->retry, &delay);
}

static void warn(struct redis_queue *queue, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&queue->rate, &suppressed))
		log_warning("input-read-failed", log_str("input", queue->origin), log_str("error", error),
			    log_uint("suppressed", suppressed));
}

static void pass_on(const struct redis_queue *queue, const redisReply *text)
{
	const struct trigger_message message = {.origin = queue->origin, .bytes = text->str, .size = text->len};

	if (text->type == REDIS_REPLY_STRING)
		queue->handler.message(queue->handler.ctx, &message);
}

/* BLMPOP's [key, [item, …]] */
static bool accept_items(const struct redis_queue *queue, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < reply->element[1]->elements; i++)
		pass_on(queue, reply->element[1]->element[i]);
	return true;
}

/* An entry: [id, [field, value, …]] */
static bool accept_entry(struct redis_queue *queue, const redisReply *entry, bool pass)
{
	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING ||
	    entry->element[0]->len >= ID_SIZE)
		return false;
	memcpy(queue->last_id, entry->element[0]->str, entry->element[0]->len + 1);
	const redisReply *fields = entry->element[1];
	if (!pass || fields->type != REDIS_REPLY_ARRAY)
		return true;
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i];

		if (name->type == REDIS_REPLY_STRING && strcmp(name->str, queue->field) == 0)
			pass_on(queue, fields->element[i + 1]);
	}
	return true;
}

static bool accept_entries(struct redis_queue *queue, const redisReply *entries, bool pass)
{
	bool some = false;

	for (size_t i = 0; entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++)
		some |= accept_entry(queue, entries->element[i], pass);
	return some;
}

/* XREAD's [[key, entries]] */
static bool accept_stream(struct redis_queue *queue, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 || reply->element[0]->type != REDIS_REPLY_ARRAY ||
	    reply->element[0]->elements != 2)
		return false;
	return accept_entries(queue, reply->element[0]->element[1], true);
}

/* Without one, another read follows later, unless the queue is being freed. */
static bool has_answer(struct redis_queue *queue, const struct redis_result *result)
{
	if (result->code < 0 && result->code != -ECANCELED) {
		warn(queue, result->error);
		retry_later(queue);
	}
	return result->code >= 0;
}

static void on_read(void *ctx, const struct redis_result *result)
{
	struct redis_queue *queue = ctx;

	if (!has_answer(queue, result))
		return;
	const bool some = queue->kind == REDIS_QUEUE_LIST ? accept_items(queue, result->reply)
							  : accept_stream(queue, result->reply);
	if (!some && clock_boottime_ns() - queue->asked_ns < EMPTY_MIN_NS)
		retry_later(queue);
	else
		read_next(queue);
}

static void on_last_id(void *ctx, const struct redis_result *result)
{
	struct redis_queue *queue = ctx;

	if (!has_answer(queue, result))
		return;
	if (!accept_entries(queue, result->reply, false))
		snprintf(queue->last_id, sizeof(queue->last_id), "0-0");
	log_notice("input-ready", log_str("input", queue->origin), log_str("after", queue->last_id));
	read_next(queue);
}

static void send_read(struct redis_queue *queue, const struct redis_command *command, redis_commands_done done)
{
	queue->asked_ns = clock_boottime_ns();
	if (redis_commands_send(queue->reader, command, done, queue) < 0)
		retry_later(queue);
}

static void read_next(struct redis_queue *queue)
{
	const char *const list[] = {"BLMPOP", BLOCK_S, "1", queue->key, "LEFT", "COUNT", COUNT};
	const char *const last[] = {"XREVRANGE", queue->key, "+", "-", "COUNT", "1"};
	const char *const stream[] = {"XREAD",	"COUNT",   COUNT,      "BLOCK",
				      BLOCK_MS, "STREAMS", queue->key, queue->last_id};

	if (queue->kind == REDIS_QUEUE_LIST)
		send_read(queue, &(struct redis_command){.argc = 7, .argv = list, .key = 3}, on_read);
	else if (!*queue->last_id)
		send_read(queue, &(struct redis_command){.argc = 6, .argv = last, .idempotent = true}, on_last_id);
	else
		send_read(queue, &(struct redis_command){.argc = 8, .argv = stream, .key = 6, .idempotent = true},
			  on_read);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	read_next(ctx);
}

struct redis_queue *redis_queue_new(struct event_base *loop, const struct redis_options *options,
				    enum redis_queue_kind kind, const char *key, const char *field,
				    struct trigger_handler handler)
{
	cleanup(cleanup_redis_queue) struct redis_queue *queue = calloc(1, sizeof(*queue));
	struct redis_options blocking = *options;

	if (!queue)
		return NULL;
	blocking.block_ns = BLOCK_NS;
	queue->kind = kind;
	queue->handler = handler;
	queue->rate.burst = 1;
	queue->key = strdup(key);
	queue->field = strdup(field);
	if (asprintf(&queue->origin, "%s:%s", kind == REDIS_QUEUE_LIST ? "list" : "stream", key) < 0)
		queue->origin = NULL;
	queue->retry = evtimer_new(loop, on_retry, queue);
	queue->reader = redis_commands_new(loop, "input", &blocking, 0);
	if (!queue->key || !queue->field || !queue->origin || !queue->retry || !queue->reader)
		return NULL;
	read_next(queue);
	return take(queue);
}

void redis_queue_free(struct redis_queue *queue)
{
	if (!queue)
		return;
	redis_commands_free(queue->reader);
	if (queue->retry)
		event_free(queue->retry);
	free(queue->key);
	free(queue->field);
	free(queue->origin);
	free(queue);
}
