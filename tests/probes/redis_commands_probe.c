/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs one redis_commands client, for tests/system/test_redis_cluster.py. Options are `--name value`; `--node` and
 * `--sentinel` may be repeated. Standard input, by line:
 *
 *   ID FLAGS WORD...   sends a command; FLAGS: "i" idempotent, "kN" index of the key, "f" frees the client in its
 *                      callback, "-" none; the word "@N" stands for N bytes
 *   up                 prints {"up":…}
 *   free               frees the client
 *
 * Standard output: {"id":…,"code":…,"reply":…,"error":…,"maybe":…} per reply; "refused":true if not accepted.
 * Standard error: the log.
 */
#include <event2/event.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_options.h"

#define LINE_SIZE (64u << 10)
#define WORDS_MAX 64
#define NODES_MAX 8

struct probe {
	struct event_base *loop;
	struct redis_commands *client;
	char line[LINE_SIZE];
	size_t line_size;
};

struct sent {
	struct probe *probe;
	bool frees_client;
	char id[64];
};

static void print_line(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static json_t *as_json(const redisReply *reply)
{
	json_t *list;

	if (!reply || reply->type == REDIS_REPLY_NIL)
		return json_null();
	if (reply->type == REDIS_REPLY_INTEGER)
		return json_integer(reply->integer);
	if (reply->type != REDIS_REPLY_ARRAY)
		return json_stringn(reply->str, reply->len);
	list = json_array();
	for (size_t i = 0; i < reply->elements; i++)
		json_array_append_new(list, as_json(reply->element[i]));
	return list;
}

static void on_done(void *ctx, const struct redis_result *result)
{
	struct sent *sent = ctx;

	print_line(json_pack("{s:s,s:i,s:o,s:s?,s:b}", "id", sent->id, "code", result->code, "reply",
			     as_json(result->reply), "error", result->error, "maybe", result->maybe_executed));
	if (sent->frees_client) {
		redis_commands_free(sent->probe->client);
		sent->probe->client = NULL;
	}
	free(sent);
}

static void *filled(size_t size)
{
	void *bytes = malloc(size + 1);

	if (!bytes)
		abort();
	memset(bytes, 'x', size);
	return bytes;
}

static void send_command(struct probe *probe, struct sent *sent, const char *flags, char *words)
{
	const char *argv[WORDS_MAX];
	size_t argvlen[WORDS_MAX];
	struct redis_command command = {.argv = argv, .argvlen = argvlen, .idempotent = strchr(flags, 'i')};
	const char *key = strchr(flags, 'k');
	char *generated = NULL, *rest, *word;
	int r;

	command.key = key ? (int)strtol(key + 1, NULL, 10) : 0;
	for (word = strtok_r(words, " ", &rest); word && command.argc < WORDS_MAX; word = strtok_r(NULL, " ", &rest)) {
		argv[command.argc] = word;
		argvlen[command.argc] = strlen(word);
		if (*word == '@' && !generated) {
			argvlen[command.argc] = strtoul(word + 1, NULL, 10);
			argv[command.argc] = generated = filled(argvlen[command.argc]);
		}
		command.argc++;
	}
	r = probe->client ? redis_commands_send(probe->client, &command, on_done, sent) : -1;
	free(generated);
	if (r == 0)
		return;
	print_line(json_pack("{s:s,s:i,s:b}", "id", sent->id, "code", r, "refused", 1));
	free(sent);
}

static void handle_line(struct probe *probe, char *line)
{
	struct sent *sent;
	char *rest, *id, *flags;

	if (strcmp(line, "up") == 0) {
		print_line(json_pack("{s:b}", "up", probe->client && redis_commands_up(probe->client)));
		return;
	}
	if (strcmp(line, "free") == 0) {
		redis_commands_free(probe->client);
		probe->client = NULL;
		print_line(json_pack("{s:b}", "freed", 1));
		return;
	}
	id = strtok_r(line, " ", &rest);
	flags = id ? strtok_r(NULL, " ", &rest) : NULL;
	sent = calloc(1, sizeof(*sent));
	if (!flags || !sent)
		abort();
	sent->probe = probe;
	sent->frees_client = strchr(flags, 'f');
	snprintf(sent->id, sizeof(sent->id), "%s", id);
	send_command(probe, sent, flags, rest);
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
		AUTH,
		TLS,
		CA,
		PING_INTERVAL,
		PING_TIMEOUT,
		BLOCK,
		DEADLINE,
		NO_CLUSTER
	};
	static const struct option known[] = {
		{"host", 1, NULL, HOST},
		{"port", 1, NULL, PORT},
		{"node", 1, NULL, NODE},
		{"sentinel", 1, NULL, SENTINEL},
		{"master", 1, NULL, MASTER},
		{"auth", 1, NULL, AUTH},
		{"tls", 0, NULL, TLS},
		{"ca", 1, NULL, CA},
		{"ping-interval-ms", 1, NULL, PING_INTERVAL},
		{"ping-timeout-ms", 1, NULL, PING_TIMEOUT},
		{"block-ms", 1, NULL, BLOCK},
		{"deadline-ms", 1, NULL, DEADLINE},
		{"no-cluster", 0, NULL, NO_CLUSTER},
		{NULL, 0, NULL, 0},
	};
	char *nodes[NODES_MAX], *sentinels[NODES_MAX];
	struct redis_options options = {
		.host = "127.0.0.1", .port = 6379, .nodes = nodes, .sentinels = sentinels, .cluster = true};
	struct probe probe = {0};
	struct event *input;
	uint64_t deadline_ns = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		/* clang-format off */
		switch (option) {
		case HOST: options.host = optarg; break;
		case PORT: options.port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case NODE: add(nodes, &options.node_count, optarg); break;
		case SENTINEL: add(sentinels, &options.sentinel_count, optarg); break;
		case MASTER: options.master = optarg; break;
		case AUTH: options.auth = optarg; break;
		case TLS: options.tls = true; break;
		case CA: options.ca_file = optarg; break;
		case PING_INTERVAL: options.ping_interval_ns = milliseconds(optarg); break;
		case PING_TIMEOUT: options.ping_timeout_ns = milliseconds(optarg); break;
		case BLOCK: options.block_ns = milliseconds(optarg); break;
		case NO_CLUSTER: options.cluster = false; break;
		case DEADLINE: deadline_ns = milliseconds(optarg); break;
		default: return 2;
		}
		/* clang-format on */
	}
	signal(SIGPIPE, SIG_IGN);
	probe.loop = event_base_new();
	probe.client = redis_commands_new(probe.loop, "commands", &options, deadline_ns);
	input = event_new(probe.loop, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &probe);
	if (!probe.client || !input || event_add(input, NULL) < 0)
		return 1;
	event_base_dispatch(probe.loop);
	event_free(input);
	redis_commands_free(probe.client);
	event_base_free(probe.loop);
	return 0;
}
