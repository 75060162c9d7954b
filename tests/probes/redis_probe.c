/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs only the Redis subscriber and the event publisher, as the daemon does, for tests/system/test_redis_link.py.
 * Options are `--name value`; `--node` and `--sentinel` may be repeated. Standard input, by line: `event ID` publishes
 * an event, `fill N` publishes N events of 64 KiB, `pending` prints {"pending":N}; end of input stops. Standard output:
 * one JSON line per message. Standard error: the log.
 */
#include <event2/event.h>
#include <event2/util.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_redis.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"
#include "trigger/redis_pubsub.h"

#define LINE_SIZE 4096
#define SHOWN_BYTES 1024
#define FILL_BYTES (64u << 10)
#define NODES_MAX 8
#define UNSUBSCRIBE_MESSAGE "unsubscribe-in-handler"

struct probe {
	struct event_base *loop;
	struct event_bus *bus;
	struct event_redis *publisher;
	struct redis_pubsub *pubsub;
	char line[LINE_SIZE];
	size_t line_size;
};

static uint64_t fnv1a(const unsigned char *bytes, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void on_message(void *ctx, const struct trigger_message *message)
{
	struct probe *probe = ctx;
	const char *text = message->bytes, *origin = message->origin;
	const void *bytes = message->bytes;
	const size_t size = message->size;

	printf("{\"message\":\"");
	for (size_t i = 0; i < size && i < SHOWN_BYTES; i++)
		printf(text[i] < ' ' || strchr("\"\\", text[i]) ? "\\u%04x" : "%c", (unsigned char)text[i]);
	printf("\",\"origin\":\"%s\",\"size\":%zu,\"fnv1a\":\"%016" PRIx64 "\"}\n", origin, size, fnv1a(bytes, size));
	fflush(stdout);
	if (size == strlen(UNSUBSCRIBE_MESSAGE) && memcmp(bytes, UNSUBSCRIBE_MESSAGE, size) == 0) {
		redis_pubsub_free(probe->pubsub);
		probe->pubsub = NULL;
	}
}

static void publish(struct probe *probe, const char *id, const char *comment)
{
	const struct event event = {
		.kind = EVENT_ACCEPTED, .id = id, .node = "probe", .time_ns = clock_realtime_ns(), .reason = comment};

	event_bus_publish(probe->bus, &event);
}

static void fill(struct probe *probe, unsigned long count)
{
	char *comment = malloc(FILL_BYTES + 1);
	char id[32];

	if (!comment)
		abort();
	memset(comment, 'x', FILL_BYTES);
	comment[FILL_BYTES] = '\0';
	for (unsigned long i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "fill-%lu", i);
		publish(probe, id, comment);
	}
	free(comment);
}

static void handle_line(struct probe *probe, const char *line)
{
	if (strncmp(line, "event ", 6) == 0)
		publish(probe, line + 6, NULL);
	else if (strncmp(line, "fill ", 5) == 0)
		fill(probe, strtoul(line + 5, NULL, 10));
	else if (strcmp(line, "pending") == 0)
		printf("{\"pending\":%" PRIu64 "}\n", event_redis_pending(probe->publisher));
	fflush(stdout);
}

static void on_input(evutil_socket_t fd, short what, void *ctx)
{
	struct probe *probe = ctx;
	ssize_t got = read((int)fd, probe->line + probe->line_size, LINE_SIZE - probe->line_size);
	char *end;

	(void)what;
	if (got <= 0) {
		event_base_loopbreak(probe->loop);
		return;
	}
	probe->line_size += (size_t)got;
	while ((end = memchr(probe->line, '\n', probe->line_size))) {
		*end++ = '\0';
		handle_line(probe, probe->line);
		probe->line_size -= (size_t)(end - probe->line);
		memmove(probe->line, end, probe->line_size);
	}
}

static uint64_t milliseconds(const char *text)
{
	return strtoull(text, NULL, 10) * NS_PER_MS;
}

static void add(char **list, size_t *count, char *text)
{
	if (*count == NODES_MAX)
		abort();
	list[(*count)++] = text;
}

int main(int argc, char **argv)
{
	enum {
		HOST = 1,
		PORT,
		NODE,
		SENTINEL,
		MASTER,
		SENTINEL_USER,
		SENTINEL_AUTH,
		CHANNEL,
		EVENTS,
		USER,
		AUTH,
		TLS,
		CA,
		CERT,
		KEY,
		PING_INTERVAL,
		PING_TIMEOUT,
		QUIET
	};
	static const struct option known[] = {
		{"host", 1, NULL, HOST},
		{"port", 1, NULL, PORT},
		{"node", 1, NULL, NODE},
		{"sentinel", 1, NULL, SENTINEL},
		{"master", 1, NULL, MASTER},
		{"sentinel-user", 1, NULL, SENTINEL_USER},
		{"sentinel-auth", 1, NULL, SENTINEL_AUTH},
		{"channel", 1, NULL, CHANNEL},
		{"events", 1, NULL, EVENTS},
		{"user", 1, NULL, USER},
		{"auth", 1, NULL, AUTH},
		{"tls", 0, NULL, TLS},
		{"ca", 1, NULL, CA},
		{"cert", 1, NULL, CERT},
		{"key", 1, NULL, KEY},
		{"ping-interval-ms", 1, NULL, PING_INTERVAL},
		{"ping-timeout-ms", 1, NULL, PING_TIMEOUT},
		{"quiet", 0, NULL, QUIET},
		{NULL, 0, NULL, 0},
	};
	char *nodes[NODES_MAX], *sentinels[NODES_MAX];
	struct redis_links *links;
	struct redis_options options = {.host = "127.0.0.1", .port = 6379, .nodes = nodes, .sentinels = sentinels};
	const char *channel = "capture", *events = "capture:events";
	struct probe probe = {0};
	struct event *input;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case HOST:
			options.host = optarg;
			break;
		case PORT:
			options.port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case NODE:
			add(nodes, &options.node_count, optarg);
			break;
		case SENTINEL:
			add(sentinels, &options.sentinel_count, optarg);
			break;
		case MASTER:
			options.master = optarg;
			break;
		case SENTINEL_USER:
			options.sentinel_username = optarg;
			break;
		case SENTINEL_AUTH:
			options.sentinel_auth = optarg;
			break;
		case CHANNEL:
			channel = optarg;
			break;
		case EVENTS:
			events = optarg;
			break;
		case USER:
			options.username = optarg;
			break;
		case AUTH:
			options.auth = optarg;
			break;
		case TLS:
			options.tls = true;
			break;
		case CA:
			options.ca_file = optarg;
			break;
		case CERT:
			options.cert_file = optarg;
			break;
		case KEY:
			options.key_file = optarg;
			break;
		case PING_INTERVAL:
			options.ping_interval_ns = milliseconds(optarg);
			break;
		case PING_TIMEOUT:
			options.ping_timeout_ns = milliseconds(optarg);
			break;
		case QUIET:
			options.quiet = true;
			break;
		default:
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	probe.loop = event_base_new();
	probe.bus = event_bus_new();
	options.links = links = redis_links_new();
	if (!links)
		return 1;
	probe.pubsub = redis_pubsub_new(probe.loop, &options, channel,
					(struct trigger_handler){.message = on_message, .ctx = &probe});
	probe.publisher = event_redis_new(probe.loop, &options, events);
	input = event_new(probe.loop, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &probe);
	if (!probe.pubsub || !probe.publisher || !input || event_add(input, NULL) < 0 ||
	    event_bus_subscribe(probe.bus, event_redis_subscriber, probe.publisher) < 0)
		return 1;
	event_base_dispatch(probe.loop);
	event_free(input);
	redis_pubsub_free(probe.pubsub);
	event_redis_free(probe.publisher);
	redis_links_free(links);
	event_bus_free(probe.bus);
	event_base_free(probe.loop);
	return 0;
}
