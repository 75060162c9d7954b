/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hiredis trusts its server: it buffers replies of any size, parses arrays of any depth (and frees them recursively),
 * asserts the shape of pub/sub answers, and its parsing of RESP3 pushes has overflowed the heap (hiredis issue 1359).
 * But it lets its caller replace the functions that read and write the socket and those that create reply objects. Both
 * are wrapped here. To hiredis a refusal looks like a read error or a failed allocation; either way it drops the
 * connection, and `refusal` holds the true reason.
 */
#include "redis/connection/redis_guard.h"

#include <errno.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "redis/connection/redis_tls.h"

#define LINE_BYTES_MAX (64u << 10) /* a status, error or number: hiredis rescans it from the start after each read */
#define PUBSUB_ELEMENTS 3

static const char rejected_resp3[] = "the server sent RESP3, which was not requested";

enum pubsub_kind { PUBSUB_MESSAGE, PUBSUB_SUBSCRIBE, PUBSUB_UNSUBSCRIBE };

enum subscription { SUBSCRIPTION_REQUESTED, SUBSCRIPTION_CONFIRMED, SUBSCRIPTION_ENDED };

struct redis_guard {
	redisAsyncContext *redis;
	void *owner;
	struct ssl_st *session; /* owned by hiredis */
	char *channel;

	const redisContextFuncs *hiredis_io;
	redisContextFuncs guarded_io;
	redisReplyObjectFunctions *hiredis_objects;

	uint64_t received_bytes;
	size_t reply_bytes; /* of the reply being parsed */
	bool pubsub;	    /* the reply being parsed goes to hiredis's pub/sub code */
	enum pubsub_kind pubsub_kind;
	enum subscription subscription;

	const char *refusal;  /* NULL: none */
	struct error failure; /* of the transport; empty: none */
};

static struct redis_guard *guard_of(const redisAsyncContext *redis)
{
	return redis->data;
}

/* --- reply objects --- */

static bool refuse(struct redis_guard *guard, const char *why)
{
	if (!guard->refusal)
		guard->refusal = why;
	return false;
}

static bool charge_bytes(struct redis_guard *guard, size_t bytes)
{
	bytes += sizeof(redisReply);
	if (bytes > REDIS_REPLY_BYTES_MAX - guard->reply_bytes)
		return refuse(guard, "the server's reply is larger than 64 MiB");
	guard->reply_bytes += bytes;
	return true;
}

/* Mirrors hiredis's redisProcessCallbacks, which decides which code gets the reply that begins here. */
static bool admit_root(struct redis_guard *guard, const redisReadTask *task, size_t elements)
{
	bool subscribed = guard->redis->c.flags & REDIS_SUBSCRIBED;

	guard->reply_bytes = 0;
	guard->pubsub = false;
	if (guard->redis->replies.head || task->type == REDIS_REPLY_ERROR)
		return true;
	if (!subscribed)
		return refuse(guard, "the server sent an unexpected reply");
	if (task->type != REDIS_REPLY_ARRAY || elements < PUBSUB_ELEMENTS)
		return true; /* the answer to a PING */
	guard->pubsub = true;
	return elements == PUBSUB_ELEMENTS || refuse(guard, "the server sent a malformed pub/sub message");
}

/* A subscription is confirmed once, gets messages, and ends once: hiredis miscounts anything else. */
static bool advance_subscription(struct redis_guard *guard, const char *text, size_t size)
{
	static const struct {
		const char *name;
		enum subscription from, to;
	} steps[] = {
		[PUBSUB_MESSAGE] = {"message", SUBSCRIPTION_CONFIRMED, SUBSCRIPTION_CONFIRMED},
		[PUBSUB_SUBSCRIBE] = {"subscribe", SUBSCRIPTION_REQUESTED, SUBSCRIPTION_CONFIRMED},
		[PUBSUB_UNSUBSCRIBE] = {"unsubscribe", SUBSCRIPTION_CONFIRMED, SUBSCRIPTION_ENDED},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (size != strlen(steps[i].name) || memcmp(text, steps[i].name, size) != 0)
			continue;
		if (guard->subscription != steps[i].from)
			return false;
		guard->pubsub_kind = (enum pubsub_kind)i;
		guard->subscription = steps[i].to;
		return true;
	}
	return false;
}

static bool admit_pubsub(struct redis_guard *guard, const redisReadTask *task, const char *text, size_t size)
{
	bool is_string = task->type == REDIS_REPLY_STRING && text;

	if (task->idx == 0)
		return is_string && advance_subscription(guard, text, size);
	if (task->idx == 1)
		return is_string && guard->channel && size == strlen(guard->channel) &&
		       memcmp(text, guard->channel, size) == 0;
	return guard->pubsub_kind == PUBSUB_MESSAGE ? is_string : task->type == REDIS_REPLY_INTEGER;
}

static bool admit_object(const redisReadTask *task, const char *text, size_t size, size_t elements)
{
	struct redis_guard *guard = task->privdata;
	unsigned depth = 0;

	for (const redisReadTask *above = task->parent; above; above = above->parent)
		depth++;
	if (depth > REDIS_REPLY_DEPTH_MAX)
		return refuse(guard, "the server's reply is nested too deeply");
	if (elements > REDIS_REPLY_ELEMENTS_MAX)
		return refuse(guard, "the server's reply has too many elements");
	if (depth == 0 && !admit_root(guard, task, elements))
		return false;
	if (depth == 1 && guard->pubsub && !admit_pubsub(guard, task, text, size))
		return refuse(guard, "the server sent a malformed pub/sub message");
	return charge_bytes(guard, size + elements * sizeof(void *));
}

static bool is_resp2(const redisReadTask *task)
{
	struct redis_guard *guard = task->privdata;

	switch (task->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:
	case REDIS_REPLY_INTEGER:
	case REDIS_REPLY_ARRAY:
		return true;
	default:
		return refuse(guard, rejected_resp3);
	}
}

static redisReplyObjectFunctions *inner_objects(const redisReadTask *task)
{
	return ((struct redis_guard *)task->privdata)->hiredis_objects;
}

static void *make_string(const redisReadTask *task, char *text, size_t size)
{
	if (!is_resp2(task) || !admit_object(task, text, size, 0))
		return NULL;
	return inner_objects(task)->createString(task, text, size);
}

static void *make_array(const redisReadTask *task, size_t elements)
{
	if (!is_resp2(task) || !admit_object(task, NULL, 0, elements))
		return NULL;
	return inner_objects(task)->createArray(task, elements);
}

static void *make_integer(const redisReadTask *task, long long value)
{
	if (!is_resp2(task) || !admit_object(task, NULL, 0, 0))
		return NULL;
	return inner_objects(task)->createInteger(task, value);
}

static void *make_nil(const redisReadTask *task)
{
	if (!is_resp2(task) || !admit_object(task, NULL, 0, 0))
		return NULL;
	return inner_objects(task)->createNil(task);
}

static void *make_double(const redisReadTask *task, double value, char *text, size_t size)
{
	(void)value;
	(void)text;
	(void)size;
	refuse(task->privdata, rejected_resp3);
	return NULL;
}

static void *make_bool(const redisReadTask *task, int value)
{
	(void)value;
	refuse(task->privdata, rejected_resp3);
	return NULL;
}

static redisReplyObjectFunctions guarded_objects = {
	.createString = make_string,
	.createArray = make_array,
	.createInteger = make_integer,
	.createDouble = make_double,
	.createNil = make_nil,
	.createBool = make_bool,
	.freeObject = freeReplyObject,
};

/* --- the socket --- */

/* Called before each read: the buffer holds the beginning of an incomplete reply. */
static bool admit_buffer(struct redis_guard *guard, const redisReader *reader)
{
	size_t unparsed = reader->len - reader->pos;

	if (unparsed > REDIS_REPLY_BYTES_MAX)
		return refuse(guard, "the server's reply is larger than 64 MiB");
	if (unparsed > LINE_BYTES_MAX && !memmem(reader->buf + reader->pos, LINE_BYTES_MAX, "\r\n", 2))
		return refuse(guard, "the server sent a line longer than 64 KiB");
	return true;
}

static void record_tls_failure(struct redis_guard *guard)
{
	if (guard->session && !guard->failure.text[0])
		redis_tls_failure(guard->session, &guard->failure);
}

static ssize_t guard_read(redisContext *context, char *into, size_t room)
{
	struct redis_guard *guard = guard_of((redisAsyncContext *)context);
	ssize_t got;

	if (!admit_buffer(guard, context->reader)) {
		context->err = REDIS_ERR_PROTOCOL;
		snprintf(context->errstr, sizeof(context->errstr), "%s", guard->refusal);
		return -1;
	}
	/* OpenSSL judges a call by the thread's error queue, so errors left there by others must go. */
	if (guard->session)
		ERR_clear_error();
	got = guard->hiredis_io->read(context, into, room);
	if (got > 0)
		guard->received_bytes += (uint64_t)got;
	if (got < 0)
		record_tls_failure(guard);
	return got;
}

/* A server that refuses us sends the reason and hangs up. If we write before we read it, the write fails, but the
 * reason can still be read: a TLS alert, or an error before any answer. */
static void read_final_error(struct redis_guard *guard)
{
	redisContext *context = &guard->redis->c;
	char errstr[sizeof(context->errstr)], text[sizeof(guard->failure.text)];
	const int err = context->err;
	ssize_t got;
	char *end;

	memcpy(errstr, context->errstr, sizeof(errstr));
	if (guard->session)
		ERR_clear_error();
	got = guard->hiredis_io->read(context, text, sizeof(text));
	if (got < 0)
		record_tls_failure(guard);
	context->err = err;
	memcpy(context->errstr, errstr, sizeof(errstr));
	end = got > 0 ? memchr(text, '\r', (size_t)got) : NULL;
	if (end && text[0] == '-' && context->reader->pos == context->reader->len)
		error_set(&guard->failure, 0, "%.*s", (int)(end - text - 1), text + 1);
}

static ssize_t guard_write(redisContext *context)
{
	struct redis_guard *guard = guard_of((redisAsyncContext *)context);
	ssize_t sent;

	if (guard->session)
		ERR_clear_error();
	sent = guard->hiredis_io->write(context);
	if (sent < 0)
		record_tls_failure(guard);
	if (sent < 0 && !guard->failure.text[0])
		read_final_error(guard);
	return sent;
}

/* --- new and free --- */

/* hiredis calls this just before it takes the connection apart, for which it needs its own functions back. */
static void guard_free(void *data)
{
	struct redis_guard *guard = data;

	if (guard->hiredis_io)
		guard->redis->c.funcs = guard->hiredis_io;
	guard->redis->c.reader->fn = guard->hiredis_objects;
	free(guard->channel);
	free(guard);
}

int redis_guard_install(redisAsyncContext *redis, void *owner)
{
	struct redis_guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return -ENOMEM;
	guard->redis = redis;
	guard->owner = owner;
	guard->hiredis_objects = redis->c.reader->fn;
	redis->c.reader->fn = &guarded_objects;
	redis->c.reader->privdata = guard;
	redis->data = guard;
	redis->dataCleanup = guard_free;
	return 0;
}

void redis_guard_watch(redisAsyncContext *redis, struct ssl_st *session)
{
	struct redis_guard *guard = guard_of(redis);

	guard->session = session;
	guard->hiredis_io = redis->c.funcs;
	guard->guarded_io = *guard->hiredis_io;
	guard->guarded_io.read = guard_read;
	guard->guarded_io.write = guard_write;
	redis->c.funcs = &guard->guarded_io;
}

bool redis_guard_tls_ready(const redisAsyncContext *redis)
{
	const struct redis_guard *guard = guard_of(redis);

	return guard->session && SSL_is_init_finished(guard->session);
}

void *redis_guard_owner(const redisAsyncContext *redis)
{
	return guard_of(redis)->owner;
}

void redis_guard_release(const redisAsyncContext *redis)
{
	guard_of(redis)->owner = NULL;
}

int redis_guard_set_channel(redisAsyncContext *redis, const char *channel)
{
	struct redis_guard *guard = guard_of(redis);

	if (guard->channel)
		return -EALREADY;
	guard->channel = strdup(channel);
	return guard->channel ? 0 : -ENOMEM;
}

bool redis_guard_is_subscriber(const redisAsyncContext *redis)
{
	return guard_of(redis)->channel;
}

uint64_t redis_guard_received_bytes(const redisAsyncContext *redis)
{
	return guard_of(redis)->received_bytes;
}

void redis_guard_failure(const redisAsyncContext *redis, struct error *reason)
{
	const struct redis_guard *guard = guard_of(redis);

	if (guard->refusal)
		error_set(reason, 0, "%s", guard->refusal);
	else if (guard->failure.text[0])
		*reason = guard->failure;
	else if (redis->c.err)
		error_set(reason, 0, "%s", redis->c.errstr);
	else
		error_set(reason, 0, "the connection ended");
}
