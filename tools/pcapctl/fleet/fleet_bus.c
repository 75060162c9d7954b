/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link for events (a subscribed connection accepts no queries), and a client for queries, one at a time, that follows
 * a Cluster's redirections. A query may be executed twice; a request's id makes that safe. The link is kept even
 * without a handler for events, because it knows why connecting fails. Before the first connection any failure is
 * final; later ones are ridden out.
 */
#include "pcapctl/fleet/fleet_bus.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/fleet/fleet_bus_internal.h"
#include "pcapctl/fleet/fleet_target.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_link.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"

#define ANSWER_TIMEOUT_NS (10 * NS_PER_S)
#define ROLE_INTERVAL_NS (3 * NS_PER_S) /* queries ask whether the server is still the master, for the events, too */
#define RUN_MS 100
#define BATCH_MS 5	      /* events come in crowds: a run ends this long after its first one */
#define STREAM_LENGTH "10000" /* entries kept for absent nodes, approximately */

struct query {
	struct fleet_bus *bus;
	/* Takes the reply, unless it is an error. 0 or -errno with the text in `err`. */
	int (*read)(void *ctx, const redisReply *reply, struct error *err);
	void *ctx;
	struct error *err;
	bool finished;
	bool abandoned; /* the caller no longer waits: on_result frees it */
	int result;
};

struct fleet_bus {
	const struct fleet_target *target;
	struct event_base *loop;
	struct event *timer; /* ends fleet_bus_run */
	struct redis_links *links;
	struct redis_commands *commands;
	struct redis_link *subscriber;
	fleet_event_handler event;
	void *ctx;
	char name[512];
	struct error connect_error; /* why connecting failed; "": it has not */
	bool up, subscribed, stopped;
	bool ending; /* an event has come in this run */
	unsigned lost_subscriptions;
	uint64_t outage_start_ns; /* boot time; 0: Redis is up */
};

const char *fleet_bus_name(const struct fleet_bus *bus)
{
	return bus->name;
}

/* --- the loop --- */

static void stop_running(struct fleet_bus *bus)
{
	bus->stopped = true;
	event_base_loopbreak(bus->loop);
}

static void on_run_timeout(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	stop_running(ctx);
}

void fleet_bus_run(struct fleet_bus *bus, int timeout_ms, int fd)
{
	const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	struct event *fd_event = fd >= 0 ? event_new(bus->loop, fd, EV_READ, on_run_timeout, bus) : NULL;

	bus->stopped = bus->ending = false;
	event_add(bus->timer, &timeout);
	if (fd_event)
		event_add(fd_event, NULL);
	while (!bus->stopped && event_base_loop(bus->loop, EVLOOP_ONCE) == 0)
		;
	event_del(bus->timer);
	if (fd_event)
		event_free(fd_event);
}

/* --- queries --- */

static void note_outage(struct fleet_bus *bus)
{
	if (!bus->outage_start_ns)
		bus->outage_start_ns = clock_boottime_ns();
}

uint64_t fleet_bus_outage_ns(const struct fleet_bus *bus)
{
	return bus->outage_start_ns ? clock_boottime_ns() - bus->outage_start_ns : 0;
}

bool fleet_bus_should_retry(const struct fleet_bus *bus, int result)
{
	return (result == -ETIMEDOUT || result == -ECONNRESET) && fleet_bus_outage_ns(bus) < FLEET_OUTAGE_MAX_NS;
}

static void on_result(void *ctx, const struct redis_result *answer)
{
	struct query *query = ctx;
	struct fleet_bus *bus = query->bus;
	char shown[512];

	if (query->abandoned) {
		free(query);
		return;
	}
	if (answer->code == 0)
		query->result = query->read(query->ctx, answer->reply, query->err);
	else if (answer->code == -EREMOTEIO)
		query->result = error_set(query->err, -EPROTO, "%s replied: %s", bus->name,
					  printable(shown, sizeof(shown), answer->error));
	else
		query->result = error_set(query->err, answer->code, "%s does not answer: %s", bus->name,
					  printable(shown, sizeof(shown), answer->error));
	if (answer->code == -ETIMEDOUT || answer->code == -ECONNRESET)
		note_outage(bus);
	else if (bus->subscribed || !bus->event)
		bus->outage_start_ns = 0;
	query->finished = true;
	stop_running(bus);
}

int fleet_bus_ask(struct fleet_bus *bus, const char *const *words, size_t count,
		  int (*read)(void *ctx, const redisReply *reply, struct error *err), void *ctx, struct error *err)
{
	cleanup(cleanup_free) struct query *query = calloc(1, sizeof(*query));
	const struct redis_command command = {
		.argc = (int)count,
		.argv = words,
		.key = strcmp(words[0], "PUBLISH") == 0 ? (int)count : 1, /* a channel is not a key */
		.idempotent = true,
	};
	int r = -ENOMEM;

	if (query) {
		*query = (struct query){.bus = bus, .read = read, .ctx = ctx, .err = err};
		r = redis_commands_send(bus->commands, &command, on_result, query);
	}
	if (r < 0)
		return error_set(err, r, "%s", r == -ENOBUFS ? "the request is too large" : "out of memory");
	while (!query->finished && !interrupts_pending()) /* the client's deadline ends it */
		fleet_bus_run(bus, RUN_MS, -1);
	if (query->finished)
		return query->result;
	take(query)->abandoned = true;
	return error_set(err, -EINTR, "interrupted");
}

static int ignore_reply(void *ctx, const redisReply *reply, struct error *err)
{
	(void)ctx;
	(void)reply;
	(void)err;
	return 0;
}

int fleet_bus_ask_all(struct fleet_bus *bus, const struct fleet_words *commands, size_t count, int *codes,
		      struct error *errors, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < count; i++)
		codes[i] = -ECANCELED;
	cleanup(cleanup_free) struct query **queries = calloc(count + 1, sizeof(struct query *));
	for (size_t i = 0; i < count && result == 0; i++) {
		const struct redis_command command = {.argc = (int)commands[i].count,
						      .argv = commands[i].words,
						      .key = (int)commands[i].count};
		struct query *query = queries ? calloc(1, sizeof(*query)) : NULL;

		result = query ? 0 : error_set(err, -ENOMEM, "out of memory");
		if (query) {
			*query = (struct query){.bus = bus, .read = ignore_reply, .err = &errors[i]};
			result = redis_commands_send(bus->commands, &command, on_result, query);
			if (result < 0)
				error_set(err, result, "%s", strerror(-result));
		}
		if (result == 0)
			queries[i] = query;
		else
			free(query);
	}
	for (size_t i = 0; queries && i < count && queries[i]; i++) {
		while (!queries[i]->finished && !interrupts_pending())
			fleet_bus_run(bus, RUN_MS, -1);
		if (queries[i]->finished) {
			codes[i] = queries[i]->result;
			free(queries[i]);
		} else {
			queries[i]->abandoned = true;
			result = error_set(err, -EINTR, "interrupted");
		}
	}
	return result;
}

/* --- the link --- */

static void deliver_event(struct fleet_bus *bus, const char *text, size_t size)
{
	static const struct timeval batch = {.tv_usec = BATCH_MS * 1000};
	json_t *event = size <= FLEET_EVENT_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(event))
		bus->event(bus->ctx, event);
	json_decref(event);
	if (!bus->ending)
		event_add(bus->timer, &batch);
	bus->ending = true;
}

static void on_message(redisAsyncContext *redis, void *data, void *ctx)
{
	struct fleet_bus *bus = ctx;
	const redisReply *reply = data;
	char shown[512];

	if (redis_link_detached(redis) || !reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		error_set(&bus->connect_error, 0, "%s", printable(shown, sizeof(shown), reply->str));
		redis_link_restart(bus->subscriber, "the subscription was refused");
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	if (strcmp(reply->element[0]->str, "message") == 0) {
		deliver_event(bus, reply->element[2]->str, reply->element[2]->len);
		return;
	}
	if (strcmp(reply->element[0]->str, "subscribe") != 0) {
		redis_link_restart(bus->subscriber, "the server ended the subscription");
		return;
	}
	bus->subscribed = true;
	bus->outage_start_ns = 0;
	stop_running(bus);
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct fleet_bus *bus = ctx;

	(void)redis;
	bus->up = true;
	stop_running(bus);
	if (!bus->event)
		return;
	if (redis_link_subscribe(bus->subscriber, bus->target->events, on_message, bus) < 0)
		redis_link_restart(bus->subscriber, "out of memory");
}

static void on_down(void *ctx)
{
	struct fleet_bus *bus = ctx;

	note_outage(bus);
	if (bus->subscribed)
		bus->lost_subscriptions++;
	bus->up = bus->subscribed = false;
	stop_running(bus);
}

static void on_failed(void *ctx, const char *reason)
{
	struct fleet_bus *bus = ctx;
	char shown[512];

	error_set(&bus->connect_error, 0, "%s", printable(shown, sizeof(shown), reason));
	stop_running(bus);
}

/* Redis ends a connection whose SUBSCRIBE it refuses. */
static void on_lost(void *ctx, const char *reason)
{
	const struct fleet_bus *bus = ctx;

	if (bus->event && !bus->subscribed && !bus->connect_error.text[0])
		on_failed(ctx, reason);
}

static int connect_redis(struct fleet_bus *bus)
{
	bus->links = redis_links_new();
	const struct redis_options options = {
		.host = bus->target->host,
		.port = bus->target->port,
		.nodes = bus->target->nodes,
		.node_count = bus->target->node_count,
		.sentinels = bus->target->sentinels,
		.sentinel_count = bus->target->sentinel_count,
		.master = bus->target->master,
		.sentinel_username = bus->target->sentinel_username,
		.sentinel_auth = bus->target->sentinel_password,
		.username = bus->target->username,
		.auth = bus->target->password,
		.tls = bus->target->tls,
		.cluster = bus->target->cluster,
		.ca_file = bus->target->ca_file,
		.cert_file = bus->target->cert_file,
		.key_file = bus->target->key_file,
		.any_role = bus->target->allow_replica,
		.links = bus->links,
		.ping_interval_ns = ROLE_INTERVAL_NS,
	};
	const struct redis_link_handler handler = {
		.up = on_up, .down = on_down, .failed = on_failed, .lost = on_lost, .ctx = bus};

	if (!bus->links)
		return -ENOMEM;
	bus->commands = redis_commands_new(bus->loop, "ctl", &options, ANSWER_TIMEOUT_NS);
	bus->subscriber = redis_link_new(bus->loop, "ctl-events", &options, handler);
	return bus->commands && bus->subscriber ? 0 : -ENOMEM;
}

static bool is_login_error(const char *text)
{
	return strstr(text, "WRONGPASS") || strstr(text, "NOAUTH") || strstr(text, "invalid password");
}

/* Advice for the user. */
static const char *connect_hint(const struct fleet_bus *bus)
{
	if (!is_login_error(bus->connect_error.text))
		return "is it the right server? name it with --redis, as in redis://host:6379/capture";
	if (bus->target->password)
		return "wrong user or password; they come from the URL (--redis or PCAPDAEMON_REDIS), as in "
		       "redis://user:password@host, from --redis-auth-file, or from the daemon's file (--config)";
	return "it needs a password: name a file with it with --redis-auth-file, or put it into the URL "
	       "(PCAPDAEMON_REDIS, where ps does not show it), as in redis://user:password@host";
}

static int wait_until_up(struct fleet_bus *bus, struct error *err)
{
	uint64_t deadline_ns = clock_boottime_ns() + ANSWER_TIMEOUT_NS;

	while (!bus->up || (bus->event && !bus->subscribed)) {
		if (bus->connect_error.text[0] || clock_boottime_ns() > deadline_ns)
			return error_set(err, -ENOTCONN, "cannot reach %s: %s; %s", bus->name,
					 bus->connect_error.text[0] ? bus->connect_error.text : "no answer",
					 connect_hint(bus));
		fleet_bus_run(bus, RUN_MS, -1);
	}
	return 0;
}

struct fleet_bus *fleet_bus_new(const struct fleet_target *target, fleet_event_handler event, void *ctx,
				struct error *err)
{
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = calloc(1, sizeof(*bus));
	char host[256];

	error_set(err, -ENOMEM, "out of memory");
	if (!bus)
		return NULL;
	bus->target = target;
	bus->event = event;
	bus->ctx = ctx;
	snprintf(bus->name, sizeof(bus->name), "Redis at %s:%u", printable(host, sizeof(host), target->host),
		 target->port);
	bus->loop = event_base_new();
	bus->timer = bus->loop ? evtimer_new(bus->loop, on_run_timeout, bus) : NULL;
	if (!bus->timer || connect_redis(bus) < 0 || wait_until_up(bus, err) < 0)
		return NULL;
	return take(bus);
}

void fleet_bus_free(struct fleet_bus *bus)
{
	if (!bus)
		return;
	redis_commands_free(bus->commands);
	redis_link_free(bus->subscriber);
	redis_links_free(bus->links);
	if (bus->timer)
		event_free(bus->timer);
	if (bus->loop)
		event_base_free(bus->loop);
	free(bus);
}

unsigned fleet_bus_lost_subscriptions(const struct fleet_bus *bus)
{
	return bus->lost_subscriptions;
}

bool fleet_bus_is_subscribed(const struct fleet_bus *bus)
{
	return bus->subscribed;
}

/* --- requests --- */

static int read_number(void *ctx, const redisReply *reply, struct error *err)
{
	uint64_t *number = ctx;

	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
		return error_set(err, -EPROTO, "unexpected reply from Redis");
	*number = (uint64_t)reply->integer;
	return 0;
}

int fleet_bus_publish(struct fleet_bus *bus, const char *json, uint64_t *listeners, struct error *err)
{
	const char *const words[] = {"PUBLISH", bus->target->channel, json};

	return fleet_bus_ask(bus, words, 3, read_number, listeners, err);
}

int fleet_bus_stream_add(struct fleet_bus *bus, const char *stream, const char *json, struct error *err)
{
	const char *const words[] = {"XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", "request", json};

	return fleet_bus_ask(bus, words, 8, ignore_reply, NULL, err);
}

/* --- answers and files --- */

static int read_answer(void *ctx, const redisReply *reply, struct error *err)
{
	json_t **events = ctx;
	json_t *array = NULL;

	(void)err;
	json_decref(*events);
	if (reply->type == REDIS_REPLY_STRING && reply->len <= FLEET_EVENT_MAX)
		array = json_loadb(reply->str, reply->len, JSON_REJECT_DUPLICATES, NULL);
	*events = json_is_array(array) ? array : json_null();
	if (*events != array)
		json_decref(array);
	return 0;
}

const char *fleet_bus_channel(const struct fleet_bus *bus)
{
	return bus->target->channel;
}

int fleet_bus_stored_answer(struct fleet_bus *bus, const char *node, const char *id, json_t **events, struct error *err)
{
	char key[FLEET_KEY_MAX];
	const char *const words[] = {"GET", key};

	snprintf(key, sizeof(key), "{%s}:answer:%s:%s", bus->target->channel, node, id);
	*events = json_null();
	return fleet_bus_ask(bus, words, 2, read_answer, events, err);
}

int fleet_bus_file_key(const struct fleet_bus *bus, const char *node, const char *capture, struct buffer *key)
{
	return buffer_printf(key, "{%s}:file:%s:%s", bus->target->channel, node, capture);
}

static int read_element(void *ctx, const redisReply *reply, struct error *err)
{
	struct buffer *into = ctx;

	buffer_clear(into);
	if (reply->type == REDIS_REPLY_NIL)
		return error_set(err, -ENOENT, "it is no longer in Redis");
	if (reply->type != REDIS_REPLY_STRING || reply->len > FLEET_CHUNK_MAX)
		return error_set(err, -EPROTO, "the key in Redis holds no capture's file");
	return buffer_append(into, reply->str, reply->len) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int fleet_bus_list_element(struct fleet_bus *bus, const char *key, uint64_t index, struct buffer *into,
			   struct error *err)
{
	char number[24];
	const char *const words[] = {"LINDEX", key, number};

	snprintf(number, sizeof(number), "%" PRIu64, index);
	return fleet_bus_ask(bus, words, 3, read_element, into, err);
}

int fleet_bus_delete(struct fleet_bus *bus, const char *key, struct error *err)
{
	const char *const words[] = {"DEL", key};

	return fleet_bus_ask(bus, words, 2, ignore_reply, NULL, err);
}
