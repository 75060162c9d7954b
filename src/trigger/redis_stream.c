/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   create the group → read pending entries (from id 0 on) → read new entries, blocking → …
 *
 * Redis remembers for each group which entries it delivered and which were acknowledged. Whenever an answer may have
 * been lost on its way, the pending entries are read again; those in progress here are known by their ids and skipped.
 * An entry that is final stays in the list until its XACK is answered, so that it is not taken for a new one.
 *
 * An entry that is put off (a limit was met) leaves the list and stays pending at the server. Some time later the
 * pending entries are read again; meanwhile new ones are read until REDIS_STREAM_ENTRIES_MAX wait in this way.
 *
 * An entry that is pending at the start was being worked on when the daemon ended without a stop, so it may be the
 * cause. Redis counts such ends for each entry (HINCRBY, before it is passed on). An entry that was there three times
 * is moved to the stream "<key>:dead".
 *
 * An existing group continues where it stands. If there is none, this node is new, and begins with entries published
 * from now on; or the group was lost (this run had one, or the registry knows the node), and it begins with all entries
 * that are not too old.
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
#include "base/token_bucket.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_options.h"

#define COUNT "32" /* entries in one answer */
#define BLOCK_MS "5000"
#define BLOCK_NS (5 * NS_PER_S)
#define BLOCK_SHORT_MS "250" /* while entries are put off */
#define RETRY_NS NS_PER_S    /* after an error */
#define AGAIN_FIRST_NS \
	(250 * NS_PER_MS) /* until entries that were put off are read again; doubles with each vain pass */
#define AGAIN_MAX_NS (8 * NS_PER_S)
#define CLOCK_WAITS_MAX 3 /* of RETRY_NS each */
#define CRASHES_MAX 3
#define CRASHES_TTL_MS "604800000" /* of their count, after the last */
#define DEAD_LENGTH "10000"	   /* entries kept in the dead stream, approximately */
#define LOGS_PER_SECOND 1
#define ID_SIZE 64 /* two numbers of 20 digits, a dash, a prefix */
#define FIELD "request"

enum stream_state { STREAM_REGISTRY, STREAM_GROUP, STREAM_PENDING, STREAM_NEW };

struct entry {
	struct trigger_ticket ticket;
	struct redis_stream *stream;
	TAILQ_ENTRY(entry) list;
	char id[ID_SIZE];
	bool final; /* its XACK is in flight, or waits for the retry */
	bool ack_in_flight;
	bool moving; /* to the dead stream */
	char *value; /* while its crashes are being counted */
	size_t value_size;
};

struct redis_stream {
	struct redis_commands *reader; /* its commands may block */
	struct redis_commands *keys;
	struct trigger_handler handler;
	struct redis_stream_options options; /* owns its strings */
	const char *key, *group, *stream_consumer;
	char *dead_key;
	char *origin; /* "stream:<key>" */
	enum stream_state state;
	char last_id[ID_SIZE]; /* pending entries are read from after this id */
	bool reading, stopped;
	bool group_known; /* this run had the group, or the registry knows the node */
	bool subscribed;
	unsigned clock_waits;
	bool first_pass_began;
	bool first_pass;      /* entries that are pending now were so before the start */
	bool crashes_counted; /* the server may have counts that are no longer needed */
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
	free(entry->value);
	free(entry);
}

/* Nothing is under way, so no count is needed; a clean stop is no crash. */
static void forget_crashes(struct redis_stream *stream)
{
	const char *const argv[] = {"DEL", stream->options.crashes_key};
	const struct redis_command command = {.argc = 2, .argv = argv, .idempotent = true};

	if (stream->crashes_counted && redis_commands_send(stream->keys, &command, NULL, NULL) == 0)
		stream->crashes_counted = false;
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
			forget_crashes(stream);
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
		    strcmp(name->str, FIELD) == 0)
			return value;
	}
	return NULL;
}

/* `refusal`: why it must not run; NULL: it may. */
static void pass_on(struct redis_stream *stream, struct entry *entry, const char *value, size_t size,
		    const char *refusal)
{
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

/* --- entries that crash the daemon --- */

static void on_buried(void *ctx, const struct redis_result *answer)
{
	struct entry *entry = ctx;
	struct redis_stream *stream = entry->stream;
	cleanup(cleanup_free) char *value = take(entry->value);

	entry->moving = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code < 0)
		warn(stream, "stream-entry-not-moved", answer->error);
	log_error("stream-entry-dead", log_str("stream", stream->key), log_str("entry", entry->id),
		  log_str("moved_to", answer->code < 0 ? "" : stream->dead_key));
	pass_on(stream, entry, value, entry->value_size, "the daemon crashed three times while it had this request");
}

static void bury(struct entry *entry)
{
	struct redis_stream *stream = entry->stream;
	const char *const argv[] = {"XADD",    stream->dead_key, "MAXLEN",
				    "~",       DEAD_LENGTH,	 "*",
				    FIELD,     entry->value,	 "entry",
				    entry->id, "node",		 stream->stream_consumer};
	const size_t sizes[] = {4,
				strlen(stream->dead_key),
				6,
				1,
				strlen(DEAD_LENGTH),
				1,
				strlen(FIELD),
				entry->value_size,
				5,
				strlen(entry->id),
				4,
				strlen(stream->stream_consumer)};
	const struct redis_command command = {.argc = 12, .argv = argv, .argvlen = sizes, .idempotent = true};

	entry->moving = redis_commands_send(stream->keys, &command, on_buried, entry) == 0;
	if (!entry->moving)
		on_ticket_later(&entry->ticket);
}

static void on_crashes_counted(void *ctx, const struct redis_result *answer)
{
	struct entry *entry = ctx;
	struct redis_stream *stream = entry->stream;

	if (answer->code == -ECANCELED || stream->stopped)
		return;
	if (answer->code < 0)
		warn(stream, "stream-crashes-uncounted", answer->error);
	if (answer->code == 0 && answer->reply->type == REDIS_REPLY_INTEGER && answer->reply->integer >= CRASHES_MAX) {
		bury(entry);
		return;
	}
	cleanup(cleanup_free) char *value = take(entry->value);
	pass_on(stream, entry, value, entry->value_size, NULL);
}

/* Passes the entry on once its crashes are counted; without a count, at once. */
static void count_crash(struct redis_stream *stream, struct entry *entry, const redisReply *value)
{
	const char *const argv[] = {"HINCRBY", stream->options.crashes_key, entry->id, "1"};
	const char *const expiry[] = {"PEXPIRE", stream->options.crashes_key, CRASHES_TTL_MS};
	const struct redis_command command = {.argc = 4, .argv = argv};
	const struct redis_command expire = {.argc = 3, .argv = expiry, .idempotent = true};

	entry->value = malloc(value->len + 1);
	if (entry->value && redis_commands_send(stream->keys, &command, on_crashes_counted, entry) == 0) {
		memcpy(entry->value, value->str, value->len);
		entry->value[value->len] = '\0';
		entry->value_size = value->len;
		stream->crashes_counted = true;
		(void)!redis_commands_send(stream->keys, &expire, NULL, NULL);
		return;
	}
	free(take(entry->value));
	pass_on(stream, entry, value->str, value->len, NULL);
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
		     fields->type == REDIS_REPLY_ARRAY ? "it has no field \"" FIELD "\"" : "it was trimmed or deleted");
		on_ticket_done(&entry->ticket);
		return;
	}
	if (stream->first_pass)
		count_crash(stream, entry, value);
	else
		pass_on(stream, entry, value->str, value->len, NULL);
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
		forget_crashes(stream);
}

static void on_registry(void *ctx, const struct redis_result *answer)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == -ETIMEDOUT) { /* at once, so that it comes before this run's own presence */
		continue_reading(stream);
		return;
	}
	if (answer->code < 0)
		warn(stream, "stream-registry-unread", answer->error);
	stream->group_known = answer->code == 0 && answer->reply->type == REDIS_REPLY_STRING;
	restart_from(stream, STREAM_GROUP);
	continue_reading(stream);
}

static void on_group(void *ctx, const struct redis_result *answer)
{
	struct redis_stream *stream = ctx;

	stream->reading = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0 || (answer->code == -EREMOTEIO && strncmp(answer->error, "BUSYGROUP", 9) == 0)) {
		if (answer->code == 0 && stream->group_known)
			log_warning("stream-group-lost", log_str("stream", stream->key),
				    log_str("group", stream->group),
				    log_str("hint",
					    "it was made again and begins with all entries that are not too old"));
		if (!stream->subscribed)
			log_notice("stream-subscribed", log_str("stream", stream->key),
				   log_str("group", stream->group));
		stream->subscribed = stream->group_known = true;
		start_pass(stream);
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

static int ask_registry(struct redis_stream *stream)
{
	const char *const argv[] = {"ZSCORE", stream->options.registry_key, stream->stream_consumer};
	const struct redis_command command = {.argc = 3, .argv = argv, .idempotent = true};

	return redis_commands_send(stream->keys, &command, on_registry, stream);
}

/* The id after which a group begins that was lost. With the clock unknown, all: those too old are refused. */
static void oldest_id(const struct redis_stream *stream, char id[static ID_SIZE])
{
	const uint64_t now_ns = redis_clock_now_ns(stream->options.clock), max_age_ns = stream->options.max_age_ns;

	if (max_age_ns && now_ns > max_age_ns)
		snprintf(id, ID_SIZE, "%" PRIu64, (now_ns - max_age_ns) / NS_PER_MS);
	else
		snprintf(id, ID_SIZE, "0");
}

static int make_group(struct redis_stream *stream)
{
	char start[ID_SIZE] = "$";
	const char *const argv[] = {"XGROUP", "CREATE", stream->key, stream->group, start, "MKSTREAM"};
	const struct redis_command command = {.argc = 6, .argv = argv, .key = 2, .idempotent = true};

	if (stream->group_known && stream->options.max_age_ns && !redis_clock_now_ns(stream->options.clock) &&
	    stream->clock_waits++ < CLOCK_WAITS_MAX)
		return -EAGAIN; /* its first answer is on the way */
	if (stream->group_known)
		oldest_id(stream, start);
	return redis_commands_send(stream->reader, &command, on_group, stream);
}

static int read_entries(struct redis_stream *stream)
{
	const bool pending = stream->state == STREAM_PENDING;
	const char *argv[11] = {"XREADGROUP", "GROUP", stream->group, stream->stream_consumer, "COUNT", COUNT};
	int argc = 6;

	if (!pending) {
		argv[argc++] = "BLOCK";
		argv[argc++] = stream->put_off ? BLOCK_SHORT_MS : BLOCK_MS;
	}
	argv[argc++] = "STREAMS";
	argv[argc++] = stream->key;
	argv[argc++] = pending ? stream->last_id : ">";
	const struct redis_command command = {.argc = argc, .argv = argv, .key = argc - 2, .idempotent = pending};
	return redis_commands_send(stream->reader, &command, on_entries, stream);
}

static int read_next(struct redis_stream *stream)
{
	switch (stream->state) {
	case STREAM_REGISTRY:
		return ask_registry(stream);
	case STREAM_GROUP:
		return make_group(stream);
	case STREAM_PENDING:
	case STREAM_NEW:
		break;
	}
	return read_entries(stream);
}

static void continue_reading(struct redis_stream *stream)
{
	if (stream->stopped || stream->reading || evtimer_pending(stream->retry, NULL))
		return;
	if (stream->reread && stream->state == STREAM_NEW)
		start_pass(stream);
	if (stream->count + (stream->state == STREAM_NEW ? stream->put_off : 0) >= REDIS_STREAM_ENTRIES_MAX)
		return;
	const int r = read_next(stream);
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
	stream->first_pass = stream->crashes_counted = true;
	stream->keys = keys;
	stream->handler = handler;
	stream->rate.burst = LOGS_PER_SECOND;
	token_bucket_init_burst(&stream->empty_reads, REDIS_STREAM_EMPTY_READS_PER_S, REDIS_STREAM_EMPTY_READS_BURST,
				clock_boottime_ns());
	stream->key = stream->options.key = strdup(options->key);
	stream->group = stream->options.group = strdup(options->group);
	stream->stream_consumer = stream->options.stream_consumer = strdup(options->stream_consumer);
	stream->options.registry_key = strdup(options->registry_key);
	stream->options.crashes_key = strdup(options->crashes_key);
	stream->options.max_age_ns = options->max_age_ns;
	stream->options.clock = options->clock;
	if (asprintf(&stream->dead_key, "%s:dead", options->key) < 0)
		stream->dead_key = NULL;
	if (asprintf(&stream->origin, "stream:%s", options->key) < 0)
		stream->origin = NULL;
	blocking.block_ns = BLOCK_NS;
	stream->reader = redis_commands_new(loop, "stream", &blocking, 0);
	stream->retry = evtimer_new(loop, on_retry, stream);
	stream->again = evtimer_new(loop, on_again, stream);
	if (!stream->key || !stream->group || !stream->stream_consumer || !stream->options.registry_key ||
	    !stream->options.crashes_key || !stream->dead_key || !stream->origin || !stream->reader || !stream->retry ||
	    !stream->again)
		return NULL;
	restart_from(stream, STREAM_REGISTRY);
	continue_reading(stream);
	return take(stream);
}

void redis_stream_stop(struct redis_stream *stream)
{
	if (!stream)
		return;
	stream->stopped = true;
	if (redis_commands_up(stream->keys))
		forget_crashes(stream);
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
	free_options(&stream->options);
	free(stream->dead_key);
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
