/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishes only while connected, since a status must be fresh. At first it checks every 250 ms, so that a node is
 * known soon after its start.
 *
 * Each time the key is read before it is written. From the second time on it must have what this run wrote, or be gone;
 * another instance's text is that of a living daemon with the same name. The first time it may be that of an earlier
 * run. A node that stops leaves a text that says so, for as long as the registry knows the node. Nodes are removed from
 * the registry by the server's clock only, and not at all while that is unknown.
 */
#include "status/presence.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "status/node_status.h"

#define FORGET_S S_PER_DAY /* nodes not seen for this long are removed */
#define FIRST_CHECK_MS 250
#define FIRST_CHECKS 20
#define HOST_SIZE 256
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

/* What became of one of the commands last. */
struct outcome {
	const char *command;
	char refusal[32]; /* the error's first word, as in "NOPERM …"; "": it was carried out */
};

enum { OUTCOME_SET, OUTCOME_ZADD, OUTCOME_ZREMRANGEBYSCORE, OUTCOMES };

struct presence {
	struct presence_options options;
	char *key, *nodes;
	struct event *timer;
	unsigned failed_checks;
	bool written; /* this run has published its status to this server, which may forget it only after 15 s */
	unsigned connections; /* of `commands` at that time */
	bool name_taken, leaving;
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
	(void)!redis_commands_send(presence->options.commands, &command, outcome ? on_answer : NULL, outcome);
}

/* --- who has the key --- */

enum owner { OWNER_NONE, OWNER_SELF, OWNER_OTHER };

static enum owner find_owner(const struct presence *presence, const redisReply *reply, char host[static HOST_SIZE])
{
	json_t *json = reply->type == REDIS_REPLY_STRING ? json_loadb(reply->str, reply->len, 0, NULL) : NULL;
	const char *instance = json_string_value(json_object_get(json, "instance"));
	const char *name = json_string_value(json_object_get(json, "host"));
	enum owner owner = OWNER_NONE;

	if (reply->type == REDIS_REPLY_STRING && !json_is_string(json_object_get(json, "stopped")))
		owner = instance && strcmp(instance, node_status_instance(presence->options.status)) == 0 ? OWNER_SELF
													  : OWNER_OTHER;
	snprintf(host, HOST_SIZE, "%s", name ? name : "");
	json_decref(json);
	return owner;
}

/* The registry's time is that of the last sign of life, by the server's clock if that is known. */
static uint64_t registry_time_s(const struct presence *presence)
{
	const uint64_t server_ns = redis_clock_now_ns(presence->options.clock);

	return (server_ns ? server_ns : clock_realtime_ns()) / NS_PER_S;
}

static void write_stopped(struct presence *presence)
{
	cleanup(cleanup_free) char *json = node_status_stopped_json(presence->options.status);
	char seen[24];

	if (!json)
		return;
	snprintf(seen, sizeof(seen), "%" PRIu64, registry_time_s(presence));
	send_command(presence, NULL, 5, (const char *const[]){"SET", presence->key, json, "EX", TEXT(FORGET_S)});
	send_command(presence, NULL, 4,
		     (const char *const[]){"ZADD", presence->nodes, seen, node_status_node(presence->options.status)});
}

static void note_owner(struct presence *presence, enum owner owner, const char *host)
{
	const bool taken = owner == OWNER_OTHER && presence->written;

	if (taken && !presence->name_taken) {
		log_error("node-name-taken", log_str("node", node_status_node(presence->options.status)),
			  log_str("host", host),
			  log_str("hint", "another daemon has this name: give each a general.node of its own"));
		presence->name_taken = true;
		presence->options.name_taken(presence->options.ctx, host);
	} else if (!taken && presence->name_taken) {
		log_notice("node-name-free", log_str("node", node_status_node(presence->options.status)));
		presence->name_taken = false;
	}
}

static void write_status(struct presence *presence)
{
	cleanup(cleanup_free) char *json = node_status_json(presence->options.status);
	const uint64_t now_s = registry_time_s(presence);
	char seen[24], forgotten[24];

	if (!json)
		return;
	snprintf(seen, sizeof(seen), "%" PRIu64, now_s);
	snprintf(forgotten, sizeof(forgotten), "%" PRIu64, now_s - FORGET_S);
	send_command(presence, &presence->outcomes[OUTCOME_SET], 5,
		     (const char *const[]){"SET", presence->key, json, "EX", TEXT(PRESENCE_EXPIRY_S)});
	send_command(presence, &presence->outcomes[OUTCOME_ZADD], 4,
		     (const char *const[]){"ZADD", presence->nodes, seen, node_status_node(presence->options.status)});
	if (redis_clock_now_ns(presence->options.clock))
		send_command(presence, &presence->outcomes[OUTCOME_ZREMRANGEBYSCORE], 4,
			     (const char *const[]){"ZREMRANGEBYSCORE", presence->nodes, "-inf", forgotten});
	presence->written = true;
	presence->connections = redis_commands_connections(presence->options.commands);
}

static void on_owner(void *ctx, const struct redis_result *answer)
{
	struct presence *presence = ctx;
	char host[HOST_SIZE] = "";
	enum owner owner = OWNER_NONE;

	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0)
		owner = find_owner(presence, answer->reply, host);
	if (presence->leaving) {
		if (answer->code == 0 && owner != OWNER_OTHER && !presence->name_taken)
			write_stopped(presence);
		return;
	}
	/* Another server may have an older text of this name. */
	presence->written &= presence->connections == redis_commands_connections(presence->options.commands);
	if (answer->code == 0)
		note_owner(presence, owner, host);
	write_status(presence);
}

static void look_at_owner(struct presence *presence)
{
	const char *const argv[] = {"GET", presence->key};
	const struct redis_command command = {.argc = 2, .argv = argv, .idempotent = true};

	(void)!redis_commands_send(presence->options.commands, &command, on_owner, presence);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct presence *presence = ctx;
	const bool up = redis_commands_up(presence->options.commands);

	(void)fd;
	(void)what;
	if (up)
		look_at_owner(presence);
	else
		presence->failed_checks++;
	const struct timeval first = {.tv_usec = FIRST_CHECK_MS * 1000}, next = {.tv_sec = PRESENCE_PERIOD_S};
	event_add(presence->timer, up || presence->failed_checks > FIRST_CHECKS ? &next : &first);
}

struct presence *presence_new(const struct presence_options *options)
{
	cleanup(cleanup_presence) struct presence *presence = calloc(1, sizeof(*presence));
	const struct timeval first = {.tv_usec = FIRST_CHECK_MS * 1000};

	if (!presence)
		return NULL;
	presence->options = *options;
	presence->options.channel = NULL;
	if (asprintf(&presence->key, "{%s}:node:%s", options->channel, node_status_node(options->status)) < 0)
		presence->key = NULL;
	if (asprintf(&presence->nodes, "{%s}:nodes", options->channel) < 0)
		presence->nodes = NULL;
	presence->timer = evtimer_new(options->loop, on_timer, presence);
	if (!presence->key || !presence->nodes || !presence->timer || event_add(presence->timer, &first) < 0)
		return NULL;
	return take(presence);
}

bool presence_name_taken(const struct presence *presence)
{
	return presence->name_taken;
}

void presence_leave(struct presence *presence)
{
	if (!presence)
		return;
	event_del(presence->timer);
	presence->leaving = true;
	if (redis_commands_up(presence->options.commands))
		look_at_owner(presence);
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
