/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishes only while connected, since a status must be fresh. At first it checks every 250 ms, so that a node is
 * known soon after its start.
 */
#include "status/presence.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "status/node_status.h"

#define FORGET_S S_PER_DAY /* nodes not seen for this long are removed */
#define FIRST_CHECK_MS 250
#define FIRST_CHECKS 20
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

/* What became of one of the commands last. */
struct outcome {
	const char *command;
	char refusal[32]; /* the error's first word, as in "NOPERM …"; "": it was carried out */
};

enum { OUTCOME_SET, OUTCOME_ZADD, OUTCOME_ZREMRANGEBYSCORE, OUTCOMES };

struct presence {
	const struct node_status *status;
	struct redis_commands *commands;
	char *key, *nodes;
	struct event *timer;
	unsigned failed_checks;
	struct outcome outcomes[OUTCOMES];
};

/* Reports a refusal once, and its end; a lost connection is reported elsewhere. */
static void on_answer(void *ctx, const struct redis_result *result)
{
	struct outcome *outcome = ctx;
	const size_t size = result->error ? strcspn(result->error, " ") : 0;

	if (result->code == 0 && outcome->refusal[0])
		log_notice("presence-accepted", log_str("command", outcome->command));
	if (result->code == 0)
		outcome->refusal[0] = '\0';
	if (result->code != -EREMOTEIO ||
	    (strlen(outcome->refusal) == size && strncmp(outcome->refusal, result->error, size) == 0))
		return;
	snprintf(outcome->refusal, sizeof(outcome->refusal), "%.*s", (int)size, result->error);
	log_warning("presence-refused", log_str("command", outcome->command), log_str("error", result->error));
}

/* A failure does no harm: the next status follows in five seconds. `outcome` NULL: a failure is not reported. */
static void send_command(struct presence *presence, struct outcome *outcome, int argc, const char *const *argv)
{
	const struct redis_command command = {.argc = argc, .argv = argv, .idempotent = true};

	if (outcome)
		outcome->command = argv[0];
	(void)!redis_commands_send(presence->commands, &command, outcome ? on_answer : NULL, outcome);
}

static void publish(struct presence *presence)
{
	cleanup(cleanup_free) char *json = node_status_json(presence->status);
	const uint64_t now_s = clock_realtime_ns() / NS_PER_S;
	char seen[24], forgotten[24];

	if (!json)
		return;
	snprintf(seen, sizeof(seen), "%" PRIu64, now_s);
	snprintf(forgotten, sizeof(forgotten), "%" PRIu64, now_s - FORGET_S);
	send_command(presence, &presence->outcomes[OUTCOME_SET], 5,
		     (const char *const[]){"SET", presence->key, json, "EX", TEXT(PRESENCE_EXPIRY_S)});
	send_command(presence, &presence->outcomes[OUTCOME_ZADD], 4,
		     (const char *const[]){"ZADD", presence->nodes, seen, node_status_node(presence->status)});
	send_command(presence, &presence->outcomes[OUTCOME_ZREMRANGEBYSCORE], 4,
		     (const char *const[]){"ZREMRANGEBYSCORE", presence->nodes, "-inf", forgotten});
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct presence *presence = ctx;
	const bool up = redis_commands_up(presence->commands);

	(void)fd;
	(void)what;
	if (up)
		publish(presence);
	else
		presence->failed_checks++;
	const struct timeval first = {.tv_usec = FIRST_CHECK_MS * 1000}, next = {.tv_sec = PRESENCE_PERIOD_S};
	event_add(presence->timer, up || presence->failed_checks > FIRST_CHECKS ? &next : &first);
}

struct presence *presence_new(struct event_base *loop, const struct node_status *status,
			      struct redis_commands *commands, const char *channel)
{
	cleanup(cleanup_presence) struct presence *presence = calloc(1, sizeof(*presence));
	const struct timeval first = {.tv_usec = FIRST_CHECK_MS * 1000};

	if (!presence)
		return NULL;
	presence->status = status;
	presence->commands = commands;
	if (asprintf(&presence->key, "{%s}:node:%s", channel, node_status_node(status)) < 0)
		presence->key = NULL;
	if (asprintf(&presence->nodes, "{%s}:nodes", channel) < 0)
		presence->nodes = NULL;
	presence->timer = evtimer_new(loop, on_timer, presence);
	if (!presence->key || !presence->nodes || !presence->timer || event_add(presence->timer, &first) < 0)
		return NULL;
	return take(presence);
}

void presence_leave(struct presence *presence)
{
	if (!presence)
		return;
	event_del(presence->timer);
	if (!redis_commands_up(presence->commands))
		return;
	send_command(presence, NULL, 2, (const char *const[]){"DEL", presence->key});
	send_command(presence, NULL, 3,
		     (const char *const[]){"ZREM", presence->nodes, node_status_node(presence->status)});
}

void presence_free(struct presence *presence)
{
	if (!presence)
		return;
	if (presence->timer)
		event_free(presence->timer);
	free(presence->key);
	free(presence->nodes);
	free(presence);
}
