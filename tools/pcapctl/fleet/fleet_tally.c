/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node makes one capture for each interface, or one for all with "merge", and sends a final event for each; or it
 * sends one final event without a capture for the whole request (refused, or folded into another). Events may arrive
 * twice, in any order across nodes, and from nodes without known presence.
 */
#include "pcapctl/fleet/fleet_tally.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "request/request_node.h"

#define CAPTURES_PER_NODE_MAX 1024
#define NODES_ROOM 64 /* at first */

struct tally_node {
	char *name;
	bool expected, alive;
	bool known;	  /* to presence */
	bool deaf;	  /* it says that it receives no requests */
	char stopped[64]; /* since when; "": it was not stopped */
	bool lost;	  /* it is away, or has restarted and lost the request */
	uint64_t seen_s;
	char started[64]; /* from its first presence; of a durable request from its latest */
	json_t *captures; /* id → its latest event; "" is the request as a whole */
	uint64_t last_event_ns;
};

struct fleet_tally {
	char *id;
	size_t captures_per_node; /* at most; 0: unknown */
	bool durable;
	struct tally_node *nodes;
	size_t count, room;
	json_t *index; /* name → its place in `nodes` */
};

/* --- expected nodes --- */

static size_t count_captures(const json_t *request)
{
	const json_t *interfaces = json_object_get(request, "interface");
	size_t count = json_array_size(interfaces), distinct = 0, i;
	json_t *name;

	if (json_is_true(json_object_get(request, "merge")))
		return 1;
	json_array_foreach(interfaces, i, name)
	{
		bool is_repeat = false;

		if (strcmp(json_string_value(name), "any") == 0)
			return 0;
		for (size_t k = 0; k < i; k++)
			is_repeat |= json_equal(name, json_array_get(interfaces, k));
		distinct += !is_repeat;
	}
	return count ? distinct : 0;
}

/* 1, 0, or -EINVAL for an expression that daemons refuse. */
static int is_addressed(const json_t *request, const char *node, struct error *err)
{
	const json_t *name = json_object_get(request, "node"), *expression = json_object_get(request, "nodere");

	if (name)
		return request_node_is_named(json_string_value(name), json_string_length(name), node);
	int addressed = request_node_matches(json_string_value(expression), json_string_length(expression), node, err);
	if (addressed < 0)
		error_prefix(err, "--nodere");
	return addressed;
}

static struct tally_node *find_node(const struct fleet_tally *tally, const char *name)
{
	const json_t *place = json_object_get(tally->index, name);

	return place ? &tally->nodes[json_integer_value(place)] : NULL;
}

static struct tally_node *add_node(struct fleet_tally *tally, const char *name)
{
	struct tally_node *grown, *node;

	if (tally->count == 2 * FLEET_NODES_MAX)
		return NULL;
	if (tally->count == tally->room) {
		grown = reallocarray(tally->nodes, 2 * tally->room + NODES_ROOM, sizeof(*grown));
		if (!grown)
			return NULL;
		tally->nodes = grown;
		tally->room = 2 * tally->room + NODES_ROOM;
	}
	node = &tally->nodes[tally->count];
	*node = (struct tally_node){.name = strdup(name), .captures = json_object()};
	if (node->name && node->captures &&
	    json_object_set_new_nocheck(tally->index, name, json_integer((json_int_t)tally->count)) == 0) {
		tally->count++;
		return node;
	}
	free(node->name);
	json_decref(node->captures);
	return NULL;
}

static bool is_alive(const json_t *presence)
{
	return json_is_object(presence) && !*json_text(presence, "stopped");
}

static void note_presence(struct tally_node *node, const json_t *presence)
{
	node->alive |= is_alive(presence);
	node->deaf = json_is_false(json_object_get(json_object_get(presence, "redis"), "requests"));
	snprintf(node->stopped, sizeof(node->stopped), "%s", json_text(presence, "stopped"));
	snprintf(node->started, sizeof(node->started), "%s", json_text(presence, "started"));
}

static int expect_node(struct fleet_tally *tally, const json_t *request, const json_t *seen, struct error *err)
{
	const char *name = json_text(seen, "node");
	int addressed = is_addressed(request, name, err);
	struct tally_node *node;

	if (addressed <= 0)
		return addressed;
	node = add_node(tally, name);
	if (!node)
		return error_set(err, -ENOMEM, "out of memory");
	node->known = true;
	node->expected = !*json_text(json_object_get(seen, "presence"), "stopped") ||
			 strcmp(json_text(request, "node"), name) == 0;
	node->seen_s = json_number(seen, "seen");
	note_presence(node, json_object_get(seen, "presence"));
	return 0;
}

struct fleet_tally *fleet_tally_new(const json_t *request, const json_t *nodes, bool durable, struct error *err)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally = calloc(1, sizeof(*tally));
	size_t i;
	json_t *seen;

	error_set(err, -ENOMEM, "out of memory");
	if (!tally)
		return NULL;
	tally->id = strdup(json_text(request, "id"));
	tally->captures_per_node = count_captures(request);
	tally->durable = durable;
	/* Finds a bad expression even if there is no node to match. */
	tally->index = json_object();
	if (!tally->id || !tally->index || is_addressed(request, "node", err) < 0)
		return NULL;
	json_array_foreach(nodes, i, seen)
	{
		if (expect_node(tally, request, seen, err) < 0)
			return NULL;
	}
	return take(tally);
}

int fleet_tally_expect(struct fleet_tally *tally, const json_t *request, const json_t *names, struct error *err)
{
	size_t i, expected = 0;
	json_t *name;

	for (size_t k = 0; k < tally->count; k++)
		tally->nodes[k].expected = false;
	json_array_foreach(names, i, name)
	{
		const int addressed = is_addressed(request, json_string_value(name), err);
		struct tally_node *node = find_node(tally, json_string_value(name));

		if (addressed < 0)
			return addressed;
		if (!addressed)
			continue;
		node = node ? node : add_node(tally, json_string_value(name));
		if (!node)
			return error_set(err, -ENOMEM, "out of memory");
		node->expected = true;
		expected++;
	}
	return expected ? 0 : error_set(err, -ENOENT, "the request addresses none of the nodes that should answer");
}

bool fleet_tally_knows(const struct fleet_tally *tally, const char *name)
{
	const struct tally_node *node = find_node(tally, name);

	return node && node->known;
}

void fleet_tally_free(struct fleet_tally *tally)
{
	if (!tally)
		return;
	for (size_t i = 0; i < tally->count; i++) {
		free(tally->nodes[i].name);
		json_decref(tally->nodes[i].captures);
	}
	free(tally->nodes);
	json_decref(tally->index);
	free(tally->id);
	free(tally);
}

/* --- events and presence --- */

static bool is_known_kind(const json_t *event)
{
	const char *kind = json_text(event, "event");

	return event_is_final(event) || strcmp(kind, "accepted") == 0 || strcmp(kind, "captured") == 0;
}

int fleet_tally_event(struct fleet_tally *tally, const json_t *event, uint64_t now_ns, bool *changed)
{
	const char *capture = json_text(event, "capture"), *name = json_text(event, "node");
	struct tally_node *node;
	const json_t *previous;

	*changed = false;
	if (strcmp(json_text(event, "id"), tally->id) != 0 || !*name || !is_known_kind(event))
		return 0;
	node = find_node(tally, name);
	if (!node)
		node = add_node(tally, name);
	if (!node)
		return -ENOMEM;
	node->last_event_ns = now_ns;
	previous = json_object_get(node->captures, capture);
	if (previous && event_is_final(previous))
		return 0; /* repeated */
	if (!previous && json_object_size(node->captures) == CAPTURES_PER_NODE_MAX)
		return 0;
	*changed = true;
	return json_object_set(node->captures, capture, (json_t *)(uintptr_t)event) < 0 ? -ENOMEM : 0;
}

/* The nodes by name. NULL: out of memory. */
static json_t *index_presences(const json_t *nodes)
{
	json_t *by_name = json_object(), *seen;
	size_t i;

	json_array_foreach(nodes, i, seen)
	{
		if (json_object_set_nocheck(by_name, json_text(seen, "node"), seen) < 0) {
			json_decref(by_name);
			return NULL;
		}
	}
	return by_name;
}

/* Updates the counts of captures that are known to run. */
static void update_counts(struct tally_node *node, const json_t *presence)
{
	size_t i;
	json_t *reported;

	json_array_foreach(json_object_get(presence, "captures"), i, reported)
	{
		json_t *event = json_object_get(node->captures, json_text(reported, "capture"));

		if (!event || event_is_final(event))
			continue;
		json_object_set(event, "packets", json_object_get(reported, "packets"));
		json_object_set(event, "bytes", json_object_get(reported, "bytes"));
	}
}

void fleet_tally_presence(struct fleet_tally *tally, const json_t *nodes)
{
	cleanup(cleanup_json) json_t *by_name = index_presences(nodes);

	for (size_t i = 0; by_name && i < tally->count; i++) { /* without memory, the next reading counts */
		struct tally_node *node = &tally->nodes[i];
		const json_t *seen = json_object_get(by_name, node->name),
			     *presence = json_object_get(seen, "presence");
		bool away = !is_alive(presence);

		update_counts(node, presence);
		if (!away && (!node->alive || tally->durable))
			note_presence(node, presence);
		if (!node->alive)
			continue;
		node->lost = away || strcmp(json_text(presence, "started"), node->started) != 0;
		if (seen)
			node->seen_s = json_number(seen, "seen");
	}
}

/* --- results --- */

static bool has_answered(const struct tally_node *node)
{
	return json_object_size(node->captures) > 0;
}

static size_t count_finals(const struct tally_node *node)
{
	size_t final_count = 0;
	const char *capture;
	json_t *event;

	json_object_foreach(node->captures, capture, event)
	{
		final_count += event_is_final(event);
	}
	return final_count;
}

/* Files after which their series goes on. */
static size_t count_rotated(const struct tally_node *node)
{
	size_t rotated = 0;
	const char *capture;
	json_t *event;

	json_object_foreach(node->captures, capture, event)
	{
		rotated += event_is_rotated(event);
	}
	return rotated;
}

static bool is_complete(const struct fleet_tally *tally, const struct tally_node *node, uint64_t now_ns)
{
	size_t final_count = count_finals(node);

	if (node->lost)
		return true;
	if (!has_answered(node) || final_count < json_object_size(node->captures))
		return false;
	if (event_is_final(json_object_get(node->captures, "")))
		return true;
	final_count -= count_rotated(node);
	/* Fewer, if several names are one device's on that node. */
	if (final_count >= tally->captures_per_node && tally->captures_per_node > 0)
		return true;
	if (tally->captures_per_node == 1)
		return false;
	return now_ns >= node->last_event_ns + (tally->captures_per_node ? FLEET_SETTLE_NAMED_NS : FLEET_SETTLE_NS);
}

struct fleet_counts fleet_tally_counts(const struct fleet_tally *tally)
{
	struct fleet_counts counts = {0};

	for (size_t i = 0; i < tally->count; i++) {
		const struct tally_node *node = &tally->nodes[i];
		const char *capture;
		json_t *event;

		counts.expected += node->expected;
		counts.expected_alive += node->expected && node->alive;
		counts.answered += has_answered(node);
		json_object_foreach(node->captures, capture, event)
		{
			counts.ended += event_is_final(event);
			counts.running += !event_is_final(event);
			counts.packets += json_number(event, "packets");
			counts.bytes += json_number(event, "bytes");
		}
	}
	return counts;
}

static bool has_answered_fully(const struct fleet_tally *tally, const struct tally_node *node)
{
	size_t count = json_object_size(node->captures);
	bool reported = json_object_get(node->captures, "") ||
			count >= (tally->captures_per_node ? tally->captures_per_node : 1);

	if (node->lost && tally->durable) /* it will start its captures again */
		return reported && count_finals(node) == count;
	return node->lost || reported;
}

bool fleet_tally_answered(const struct fleet_tally *tally)
{
	for (size_t i = 0; i < tally->count; i++)
		if (tally->nodes[i].expected && !has_answered_fully(tally, &tally->nodes[i]))
			return false;
	return tally->count > 0;
}

bool fleet_tally_complete(const struct fleet_tally *tally, uint64_t now_ns)
{
	for (size_t i = 0; i < tally->count; i++)
		if (has_answered(&tally->nodes[i]) && !is_complete(tally, &tally->nodes[i], now_ns))
			return false;
	return true;
}

json_t *fleet_tally_events(const struct fleet_tally *tally)
{
	json_t *events = json_array();

	for (size_t i = 0; events && i < tally->count; i++) {
		const char *capture;
		json_t *event;

		json_object_foreach(tally->nodes[i].captures, capture, event)
		{
			json_array_append(events, event);
		}
	}
	return events;
}

static bool is_silent(const struct tally_node *node, bool to_the_end)
{
	return (node->expected && !has_answered(node)) ||
	       (to_the_end && count_finals(node) < json_object_size(node->captures));
}

json_t *fleet_tally_silent(const struct fleet_tally *tally, bool to_the_end)
{
	json_t *silent = json_array();

	for (size_t i = 0; silent && i < tally->count; i++)
		if (is_silent(&tally->nodes[i], to_the_end))
			json_array_append_new(silent, json_string(tally->nodes[i].name));
	return silent;
}

json_t *fleet_tally_unfinished(const struct fleet_tally *tally)
{
	json_t *unfinished = json_array();

	for (size_t i = 0; unfinished && i < tally->count; i++)
		if (!is_silent(&tally->nodes[i], false) && is_silent(&tally->nodes[i], true))
			json_array_append_new(unfinished, json_string(tally->nodes[i].name));
	return unfinished;
}

const char *fleet_tally_describe_silence(const struct fleet_tally *tally, const char *name,
					 char text[static FLEET_SILENCE_TEXT_SIZE])
{
	const struct tally_node *node = find_node(tally, name);
	char seen[CLOCK_TEXT_SIZE] = "", time[FORMAT_SIZE], shown[FORMAT_SIZE];

	if (node && node->seen_s)
		clock_format(node->seen_s * NS_PER_S, seen);
	if (node && node->lost && has_answered(node))
		snprintf(text, FLEET_SILENCE_TEXT_SIZE, "went away while it captured, last seen %.19sZ", seen);
	else if (node && has_answered(node))
		snprintf(text, FLEET_SILENCE_TEXT_SIZE, "has not finished");
	else if (node && *node->stopped)
		snprintf(text, FLEET_SILENCE_TEXT_SIZE, "never answered: it is stopped since %s",
			 printable(shown, sizeof(shown), format_time(node->stopped, time)));
	else if (node && node->deaf)
		snprintf(text, FLEET_SILENCE_TEXT_SIZE,
			 "never answered: it is up, but receives no requests from Redis");
	else if (*seen)
		snprintf(text, FLEET_SILENCE_TEXT_SIZE, "never answered, last seen %.19sZ", seen);
	else
		snprintf(text, FLEET_SILENCE_TEXT_SIZE, "never answered");
	return text;
}
