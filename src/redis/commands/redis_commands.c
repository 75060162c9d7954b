/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command is in one state at a time:
 *
 *   send ──> waiting at a server ──link up──> sent ──reply──> answered
 *               ^                            │ MOVED, ASK: another server
 *               └──────── delayed <──────────┘ put off, connection lost
 *
 * and goes from any of them to "ended" when it can get no answer any more (deadline, lost connection). Replies are
 * passed on as they arrive, in the order of one server's commands. Ended commands are answered from an event of their
 * own, one per turn of the loop, so that no callback runs inside a call of its owner, and a callback may free the
 * client.
 *
 * A command goes to the server of its slot (redis/commands/redis_pool.h). If that server is unreachable, its slots go
 * back to server 0, which then knows of the failover, or answers MOVED to the same server until that one is back or the
 * deadline passes. If server 0 itself is gone, its link moves on to the next node.
 */
#include "redis/commands/redis_commands.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "redis/commands/redis_cluster.h"
#include "redis/commands/redis_pool.h"
#include "redis/commands/redis_server.h"

#define DEADLINE_DEFAULT_NS (30 * NS_PER_S)
#define DELAY_FIRST_NS (100 * NS_PER_MS) /* doubles, up to 8 times this; jitter adds up to 100 % */
#define DELAY_DOUBLINGS 3
#define REDIRECTS_AT_ONCE 5 /* more may be a loop: each further one is delayed */
#define NEVER UINT64_MAX

struct redis_commands {
	struct event_base *loop;
	uint64_t deadline_ns;
	struct redis_pool *pool;

	struct redis_pending_commands by_deadline, delayed, ended;
	size_t bytes, count;
	struct event *timer, *results_due;
	uint64_t timer_ns; /* boot time when it fires */
	bool follows;	   /* MOVED and ASK */
	bool freeing;
};

static void on_reply(void *ctx, struct redis_server *server, struct redis_pending_command *pending,
		     const redisReply *reply);
static void on_lost(void *ctx, struct redis_server *server, struct redis_pending_command *pending);
static void dispatch(struct redis_commands *client, struct redis_pending_command *pending);

/* --- commands --- */

static void free_wire(struct redis_commands *client, struct redis_pending_command *pending)
{
	if (!pending->wire)
		return;
	client->bytes -= pending->wire_size;
	free(take(pending->wire));
}

/* Frees the command once it is answered and the server owes no reply to it. */
static void pending_release(struct redis_commands *client, struct redis_pending_command *pending)
{
	if (pending->in_flight || !pending->answered)
		return;
	free_wire(client, pending);
	client->count--;
	free(pending);
}

/* `done` may free the client: call this last. */
static void finish(struct redis_commands *client, struct redis_pending_command *pending,
		   const struct redis_result *result)
{
	redis_commands_done done = pending->done;
	void *ctx = pending->ctx;

	pending->state = COMMAND_ENDED;
	pending->answered = true;
	pending_release(client, pending);
	if (done)
		done(ctx, result);
}

static void deliver_result(struct redis_commands *client, struct redis_pending_command *pending)
{
	char error[sizeof(pending->error)];
	const struct redis_result result = {.code = pending->code,
					    .error = error,
					    .maybe_executed = pending->maybe_executed};

	memcpy(error, pending->error, sizeof(error));
	TAILQ_REMOVE(&client->ended, pending, list);
	finish(client, pending, &result);
}

static void record_error(struct redis_pending_command *pending, const char *text)
{
	size_t size = strnlen(text, sizeof(pending->error) - 1);

	memcpy(pending->error, text, size);
	pending->error[size] = '\0';
}

/* Ends a command that is waiting, delayed or sent. */
static void end_command(struct redis_commands *client, struct redis_pending_command *pending, int code,
			bool maybe_executed)
{
	if (pending->state == COMMAND_WAITING)
		redis_server_remove_waiting(pending->server, pending);
	else if (pending->state == COMMAND_DELAYED)
		TAILQ_REMOVE(&client->delayed, pending, list);
	TAILQ_REMOVE(&client->by_deadline, pending, by_deadline);
	free_wire(client, pending);
	pending->state = COMMAND_ENDED;
	pending->code = code;
	pending->maybe_executed |= maybe_executed;
	TAILQ_INSERT_TAIL(&client->ended, pending, list);
	event_active(client->results_due, EV_TIMEOUT, 0);
}

static void on_results_due(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_commands *client = ctx;
	struct redis_pending_command *pending = TAILQ_FIRST(&client->ended);

	(void)fd;
	(void)what;
	if (!pending)
		return;
	if (TAILQ_NEXT(pending, list))
		event_active(client->results_due, EV_TIMEOUT, 0);
	deliver_result(client, pending);
}

/* --- time --- */

static void wake_at(struct redis_commands *client, uint64_t when_ns)
{
	uint64_t now_ns = clock_boottime_ns(), wait_ns = when_ns > now_ns ? when_ns - now_ns : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000 + 1)};

	if (when_ns >= client->timer_ns)
		return;
	client->timer_ns = when_ns;
	event_add(client->timer, &wait);
}

static void delay(struct redis_commands *client, struct redis_pending_command *pending)
{
	unsigned doublings = pending->delays < DELAY_DOUBLINGS ? pending->delays : DELAY_DOUBLINGS;
	uint64_t delay_ns = DELAY_FIRST_NS << doublings, random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	pending->delays++;
	pending->redirects = 0;
	pending->needs_asking = false;
	pending->state = COMMAND_DELAYED;
	pending->retry_at_ns = clock_boottime_ns() + delay_ns + random % delay_ns;
	TAILQ_INSERT_TAIL(&client->delayed, pending, list);
	wake_at(client, pending->retry_at_ns);
}

static void time_out(struct redis_commands *client, struct redis_pending_command *pending)
{
	struct error text;

	if (pending->error[0])
		error_set(&text, 0, "no answer before the deadline (last error: %s)", pending->error);
	else
		error_set(&text, 0, "no answer before the deadline: %s",
			  pending->state == COMMAND_WAITING ? "no connection" : "the server does not answer");
	record_error(pending, text.text);
	end_command(client, pending, -ETIMEDOUT, pending->state == COMMAND_SENT);
}

static void send_delayed(struct redis_commands *client, uint64_t now_ns)
{
	struct redis_pending_command *pending, *next;

	for (pending = TAILQ_FIRST(&client->delayed); pending; pending = next) {
		next = TAILQ_NEXT(pending, list);
		if (pending->retry_at_ns > now_ns)
			continue;
		TAILQ_REMOVE(&client->delayed, pending, list);
		dispatch(client, pending);
	}
}

static void set_timer(struct redis_commands *client)
{
	const struct redis_pending_command *pending = TAILQ_FIRST(&client->by_deadline);

	if (pending)
		wake_at(client, pending->deadline_ns);
	TAILQ_FOREACH(pending, &client->delayed, list)
	wake_at(client, pending->retry_at_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_commands *client = ctx;
	const uint64_t now_ns = clock_boottime_ns();
	struct redis_pending_command *pending;

	(void)fd;
	(void)what;
	client->timer_ns = NEVER;
	while ((pending = TAILQ_FIRST(&client->by_deadline)) && pending->deadline_ns <= now_ns)
		time_out(client, pending);
	send_delayed(client, now_ns);
	set_timer(client);
	if (redis_pool_drop_idle(client->pool, now_ns))
		wake_at(client, now_ns + REDIS_POOL_IDLE_NS);
}

/* --- sending --- */

static void send_to_server(struct redis_commands *client, struct redis_pending_command *pending,
			   struct redis_server *server)
{
	if (redis_server_send(server, pending) == 0)
		return;
	record_error(pending, "out of memory");
	delay(client, pending);
}

static void dispatch(struct redis_commands *client, struct redis_pending_command *pending)
{
	send_to_server(client, pending, redis_pool_server_for_slot(client->pool, pending->slot));
}

/* --- answers --- */

static void follow_redirect(struct redis_commands *client, struct redis_server *from,
			    struct redis_pending_command *pending, struct redis_redirect *redirect)
{
	int index;

	if (!redirect->endpoint.host[0])
		memcpy(redirect->endpoint.host, redis_server_endpoint(from)->host, sizeof(redirect->endpoint.host));
	log_debug(redis, "redis-redirected", log_str("host", redirect->endpoint.host),
		  log_uint("port", redirect->endpoint.port), log_int("slot", redirect->slot),
		  log_bool("ask", redirect->kind == REDIS_ASK), log_uint("redirects", pending->redirects));
	index = redis_pool_get(client->pool, &redirect->endpoint);
	if (index < 0) {
		delay(client, pending);
		return;
	}
	wake_at(client, clock_boottime_ns() + REDIS_POOL_IDLE_NS);
	pending->needs_asking = redirect->kind == REDIS_ASK;
	if (redirect->kind == REDIS_MOVED)
		redis_pool_assign_slot(client->pool, redirect->slot, index);
	if (++pending->redirects > REDIRECTS_AT_ONCE) {
		delay(client, pending);
		return;
	}
	send_to_server(client, pending, redis_pool_server_at(client->pool, index));
}

static void on_error(struct redis_commands *client, struct redis_server *server, struct redis_pending_command *pending,
		     const char *error)
{
	struct redis_result result = {.code = -EREMOTEIO, .error = error};
	struct redis_redirect redirect;
	struct error text;

	record_error(pending, error);
	if (redis_redirect_parse(error, &redirect) && !client->follows) {
		error_set(&text, 0, "%.200s (" REDIS_CLUSTER_HINT ")", error);
		result.error = text.text;
	} else if (redis_redirect_parse(error, &redirect)) {
		follow_redirect(client, server, pending, &redirect);
		return;
	}
	if (redis_error_is_transient(error)) {
		delay(client, pending);
		if (strncmp(error, "READONLY ", 9) == 0)
			redis_server_replaced(server, error);
		return;
	}
	TAILQ_REMOVE(&client->by_deadline, pending, by_deadline);
	finish(client, pending, &result);
}

static void on_reply(void *ctx, struct redis_server *server, struct redis_pending_command *pending,
		     const redisReply *reply)
{
	const struct redis_result result = {.reply = reply};
	struct redis_commands *client = ctx;

	if (pending->state == COMMAND_ENDED) {
		pending_release(client, pending);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		on_error(client, server, pending, reply->str);
		return;
	}
	TAILQ_REMOVE(&client->by_deadline, pending, by_deadline);
	finish(client, pending, &result);
}

/* Servers other than 0 lose their waiting commands as well. */
static void on_lost(void *ctx, struct redis_server *server, struct redis_pending_command *pending)
{
	struct redis_commands *client = ctx;
	const bool was_sent = pending->state == COMMAND_SENT;

	redis_pool_forget_slots(client->pool, server);
	if (pending->state == COMMAND_ENDED) {
		pending_release(client, pending);
		return;
	}
	pending->state = COMMAND_SENT; /* in no list any more */
	pending->maybe_executed |= was_sent;
	if (was_sent && !pending->idempotent) {
		record_error(pending, "the connection was lost before the answer came");
		end_command(client, pending, -ECONNRESET, true);
		return;
	}
	pending->needs_asking = false;
	if (server == redis_pool_server_at(client->pool, 0)) {
		send_to_server(client, pending, server); /* waits again, in the old order */
		return;
	}
	delay(client, pending);
}

/* --- the interface --- */

static int format_wire(const struct redis_command *command, struct redis_pending_command *pending)
{
	char *wire = NULL;
	long long size =
		redisFormatCommandArgv(&wire, command->argc, (const char **)(uintptr_t)command->argv, command->argvlen);

	if (size < 0)
		return -ENOMEM;
	pending->wire = wire;
	pending->wire_size = (size_t)size;
	return 0;
}

static int slot_of_command(const struct redis_command *command)
{
	int key = command->key > 0 ? command->key : 1;

	if (command->routing_key)
		return redis_cluster_slot(command->routing_key, strlen(command->routing_key));
	if (key >= command->argc)
		return -1;
	return redis_cluster_slot(command->argv[key],
				  command->argvlen ? command->argvlen[key] : strlen(command->argv[key]));
}

/* An argument takes at most "$<20 digits>\r\n…\r\n" on the wire. Checked before anything is copied. */
static bool has_room(const struct redis_commands *client, const struct redis_command *command)
{
	size_t left = REDIS_COMMANDS_BYTES_MAX - client->bytes;

	if (client->count >= REDIS_COMMANDS_MAX || command->argc > REDIS_COMMANDS_MAX)
		return false;
	for (int i = 0; i < command->argc; i++) {
		size_t size = command->argvlen ? command->argvlen[i] : strlen(command->argv[i]);

		if (size > left || left - size < 32)
			return false;
		left -= size + 32;
	}
	return true;
}

int redis_commands_send(struct redis_commands *client, const struct redis_command *command, redis_commands_done done,
			void *ctx)
{
	cleanup(cleanup_free) struct redis_pending_command *pending = NULL;

	if (client->freeing)
		return -ESHUTDOWN;
	if (command->argc < 1)
		return -EINVAL;
	if (!has_room(client, command))
		return -ENOBUFS;
	pending = calloc(1, sizeof(*pending));
	if (!pending || format_wire(command, pending) < 0)
		return -ENOMEM;
	pending->slot = slot_of_command(command);
	pending->idempotent = command->idempotent;
	pending->done = done;
	pending->ctx = ctx;
	pending->deadline_ns = clock_boottime_ns() + client->deadline_ns;
	client->bytes += pending->wire_size;
	client->count++;
	TAILQ_INSERT_TAIL(&client->by_deadline, pending, by_deadline);
	wake_at(client, pending->deadline_ns);
	dispatch(client, take(pending));
	return 0;
}

bool redis_commands_up(const struct redis_commands *client)
{
	return redis_server_is_up(redis_pool_server_at(client->pool, 0));
}

unsigned redis_commands_connections(const struct redis_commands *client)
{
	return redis_server_connections(redis_pool_server_at(client->pool, 0));
}

const struct redis_endpoint *redis_commands_endpoint(const struct redis_commands *client)
{
	return redis_server_endpoint(redis_pool_server_at(client->pool, 0));
}

struct redis_commands *redis_commands_new(struct event_base *loop, const char *role,
					  const struct redis_options *options, uint64_t deadline_ns)
{
	cleanup(cleanup_redis_commands) struct redis_commands *client = calloc(1, sizeof(*client));
	const struct redis_server_handler handler = {.reply = on_reply, .lost = on_lost, .ctx = client};

	if (!client)
		return NULL;
	client->loop = loop;
	client->deadline_ns = deadline_ns ? deadline_ns : DEADLINE_DEFAULT_NS;
	client->follows = options->cluster || options->node_count > 0;
	client->timer_ns = NEVER;
	TAILQ_INIT(&client->by_deadline);
	TAILQ_INIT(&client->delayed);
	TAILQ_INIT(&client->ended);
	client->timer = evtimer_new(loop, on_timer, client);
	client->results_due = event_new(loop, -1, 0, on_results_due, client);
	client->pool = redis_pool_new(loop, role, options, handler);
	return client->timer && client->results_due && client->pool ? take(client) : NULL;
}

static void cancel_all(struct redis_commands *client)
{
	struct redis_pending_command *pending;

	client->freeing = true;
	while ((pending = TAILQ_FIRST(&client->by_deadline))) {
		record_error(pending, "the client was freed");
		end_command(client, pending, -ECANCELED, pending->state == COMMAND_SENT);
	}
	while ((pending = TAILQ_FIRST(&client->ended)))
		deliver_result(client, pending);
}

size_t redis_commands_pending(const struct redis_commands *client)
{
	return client->count;
}

void redis_commands_free(struct redis_commands *client)
{
	struct redis_pending_command *pending;

	if (!client)
		return;
	if (client->results_due)
		cancel_all(client);
	/* Commands still in flight are answered already; only the server owes a reply. */
	while (client->pool && (pending = redis_pool_pop_in_flight(client->pool)))
		pending_release(client, pending);
	redis_pool_free(client->pool);
	if (client->timer)
		event_free(client->timer);
	if (client->results_due)
		event_free(client->results_due);
	free(client);
}
