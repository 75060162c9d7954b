/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   open the group → read pending entries (from id 0 on) → read new entries, blocking → …
 *
 * Redis remembers for each group which entries it delivered and which were acknowledged. Whenever an answer may have
 * been lost on its way, the pending entries are read again; those in progress here are known by their ids and skipped.
 * An entry that is final stays in the list until its XACK is answered, so that it is not taken for a new one.
 *
 * An entry that is put off (a limit was met) leaves the list and stays pending at the server. Some time later the
 * pending entries are read again; meanwhile new ones are read until REDIS_STREAM_ENTRIES_MAX wait in this way.
 */
#include "trigger/redis_stream.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/token_bucket.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_options.h"
#include "trigger/redis_stream_crashes.h"
#include "trigger/redis_stream_group.h"

#define COUNT "32" /* entries in one answer */
#define BLOCK_MS "5000"
#define BLOCK_NS (5 * NS_PER_S)
#define BLOCK_SHORT_MS "250" /* while entries are put off */
#define RETRY_NS NS_PER_S    /* after an error */
#define AGAIN_FIRST_NS \
	(250 * NS_PER_MS) /* until entries that were put off are read again; doubles with each vain pass */
#define AGAIN_MAX_NS (8 * NS_PER_S)
#define LOGS_PER_SECOND 1
#define ID_SIZE 64 /* two numbers of 20 digits, a dash, a prefix */

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
	struct redis_stream_options options; /* owns its strings */
	struct redis_stream_group *group;
	struct redis_stream_crashes *crashes;
	char *origin; /* "stream:<key>" */
	enum stream_state state;
	char last_id[ID_SIZE]; /* pending entries are read from after this id */
	bool reading, stopped;
	bool first_pass_began;
	bool first_pass; /* entries that are pending now were so before the start */
	struct event *retry;
	struct event *again;   /* pending while any entry is put off */
	bool reread;	       /* that event came while a command was under way */
	size_t put_off;	       /* entries since the last pass over the pending ones began */
	size_t put_off_before; /* when it began */
	struct token_bucket empty_reads;
	uint64_t pauses;
	unsigned vain_passes;
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
		log_warning(id, log_str("stream", stream->options.key), log_str("group", stream->options.group),
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
		if (!stream->count && !stream->put_off && stream->state == STREAM_NEW)
			redis_stream_crashes_forget(stream->crashes);
		continue_reading(stream);
		return;
	}
	warn(stream, "stream-ack-failed", answer->error);
	retry_later(stream);
}

static void acknowledge(struct entry *entry)
{
	struct redis_stream *stream = entry->stream;
	const char *const argv[] = {"XACK", stream->options.key, stream->options.group, entry->id};
	const struct redis_command command = {.argc = 4, .argv = argv, .idempotent = true};

	if (entry->ack_in_flight)
		return;
	entry->ack_in_flight = redis_commands_send(stream->keys, &command, on_acked, entry) == 0;
	if (!entry->ack_in_flight)
		retry_later(stream);
}

static void read_again_later(struct redis_stream *stream)
{
	const uint64_t doubled_ns = AGAIN_FIRST_NS << (stream->vain_passes < 8 ? stream->vain_passes : 8);
	const uint64_t wait_ns = doubled_ns < AGAIN_MAX_NS ? doubled_ns : AGAIN_MAX_NS;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	event_add(stream->again, &wait);
}

/* The end of one request may have made room for those that were put off. */
static void on_ticket_done(struct trigger_ticket *ticket)
{
	struct entry *entry = container_of(ticket, struct entry, ticket);
	struct redis_stream *stream = entry->stream;

	if (stream->put_off && stream->vain_passes) {
		stream->vain_passes = 0;
		read_again_later(stream);
	}
	entry->final = true;
	acknowledge(entry);
}

static void on_ticket_later(struct trigger_ticket *ticket)
{
	struct entry *entry = container_of(ticket, struct entry, ticket);
	struct redis_stream *stream = entry->stream;

	log_debug(trigger, "message-put-off", log_str("origin", stream->origin), log_str("entry", entry->id));
	drop_entry(entry);
	stream->put_off++;
	if (!evtimer_pending(stream->again, NULL))
		read_again_later(stream);
}

/* An id is the server's time, in milliseconds since 1970, a dash, a number. 0 for other ids (a publisher may choose its
 * own). */
static uint64_t time_of_id(const char *id)
{
	char *end;

	errno = 0;
	const unsigned long long ms = strtoull(id, &end, 10);
	return errno == 0 && *end == '-' && ms < INT64_MAX / NS_PER_MS ? ms * NS_PER_MS : 0;
}

/* The server's time by this host's clock. */
static uint64_t by_our_clock(const struct redis_stream *stream, uint64_t server_ns)
{
	const int64_t ours_ns = (int64_t)server_ns - redis_clock_offset(stream->options.clock).offset_ns;

	return server_ns && ours_ns > 0 ? (uint64_t)ours_ns : 0;
}

static struct entry *add_entry(struct redis_stream *stream, const char *id)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->ticket.done = on_ticket_done;
	entry->ticket.later = on_ticket_later;
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
		    strcmp(name->str, REDIS_STREAM_FIELD) == 0)
			return value;
	}
	return NULL;
}

/* `refusal`: why it must not run; NULL: it may. */
static void pass_on(struct entry *entry, const char *value, size_t size, const char *refusal)
{
	struct redis_stream *stream = entry->stream;
	char request_id[ID_SIZE];

	snprintf(request_id, sizeof(request_id), "s%.*s", (int)sizeof(request_id) - 2, entry->id);
	const struct trigger_message message = {
		.origin = stream->origin,
		.bytes = value,
		.size = size,
		.id = request_id,
		.published_ns = by_our_clock(stream, time_of_id(entry->id)),
		.published_error_ns = redis_clock_offset(stream->options.clock).uncertainty_ns,
		.refusal = refusal,
		.ticket = &entry->ticket,
	};
	log_debug(trigger, "message", log_str("origin", message.origin), log_uint("bytes", message.size),
		  log_str("entry", entry->id), log_bool("pending", stream->state == STREAM_PENDING));
	stream->handler.message(stream->handler.ctx, &message);
}

static void on_judged(void *ctx, enum redis_stream_verdict verdict, const char *value, size_t size)
{
	struct entry *entry = ctx;

	if (verdict == REDIS_STREAM_ENTRY_LATER)
		on_ticket_later(&entry->ticket);
	else
		pass_on(entry, value, size,
			verdict == REDIS_STREAM_ENTRY_DEAD ? "the daemon crashed three times while it had this request"
							   : NULL);
}

/* Pending entries that the stream has lost (trimmed, deleted) come without fields: their content is gone for good. */
static void accept_entry(struct redis_stream *stream, const char *id, const redisReply *fields)
{
	struct entry *entry = add_entry(stream, id);

	if (!entry) {
		warn(stream, "stream-entry-left", "out of memory");
		return;
	}
	const redisReply *value = find_field(fields);
	if (!value) {
		warn(stream, "stream-entry-useless",
		     fields->type == REDIS_REPLY_ARRAY ? "it has no field \"" REDIS_STREAM_FIELD "\""
						       : "it was trimmed or deleted");
		on_ticket_done(&entry->ticket);
		return;
	}
	const struct redis_stream_suspect suspect = {
		.id = entry->id, .value = value->str, .size = value->len, .judged = on_judged, .ctx = entry};
	if (!stream->first_pass || redis_stream_crashes_judge(stream->crashes, &suspect) < 0)
		pass_on(entry, value->str, value->len, NULL);
}

/* Accepts [[key, [[id, [field, value, …]], …]]]. Returns the number of entries; sets `*is_new` if we had not all. */
static size_t accept_entries(struct redis_stream *stream, const redisReply *reply, bool *is_new)
{
	const redisReply *list = NULL;

	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->type == REDIS_REPLY_ARRAY &&
	    reply->element[0]->elements == 2 && reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY)
		list = reply->element[0]->element[1];
	const size_t count = list ? list->elements : 0;
	stream->first_pass_began |= count > 0;
	for (size_t i = 0; i < count; i++) {
		const redisReply *pair = list->element[i];

		if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2 ||
		    pair->element[0]->type != REDIS_REPLY_STRING || pair->element[0]->len >= ID_SIZE)
			continue;
		snprintf(stream->last_id, sizeof(stream->last_id), "%s", pair->element[0]->str);
		if (!find_entry(stream, pair->element[0]->str)) {
			accept_entry(stream, pair->element[0]->str, pair->element[1]);
			*is_new = true;
		}
	}
	return count;
}

/* A server or proxy that answers at once instead of blocking must not make us spin. */
static void bound_empty_reads(struct redis_stream *stream)
{
	if (token_bucket_take_burst(&stream->empty_reads, REDIS_STREAM_EMPTY_READS_PER_S,
				    REDIS_STREAM_EMPTY_READS_BURST, clock_boottime_ns()))
		return;
	stream->pauses++;
	warn(stream, "stream-read-paused", "Redis answers at once, without anything new, instead of blocking");
	retry_later(stream);
}

/* --- reading --- */

static void restart_from(struct redis_stream *stream, enum stream_state state)
{
	stream->state = state;
	stream->reread = false;
	snprintf(stream->last_id, sizeof(stream->last_id), "0");
}

/* Entries that were put off before this pass get another chance in it. */
static void start_pass(struct redis_stream *stream)
{
	event_del(stream->again);
	stream->first_pass &= !stream->first_pass_began;
	stream->vain_passes = stream->put_off ? stream->vain_passes + 1 : 0;
	stream->put_off_before = stream->put_off;
	stream->put_off = 0;
	restart_from(stream, STREAM_PENDING);
}

static void end_pass(struct redis_stream *stream)
{
	stream->state = STREAM_NEW;
	stream->first_pass = false;
	if (!stream->put_off)
		stream->vain_passes = 0;
	if (!stream->put_off && !stream->count)
		redis_stream_crashes_forget(stream->crashes);
}

static void on_group(void *ctx, enum redis_stream_group_outcome outcome)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (outcome == REDIS_STREAM_GROUP_FAILED)
		retry_later(stream);
	else if (outcome == REDIS_STREAM_GROUP_THERE)
		start_pass(stream);
	continue_reading(stream);
}

static void on_entries(void *ctx, const struct redis_result *answer)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0) {
		bool is_new = false;
		const size_t count = stream->stopped ? 0 : accept_entries(stream, answer->reply, &is_new);

		if (stream->state == STREAM_PENDING && !count)
			end_pass(stream);
		if (!is_new)
			bound_empty_reads(stream);
		continue_reading(stream);
		return;
	}
	/* Entries delivered with an answer that did not arrive are pending now. */
	start_pass(stream);
	if (answer->code == -EREMOTEIO && strncmp(answer->error, "NOGROUP", 7) == 0)
		restart_from(stream, STREAM_GROUP);
	else if (answer->code == -EREMOTEIO)
		warn(stream, "stream-read-failed", answer->error);
	retry_later(stream);
}

static int read_entries(struct redis_stream *stream)
{
	const bool pending = stream->state == STREAM_PENDING;
	const char *argv[11] = {"XREADGROUP", "GROUP", stream->options.group, stream->options.stream_consumer,
				"COUNT",      COUNT};
	int argc = 6;

	if (!pending) {
		argv[argc++] = "BLOCK";
		argv[argc++] = stream->put_off ? BLOCK_SHORT_MS : BLOCK_MS;
	}
	argv[argc++] = "STREAMS";
	argv[argc++] = stream->options.key;
	argv[argc++] = pending ? stream->last_id : ">";
	const struct redis_command command = {.argc = argc, .argv = argv, .key = argc - 2, .idempotent = pending};
	return redis_commands_send(stream->reader, &command, on_entries, stream);
}

static void continue_reading(struct redis_stream *stream)
{
	if (stream->stopped || stream->reading || evtimer_pending(stream->retry, NULL))
		return;
	if (stream->reread && stream->state == STREAM_NEW)
		start_pass(stream);
	if (stream->count + (stream->state == STREAM_NEW ? stream->put_off : 0) >= REDIS_STREAM_ENTRIES_MAX)
		return;
	const int r = stream->state == STREAM_GROUP ? redis_stream_group_open(stream->group) : read_entries(stream);
	stream->reading = r == 0;
	if (r < 0)
		retry_later(stream);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_stream *stream = ctx;

	(void)fd;
	(void)what;
	stream->reread = true;
	continue_reading(stream);
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

static void free_options(struct redis_stream_options *options)
{
	const char *const texts[] = {options->key, options->group, options->stream_consumer, options->registry_key,
				     options->crashes_key};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		free((char *)(uintptr_t)texts[i]);
}

struct redis_stream *redis_stream_new(struct event_base *loop, const struct redis_options *redis,
				      const struct redis_stream_options *options, struct redis_commands *keys,
				      struct trigger_handler handler)
{
	cleanup(cleanup_redis_stream) struct redis_stream *stream = calloc(1, sizeof(*stream));
	struct redis_options blocking = *redis;

	if (!stream)
		return NULL;
	TAILQ_INIT(&stream->entries);
	stream->first_pass = true;
	stream->keys = keys;
	stream->handler = handler;
	stream->rate.burst = LOGS_PER_SECOND;
	token_bucket_init_burst(&stream->empty_reads, REDIS_STREAM_EMPTY_READS_PER_S, REDIS_STREAM_EMPTY_READS_BURST,
				clock_boottime_ns());
	stream->options.key = strdup(options->key);
	stream->options.group = strdup(options->group);
	stream->options.stream_consumer = strdup(options->stream_consumer);
	stream->options.registry_key = strdup(options->registry_key);
	stream->options.crashes_key = strdup(options->crashes_key);
	stream->options.max_age_ns = options->max_age_ns;
	stream->options.clock = options->clock;
	if (asprintf(&stream->origin, "stream:%s", options->key) < 0)
		stream->origin = NULL;
	blocking.block_ns = BLOCK_NS;
	stream->reader = redis_commands_new(loop, "stream", &blocking, 0);
	stream->retry = evtimer_new(loop, on_retry, stream);
	stream->again = evtimer_new(loop, on_again, stream);
	stream->group = redis_stream_group_new(&stream->options, keys, stream->reader, on_group, stream);
	stream->crashes = redis_stream_crashes_new(&stream->options, keys);
	if (!stream->options.key || !stream->options.group || !stream->options.stream_consumer ||
	    !stream->options.registry_key || !stream->options.crashes_key || !stream->origin || !stream->reader ||
	    !stream->retry || !stream->again || !stream->group || !stream->crashes)
		return NULL;
	restart_from(stream, STREAM_GROUP);
	continue_reading(stream);
	return take(stream);
}

void redis_stream_stop(struct redis_stream *stream)
{
	if (!stream)
		return;
	stream->stopped = true;
	redis_stream_crashes_stop(stream->crashes);
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
	if (stream->again)
		event_free(stream->again);
	redis_stream_group_free(stream->group);
	redis_stream_crashes_free(stream->crashes);
	free_options(&stream->options);
	free(stream->origin);
	free(stream);
}

struct redis_stream_counts redis_stream_counts(const struct redis_stream *stream)
{
	const bool within_pass = stream->state == STREAM_PENDING && stream->put_off_before > stream->put_off;

	return (struct redis_stream_counts){
		.taken = stream->count,
		.put_off = within_pass ? stream->put_off_before : stream->put_off,
		.pauses = stream->pauses,
	};
}
