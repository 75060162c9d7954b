/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue in three parts: first the events that the server acknowledged a moment ago, then those in flight (sent, not
 * answered), then those that wait for the connection. Replies come in the order of the commands, so each reply moves
 * the border between the first two parts. When the connection ends, events in flight wait again, and are sent again in
 * the old order. So are the last ones that the old server acknowledged, unless the next connection leads to the same
 * process (its run_id, by INFO) and that did not become a replica meanwhile: it may have been replaced by then, without
 * subscribers. All parts share
 * one limit in bytes; when a new event does not fit, the oldest are dropped. An event can arrive twice. It cannot get
 * lost without being counted, unless the queue is full in the very seconds in which the master that acknowledged it is
 * replaced.
 */
#include "event/event_redis.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/connection/redis_link.h"

#define LOGS_PER_SECOND 1
#define RUN_ID_SIZE 64

struct item {
	struct item *next;
	uint64_t acked_ns; /* boot time of the reply */
	size_t size_bytes;
	char json[];
};

struct event_redis {
	struct redis_link *link;
	char *channel;
	char run_id[RUN_ID_SIZE]; /* of the server's process; "": unknown */
	unsigned replacements;	  /* of the link, when it was last up */
	bool identifying;	  /* the answer to INFO is due, and events wait for it */
	uint64_t down_since_ns;	  /* boot time; 0: the link is up, or never was */

	struct item *head, *tail;
	struct item *first_unacked; /* NULL: there is none */
	size_t bytes;
	uint64_t unacked;	    /* items from `first_unacked` on */
	uint64_t in_flight;	    /* the first of these */
	uint64_t dropped_in_flight; /* replies to come whose items have been dropped */

	uint64_t dropped; /* since the start, for lack of room */
	uint64_t refused; /* since the start, by the server */
	struct log_rate dropped_rate, refused_rate;
};

CLEANUP_DEFINE(event_redis, struct event_redis, event_redis_free)

static size_t charged_bytes(size_t size)
{
	return sizeof(struct item) + size;
}

static void drop_head(struct event_redis *publisher)
{
	struct item *item = publisher->head;

	if (publisher->first_unacked == item) {
		publisher->first_unacked = item->next;
		publisher->unacked--;
		if (publisher->in_flight > 0)
			publisher->in_flight--;
	}
	publisher->head = item->next;
	if (!publisher->head)
		publisher->tail = NULL;
	publisher->bytes -= charged_bytes(item->size_bytes);
	free(item);
}

/* Drops what was acknowledged long enough before now, or before the connection ended. */
static void drop_acked(struct event_redis *publisher)
{
	const uint64_t end_ns = publisher->down_since_ns ? publisher->down_since_ns : clock_boottime_ns();

	while (publisher->head != publisher->first_unacked &&
	       publisher->head->acked_ns + REDIS_FAILOVER_SETTLE_NS <= end_ns)
		drop_head(publisher);
}

static void mark_acked(struct event_redis *publisher)
{
	publisher->first_unacked->acked_ns = clock_boottime_ns();
	publisher->first_unacked = publisher->first_unacked->next;
	publisher->unacked--;
	publisher->in_flight--;
	drop_acked(publisher);
}

static void count_dropped(struct event_redis *publisher)
{
	uint64_t suppressed;

	publisher->dropped++;
	if (log_rate_allow(&publisher->dropped_rate, &suppressed))
		log_warning("event-dropped", log_str("channel", publisher->channel),
			    log_str("reason", "no room in the backlog, the oldest goes"),
			    log_uint("dropped", publisher->dropped), log_uint("suppressed", suppressed));
}

static void drop_oldest(struct event_redis *publisher)
{
	const bool acked = publisher->head != publisher->first_unacked;

	if (!acked && publisher->in_flight > 0)
		publisher->dropped_in_flight++;
	drop_head(publisher);
	if (!acked)
		count_dropped(publisher);
}

/* --- replies --- */

/* Temporary errors: the event is good, but the server is not ready. */
static bool is_transient(const char *error)
{
	static const char *const prefixes[] = {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOAUTH"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(error, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void count_refused(struct event_redis *publisher, const char *error)
{
	uint64_t suppressed;

	publisher->refused++;
	if (log_rate_allow(&publisher->refused_rate, &suppressed))
		log_error("event-refused", log_str("channel", publisher->channel), log_str("error", error),
			  log_uint("refused", publisher->refused), log_uint("suppressed", suppressed));
}

static void on_published(redisAsyncContext *redis, void *data, void *ctx)
{
	struct event_redis *publisher = ctx;
	const redisReply *reply = data;

	if (redis_link_detached(redis) || !reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR && is_transient(reply->str)) {
		redis_link_restart(publisher->link, reply->str);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR)
		count_refused(publisher, reply->str);
	else
		log_debug(event, "event-published", log_str("channel", publisher->channel),
			  log_int("receivers", reply->integer), log_uint("waiting", publisher->unacked));
	if (publisher->dropped_in_flight > 0)
		publisher->dropped_in_flight--;
	else if (publisher->in_flight > 0)
		mark_acked(publisher);
}

/* --- sending --- */

static int publish(struct event_redis *publisher, redisAsyncContext *redis, const struct item *item)
{
	if (redisAsyncCommand(redis, on_published, publisher, "PUBLISH %s %b", publisher->channel, item->json,
			      item->size_bytes) != REDIS_OK)
		return -1;
	publisher->in_flight++;
	return 0;
}

/* Queues what the previous master acknowledged last for the new one's subscribers. */
static void requeue_acked(struct event_redis *publisher)
{
	drop_acked(publisher);
	for (const struct item *item = publisher->head; item != publisher->first_unacked; item = item->next)
		publisher->unacked++;
	publisher->first_unacked = publisher->head;
}

static void publish_waiting(struct event_redis *publisher, redisAsyncContext *redis)
{
	for (struct item *item = publisher->first_unacked; item; item = item->next)
		if (publish(publisher, redis, item) < 0) {
			redis_link_restart(publisher->link, "out of memory");
			return;
		}
}

/* Reads the line "run_id:…". "" if there is none. */
static void read_run_id(const redisReply *reply, char run_id[static RUN_ID_SIZE])
{
	static const char name[] = "\nrun_id:";
	const char *line = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, name) : NULL;
	const char *value = line ? line + strlen(name) : "";
	const size_t size = strcspn(value, "\r\n");

	snprintf(run_id, RUN_ID_SIZE, "%.*s", (int)size, value);
}

static void on_info(redisAsyncContext *redis, void *data, void *ctx)
{
	struct event_redis *publisher = ctx;
	const redisReply *reply = data;
	const unsigned replacements = redis_link_replacements(publisher->link);
	char run_id[RUN_ID_SIZE];

	if (redis_link_detached(redis) || !reply)
		return;
	read_run_id(reply, run_id);
	if (!*run_id || strcmp(run_id, publisher->run_id) != 0 || replacements != publisher->replacements)
		requeue_acked(publisher);
	memcpy(publisher->run_id, run_id, sizeof(run_id));
	publisher->replacements = replacements;
	publisher->down_since_ns = 0;
	publisher->identifying = false;
	publish_waiting(publisher, redis);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct event_redis *publisher = ctx;

	publisher->identifying = true;
	if (redisAsyncCommand(redis, on_info, publisher, "INFO server") != REDIS_OK)
		redis_link_restart(publisher->link, "out of memory");
}

static void on_down(void *ctx)
{
	struct event_redis *publisher = ctx;

	if (!publisher->identifying)
		publisher->down_since_ns = clock_boottime_ns();
	publisher->identifying = false;
	publisher->in_flight = 0;
	publisher->dropped_in_flight = 0;
}

void event_redis_subscriber(void *ctx, const struct event *event, const char *json)
{
	struct event_redis *publisher = ctx;
	redisAsyncContext *redis = redis_link_context(publisher->link);
	size_t size = json ? strlen(json) : 0;
	struct item *item = NULL;

	if (event->suppressed)
		return;
	if (charged_bytes(size) <= EVENT_REDIS_BACKLOG_BYTES)
		item = malloc(charged_bytes(size));
	if (!item) {
		count_dropped(publisher);
		return;
	}
	drop_acked(publisher);
	while (publisher->bytes + charged_bytes(size) > EVENT_REDIS_BACKLOG_BYTES)
		drop_oldest(publisher);
	item->next = NULL;
	item->size_bytes = size;
	memcpy(item->json, json, size);
	if (publisher->tail)
		publisher->tail->next = item;
	else
		publisher->head = item;
	publisher->tail = item;
	if (!publisher->first_unacked)
		publisher->first_unacked = item;
	publisher->bytes += charged_bytes(size);
	publisher->unacked++;
	if (redis && !publisher->identifying && publish(publisher, redis, item) < 0)
		redis_link_restart(publisher->link, "out of memory");
}

/* --- life --- */

struct event_redis *event_redis_new(struct event_base *loop, const struct redis_options *options, const char *channel)
{
	cleanup(cleanup_event_redis) struct event_redis *publisher = calloc(1, sizeof(*publisher));
	const struct redis_link_handler handler = {.up = on_up, .down = on_down, .ctx = publisher};

	if (!publisher)
		return NULL;
	publisher->dropped_rate.burst = LOGS_PER_SECOND;
	publisher->refused_rate.burst = LOGS_PER_SECOND;
	publisher->channel = strdup(channel);
	publisher->link = redis_link_new(loop, "publisher", options, handler);
	return publisher->channel && publisher->link ? take(publisher) : NULL;
}

void event_redis_free(struct event_redis *publisher)
{
	if (!publisher)
		return;
	redis_link_free(publisher->link);
	while (publisher->head)
		drop_head(publisher);
	free(publisher->channel);
	free(publisher);
}

bool event_redis_up(const struct event_redis *publisher)
{
	return redis_link_context(publisher->link) && !publisher->identifying;
}

uint64_t event_redis_pending(const struct event_redis *publisher)
{
	return publisher->unacked;
}
