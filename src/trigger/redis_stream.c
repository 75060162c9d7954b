/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   create the group → read pending entries (from id 0 on) → read new entries, blocking → …
 *
 * Redis remembers for each group which entries it delivered and which were acknowledged. Whenever an answer may have
 * been lost on its way, the pending entries are read again; those in progress here are known by their ids and skipped.
 * An entry that is final stays in the list until its XACK is answered, so that it is not taken for a new one.
 *
 * An existing group continues where it stands. A new one begins with entries published from now on; but a group that
 * must be created again because it vanished (a server without persistence was restarted) begins with all there are,
 * since none is older than that restart.
 */
#include "trigger/redis_stream.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_options.h"

#define COUNT "32" /* entries in one answer */
#define BLOCK_MS "5000"
#define BLOCK_NS (5 * NS_PER_S)
#define RETRY_NS NS_PER_S /* after an error */
#define LOGS_PER_SECOND 1
#define ID_SIZE 64 /* two numbers of 20 digits, a dash, a prefix */
#define FIELD "request"

enum stream_state { STREAM_GROUP, STREAM_PENDING, STREAM_NEW };

struct entry {
	struct trigger_ticket ticket;
	struct redis_stream *stream;
	TAILQ_ENTRY(entry) list;
	char id[ID_SIZE];
	bool final; /* its XACK is in flight, or waits for the retry */
	bool ack_in_flight;
};

struct redis_stream {
	struct redis_commands *reader; /* its commands may block */
	struct redis_commands *keys;
	struct trigger_handler handler;
	char *key, *group, *stream_consumer;
	char *origin; /* "stream:<key>" */
	enum stream_state state;
	char last_id[ID_SIZE]; /* pending entries are read from after this id */
	bool reading, stopped, group_known;
	struct event *retry;
	TAILQ_HEAD(, entry) entries;
	size_t count;
	struct log_rate rate;
};

static void continue_reading(struct redis_stream *stream);

static void retry_later(struct redis_stream *stream)
{
	const struct timeval wait = {.tv_sec = RETRY_NS / NS_PER_S};

	event_add(stream->retry, &wait);
}

static void warn(struct redis_stream *stream, const char *id, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&stream->rate, &suppressed))
		log_warning(id, log_str("stream", stream->key), log_str("group", stream->group),
			    log_str("error", error), log_uint("suppressed", suppressed));
}

/* --- entries --- */

static struct entry *find_entry(const struct redis_stream *stream, const char *id)
{
	struct entry *entry;

	TAILQ_FOREACH(entry, &stream->entries, list)
	{
		if (strcmp(entry->id, id) == 0)
			return entry;
	}
	return NULL;
}

static void drop_entry(struct entry *entry)
{
	TAILQ_REMOVE(&entry->stream->entries, entry, list);
	entry->stream->count--;
	free(entry);
}

static void on_acked(void *ctx, const struct redis_result *answer)
{
	struct entry *entry = ctx;
	struct redis_stream *stream = entry->stream;

	entry->ack_in_flight = false;
	if (answer->code == -ECANCELED)
		return; /* the whole stream is being freed */
	if (answer->code == 0) {
		log_debug(trigger, "message-acknowledged", log_str("origin", stream->origin),
			  log_str("entry", entry->id));
		drop_entry(entry);
		continue_reading(stream);
		return;
	}
	warn(stream, "stream-ack-failed", answer->error);
	retry_later(stream);
}

static void acknowledge(struct entry *entry)
{
	struct redis_stream *stream = entry->stream;
	const char *const argv[] = {"XACK", stream->key, stream->group, entry->id};
	const struct redis_command command = {.argc = 4, .argv = argv, .idempotent = true};

	if (entry->ack_in_flight)
		return;
	entry->ack_in_flight = redis_commands_send(stream->keys, &command, on_acked, entry) == 0;
	if (!entry->ack_in_flight)
		retry_later(stream);
}

static void on_ticket_done(struct trigger_ticket *ticket)
{
	struct entry *entry = container_of(ticket, struct entry, ticket);

	entry->final = true;
	acknowledge(entry);
}

/* An id is milliseconds since 1970, a dash, a number. 0 for other ids (a publisher may choose its own). */
static uint64_t time_of_id(const char *id)
{
	char *end;

	errno = 0;
	const unsigned long long ms = strtoull(id, &end, 10);
	return errno == 0 && *end == '-' && ms < UINT64_MAX / NS_PER_MS ? ms * NS_PER_MS : 0;
}

static struct entry *add_entry(struct redis_stream *stream, const char *id)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->ticket.done = on_ticket_done;
	entry->stream = stream;
	snprintf(entry->id, sizeof(entry->id), "%s", id);
	TAILQ_INSERT_TAIL(&stream->entries, entry, list);
	stream->count++;
	return entry;
}

static const redisReply *find_field(const redisReply *fields)
{
	for (size_t i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
		    strcmp(name->str, FIELD) == 0)
			return value;
	}
	return NULL;
}

/* Pending entries that the stream has lost (trimmed, deleted) come without fields: their content is gone for good. */
static void accept_entry(struct redis_stream *stream, const char *id, const redisReply *fields)
{
	char request_id[ID_SIZE];
	struct entry *entry = add_entry(stream, id);

	if (!entry) {
		warn(stream, "stream-entry-left", "out of memory");
		return;
	}
	const redisReply *value = find_field(fields);
	if (!value) {
		warn(stream, "stream-entry-useless",
		     fields->type == REDIS_REPLY_ARRAY ? "it has no field \"" FIELD "\"" : "it was trimmed or deleted");
		on_ticket_done(&entry->ticket);
		return;
	}
	snprintf(request_id, sizeof(request_id), "s%.*s", (int)sizeof(request_id) - 2, id);
	const struct trigger_message message = {
		.origin = stream->origin,
		.bytes = value->str,
		.size = value->len,
		.id = request_id,
		.published_ns = time_of_id(id),
		.ticket = &entry->ticket,
	};
	log_debug(trigger, "message", log_str("origin", message.origin), log_uint("bytes", message.size),
		  log_str("entry", id), log_bool("pending", stream->state == STREAM_PENDING));
	stream->handler.message(stream->handler.ctx, &message);
}

/* Accepts [[key, [[id, [field, value, …]], …]]]. Returns the number of entries. */
static size_t accept_entries(struct redis_stream *stream, const redisReply *reply)
{
	const redisReply *list = NULL;

	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->type == REDIS_REPLY_ARRAY &&
	    reply->element[0]->elements == 2 && reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY)
		list = reply->element[0]->element[1];
	const size_t count = list ? list->elements : 0;
	for (size_t i = 0; i < count; i++) {
		const redisReply *pair = list->element[i];

		if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2 ||
		    pair->element[0]->type != REDIS_REPLY_STRING || pair->element[0]->len >= ID_SIZE)
			continue;
		snprintf(stream->last_id, sizeof(stream->last_id), "%s", pair->element[0]->str);
		if (!find_entry(stream, pair->element[0]->str))
			accept_entry(stream, pair->element[0]->str, pair->element[1]);
	}
	return count;
}

/* --- reading --- */

static void restart_from(struct redis_stream *stream, enum stream_state state)
{
	stream->state = state;
	snprintf(stream->last_id, sizeof(stream->last_id), "0");
}

static void on_group(void *ctx, const struct redis_result *answer)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0 || (answer->code == -EREMOTEIO && strncmp(answer->error, "BUSYGROUP", 9) == 0)) {
		if (!stream->group_known)
			log_notice("stream-subscribed", log_str("stream", stream->key),
				   log_str("group", stream->group));
		stream->group_known = true;
		restart_from(stream, STREAM_PENDING);
		continue_reading(stream);
		return;
	}
	if (answer->code != -ETIMEDOUT) /* the link reports an absent Redis */
		warn(stream, "stream-group-failed", answer->error);
	retry_later(stream);
}

static void on_entries(void *ctx, const struct redis_result *answer)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0) {
		const size_t count = stream->stopped ? 0 : accept_entries(stream, answer->reply);

		if (stream->state == STREAM_PENDING && !count)
			stream->state = STREAM_NEW;
		continue_reading(stream);
		return;
	}
	/* Entries delivered with an answer that did not arrive are pending now. */
	restart_from(stream, STREAM_PENDING);
	if (answer->code == -EREMOTEIO && strncmp(answer->error, "NOGROUP", 7) == 0)
		restart_from(stream, STREAM_GROUP);
	else if (answer->code == -EREMOTEIO)
		warn(stream, "stream-read-failed", answer->error);
	retry_later(stream);
}

static int make_group(struct redis_stream *stream)
{
	const char *const argv[] = {"XGROUP",  "CREATE", stream->key, stream->group, stream->group_known ? "0" : "$",
				    "MKSTREAM"};
	const struct redis_command command = {.argc = 6, .argv = argv, .key = 2, .idempotent = true};

	return redis_commands_send(stream->reader, &command, on_group, stream);
}

static int read_entries(struct redis_stream *stream)
{
	const bool pending = stream->state == STREAM_PENDING;
	const char *argv[11] = {"XREADGROUP", "GROUP", stream->group, stream->stream_consumer, "COUNT", COUNT};
	int argc = 6;

	if (!pending) {
		argv[argc++] = "BLOCK";
		argv[argc++] = BLOCK_MS;
	}
	argv[argc++] = "STREAMS";
	argv[argc++] = stream->key;
	argv[argc++] = pending ? stream->last_id : ">";
	const struct redis_command command = {.argc = argc, .argv = argv, .key = argc - 2, .idempotent = pending};
	return redis_commands_send(stream->reader, &command, on_entries, stream);
}

static void continue_reading(struct redis_stream *stream)
{
	if (stream->stopped || stream->reading || stream->count >= REDIS_STREAM_ENTRIES_MAX ||
	    evtimer_pending(stream->retry, NULL))
		return;
	const int r = stream->state == STREAM_GROUP ? make_group(stream) : read_entries(stream);
	stream->reading = r == 0;
	if (r < 0)
		retry_later(stream);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_stream *stream = ctx;
	struct entry *entry;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(entry, &stream->entries, list)
	{
		if (entry->final)
			acknowledge(entry);
	}
	continue_reading(stream);
}

/* --- new and free --- */

struct redis_stream *redis_stream_new(struct event_base *loop, const struct redis_options *redis,
				      const struct redis_stream_options *options, struct redis_commands *keys,
				      struct trigger_handler handler)
{
	cleanup(cleanup_redis_stream) struct redis_stream *stream = calloc(1, sizeof(*stream));
	struct redis_options blocking = *redis;

	if (!stream)
		return NULL;
	TAILQ_INIT(&stream->entries);
	stream->keys = keys;
	stream->handler = handler;
	stream->rate.burst = LOGS_PER_SECOND;
	stream->key = strdup(options->key);
	stream->group = strdup(options->group);
	stream->stream_consumer = strdup(options->stream_consumer);
	if (asprintf(&stream->origin, "stream:%s", options->key) < 0)
		stream->origin = NULL;
	blocking.block_ns = BLOCK_NS;
	stream->reader = redis_commands_new(loop, "stream", &blocking, 0);
	stream->retry = evtimer_new(loop, on_retry, stream);
	if (!stream->key || !stream->group || !stream->stream_consumer || !stream->origin || !stream->reader ||
	    !stream->retry)
		return NULL;
	restart_from(stream, STREAM_GROUP);
	continue_reading(stream);
	return take(stream);
}

void redis_stream_stop(struct redis_stream *stream)
{
	if (stream)
		stream->stopped = true;
}

void redis_stream_free(struct redis_stream *stream)
{
	struct entry *entry;

	if (!stream)
		return;
	stream->stopped = true;
	redis_commands_free(stream->reader);
	while ((entry = TAILQ_FIRST(&stream->entries)))
		drop_entry(entry);
	if (stream->retry)
		event_free(stream->retry);
	free(stream->key);
	free(stream->group);
	free(stream->stream_consumer);
	free(stream->origin);
	free(stream);
}

size_t redis_stream_pending(const struct redis_stream *stream)
{
	return stream->count;
}
