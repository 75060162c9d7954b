/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rights are asked for by trying: Redis looks at a user's rights before it looks at arguments, so a command with an
 * argument that is refused tells whether it is allowed, and changes nothing. PUBLISH and RPUSH take any argument: the
 * first is queued in a transaction that is then discarded, the second makes a key that is removed at once.
 */
#include "pcapctl/doctor/doctor_redis.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "config/config.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/doctor/findings.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_bus_internal.h"
#include "pcapctl/fleet/fleet_target.h"
#include "pcapctl/output/format.h"

#define WORDS_MAX 8
#define WORD_SIZE 512
#define VERSIONS_MAX 8
#define NODES_NAMED 64 /* nodes with faults that have a line each */
#define CLOCK_DIFFERENCE_S 1
#define PROBE "pcapctl-doctor" /* a node that there is not */

/* Who needs a right. */
enum role { ROLE_DAEMON, ROLE_STREAM, ROLE_OPERATOR };

/* "@" begins a name that is replaced: see expand(). Arguments are such that the command does nothing. */
struct right {
	enum role role;
	enum finding_state state; /* without it */
	const char *words[WORDS_MAX];
	const char *lost; /* what does not work without it */
};

static const struct right rights[] = {
	{ROLE_DAEMON, FINDING_WARNING, {"GET", "@node"}, "presence"},
	{ROLE_DAEMON, FINDING_WARNING, {"SET", "@node", "x", "EX", "x"}, "presence"},
	{ROLE_DAEMON, FINDING_WARNING, {"ZADD", "@nodes", "x", "x"}, "presence"},
	{ROLE_DAEMON, FINDING_WARNING, {"GET", "@answer"}, "memory of answered requests across restarts"},
	{ROLE_DAEMON,
	 FINDING_WARNING,
	 {"SET", "@answer", "x", "EX", "x"},
	 "memory of answered requests across restarts"},
	{ROLE_DAEMON, FINDING_WARNING, {"RPUSH", "@file", "x"}, "destination redis"},
	{ROLE_DAEMON, FINDING_WARNING, {"EXPIRE", "@file", "x"}, "destination redis"},
	{ROLE_DAEMON, FINDING_WARNING, {"LSET", "@file", "x", "x"}, "file sent to redis while the capture runs"},
	{ROLE_DAEMON, FINDING_WARNING, {"LLEN", "@file"}, "certainty that a file survives a failover"},
	{ROLE_DAEMON, FINDING_WARNING, {"DEL", "@file"}, "removal of files from Redis"},
	{ROLE_DAEMON, FINDING_WARNING, {"TIME"}, "comparison of the clocks"},
	{ROLE_DAEMON, FINDING_WARNING, {"ROLE"}, "notice that the server became a replica"},
	{ROLE_STREAM,
	 FINDING_FAULT,
	 {"XREADGROUP", "GROUP", PROBE, "x", "STREAMS", "@stream", "x"},
	 "request from the stream"},
	{ROLE_STREAM, FINDING_FAULT, {"XACK", "@stream", PROBE, "x"}, "request from the stream"},
	{ROLE_STREAM, FINDING_FAULT, {"XGROUP", "CREATE", "@stream", PROBE, "x"}, "request from the stream"},
	{ROLE_STREAM, FINDING_WARNING, {"HINCRBY", "@crashes", "x", "x"}, "end to requests that crash the daemon"},
	{ROLE_OPERATOR, FINDING_WARNING, {"ZREVRANGE", "@nodes", "0", "0"}, "list of nodes"},
	{ROLE_OPERATOR, FINDING_WARNING, {"MGET", "@node"}, "state of the nodes"},
	{ROLE_OPERATOR, FINDING_WARNING, {"LINDEX", "@file", "x"}, "file from Redis (get, --merge)"},
	{ROLE_OPERATOR, FINDING_WARNING, {"DEL", "@file"}, "removal of merged files"},
};

struct examination {
	struct findings *findings;
	const struct fleet_target *target;
	const struct config *config; /* NULL: an operator's */
	struct fleet_bus *bus;
	const char *user;
};

static bool is_denied(const struct error *err)
{
	return strstr(err->text, "NOPERM");
}

static const char *expand(const struct examination *on, const char *word, char text[static WORD_SIZE])
{
	static const struct {
		const char *name, *suffix;
	} keys[] = {
		{"@nodes", "nodes"},	       {"@node", "node:" PROBE},       {"@answer", "answer:" PROBE ":x"},
		{"@file", "file:" PROBE ":x"}, {"@crashes", "crashes:" PROBE},
	};

	if (strcmp(word, "@stream") == 0)
		return on->config->redis.stream;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(word, keys[i].name) == 0) {
			snprintf(text, WORD_SIZE, "{%s}:%s", on->target->channel, keys[i].suffix);
			return text;
		}
	}
	return word;
}

static int ignore(void *ctx, const struct redisReply *reply, struct error *err)
{
	(void)ctx;
	(void)reply;
	(void)err;
	return 0;
}

static void add_missing(const struct examination *on, enum finding_state state, const char *command, const char *object,
			const char *lost)
{
	char advice[FINDING_TEXT_MAX], lower[64];
	size_t i = 0;

	for (; command[i] && i + 1 < sizeof(lower); i++)
		lower[i] = command[i] >= 'A' && command[i] <= 'Z' ? (char)(command[i] - 'A' + 'a') : command[i];
	lower[i] = '\0';
	snprintf(advice, sizeof(advice), "ACL SETUSER %s +%s%s%s", on->user, lower, *object ? " " : "", object);
	finding_add(on->findings, state, "acl", advice, "user %s may not %s%s%s: without it there is no %s", on->user,
		    command, *object ? " on " : "", *object ? object + 1 : "", lost);
}

/* False: it is missing. */
static bool check_right(const struct examination *on, const struct right *right)
{
	char room[WORDS_MAX][WORD_SIZE], object[WORD_SIZE + 2] = "", command[64];
	const char *words[WORDS_MAX];
	size_t count = 0;
	struct error err = {0};

	for (; count < WORDS_MAX && right->words[count]; count++) {
		words[count] = expand(on, right->words[count], room[count]);
		if (*right->words[count] == '@')
			snprintf(object, sizeof(object), "~%s", words[count]);
	}
	if (fleet_bus_ask(on->bus, words, count, ignore, NULL, &err) == 0 || !is_denied(&err))
		return true;
	snprintf(command, sizeof(command), "%s%s%s", words[0], strcmp(words[0], "XGROUP") == 0 ? "|" : "",
		 strcmp(words[0], "XGROUP") == 0 ? words[1] : "");
	add_missing(on, right->state, command, object, right->lost);
	return false;
}

/* --- channels --- */

static void ignore_event(void *ctx, const json_t *event)
{
	(void)ctx;
	(void)event;
}

static bool check_subscribe(const struct examination *on, const char *channel, const char *lost)
{
	struct fleet_target probe = *on->target;
	char object[WORD_SIZE];
	struct error err = {0};

	probe.events = (char *)(uintptr_t)channel;
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = fleet_bus_new(&probe, ignore_event, NULL, &err);
	if (bus || !is_denied(&err))
		return true;
	snprintf(object, sizeof(object), "&%s", channel);
	add_missing(on, FINDING_FAULT, "SUBSCRIBE", object, lost);
	return false;
}

static bool check_publish(const struct examination *on, const char *channel, const char *lost)
{
	const char *const multi[] = {"MULTI"}, *const publish[] = {"PUBLISH", channel, ""},
			  *const discard[] = {"DISCARD"};
	const struct fleet_words commands[] = {{multi, 1}, {publish, 3}, {discard, 1}};
	struct error errors[3] = {0}, err = {0};
	char object[WORD_SIZE];
	int codes[3];

	if (fleet_bus_ask_all(on->bus, commands, 1, codes, errors, &err) < 0 || codes[0] < 0) {
		finding_add(on->findings, FINDING_NOTE, "acl", "allow +multi +discard to find out",
			    "whether user %s may PUBLISH on %s is not known", on->user, channel);
		return true;
	}
	if (fleet_bus_ask_all(on->bus, commands + 1, 2, codes + 1, errors + 1, &err) < 0 || codes[1] == 0 ||
	    !is_denied(&errors[1]))
		return true;
	snprintf(object, sizeof(object), "&%s", channel);
	add_missing(on, FINDING_FAULT, "PUBLISH", object, lost);
	return false;
}

static void check_rights(const struct examination *on)
{
	const struct fleet_target *target = on->target;
	const bool stream = on->config && *on->config->redis.stream;
	bool all;

	if (on->config)
		all = check_subscribe(on, target->channel, "request from the channel");
	else
		all = check_subscribe(on, target->events, "answer from the nodes");
	if (on->config)
		all &= check_publish(on, target->events, "event for readers");
	else
		all &= check_publish(on, target->channel, "request to the nodes");
	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++) {
		const enum role role = rights[i].role;

		if (role == ROLE_OPERATOR ? !on->config : on->config && (role == ROLE_DAEMON || stream))
			all &= check_right(on, &rights[i]);
	}
	if (all)
		finding_add(on->findings, FINDING_OK, "acl", "", "user %s of Redis may do what it needs", on->user);
}

/* --- the fleet --- */

struct versions {
	const char *names[VERSIONS_MAX];
	const char *examples[VERSIONS_MAX]; /* a node of each */
	uint64_t counts[VERSIONS_MAX];
	size_t count;
};

static void count_version(struct versions *versions, const json_t *node, const json_t *presence)
{
	size_t i = 0;

	while (i < versions->count && strcmp(versions->names[i], json_text(presence, "version")) != 0)
		i++;
	if (i == VERSIONS_MAX)
		return;
	if (i == versions->count) {
		versions->names[versions->count] = json_text(presence, "version");
		versions->examples[versions->count++] = json_text(node, "node");
	}
	versions->counts[i]++;
}

static void check_versions(struct findings *findings, const struct versions *versions)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(FINDING_TEXT_MAX);

	if (versions->count < 2)
		return;
	for (size_t i = 0; i < versions->count; i++) {
		if (buffer_printf(&text, "%s%.64s on %" PRIu64 " (such as %.64s)", i ? ", " : "", versions->names[i],
				  versions->counts[i], versions->examples[i]) < 0)
			break;
	}
	finding_add(findings, FINDING_WARNING, "versions", "bring all nodes to one version",
		    "nodes have different versions: %s", buffer_text(&text));
}

static size_t check_node(struct findings *findings, const json_t *node, const json_t *presence)
{
	const json_t *redis = json_object_get(presence, "redis");
	const double ahead_s = -json_number_value(json_object_get(json_object_get(redis, "clock"), "offset"));
	const char *name = json_text(node, "node");
	size_t found = 0;

	if (json_is_true(json_object_get(presence, "name_taken")) && ++found)
		finding_add(findings, FINDING_FAULT, "names", "give each a general.node of its own",
			    "two daemons are called %s", name);
	if (json_is_false(json_object_get(redis, "requests")) && ++found)
		finding_add(findings, FINDING_FAULT, "fleet", "run `pcapctl doctor` there",
			    "node %s takes no requests from Redis", name);
	if (fabs(ahead_s) > CLOCK_DIFFERENCE_S && ++found)
		finding_add(findings, FINDING_WARNING, "clocks", "synchronise its clock (NTP)",
			    "the clock of node %s is %.3g s %s Redis's", name, fabs(ahead_s),
			    ahead_s > 0 ? "ahead of" : "behind");
	return found;
}

static void check_fleet(const struct examination *on)
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	struct versions versions = {0};
	size_t i, up = 0, found = 0;
	struct error err;
	json_t *node;

	if (fleet_bus_nodes(on->bus, &nodes, &err) < 0) {
		if (!is_denied(&err))
			finding_add_error(on->findings, FINDING_WARNING, "fleet", &err);
		else
			finding_add(on->findings, FINDING_NOTE, "fleet",
				    "use --redis with an operator's user to see it",
				    "user %s may not read which nodes there are", on->user);
		return;
	}
	json_array_foreach(nodes, i, node)
	{
		const json_t *presence = json_object_get(node, "presence");

		if (!json_is_object(presence))
			continue;
		up++;
		count_version(&versions, node, presence);
		if (found < NODES_NAMED)
			found += check_node(on->findings, node, presence);
	}
	check_versions(on->findings, &versions);
	finding_add(on->findings, up ? FINDING_OK : FINDING_NOTE, "fleet", "", "%zu nodes of the fleet are up", up);
}

void doctor_redis(struct findings *findings, const struct fleet_target *target, const struct config *config)
{
	struct error err;
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = fleet_bus_new(target, NULL, NULL, &err);
	const struct examination on = {
		.findings = findings,
		.target = target,
		.config = config,
		.bus = bus,
		.user = target->username && *target->username ? target->username : "default",
	};

	if (!bus && config)
		finding_add(findings, FINDING_FAULT, "redis",
			    "check host, port, username, auth_file and tls of [redis], and the firewall", "%.*s",
			    (int)(strstr(err.text, "; ") ? strstr(err.text, "; ") - err.text : WORD_SIZE), err.text);
	else if (!bus)
		finding_add_error(findings, FINDING_FAULT, "redis", &err);
	if (!bus)
		return;
	finding_add(findings, FINDING_OK, "redis", "", "%s answers", fleet_bus_name(bus));
	check_rights(&on);
	check_fleet(&on);
}
