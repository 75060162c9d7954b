/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many nodes in one program, each with the daemon's own subscriber and publisher: what a fleet means for one Redis.
 * Options are `--name value`: port (at 127.0.0.1 to 127.0.0.8), nodes. Each message on the channel "capture" is a
 * request's id, which every node answers with an `accepted` event. Standard input, by line: `state` prints
 * {"subscribed":N,"publishing":N, "pending":N}; end of input stops.
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
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"
#include "trigger/redis_pubsub.h"

#define ADDRESSES 8 /* 127.0.0.1 and so on: to one alone there are too few client ports */
#define DESCRIPTORS_PER_NODE 2
#define DESCRIPTORS_OTHER 64
#define ID_SIZE 64

struct node {
	struct redis_links *links;
	struct redis_pubsub *pubsub;
	struct event_redis *publisher;
	char name[32];
};

struct fleet {
	struct event_base *loop;
	struct node *nodes;
	size_t count;
};

static void on_message(void *ctx, const struct trigger_message *message)
{
	const struct node *node = ctx;
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%.*s", (int)message->size, (const char *)message->bytes);
	const struct event event = {.kind = EVENT_ACCEPTED,
				    .id = id,
				    .node = node->name,
				    .time_ns = clock_realtime_ns()};
	cleanup(cleanup_free) char *json = event_json(&event);

	if (json)
		event_redis_subscriber(node->publisher, &event, json);
}

static void print_state(const struct fleet *fleet)
{
	size_t subscribed = 0, publishing = 0;
	uint64_t pending = 0;

	for (size_t i = 0; i < fleet->count; i++) {
		subscribed += redis_pubsub_subscribed(fleet->nodes[i].pubsub);
		publishing += event_redis_up(fleet->nodes[i].publisher);
		pending += event_redis_pending(fleet->nodes[i].publisher);
	}
	printf("{\"subscribed\":%zu,\"publishing\":%zu,\"pending\":%" PRIu64 "}\n", subscribed, publishing, pending);
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

static int start_node(struct fleet *fleet, struct node *node, struct redis_options options, size_t number)
{
	char host[32];

	snprintf(node->name, sizeof(node->name), "node%05zu", number);
	snprintf(host, sizeof(host), "127.0.0.%zu", 1 + number % ADDRESSES);
	options.host = host;
	options.links = node->links = redis_links_new();
	if (!node->links)
		return -1;
	node->publisher = event_redis_new(fleet->loop, &options, "capture:events");
	node->pubsub = redis_pubsub_new(fleet->loop, &options, "capture",
					(struct trigger_handler){.message = on_message, .ctx = node});
	return node->publisher && node->pubsub ? 0 : -1;
}

static int allow_descriptors(size_t nodes)
{
	const rlim_t wanted = nodes * DESCRIPTORS_PER_NODE + DESCRIPTORS_OTHER;

	return setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = wanted, .rlim_max = wanted});
}

static void quiet_log(void)
{
	struct log_level level;
	struct error err;

	if (log_level_parse("error", &level, &err) == 0)
		log_set_level(&level);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"port", required_argument, NULL, 'p'},
					      {"nodes", required_argument, NULL, 'n'},
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
		else
			return 2;
	}
	if (!fleet.count)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	quiet_log();
	fleet.loop = event_base_new();
	fleet.nodes = calloc(fleet.count, sizeof(*fleet.nodes));
	if (!fleet.loop || !fleet.nodes || allow_descriptors(fleet.count) < 0)
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
	for (size_t i = 0; i < fleet.count; i++) {
		redis_pubsub_free(fleet.nodes[i].pubsub);
		event_redis_free(fleet.nodes[i].publisher);
		redis_links_free(fleet.nodes[i].links);
	}
	free(fleet.nodes);
	event_base_free(fleet.loop);
	return 0;
}
