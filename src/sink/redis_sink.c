/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt is a sequence of commands, one (or two) at a time, each after the answer to the one before:
 *
 *   room? ──> DEL ──> RPUSH header, EXPIRE ──> RPUSH chunk, for each chunk ──> EXPIRE ──> replicated? ──> taken
 *                                                └──refused──> DEL ──> not taken
 *
 * Whether there is room shows in the account (redis_held.h). If it does not, the attempt asks for the oldest files one
 * by one (LLEN): pcapctl removes those it has fetched. Without room it is tried again later.
 *
 * The file counts as taken only once it is known to outlive this master (redis/commands/redis_replication.h). If it was
 * lost with an old master, the next attempt writes it to the new one.
 *
 * With one chunk in flight nothing can arrive out of order, even if commands are redirected or put off, and only that
 * chunk of the file is held. RPUSH answers with the list's length: an unexpected one means that another client wrote to
 * the key, or that it expired. If the connection is lost during RPUSH, it is unknown whether the chunk arrived; so the
 * attempt ends, and the next one begins with DEL.
 *
 * A file that grows has a header of its own until it ends; LSET replaces it then. Between its chunks the attempt waits,
 * sees to room for the next one, and renews the expiry. Where redis.file_size or files_size allow no more it is cut
 * after a whole block, and the attempt is refused.
 *
 * A cancelled attempt lives on without its file until its commands are answered, at the latest by their deadline.
 */
#include "sink/redis_sink.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/error.h"
#include "redis/commands/redis_commands.h"
#include "redis/commands/redis_replication.h"
#include "redis/connection/redis_options.h"
#include "sink/redis_held.h"
#include "sink/report_text.h"
#include "sink/sink.h"
#include "sink/whole_blocks.h"

#define TTL_TEXT_SIZE 24
#define EXPIRY_RENEWALS 4 /* of a file that grows, in the time after which it would expire */

struct redis_sink {
	struct sink sink;
	struct event_base *loop;
	struct redis_options redis;	       /* owns its strings */
	struct redis_commands *commands;       /* NULL until the first file: not connected yet */
	struct redis_replication *replication; /* likewise */
	char *prefix;			       /* of the keys */
	char *address;
	uint64_t bytes_max;
	struct redis_held *held;
	char ttl[TTL_TEXT_SIZE]; /* seconds */
	uint64_t ttl_ns;
};

enum step {
	STEP_BEGIN,
	STEP_ROOM,
	STEP_DELETE,
	STEP_HEADER,
	STEP_CHUNKS,
	STEP_RENEW, /* of a file that grows: its expiry */
	STEP_WAIT,  /* for more bytes of it; no command is in flight */
	STEP_FINAL_HEADER,
	STEP_EXPIRE,
	STEP_REPLICATED,
	STEP_CLEAN_UP
};

struct sink_attempt {
	struct redis_sink *redis_sink;
	enum step step;
	struct event *event; /* runs the first step, and reports the outcome */
	unsigned replies_pending;
	bool finished; /* cancelled, or about to report */
	char *key, *name;
	const struct sink_file *file; /* NULL once closed */
	struct byte_stream stream;
	uint64_t chunks, chunks_sent;
	uint8_t *chunk;			       /* of a file that grows: the next one, or the one in flight; else NULL */
	size_t chunk_bytes;		       /* in it */
	uint64_t stored_bytes;		       /* of a file that grows */
	uint64_t expiry_set_ns;		       /* boot time */
	struct whole_blocks blocks;	       /* of what is stored */
	size_t asked;			       /* files that were found to be there still, the oldest ones */
	char *asked_key;		       /* of the file asked for now */
	struct redis_replication_check *check; /* while it runs */
	struct sink_outcome outcome;
	sink_attempt_done done; /* NULL: cancelled */
	void *ctx;
};

static void run_next_step(struct sink_attempt *attempt);

/* --- ending --- */

static void close_stream(struct sink_attempt *attempt)
{
	if (attempt->file)
		attempt->file->close(attempt->file->ctx, &attempt->stream);
	attempt->file = NULL;
}

static void attempt_free(struct sink_attempt *attempt)
{
	close_stream(attempt);
	if (attempt->event)
		event_free(attempt->event);
	free(attempt->key);
	free(attempt->name);
	free(attempt->asked_key);
	free(attempt->chunk);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

/* The outcome is reported at the next turn of the loop at which no command is in flight. */
static void finish(struct sink_attempt *attempt)
{
	attempt->finished = true;
	close_stream(attempt);
	if (attempt->replies_pending == 0)
		event_active(attempt->event, EV_TIMEOUT, 0);
}

static void fail(struct sink_attempt *attempt, enum sink_verdict verdict, const char *why)
{
	struct error text;

	attempt->outcome.sent_bytes = attempt->stored_bytes;
	if (!attempt->check) /* what is left of it expires */
		redis_held_remove(attempt->redis_sink->held, attempt->key);
	error_set(&text, 0, "cannot store it under %s: %s", attempt->key, why);
	report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), text.text);
	attempt->outcome.verdict = verdict;
	finish(attempt);
}

static void set_url(const struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	if ((size_t)snprintf(outcome->url, sizeof(outcome->url), "redis:%s", attempt->key) >= sizeof(outcome->url))
		outcome->url[0] = '\0'; /* too long to report */
}

static void succeed(struct sink_attempt *attempt)
{
	attempt->outcome.verdict = attempt->outcome.error[0] ? SINK_REFUSED : SINK_OK; /* refused: it was cut */
	attempt->outcome.sent_bytes = attempt->stored_bytes;
	set_url(attempt, &attempt->outcome);
	finish(attempt);
}

/* --- commands --- */

/* Errors that the next attempt would get as well. Not so OOM, MISCONF, NOREPLICAS … */
static bool is_permanent(const char *error)
{
	static const char *const prefixes[] = {"NOPERM ", "ERR ", "WRONGTYPE "};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(error, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The answer expected at this step; -1: any. */
static int64_t expected_reply(const struct sink_attempt *attempt)
{
	switch (attempt->step) {
	case STEP_HEADER: /* to both commands: a list of one element, which expires */
	case STEP_RENEW:
	case STEP_EXPIRE:
		return 1;
	case STEP_CHUNKS:
		return (int64_t)attempt->chunks_sent + 1;
	default:
		return -1;
	}
}

static void on_failure(struct sink_attempt *attempt, const struct redis_result *result)
{
	const bool refused = result->code == -EREMOTEIO;
	const bool pushing = attempt->step > STEP_DELETE && attempt->step < STEP_CLEAN_UP;

	fail(attempt, refused && is_permanent(result->error) ? SINK_REFUSED : SINK_RETRY, result->error);
	/* A server without room for the rest must not keep the beginning. */
	if (refused && pushing && attempt->replies_pending == 0) {
		event_del(attempt->event);
		attempt->outcome.sent_bytes = 0;
		attempt->step = STEP_CLEAN_UP;
		run_next_step(attempt);
	}
}

/* A file that is not there any more leaves room. */
static void note_length(struct sink_attempt *attempt, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0)
		redis_held_remove(attempt->redis_sink->held, attempt->asked_key);
	else
		attempt->asked++;
}

static void on_result(void *ctx, const struct redis_result *result)
{
	struct sink_attempt *attempt = ctx;
	int64_t length = expected_reply(attempt);

	attempt->replies_pending--;
	if (attempt->finished && attempt->replies_pending > 0)
		return;
	if (attempt->finished && !attempt->done) {
		attempt_free(attempt);
		return;
	}
	if (attempt->finished) {
		event_active(attempt->event, EV_TIMEOUT, 0);
		return;
	}
	if (result->code < 0) {
		on_failure(attempt, result);
		return;
	}
	if (attempt->step == STEP_ROOM)
		note_length(attempt, result->reply);
	if (length >= 0 && (result->reply->type != REDIS_REPLY_INTEGER || result->reply->integer != length)) {
		fail(attempt, SINK_RETRY, "the key was changed or removed in the meantime");
		return;
	}
	if (attempt->replies_pending == 0)
		run_next_step(attempt);
}

/* argv[0] is the command, argv[1] the key. False: the attempt has failed. */
static bool send_command(struct sink_attempt *attempt, int argc, const char *const *argv, const size_t *argvlen)
{
	const struct redis_command command = {.argc = argc,
					      .argv = argv,
					      .argvlen = argvlen,
					      .idempotent = strcmp(argv[0], "RPUSH") != 0};
	int r = redis_commands_send(attempt->redis_sink->commands, &command, on_result, attempt);

	if (r == 0) {
		attempt->replies_pending++;
		return true;
	}
	if (!attempt->finished)
		fail(attempt, SINK_RETRY, r == -ENOBUFS ? "too much data is waiting for Redis" : strerror(-r));
	return false;
}

static bool send_delete(struct sink_attempt *attempt)
{
	const char *const argv[] = {"DEL", attempt->key};

	return send_command(attempt, 2, argv, NULL);
}

static bool send_expire(struct sink_attempt *attempt)
{
	const char *const argv[] = {"EXPIRE", attempt->key, attempt->redis_sink->ttl};

	return send_command(attempt, 3, argv, NULL);
}

static bool grows(const struct sink_attempt *attempt)
{
	return attempt->chunk;
}

static void send_header(struct sink_attempt *attempt)
{
	json_t *header = grows(attempt) ? json_pack("{s:i,s:s,s:b}", "v", 1, "name", attempt->name, "growing", 1)
					: json_pack("{s:i,s:s,s:I,s:I}", "v", 1, "name", attempt->name, "size",
						    (json_int_t)attempt->stream.size_bytes, "chunks",
						    (json_int_t)attempt->chunks);
	cleanup(cleanup_free) char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
	const char *const argv[] = {"RPUSH", attempt->key, text};

	json_decref(header);
	if (!text) {
		fail(attempt, SINK_RETRY, "out of memory");
		return;
	}
	attempt->expiry_set_ns = clock_boottime_ns();
	if (send_command(attempt, 3, argv, NULL))
		send_expire(attempt);
}

/* Of a file that grew: it has `bytes` in the chunks sent so far. */
static void send_final_header(struct sink_attempt *attempt, uint64_t bytes)
{
	json_t *header = json_pack("{s:i,s:s,s:I,s:I}", "v", 1, "name", attempt->name, "size", (json_int_t)bytes,
				   "chunks", (json_int_t)attempt->chunks_sent);
	cleanup(cleanup_free) char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
	const char *const argv[] = {"LSET", attempt->key, "0", text};

	json_decref(header);
	attempt->step = STEP_FINAL_HEADER;
	if (text)
		send_command(attempt, 4, argv, NULL);
	else if (!attempt->finished)
		fail(attempt, SINK_RETRY, "out of memory");
}

static void send_chunk(struct sink_attempt *attempt)
{
	const uint64_t left = attempt->stream.size_bytes - attempt->chunks_sent * REDIS_SINK_CHUNK_BYTES;
	const size_t size = left < REDIS_SINK_CHUNK_BYTES ? (size_t)left : REDIS_SINK_CHUNK_BYTES;
	cleanup(cleanup_free) uint8_t *chunk = malloc(size);
	const char *const argv[] = {"RPUSH", attempt->key, (const char *)chunk};
	const size_t argvlen[] = {strlen(argv[0]), strlen(attempt->key), size};
	size_t got = 0;

	if (!chunk) {
		fail(attempt, SINK_RETRY, "out of memory");
		return;
	}
	while (got < size) {
		size_t more = attempt->stream.read(attempt->stream.ctx, chunk + got, size - got);

		if (more == 0) {
			fail(attempt, SINK_REFUSED, "the file is shorter than expected");
			return;
		}
		got += more;
	}
	attempt->chunks_sent++;
	send_command(attempt, 3, argv, argvlen);
}

static void send_growing_chunk(struct sink_attempt *attempt)
{
	const char *const argv[] = {"RPUSH", attempt->key, (const char *)attempt->chunk};
	const size_t argvlen[] = {strlen(argv[0]), strlen(attempt->key), attempt->chunk_bytes};

	attempt->step = STEP_CHUNKS;
	attempt->chunks_sent++;
	send_command(attempt, 3, argv, argvlen);
}

/* A file that grows ends here, although there is more of it. */
static void cut(struct sink_attempt *attempt, const char *why)
{
	struct error text;

	error_set(&text, 0, "it has the first %" PRIu64 " bytes of the file: %s", attempt->stored_bytes, why);
	report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), text.text);
	send_final_header(attempt, attempt->stored_bytes);
}

/* Starts the upload, or sends the next chunk of a file that grows, if there is room; else asks whether the next file is
 * there still. */
static void make_room(struct sink_attempt *attempt)
{
	const struct redis_sink *redis_sink = attempt->redis_sink;
	const uint64_t size =
		grows(attempt) ? attempt->stored_bytes + attempt->chunk_bytes : attempt->stream.size_bytes;
	const char *key;
	struct error text;

	if (redis_held_add(redis_sink->held, attempt->key, size)) {
		if (attempt->chunk_bytes) {
			send_growing_chunk(attempt);
			return;
		}
		attempt->step = STEP_DELETE;
		send_delete(attempt);
		return;
	}
	attempt->step = STEP_ROOM;
	key = redis_held_key(redis_sink->held, attempt->asked);
	if (!key) {
		error_set(&text, 0,
			  "this node's files in Redis take %" PRIu64 " bytes already, and %" PRIu64
			  " more are too many (redis.files_size)",
			  redis_held_bytes(redis_sink->held), size);
		if (!attempt->stored_bytes) {
			fail(attempt, SINK_RETRY, text.text);
			return;
		}
		(void)redis_held_add(redis_sink->held, attempt->key, attempt->stored_bytes);
		cut(attempt, text.text);
		return;
	}
	free(attempt->asked_key);
	attempt->asked_key = strdup(key);
	if (!attempt->asked_key)
		fail(attempt, SINK_RETRY, "out of memory");
	else
		send_command(attempt, 2, (const char *const[]){"LLEN", attempt->asked_key}, NULL);
}

static void start_upload(struct sink_attempt *attempt)
{
	const uint64_t size = attempt->stream.size_bytes, max = attempt->redis_sink->bytes_max;
	struct error text;

	if (grows(attempt)) {
		make_room(attempt);
		return;
	}
	if (size > max) {
		error_set(&text, 0, "%" PRIu64 " bytes are more than redis.file_size allows (%" PRIu64 ")", size, max);
		fail(attempt, SINK_REFUSED, text.text);
		return;
	}
	attempt->chunks = size / REDIS_SINK_CHUNK_BYTES + (size % REDIS_SINK_CHUNK_BYTES > 0);
	make_room(attempt);
}

static void on_replicated(void *ctx, enum redis_replication_verdict verdict)
{
	struct sink_attempt *attempt = ctx;

	attempt->check = NULL;
	switch (verdict) {
	case REDIS_REPLICATED:
		succeed(attempt);
		return;
	case REDIS_LOST:
		fail(attempt, SINK_RETRY, "the master was replaced by one that does not have all of it");
		return;
	case REDIS_UNVERIFIED:
		fail(attempt, SINK_RETRY, "the master did not confirm (LLEN) that it has all of it");
		return;
	}
}

static void check_replicated(struct sink_attempt *attempt)
{
	struct redis_replication *replication = attempt->redis_sink->replication;

	attempt->step = STEP_REPLICATED;
	close_stream(attempt);
	const int64_t chunks = (int64_t)(grows(attempt) ? attempt->chunks_sent : attempt->chunks);
	attempt->check = redis_replication_check(replication, attempt->key, chunks + 1, attempt->redis_sink->ttl,
						 on_replicated, attempt);
	if (!attempt->check)
		fail(attempt, SINK_RETRY, "out of memory");
}

/* How much of the chunk fits, up to the end of a whole block. */
static size_t bytes_that_fit(const struct sink_attempt *attempt)
{
	const uint64_t left = attempt->redis_sink->bytes_max - attempt->stored_bytes;
	struct whole_blocks blocks = attempt->blocks;

	if (attempt->chunk_bytes <= left)
		return attempt->chunk_bytes;
	whole_blocks_pass(&blocks, attempt->chunk, (size_t)left);
	return blocks.end_bytes > attempt->stored_bytes ? (size_t)(blocks.end_bytes - attempt->stored_bytes) : 0;
}

/* Sends the next chunk of a file that grows, waits for it, or ends the file. */
static void go_on_growing(struct sink_attempt *attempt)
{
	struct error text;

	attempt->chunk_bytes = attempt->stream.read(attempt->stream.ctx, attempt->chunk, REDIS_SINK_CHUNK_BYTES);
	if (!attempt->chunk_bytes && !attempt->stream.ended(attempt->stream.ctx)) {
		attempt->step = STEP_WAIT;
		return;
	}
	const size_t fits = bytes_that_fit(attempt);
	const bool whole = fits == attempt->chunk_bytes;
	attempt->chunk_bytes = fits;
	attempt->asked = 0;
	if (fits) {
		make_room(attempt);
	} else if (whole) {
		send_final_header(attempt, attempt->stored_bytes);
	} else {
		error_set(&text, 0, "redis.file_size allows %" PRIu64, attempt->redis_sink->bytes_max);
		if (attempt->stored_bytes)
			cut(attempt, text.text);
		else
			fail(attempt, SINK_REFUSED, text.text);
	}
}

/* A chunk of a file that grows is stored. */
static void note_chunk(struct sink_attempt *attempt)
{
	whole_blocks_pass(&attempt->blocks, attempt->chunk, attempt->chunk_bytes);
	attempt->stored_bytes += attempt->chunk_bytes;
	attempt->chunk_bytes = 0;
	if (clock_boottime_ns() - attempt->expiry_set_ns < attempt->redis_sink->ttl_ns / EXPIRY_RENEWALS) {
		go_on_growing(attempt);
		return;
	}
	attempt->step = STEP_RENEW;
	attempt->expiry_set_ns = clock_boottime_ns();
	send_expire(attempt);
}

/* All commands so far were answered as expected. */
static void run_next_step(struct sink_attempt *attempt)
{
	switch (attempt->step) {
	case STEP_BEGIN:
		start_upload(attempt);
		return;
	case STEP_ROOM:
		make_room(attempt);
		return;
	case STEP_DELETE:
		attempt->step = STEP_HEADER;
		send_header(attempt);
		return;
	case STEP_RENEW:
		go_on_growing(attempt);
		return;
	case STEP_HEADER:
	case STEP_CHUNKS:
		if (grows(attempt)) {
			note_chunk(attempt);
			return;
		}
		attempt->step = attempt->chunks_sent < attempt->chunks ? STEP_CHUNKS : STEP_EXPIRE;
		if (attempt->step == STEP_CHUNKS) {
			send_chunk(attempt);
			return;
		}
		send_expire(attempt);
		return;
	case STEP_FINAL_HEADER:
		attempt->step = STEP_EXPIRE;
		send_expire(attempt);
		return;
	case STEP_EXPIRE:
		check_replicated(attempt);
		return;
	case STEP_WAIT:
	case STEP_REPLICATED:
		return;
	case STEP_CLEAN_UP:
		if (!send_delete(attempt))
			event_active(attempt->event, EV_TIMEOUT, 0);
		return;
	}
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct sink_attempt *attempt = ctx;

	(void)fd;
	(void)what;
	if (!attempt->finished) {
		run_next_step(attempt);
		return;
	}
	attempt->done(attempt->ctx, &attempt->outcome);
	attempt_free(attempt);
}

/* --- the sink --- */

static int connect_redis(struct redis_sink *redis_sink)
{
	if (!redis_sink->commands)
		redis_sink->commands = redis_commands_new(redis_sink->loop, "files", &redis_sink->redis, 0);
	if (redis_sink->commands && !redis_sink->replication)
		redis_sink->replication =
			redis_replication_new(redis_sink->loop, &redis_sink->redis, redis_sink->commands);
	return redis_sink->replication ? 0 : -ENOMEM;
}

static struct sink_attempt *redis_sink_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					     void *ctx)
{
	struct redis_sink *redis_sink = container_of(sink, struct redis_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt || connect_redis(redis_sink) < 0)
		return NULL;
	attempt->redis_sink = redis_sink;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->event = event_new(redis_sink->loop, -1, 0, on_event, attempt);
	if (asprintf(&attempt->key, "%s%s", redis_sink->prefix, file->capture ? file->capture : file->id) < 0)
		attempt->key = NULL;
	attempt->name = strdup(file->name);
	if (!attempt->event || !attempt->key || !attempt->name || !file->open(file->ctx, &attempt->stream))
		return NULL;
	attempt->file = file;
	event_active(attempt->event, EV_TIMEOUT, 0);
	return take(attempt);
}

static struct sink_attempt *redis_sink_start_growing(struct sink *sink, const struct sink_file *file,
						     sink_attempt_done done, void *ctx)
{
	uint8_t *chunk = malloc(REDIS_SINK_CHUNK_BYTES);
	struct sink_attempt *attempt = chunk ? redis_sink_start(sink, file, done, ctx) : NULL;

	if (attempt)
		attempt->chunk = chunk;
	else
		free(chunk);
	return attempt;
}

static void redis_sink_more(struct sink *sink, struct sink_attempt *attempt)
{
	(void)sink;
	if (attempt->step == STEP_WAIT && !attempt->finished)
		go_on_growing(attempt);
}

/* What there is of a file that grows gets its header; else the key goes. */
static void leave(struct sink_attempt *attempt, bool restarts, struct sink_outcome *outcome)
{
	const uint64_t bytes = attempt->stored_bytes + (attempt->step == STEP_CHUNKS ? attempt->chunk_bytes : 0);

	if (!grows(attempt) || restarts || !bytes) {
		(void)send_delete(attempt);
		return;
	}
	send_final_header(attempt, bytes);
	outcome->sent_bytes = bytes;
	set_url(attempt, outcome);
}

static bool redis_sink_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	const bool restarts = attempt->file && attempt->file->restarts && attempt->file->restarts(attempt->file->ctx);
	const bool already_ended = attempt->finished;
	const bool pushing = attempt->step > STEP_DELETE && attempt->step < STEP_REPLICATED && !already_ended;
	const bool awaiting_replication = attempt->step == STEP_REPLICATED;

	(void)sink;
	*outcome = attempt->outcome;
	outcome->sent_bytes = attempt->stored_bytes;
	if (awaiting_replication && !already_ended) {
		outcome->verdict = SINK_RETRY;
		snprintf(outcome->error, sizeof(outcome->error), "it is stored under %s, but perhaps on no replica yet",
			 attempt->key);
	}
	event_del(attempt->event);
	redis_replication_cancel(take(attempt->check));
	attempt->done = NULL;
	attempt->finished = true;
	close_stream(attempt);
	if (pushing)
		leave(attempt, restarts, outcome);
	if (attempt->replies_pending == 0)
		attempt_free(attempt);
	return already_ended || awaiting_replication || outcome->url[0];
}

static void redis_sink_free(struct sink *sink)
{
	struct redis_sink *redis_sink = container_of(sink, struct redis_sink, sink);

	redis_replication_free(redis_sink->replication);
	redis_commands_free(redis_sink->commands);
	redis_options_free(&redis_sink->redis);
	redis_held_free(redis_sink->held);
	free(redis_sink->prefix);
	free(redis_sink->address);
	free(redis_sink->sink.name);
	free(redis_sink);
}

struct removal {
	sink_remove_done done;
	void *ctx;
};

static void on_removed(void *ctx, const struct redis_result *result)
{
	struct removal *removal = ctx;

	removal->done(removal->ctx, result->code == 0 && result->reply->type == REDIS_REPLY_INTEGER);
	free(removal);
}

static void redis_sink_remove(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
			      void *ctx)
{
	struct redis_sink *redis_sink = container_of(sink, struct redis_sink, sink);
	cleanup(cleanup_free) struct removal *removal = calloc(1, sizeof(*removal));
	cleanup(cleanup_free) char *key = NULL;

	(void)url;
	if (asprintf(&key, "%s%s", redis_sink->prefix, file->capture ? file->capture : file->id) < 0)
		key = NULL;
	if (!removal || !key) {
		done(ctx, false);
		return;
	}
	const char *const argv[] = {"DEL", key};
	const struct redis_command command = {.argc = 2, .argv = argv, .idempotent = true};

	*removal = (struct removal){.done = done, .ctx = ctx};
	redis_held_remove(redis_sink->held, key);
	if (redis_commands_send(redis_sink->commands, &command, on_removed, removal) == 0)
		(void)take(removal);
	else
		done(ctx, false);
}

static const char *redis_sink_address(const struct sink *sink)
{
	return container_of(sink, const struct redis_sink, sink)->address;
}

static const struct sink_class redis_sink_class = {
	.start = redis_sink_start,
	.cancel = redis_sink_cancel,
	.free = redis_sink_free,
	.address = redis_sink_address,
	.remove = redis_sink_remove,
	.start_growing = redis_sink_start_growing,
	.more = redis_sink_more,
};

/* "redis://host:port", or of the first Sentinel. NULL on ENOMEM. */
static char *format_address(const struct redis_options *redis)
{
	const bool bare_ipv6 = strchr(redis->host, ':') && redis->host[0] != '[';
	char *address;
	int r;

	if (redis->sentinel_count)
		r = asprintf(&address, "%s of the Sentinel %s", redis->master, redis->sentinels[0]);
	else
		r = asprintf(&address, "%s://%s%s%s:%u", redis->tls ? "rediss" : "redis", bare_ipv6 ? "[" : "",
			     redis->host, bare_ipv6 ? "]" : "", (unsigned)redis->port);
	return r < 0 ? NULL : address;
}

struct sink *redis_sink_new(struct event_base *loop, const char *name, const struct redis_options *redis,
			    const struct redis_sink_options *options)
{
	struct redis_sink *redis_sink = calloc(1, sizeof(*redis_sink));

	if (!redis_sink)
		return NULL;
	redis_sink->sink = (struct sink){.class = &redis_sink_class, .name = strdup(name)};
	redis_sink->loop = loop;
	redis_sink->bytes_max = options->bytes_max;
	redis_sink->ttl_ns = options->ttl_ns;
	snprintf(redis_sink->ttl, sizeof(redis_sink->ttl), "%" PRIu64,
		 options->ttl_ns < NS_PER_S ? 1 : options->ttl_ns / NS_PER_S);
	if (asprintf(&redis_sink->prefix, "{%s}:file:%s:", options->channel, options->node) < 0)
		redis_sink->prefix = NULL;
	redis_sink->address = format_address(redis);
	redis_sink->held =
		redis_held_new(options->held_bytes_max ? options->held_bytes_max : UINT64_MAX, options->ttl_ns);
	if (redis_options_copy(&redis_sink->redis, redis) == 0 && redis_sink->sink.name && redis_sink->address &&
	    redis_sink->prefix && redis_sink->held)
		return &redis_sink->sink;
	redis_sink_free(&redis_sink->sink);
	return NULL;
}
