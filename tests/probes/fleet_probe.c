/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many nodes in one program, each with the daemon's own Redis code: what a fleet means for one Redis. Options are
 * `--name value`: port (at 127.0.0.1 to 127.0.0.8), nodes, and parts, one or more of `pubsub` (subscriber and
 * publisher, two connections), `presence` and `stream` (a connection for the keys of both, one to read the stream).
 * Each message on the channel "capture", and each entry of the stream "capture:stream", is a request's id, which every
 * node that publishes answers with an `accepted` event. Standard input, by line: `state` prints
 * {"subscribed":N,"publishing":N,"keys":N,"pending":N,"entries":N,"unacknowledged":N}; end of input stops.
 */
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "event/event_redis.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"
#include "status/node_status.h"
#include "status/presence.h"
#include "trigger/redis_pubsub.h"
#include "trigger/redis_stream.h"

#define ADDRESSES 8 /* 127.0.0.1 and so on: to one alone there are too few client ports */
#define ID_SIZE 64
#define ROLE_INTERVAL_NS (3 * NS_PER_S) /* as the daemon's publisher has it */
#define STREAM_MAX_AGE_NS (3600 * NS_PER_S)

/* What presence.c takes from node_status.c, which would need an engine for each node. */
struct node_status {
	char name[32], instance[17];
};

struct node {
	struct fleet *fleet;
	struct redis_links *links;
	struct redis_pubsub *pubsub;
	struct event_redis *publisher;
	struct redis_commands *keys;
	struct redis_clock *clock;
	struct presence *presence;
	struct redis_stream *stream;
	struct node_status status;
};

struct fleet {
	struct event_base *loop;
	struct node *nodes;
	size_t count;
	bool pubsub, presence, stream;
	uint64_t entries; /* taken from the stream, by all */
};

const char *node_status_instance(const struct node_status *status)
{
	return status->instance;
}

const char *node_status_node(const struct node_status *status)
{
	return status->name;
}

/* No node of this program leaves. */
char *node_status_stopped_json(const struct node_status *status)
{
	(void)status;
	return NULL;
}

/* As that of a node with four interfaces and a recorder. */
char *node_status_json(const struct node_status *status)
{
	static const char interfaces[] =
		"{\"name\":\"eth0\",\"aliases\":[\"uplink\"],\"up\":true,\"recorder\":true,\"captures\":0,\"packets\":"
		"123456789,"
		"\"dropped\":0,\"reach\":59.872},{\"name\":\"eth1\",\"aliases\":[],\"up\":true,\"recorder\":false},"
		"{\"name\":\"eth2\",\"aliases\":[],\"up\":true,\"recorder\":false},"
		"{\"name\":\"lo\",\"aliases\":[],\"up\":true,\"recorder\":false}";
	char now[CLOCK_TEXT_SIZE], *json;

	if (asprintf(&json,
		     "{\"v\":1,\"node\":\"%s\",\"instance\":\"%s\",\"host\":\"%s.example\",\"version\":\"%s\",\"time\":"
		     "\"%s\","
		     "\"started\":\"%s\",\"interfaces\":[%s],\"load\":{\"captures\":0,\"delivering\":0,\"memory\":0,"
		     "\"memory_limit\":268435456,\"kept_files\":0,\"kept_bytes\":0},\"captures\":[],\"destinations\":["
		     "\"cloudshark\",\"redis\"],\"redis\":{\"requests\":true,\"events\":true,\"waiting\":0,\"clock\":{"
		     "\"offset\":0.000123,\"uncertainty\":0.000456}},\"stream\":true}",
		     status->name, status->instance, status->name, PCAPDAEMON_VERSION,
		     clock_format(clock_realtime_ns(), now), now, interfaces) < 0)
		return NULL;
	return json;
}

static void on_name_taken(void *ctx, const char *host)
{
	const struct node *node = ctx;

	fprintf(stderr, "%s: its name is taken by %s\n", node->status.name, host);
}

static void on_message(void *ctx, const struct trigger_message *message)
{
	const struct node *node = ctx;
	char id[ID_SIZE];

	node->fleet->entries += message->ticket != NULL;

	snprintf(id, sizeof(id), "%.*s", (int)message->size, (const char *)message->bytes);
	const struct event event = {.kind = EVENT_ACCEPTED,
				    .id = id,
				    .node = node->status.name,
				    .time_ns = clock_realtime_ns()};
	cleanup(cleanup_free) char *json = node->publisher ? event_json(&event) : NULL;

	if (json)
		event_redis_subscriber(node->publisher, &event, json);
	if (message->ticket)
		message->ticket->done(message->ticket);
}

static void print_state(const struct fleet *fleet)
{
	size_t subscribed = 0, publishing = 0, keys = 0, unacknowledged = 0;
	uint64_t pending = 0;

	for (size_t i = 0; i < fleet->count; i++) {
		const struct node *node = &fleet->nodes[i];

		subscribed += node->pubsub && redis_pubsub_subscribed(node->pubsub);
		publishing += node->publisher && event_redis_up(node->publisher);
		pending += node->publisher ? event_redis_pending(node->publisher) : 0;
		keys += node->keys && redis_commands_up(node->keys);
		unacknowledged += node->stream ? redis_stream_counts(node->stream).taken : 0;
	}
	printf("{\"subscribed\":%zu,\"publishing\":%zu,\"keys\":%zu,\"pending\":%" PRIu64 ",\"entries\":%" PRIu64
	       ",\"unacknowledged\":%zu}\n",
	       subscribed, publishing, keys, pending, fleet->entries, unacknowledged);
	fflush(stdout);
}

static void on_input(evutil_socket_t fd, short what, void *ctx)
{
	const struct fleet *fleet = ctx;
	char bytes[256];
	const ssize_t got = read((int)fd, bytes, sizeof(bytes));

	(void)what;
	if (got <= 0)
		event_base_loopbreak(fleet->loop);
	else
		print_state(fleet);
}

static int start_presence(struct fleet *fleet, struct node *node)
{
	node->presence = presence_new(&(struct presence_options){.loop = fleet->loop,
								 .status = &node->status,
								 .commands = node->keys,
								 .clock = node->clock,
								 .channel = "capture",
								 .name_taken = on_name_taken,
								 .ctx = node});
	return node->presence ? 0 : -1;
}

static int start_stream(struct fleet *fleet, struct node *node, const struct redis_options *options)
{
	char crashes[64];

	snprintf(crashes, sizeof(crashes), "{capture}:crashes:%s", node->status.name);
	node->stream = redis_stream_new(fleet->loop, options,
					&(struct redis_stream_options){.key = "capture:stream",
								       .group = node->status.name,
								       .stream_consumer = node->status.name,
								       .registry_key = "{capture}:nodes",
								       .crashes_key = crashes,
								       .clock = node->clock,
								       .max_age_ns = STREAM_MAX_AGE_NS},
					node->keys, (struct trigger_handler){.message = on_message, .ctx = node});
	return node->stream ? 0 : -1;
}

static int start_pubsub(struct fleet *fleet, struct node *node, const struct redis_options *options)
{
	struct redis_options publisher = *options;

	publisher.ping_interval_ns = ROLE_INTERVAL_NS;
	node->publisher = event_redis_new(fleet->loop, &publisher, "capture:events");
	node->pubsub = redis_pubsub_new(fleet->loop, options, "capture",
					(struct trigger_handler){.message = on_message, .ctx = node});
	return node->publisher && node->pubsub ? 0 : -1;
}

static int start_node(struct fleet *fleet, struct node *node, struct redis_options options, size_t number)
{
	char host[32];

	node->fleet = fleet;
	snprintf(node->status.name, sizeof(node->status.name), "node%05zu", number);
	snprintf(node->status.instance, sizeof(node->status.instance), "%016zx", number);
	snprintf(host, sizeof(host), "127.0.0.%zu", 1 + number % ADDRESSES);
	options.host = host;
	options.links = node->links = redis_links_new();
	if (!node->links)
		return -1;
	if (fleet->presence || fleet->stream) {
		node->keys = redis_commands_new(fleet->loop, "keys", &options, 0);
		node->clock = node->keys ? redis_clock_new(fleet->loop, node->keys) : NULL;
		if (!node->clock)
			return -1;
	}
	if ((fleet->presence && start_presence(fleet, node) < 0) ||
	    (fleet->pubsub && start_pubsub(fleet, node, &options) < 0))
		return -1;
	return fleet->stream ? start_stream(fleet, node, &options) : 0;
}

static void free_node(struct node *node)
{
	redis_pubsub_free(node->pubsub);
	redis_commands_free(node->keys);
	redis_clock_free(node->clock);
	presence_free(node->presence);
	redis_stream_free(node->stream);
	event_redis_free(node->publisher);
	redis_links_free(node->links);
}

static int allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static void quiet_log(void)
{
	struct log_level level;
	struct error err;

	if (log_level_parse("error", &level, &err) == 0)
		log_set_level(&level);
}

static void choose_parts(struct fleet *fleet, const char *parts)
{
	fleet->pubsub = strstr(parts, "pubsub");
	fleet->presence = strstr(parts, "presence");
	fleet->stream = strstr(parts, "stream");
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"port", required_argument, NULL, 'p'},
					      {"nodes", required_argument, NULL, 'n'},
					      {"parts", required_argument, NULL, 'a'},
					      {0}};
	struct redis_options options = {.port = 6379};
	struct fleet fleet = {0};
	struct event *input;
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'p')
			options.port = (uint16_t)strtoul(optarg, NULL, 10);
		else if (option == 'n')
			fleet.count = strtoul(optarg, NULL, 10);
		else if (option == 'a')
			choose_parts(&fleet, optarg);
		else
			return 2;
	}
	if (!fleet.count || !(fleet.pubsub || fleet.presence || fleet.stream))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	quiet_log();
	fleet.loop = event_base_new();
	fleet.nodes = calloc(fleet.count, sizeof(*fleet.nodes));
	if (!fleet.loop || !fleet.nodes || allow_descriptors() < 0)
		return 1;
	for (size_t i = 0; i < fleet.count; i++) {
		if (start_node(&fleet, &fleet.nodes[i], options, i) < 0)
			return 1;
	}
	input = event_new(fleet.loop, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &fleet);
	if (!input || event_add(input, NULL) < 0)
		return 1;
	event_base_dispatch(fleet.loop);
	event_free(input);
	for (size_t i = 0; i < fleet.count; i++)
		free_node(&fleet.nodes[i]);
	free(fleet.nodes);
	event_base_free(fleet.loop);
	return 0;
}
