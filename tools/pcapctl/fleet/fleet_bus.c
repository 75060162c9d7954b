/*
 * A link for events (a subscribed connection can ask nothing), and a client for questions, of which there is one at a
 * time and which finds its way through a Cluster. Each question may be asked twice (a request carries an id, for that
 * reason). The link is there even if nobody wants events: it tells why there is no connection. While nothing was ever
 * up, the first failure ends it all; later ones are sat out.
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
#include "redis/connection/redis_options.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define TURN_MS 100
#define STREAM_LENGTH "10000" /* about so many requests are kept for nodes that are away */
#define KEY_MAX 8192	      /* bytes */

struct question {
	struct fleet_bus *bus;
	/* Takes the answer, which is no error: 0 or -errno with the text in `err`. */
	int (*read)(void *ctx, const redisReply *reply, struct error *err);
	void *ctx;
	struct error *err;
	bool over;
	bool abandoned; /* nobody waits any more: the answer frees it */
	int result;
};

struct fleet_bus {
	const struct fleet_target *target;
	struct event_base *loop;
	struct event *timer; /* ends a turn */
	struct redis_commands *asking;
	struct redis_link *listening;
	fleet_event event;
	void *ctx;
	char where[512];
	struct error trouble; /* why a connection could not be made; "": nothing went wrong yet */
	bool up, subscribed, turned;
	unsigned gaps;
	uint64_t away_since_ns; /* boot time; 0: it is there */
};

const char *fleet_bus_name(const struct fleet_bus *bus)
{
	return bus->where;
}

/* --- the loop --- */

static void end_turn(struct fleet_bus *bus)
{
	bus->turned = true;
	event_base_loopbreak(bus->loop);
}

static void on_turn_over(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	end_turn(ctx);
}

void fleet_bus_turn(struct fleet_bus *bus, int timeout_ms, int fd)
{
	const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	struct event *foreign = fd >= 0 ? event_new(bus->loop, fd, EV_READ, on_turn_over, bus) : NULL;

	bus->turned = false;
	event_add(bus->timer, &timeout);
	if (foreign)
		event_add(foreign, NULL);
	while (!bus->turned && event_base_loop(bus->loop, EVLOOP_ONCE) == 0)
		;
	event_del(bus->timer);
	if (foreign)
		event_free(foreign);
}

/* --- questions --- */

static void note_away(struct fleet_bus *bus)
{
	if (!bus->away_since_ns)
		bus->away_since_ns = clock_boottime_ns();
}

uint64_t fleet_bus_away_ns(const struct fleet_bus *bus)
{
	return bus->away_since_ns ? clock_boottime_ns() - bus->away_since_ns : 0;
}

bool fleet_bus_sat_out(const struct fleet_bus *bus, int result)
{
	return (result == -ETIMEDOUT || result == -ECONNRESET) && fleet_bus_away_ns(bus) < FLEET_AWAY_MAX_NS;
}

static void on_answer(void *ctx, const struct redis_answer *answer)
{
	struct question *question = ctx;
	struct fleet_bus *bus = question->bus;
	char shown[512];

	if (question->abandoned)
		return free(question);
	if (answer->code == 0)
		question->result = question->read(question->ctx, answer->reply, question->err);
	else if (answer->code == -EREMOTEIO)
		question->result = error_set(question->err, -EPROTO, "%s says: %s", bus->where,
					     printable(shown, sizeof(shown), answer->error));
	else
		question->result = error_set(question->err, answer->code, "%s does not answer: %s", bus->where,
					     printable(shown, sizeof(shown), answer->error));
	if (answer->code == -ETIMEDOUT || answer->code == -ECONNRESET)
		note_away(bus);
	else if (bus->subscribed || !bus->event)
		bus->away_since_ns = 0;
	question->over = true;
	end_turn(bus);
}

int fleet_bus_ask(struct fleet_bus *bus, const char *const *words, size_t count,
		  int (*read)(void *ctx, const redisReply *reply, struct error *err), void *ctx, struct error *err)
{
	cleanup(cleanup_free) struct question *question = calloc(1, sizeof(*question));
	const struct redis_command command = {
		.argc = (int)count,
		.argv = words,
		.key = strcmp(words[0], "PUBLISH") == 0 ? (int)count : 1, /* a channel is no key */
		.idempotent = true,
	};
	int r = -ENOMEM;

	if (question) {
		*question = (struct question){.bus = bus, .read = read, .ctx = ctx, .err = err};
		r = redis_commands_send(bus->asking, &command, on_answer, question);
	}
	if (r < 0)
		return error_set(err, r, "%s", r == -ENOBUFS ? "the request is too large" : "out of memory");
	while (!question->over && !interrupts_waiting()) /* it will be over at the client's deadline */
		fleet_bus_turn(bus, TURN_MS, -1);
	if (question->over)
		return question->result;
	take(question)->abandoned = true;
	return error_set(err, -EINTR, "interrupted");
}

/* --- the link --- */

static void hand_on(struct fleet_bus *bus, const char *text, size_t size)
{
	json_t *event = size <= FLEET_EVENT_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(event))
		bus->event(bus->ctx, event);
	json_decref(event);
	end_turn(bus);
}

static void on_message(redisAsyncContext *redis, void *data, void *ctx)
{
	struct fleet_bus *bus = ctx;
	const redisReply *reply = data;
	char shown[512];

	if (redis_link_gone(redis) || !reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		error_set(&bus->trouble, 0, "%s", printable(shown, sizeof(shown), reply->str));
		return redis_link_restart(bus->listening, "the subscription was refused");
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	if (strcmp(reply->element[0]->str, "message") == 0)
		return hand_on(bus, reply->element[2]->str, reply->element[2]->len);
	if (strcmp(reply->element[0]->str, "subscribe") != 0)
		return redis_link_restart(bus->listening, "the server ended the subscription");
	bus->subscribed = true;
	bus->away_since_ns = 0;
	end_turn(bus);
}

static void listening_up(void *ctx, redisAsyncContext *redis)
{
	struct fleet_bus *bus = ctx;

	(void)redis;
	bus->up = true;
	end_turn(bus);
	if (!bus->event)
		return;
	if (redis_link_subscribe(bus->listening, bus->target->events, on_message, bus) < 0)
		redis_link_restart(bus->listening, "out of memory");
}

static void listening_down(void *ctx)
{
	struct fleet_bus *bus = ctx;

	note_away(bus);
	if (bus->subscribed)
		bus->gaps++;
	bus->up = bus->subscribed = false;
	end_turn(bus);
}

static void on_failed(void *ctx, const char *reason)
{
	struct fleet_bus *bus = ctx;
	char shown[512];

	error_set(&bus->trouble, 0, "%s", printable(shown, sizeof(shown), reason));
	end_turn(bus);
}

static int open_connections(struct fleet_bus *bus)
{
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
		.ca_file = bus->target->ca_file,
		.cert_file = bus->target->cert_file,
		.key_file = bus->target->key_file,
	};
	const struct redis_link_handler listening = {.up = listening_up,
						     .down = listening_down,
						     .failed = on_failed,
						     .ctx = bus};

	bus->asking = redis_commands_new(bus->loop, "ctl", &options, PATIENCE_NS);
	bus->listening = redis_link_new(bus->loop, "ctl-events", &options, listening);
	return bus->asking && bus->listening ? 0 : -ENOMEM;
}

static bool is_about_password(const char *text)
{
	return strstr(text, "WRONGPASS") || strstr(text, "NOAUTH") || strstr(text, "invalid password");
}

/* What can be done about it. */
static const char *advice(const struct fleet_bus *bus)
{
	if (!is_about_password(bus->trouble.text))
		return "is it the right one? name it with --redis, as in redis://host:6379/capture";
	if (bus->target->password)
		return "user or password is wrong; they stand in the URL (--redis or PCAPDAEMON_REDIS) as "
		       "redis://user:password@host, or in the daemon's file (--config)";
	return "it wants a password: write it into the URL (--redis, or PCAPDAEMON_REDIS, where ps does not show it) "
	       "as "
	       "redis://user:password@host, or take the daemon's file (--config)";
}

static int wait_until_up(struct fleet_bus *bus, struct error *err)
{
	uint64_t deadline_ns = clock_boottime_ns() + PATIENCE_NS;

	while (!bus->up || (bus->event && !bus->subscribed)) {
		if (bus->trouble.text[0] || clock_boottime_ns() > deadline_ns)
			return error_set(err, -ENOTCONN, "cannot reach %s: %s; %s", bus->where,
					 bus->trouble.text[0] ? bus->trouble.text : "no answer", advice(bus));
		fleet_bus_turn(bus, TURN_MS, -1);
	}
	return 0;
}

struct fleet_bus *fleet_bus_new(const struct fleet_target *target, fleet_event event, void *ctx, struct error *err)
{
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = calloc(1, sizeof(*bus));
	char host[256];

	error_set(err, -ENOMEM, "out of memory");
	if (!bus)
		return NULL;
	bus->target = target;
	bus->event = event;
	bus->ctx = ctx;
	snprintf(bus->where, sizeof(bus->where), "Redis at %s:%u", printable(host, sizeof(host), target->host),
		 target->port);
	bus->loop = event_base_new();
	bus->timer = bus->loop ? evtimer_new(bus->loop, on_turn_over, bus) : NULL;
	if (!bus->timer || open_connections(bus) < 0 || wait_until_up(bus, err) < 0)
		return NULL;
	return take(bus);
}

void fleet_bus_free(struct fleet_bus *bus)
{
	if (!bus)
		return;
	redis_commands_free(bus->asking);
	redis_link_free(bus->listening);
	if (bus->timer)
		event_free(bus->timer);
	if (bus->loop)
		event_base_free(bus->loop);
	free(bus);
}

unsigned fleet_bus_gaps(const struct fleet_bus *bus)
{
	return bus->gaps;
}

bool fleet_bus_listens(const struct fleet_bus *bus)
{
	return bus->subscribed;
}

/* --- requests --- */

static int take_number(void *ctx, const redisReply *reply, struct error *err)
{
	uint64_t *number = ctx;

	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
		return error_set(err, -EPROTO, "Redis gave an answer that cannot be");
	*number = (uint64_t)reply->integer;
	return 0;
}

static int take_anything(void *ctx, const redisReply *reply, struct error *err)
{
	(void)ctx;
	(void)reply;
	(void)err;
	return 0;
}

int fleet_bus_publish(struct fleet_bus *bus, const char *json, uint64_t *listeners, struct error *err)
{
	const char *const words[] = {"PUBLISH", bus->target->channel, json};

	return fleet_bus_ask(bus, words, 3, take_number, listeners, err);
}

int fleet_bus_add(struct fleet_bus *bus, const char *stream, const char *json, struct error *err)
{
	const char *const words[] = {"XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", "request", json};

	return fleet_bus_ask(bus, words, 8, take_anything, NULL, err);
}

/* --- answers and files --- */

static int take_answer(void *ctx, const redisReply *reply, struct error *err)
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

int fleet_bus_answer(struct fleet_bus *bus, const char *node, const char *id, json_t **events, struct error *err)
{
	char key[KEY_MAX];
	const char *const words[] = {"GET", key};

	snprintf(key, sizeof(key), "{%s}:answer:%s:%s", bus->target->channel, node, id);
	*events = json_null();
	return fleet_bus_ask(bus, words, 2, take_answer, events, err);
}

int fleet_bus_file_key(const struct fleet_bus *bus, const char *node, const char *capture, struct buffer *key)
{
	return buffer_printf(key, "{%s}:file:%s:%s", bus->target->channel, node, capture);
}

static int take_element(void *ctx, const redisReply *reply, struct error *err)
{
	struct buffer *into = ctx;

	buffer_clear(into);
	if (reply->type == REDIS_REPLY_NIL)
		return error_set(err, -ENOENT, "it is not in Redis any more");
	if (reply->type != REDIS_REPLY_STRING || reply->len > FLEET_CHUNK_MAX)
		return error_set(err, -EPROTO, "what is in Redis is no file of a capture");
	return buffer_append(into, reply->str, reply->len) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int fleet_bus_element(struct fleet_bus *bus, const char *key, uint64_t index, struct buffer *into, struct error *err)
{
	char number[24];
	const char *const words[] = {"LINDEX", key, number};

	snprintf(number, sizeof(number), "%" PRIu64, index);
	return fleet_bus_ask(bus, words, 3, take_element, into, err);
}

int fleet_bus_delete(struct fleet_bus *bus, const char *key, struct error *err)
{
	const char *const words[] = {"DEL", key};

	return fleet_bus_ask(bus, words, 2, take_anything, NULL, err);
}
