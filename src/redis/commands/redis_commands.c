/*
 * A command is in one place at a time:
 *
 *   send ──> waiting at a node ──link up──> sent ──reply──> answered
 *               ^                            │ MOVED, ASK: another node
 *               └──────── delayed <──────────┘ put off, connection lost
 *
 * and from any of them to "over" when it can have no answer (deadline, a lost connection). Replies are
 * handed on as they come, in the order of one server's commands. What is over is answered from an event of its own, one
 * at each turn, so that nobody is called back while he calls, and a callback may free all.
 *
 * Where a command goes is its slot's node (redis/commands/redis_pool.h). When one cannot be reached, its slots are node
 * 0's again, which then has the news (a failover) or says MOVED to the same node again, until it is there or the
 * deadline passes. If node 0 itself is gone, its link goes on to the next of its nodes.
 */
#include "redis/commands/redis_commands.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "redis/commands/redis_cluster.h"
#include "redis/commands/redis_pool.h"
#include "redis/commands/redis_server.h"

#define DEADLINE_NS (30 * NS_PER_S)
#define DELAY_FIRST_NS (100 * NS_PER_MS) /* doubles up to 8 times this, plus up to as much at random */
#define DELAY_DOUBLINGS 3
#define REDIRECTS_AT_ONCE 5 /* more are a loop: each further one waits */
#define NEVER UINT64_MAX

struct redis_commands {
	struct event_base *loop;
	uint64_t deadline_ns;
	struct redis_pool *nodes;

	struct redis_pending_commands order, delayed, over;
	size_t bytes, count;
	struct event *timer, *answer;
	uint64_t timer_ns; /* boot time when it fires */
	bool closing;
};

static void on_reply(void *ctx, struct redis_server *node, struct redis_pending_command *entry,
		     const redisReply *reply);
static void on_lost(void *ctx, struct redis_server *node, struct redis_pending_command *entry);
static void route(struct redis_commands *client, struct redis_pending_command *entry);

/* --- entries --- */

static void drop_wire(struct redis_commands *client, struct redis_pending_command *entry)
{
	if (!entry->wire)
		return;
	client->bytes -= entry->size_bytes;
	free(take(entry->wire));
}

/* Once nobody, neither caller nor server, has anything to do with it. */
static void entry_release(struct redis_commands *client, struct redis_pending_command *entry)
{
	if (entry->in_flight || !entry->answered)
		return;
	drop_wire(client, entry);
	client->count--;
	free(entry);
}

/* The last thing a function does. */
static void answer_with(struct redis_commands *client, struct redis_pending_command *entry,
			const struct redis_result *answer)
{
	redis_commands_done done = entry->done;
	void *ctx = entry->ctx;

	entry->state = COMMAND_ENDED;
	entry->answered = true;
	entry_release(client, entry);
	if (done)
		done(ctx, answer);
}

static void answer_over(struct redis_commands *client, struct redis_pending_command *entry)
{
	char error[sizeof(entry->error)];
	const struct redis_result answer = {.code = entry->code,
					    .error = error,
					    .maybe_executed = entry->maybe_executed};

	memcpy(error, entry->error, sizeof(error));
	TAILQ_REMOVE(&client->over, entry, list);
	answer_with(client, entry, &answer);
}

static void note_error(struct redis_pending_command *entry, const char *text)
{
	size_t size = strnlen(text, sizeof(entry->error) - 1);

	memcpy(entry->error, text, size);
	entry->error[size] = '\0';
}

/* From wherever it is. */
static void end(struct redis_commands *client, struct redis_pending_command *entry, int code, bool maybe_executed)
{
	if (entry->state == COMMAND_WAITING)
		redis_server_remove_waiting(entry->node, entry);
	else if (entry->state == COMMAND_DELAYED)
		TAILQ_REMOVE(&client->delayed, entry, list);
	TAILQ_REMOVE(&client->order, entry, order);
	drop_wire(client, entry);
	entry->state = COMMAND_ENDED;
	entry->code = code;
	entry->maybe_executed |= maybe_executed;
	TAILQ_INSERT_TAIL(&client->over, entry, list);
	event_active(client->answer, EV_TIMEOUT, 0);
}

static void on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_commands *client = ctx;
	struct redis_pending_command *entry = TAILQ_FIRST(&client->over);

	(void)fd;
	(void)what;
	if (!entry)
		return;
	if (TAILQ_NEXT(entry, list))
		event_active(client->answer, EV_TIMEOUT, 0);
	answer_over(client, entry);
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

static void delay(struct redis_commands *client, struct redis_pending_command *entry)
{
	unsigned doublings = entry->tries < DELAY_DOUBLINGS ? entry->tries : DELAY_DOUBLINGS;
	uint64_t delay_ns = DELAY_FIRST_NS << doublings, random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	entry->tries++;
	entry->redirects = 0;
	entry->asking = false;
	entry->state = COMMAND_DELAYED;
	entry->ready_ns = clock_boottime_ns() + delay_ns + random % delay_ns;
	TAILQ_INSERT_TAIL(&client->delayed, entry, list);
	wake_at(client, entry->ready_ns);
}

static void give_up(struct redis_commands *client, struct redis_pending_command *entry)
{
	struct error text;

	if (entry->error[0])
		error_set(&text, 0, "no answer until the deadline (the last: %s)", entry->error);
	else
		error_set(&text, 0, "no answer until the deadline: %s",
			  entry->state == COMMAND_WAITING ? "there is no connection" : "the server is silent");
	note_error(entry, text.text);
	end(client, entry, -ETIMEDOUT, entry->state == COMMAND_SENT);
}

static void send_what_is_ready(struct redis_commands *client, uint64_t now_ns)
{
	struct redis_pending_command *entry, *next;

	for (entry = TAILQ_FIRST(&client->delayed); entry; entry = next) {
		next = TAILQ_NEXT(entry, list);
		if (entry->ready_ns > now_ns)
			continue;
		TAILQ_REMOVE(&client->delayed, entry, list);
		route(client, entry);
	}
}

static void set_timer(struct redis_commands *client)
{
	const struct redis_pending_command *entry = TAILQ_FIRST(&client->order);

	if (entry)
		wake_at(client, entry->deadline_ns);
	TAILQ_FOREACH(entry, &client->delayed, list)
	wake_at(client, entry->ready_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_commands *client = ctx;
	const uint64_t now_ns = clock_boottime_ns();
	struct redis_pending_command *entry;

	(void)fd;
	(void)what;
	client->timer_ns = NEVER;
	while ((entry = TAILQ_FIRST(&client->order)) && entry->deadline_ns <= now_ns)
		give_up(client, entry);
	send_what_is_ready(client, now_ns);
	set_timer(client);
	if (redis_pool_drop_idle(client->nodes, now_ns))
		wake_at(client, now_ns + REDIS_POOL_IDLE_NS);
}

/* --- sending --- */

static void send_to(struct redis_commands *client, struct redis_pending_command *entry, struct redis_server *node)
{
	if (redis_server_send(node, entry) == 0)
		return;
	note_error(entry, "out of memory");
	delay(client, entry);
}

static void route(struct redis_commands *client, struct redis_pending_command *entry)
{
	send_to(client, entry, redis_pool_server_for_slot(client->nodes, entry->slot));
}

/* --- answers --- */

static void follow(struct redis_commands *client, struct redis_server *from, struct redis_pending_command *entry,
		   struct redis_redirect *redirect)
{
	int index;

	if (!redirect->endpoint.host[0])
		memcpy(redirect->endpoint.host, redis_server_endpoint(from)->host, sizeof(redirect->endpoint.host));
	index = redis_pool_get(client->nodes, &redirect->endpoint);
	if (index < 0)
		return delay(client, entry);
	wake_at(client, clock_boottime_ns() + REDIS_POOL_IDLE_NS);
	entry->asking = redirect->kind == REDIS_ASK;
	if (redirect->kind == REDIS_MOVED)
		redis_pool_assign_slot(client->nodes, redirect->slot, index);
	if (++entry->redirects > REDIRECTS_AT_ONCE)
		return delay(client, entry);
	send_to(client, entry, redis_pool_server_at(client->nodes, index));
}

static void on_error(struct redis_commands *client, struct redis_server *node, struct redis_pending_command *entry,
		     const char *error)
{
	const struct redis_result answer = {.code = -EREMOTEIO, .error = error};
	struct redis_redirect redirect;

	note_error(entry, error);
	if (redis_redirect_parse(error, &redirect))
		return follow(client, node, entry, &redirect);
	if (redis_error_is_transient(error))
		return delay(client, entry);
	TAILQ_REMOVE(&client->order, entry, order);
	answer_with(client, entry, &answer);
}

static void on_reply(void *ctx, struct redis_server *node, struct redis_pending_command *entry, const redisReply *reply)
{
	const struct redis_result answer = {.reply = reply};
	struct redis_commands *client = ctx;

	if (entry->state == COMMAND_ENDED)
		return entry_release(client, entry);
	if (reply->type == REDIS_REPLY_ERROR)
		return on_error(client, node, entry, reply->str);
	TAILQ_REMOVE(&client->order, entry, order);
	answer_with(client, entry, &answer);
}

/* Only nodes other than 0 lose what waits. */
static void on_lost(void *ctx, struct redis_server *node, struct redis_pending_command *entry)
{
	struct redis_commands *client = ctx;
	const bool was_sent = entry->state == COMMAND_SENT;

	redis_pool_forget_slots(client->nodes, node);
	if (entry->state == COMMAND_ENDED)
		return entry_release(client, entry);
	entry->state = COMMAND_SENT; /* it is in no list */
	entry->maybe_executed |= was_sent;
	if (was_sent && !entry->idempotent) {
		note_error(entry, "the connection was lost before the answer came");
		return end(client, entry, -ECONNRESET, true);
	}
	entry->asking = false;
	if (node == redis_pool_server_at(client->nodes, 0))
		return send_to(client, entry, node); /* waits, in the old order */
	delay(client, entry);
}

/* --- the interface --- */

static int make_wire(const struct redis_command *command, struct redis_pending_command *entry)
{
	char *wire = NULL;
	long long size =
		redisFormatCommandArgv(&wire, command->argc, (const char **)(uintptr_t)command->argv, command->argvlen);

	if (size < 0)
		return -ENOMEM;
	entry->wire = wire;
	entry->size_bytes = (size_t)size;
	return 0;
}

static int slot_of(const struct redis_command *command)
{
	int key = command->key > 0 ? command->key : 1;

	if (command->routing_key)
		return redis_cluster_slot(command->routing_key, strlen(command->routing_key));
	if (key >= command->argc)
		return -1;
	return redis_cluster_slot(command->argv[key],
				  command->argvlen ? command->argvlen[key] : strlen(command->argv[key]));
}

/* What it takes on the wire at most: each argument "$<20 digits>\r\n…\r\n". Checked before anything is copied. */
static bool fits(const struct redis_commands *client, const struct redis_command *command)
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
	cleanup(cleanup_free) struct redis_pending_command *entry = NULL;

	if (client->closing)
		return -ESHUTDOWN;
	if (command->argc < 1)
		return -EINVAL;
	if (!fits(client, command))
		return -ENOBUFS;
	entry = calloc(1, sizeof(*entry));
	if (!entry || make_wire(command, entry) < 0)
		return -ENOMEM;
	entry->slot = slot_of(command);
	entry->idempotent = command->idempotent;
	entry->done = done;
	entry->ctx = ctx;
	entry->deadline_ns = clock_boottime_ns() + client->deadline_ns;
	client->bytes += entry->size_bytes;
	client->count++;
	TAILQ_INSERT_TAIL(&client->order, entry, order);
	wake_at(client, entry->deadline_ns);
	route(client, take(entry));
	return 0;
}

bool redis_commands_up(const struct redis_commands *client)
{
	return redis_server_is_up(redis_pool_server_at(client->nodes, 0));
}

const struct redis_endpoint *redis_commands_endpoint(const struct redis_commands *client)
{
	return redis_server_endpoint(redis_pool_server_at(client->nodes, 0));
}

struct redis_commands *redis_commands_new(struct event_base *loop, const char *role,
					  const struct redis_options *options, uint64_t deadline_ns)
{
	cleanup(cleanup_redis_commands) struct redis_commands *client = calloc(1, sizeof(*client));
	const struct redis_server_handler handler = {.reply = on_reply, .lost = on_lost, .ctx = client};

	if (!client)
		return NULL;
	client->loop = loop;
	client->deadline_ns = deadline_ns ? deadline_ns : DEADLINE_NS;
	client->timer_ns = NEVER;
	TAILQ_INIT(&client->order);
	TAILQ_INIT(&client->delayed);
	TAILQ_INIT(&client->over);
	client->timer = evtimer_new(loop, on_timer, client);
	client->answer = event_new(loop, -1, 0, on_answer, client);
	client->nodes = redis_pool_new(loop, role, options, handler);
	return client->timer && client->answer && client->nodes ? take(client) : NULL;
}

static void answer_all(struct redis_commands *client)
{
	struct redis_pending_command *entry;

	client->closing = true;
	while ((entry = TAILQ_FIRST(&client->order))) {
		note_error(entry, "it is not waited for any more");
		end(client, entry, -ECANCELED, entry->state == COMMAND_SENT);
	}
	while ((entry = TAILQ_FIRST(&client->over)))
		answer_over(client, entry);
}

size_t redis_commands_pending(const struct redis_commands *client)
{
	return client->count;
}

void redis_commands_free(struct redis_commands *client)
{
	struct redis_pending_command *entry;

	if (!client)
		return;
	if (client->answer)
		answer_all(client);
	/* What is in flight still has been answered: the reply would be nobody's. */
	while (client->nodes && (entry = redis_pool_pop_in_flight(client->nodes)))
		entry_release(client, entry);
	redis_pool_free(client->nodes);
	if (client->timer)
		event_free(client->timer);
	if (client->answer)
		event_free(client->answer);
	free(client);
}
