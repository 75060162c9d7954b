/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands nodes, status and get of a fleet. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_files.h"
#include "pcapctl/fleet/fleet_target.h"
#include "pcapctl/output/atomic_file.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/names_print.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/table.h"
#include "pcapctl/output/terminal.h"

#define NAMES_MAX 2048 /* bytes of names in a cell */
#define CLOCK_NOTE_S 1 /* a clock this far from the server's is worth a note */

static enum exit_status print_failure(const struct error *err)
{
	terminal_error("%s", err->text);
	return STATUS_FAILED;
}

static enum exit_status printed_status(int r)
{
	if (r < 0)
		terminal_error("cannot print the answer: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static int read_nodes(const struct command_context *context, json_t **nodes, struct error *err)
{
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = fleet_bus_new(context->target->fleet, NULL, NULL, err);

	return bus ? fleet_bus_nodes(bus, nodes, err) : -ENOTCONN;
}

/* --- names --- */

/* A node that is away has no status, but a name. */
static json_t *statuses_of(const json_t *nodes)
{
	json_t *statuses = json_array();
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		json_t *presence = json_object_get(node, "presence");

		json_array_append(statuses, json_is_object(presence) ? presence : node);
	}
	return statuses;
}

enum exit_status fleet_names(const struct command_context *context)
{
	const char *what = context->line->words[0];
	cleanup(cleanup_json) json_t *nodes = NULL;
	cleanup(cleanup_json) json_t *statuses = NULL;
	struct error err;

	if (!names_are_known(what)) {
		terminal_error("unknown kind of names; `pcapctl names --help` lists them");
		return STATUS_USAGE;
	}
	if (read_nodes(context, &nodes, &err) < 0)
		return print_failure(&err);
	statuses = statuses_of(nodes);
	return printed_status(names_print(context->terminal->results, what, statuses));
}

/* --- one line a node --- */

static uint64_t sum(const json_t *presence, const char *key)
{
	uint64_t total = 0;
	size_t i;
	json_t *interface;

	json_array_foreach(json_object_get(presence, "interfaces"), i, interface)
	{
		total += json_number(interface, key);
	}
	return total;
}

/* Deaf: it is up, but no request reaches it. */
static const char *state_of(const json_t *presence)
{
	const json_t *requests = json_object_get(json_object_get(presence, "redis"), "requests");

	if (!json_is_object(presence))
		return "away";
	if (*json_text(presence, "stopped"))
		return "stopped";
	return json_is_false(requests) ? "deaf" : "up";
}

static void state_cells(struct table *table, const json_t *node)
{
	const json_t *presence = json_object_get(node, "presence");
	const char *state = state_of(presence);
	char seen[CLOCK_TEXT_SIZE], text[FORMAT_SIZE];

	clock_format(json_number(node, "seen") * NS_PER_S, seen);
	snprintf(text, sizeof(text), "%.19sZ", seen);
	table_cell(table, json_text(node, "node"));
	table_cell_tone(table, state, terminal_tone_of(state));
	table_cell(table, text);
	table_cell(table, json_text(presence, "version"));
}

/* "eth0 12 s, eth1": how far back each can reach. */
static const char *reach_text(const json_t *presence, struct buffer *out)
{
	size_t i;
	json_t *interface;
	char text[FORMAT_SIZE];
	int r = 0;

	buffer_clear(out);
	json_array_foreach(json_object_get(presence, "interfaces"), i, interface)
	{
		const json_t *reach = json_object_get(interface, "reach");
		double value = json_number_value(reach);
		bool known = json_is_number(reach) && value >= 0 && value < 1e9;

		if (r == 0 && json_is_true(json_object_get(interface, "up")))
			r = buffer_printf(out, "%s%s%s%s", out->size ? ", " : "", json_text(interface, "name"),
					  known ? " " : "",
					  known ? format_duration((uint64_t)(value * NS_PER_S), text) : "");
	}
	return buffer_text(out);
}

static int print_nodes(const struct terminal *terminal, const json_t *nodes)
{
	static const struct table_column columns[] = {
		{"NODE", false}, {"STATE", false}, {"SEEN", false}, {"VERSION", false}, {"INTERFACES, REACH", false},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(NAMES_MAX);
	size_t i;
	json_t *node;

	if (!table)
		return -ENOMEM;
	json_array_foreach(nodes, i, node)
	{
		state_cells(table, node);
		table_cell(table, reach_text(json_object_get(node, "presence"), &text));
	}
	return table_print(table, terminal);
}

static int print_status(const struct terminal *terminal, const json_t *nodes)
{
	static const struct table_column columns[] = {
		{"NODE", false},      {"STATE", false}, {"SEEN", false},   {"VERSION", false}, {"CAPTURES", true},
		{"DELIVERING", true}, {"MEMORY", true}, {"PACKETS", true}, {"DROPPED", true},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	char text[FORMAT_SIZE];
	size_t i;
	json_t *node;

	if (!table)
		return -ENOMEM;
	json_array_foreach(nodes, i, node)
	{
		const json_t *presence = json_object_get(node, "presence"), *load = json_object_get(presence, "load");
		bool is_up = json_is_object(load);

		state_cells(table, node);
		table_cell(table, is_up ? format_count(json_number(load, "captures"), text) : "");
		table_cell(table, is_up ? format_count(json_number(load, "delivering"), text) : "");
		table_cell(table, is_up ? format_bytes(json_number(load, "memory"), text) : "");
		table_cell(table, is_up ? format_count(sum(presence, "packets"), text) : "");
		table_cell(table, is_up ? format_count(sum(presence, "dropped"), text) : "");
	}
	return table_print(table, terminal);
}

/* What is wrong with a node, below the table. */
static void note_faults(const struct terminal *terminal, const json_t *nodes)
{
	size_t i;
	json_t *node;
	char name[256];

	json_array_foreach(nodes, i, node)
	{
		const json_t *presence = json_object_get(node, "presence");
		const json_t *clock = json_object_get(json_object_get(presence, "redis"), "clock");
		const double ahead_s = -json_number_value(json_object_get(clock, "offset"));

		printable(name, sizeof(name), json_text(node, "node"));
		if (strcmp(state_of(presence), "deaf") == 0)
			terminal_note(terminal, "%s is up, but receives no requests from Redis: its log says why",
				      name);
		if (json_is_true(json_object_get(presence, "name_taken")))
			terminal_note(terminal, "two daemons call themselves %s: give each a general.node of its own",
				      name);
		if (fabs(ahead_s) > CLOCK_NOTE_S)
			terminal_note(terminal, "%s: its clock is %.3g s %s Redis's", name, fabs(ahead_s),
				      ahead_s > 0 ? "ahead of" : "behind");
	}
}

static enum exit_status show_nodes(const struct command_context *context,
				   int (*show)(const struct terminal *terminal, const json_t *nodes))
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;

	if (read_nodes(context, &nodes, &err) < 0)
		return print_failure(&err);
	if (context->terminal->json)
		answer = json_pack("{s:O}", "nodes", nodes);
	if (context->terminal->json && (!answer || json_print(context->terminal, answer, false) < 0))
		return printed_status(-ENOMEM);
	if (json_array_size(nodes) == 0) {
		terminal_error(
			"no node is present on the channel \"%s\"; is it the daemons' channel ([redis] channel), "
			"and is [redis] presence on?",
			context->target->fleet->channel);
		return STATUS_FAILED;
	}
	if (context->terminal->json)
		return STATUS_OK;
	const int r = show(context->terminal, nodes);
	if (r == 0)
		note_faults(context->terminal, nodes);
	return printed_status(r);
}

/* --- forgetting --- */

static int check_forgettable(const json_t *nodes, const char *name, struct error *err)
{
	size_t i;
	json_t *node;
	char shown[256];

	json_array_foreach(nodes, i, node)
	{
		const char *state = state_of(json_object_get(node, "presence"));

		if (strcmp(json_text(node, "node"), name) != 0)
			continue;
		if (strcmp(state, "up") != 0 && strcmp(state, "deaf") != 0)
			return 0;
		return error_set(err, -EBUSY, "%s is up: stop its daemon first", printable(shown, sizeof(shown), name));
	}
	return error_set(err, -ENOENT, "no node \"%s\" is known; `pcapctl nodes` lists them",
			 printable(shown, sizeof(shown), name));
}

static enum exit_status forget_node(const struct command_context *context, const char *name)
{
	struct error err;
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = fleet_bus_new(context->target->fleet, NULL, NULL, &err);
	cleanup(cleanup_json) json_t *nodes = NULL;
	int r = bus ? fleet_bus_nodes(bus, &nodes, &err) : -ENOTCONN;

	if (r == 0)
		r = check_forgettable(nodes, name, &err);
	if (r == 0)
		r = fleet_bus_forget(bus, name, &err);
	return r < 0 ? print_failure(&err) : STATUS_OK;
}

enum exit_status fleet_nodes(const struct command_context *context)
{
	const char *forgotten = command_line_value(context->line, OPTION_FORGET);

	return forgotten ? forget_node(context, forgotten) : show_nodes(context, print_nodes);
}

enum exit_status fleet_status(const struct command_context *context)
{
	return show_nodes(context, print_status);
}

/* --- get --- */

/* Names of the nodes that have a file of this capture. */
static int find_owners(struct fleet_bus *bus, const char *capture, json_t **owners, struct error *err)
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	size_t i;
	json_t *node;
	int r = fleet_bus_nodes(bus, &nodes, err);

	*owners = json_array();
	json_array_foreach(nodes, i, node)
	{
		cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(FLEET_KEY_MAX),
						     head = BUFFER_INIT(FLEET_CHUNK_MAX);

		if (r == 0 && fleet_bus_file_key(bus, json_text(node, "node"), capture, &key) < 0)
			continue;
		if (r == 0)
			r = fleet_bus_list_element(bus, buffer_text(&key), 0, &head, err);
		if (r == 0)
			json_array_append(*owners, json_object_get(node, "node"));
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

static int find_owner(struct fleet_bus *bus, const struct command_line *line, char **owner, struct error *err)
{
	const char *capture = line->words[0], *given = command_line_value(line, OPTION_NODE);
	cleanup(cleanup_json) json_t *owners = NULL;
	char shown[2][256];
	int r = given ? 0 : find_owners(bus, capture, &owners, err);

	if (r < 0)
		return r;
	printable(shown[0], sizeof(shown[0]), capture);
	if (!given && json_array_size(owners) == 0)
		return error_set(err, -ENOENT,
				 "no node has left a file of \"%s\" in Redis; the id must be of a capture (the "
				 "request's id with a number, as in ID.1) that was delivered to \"redis\"",
				 shown[0]);
	if (!given && json_array_size(owners) > 1)
		return error_set(err, -EEXIST,
				 "%zu nodes have left a file of \"%s\" in Redis, such as %s: choose one with --node",
				 json_array_size(owners), shown[0],
				 printable(shown[1], sizeof(shown[1]), json_string_value(json_array_get(owners, 0))));
	*owner = strdup(given ? given : json_string_value(json_array_get(owners, 0)));
	return *owner ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int write_bytes(void *ctx, const void *bytes, size_t size)
{
	return atomic_file_write(ctx, bytes, size);
}

static int fetch(const struct command_context *context, char **saved, struct error *err)
{
	cleanup(cleanup_fleet_bus) struct fleet_bus *bus = fleet_bus_new(context->target->fleet, NULL, NULL, err);
	const char *to = command_line_value(context->line, OPTION_WRITE);
	cleanup(cleanup_atomic_file) struct atomic_file *file = NULL;
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(FLEET_KEY_MAX);
	cleanup(cleanup_free) char *owner = NULL;
	char name[FLEET_FILE_NAME_SIZE];
	int r = bus ? find_owner(bus, context->line, &owner, err) : -ENOTCONN;

	if (r < 0)
		return r;
	file = atomic_file_new(to, err);
	if (!file)
		return -EIO;
	if (fleet_bus_file_key(bus, owner, context->line->words[0], &key) < 0)
		return error_set(err, -EINVAL, "the id is too long");
	r = fleet_file_read(bus, buffer_text(&key), write_bytes, file, name, err);
	return r < 0 ? r : atomic_file_commit(file, name, saved, err);
}

enum exit_status fleet_fetch(const struct command_context *context)
{
	cleanup(cleanup_free) char *saved = NULL;
	cleanup(cleanup_json) json_t *answer = NULL;
	struct error err;
	int r = fetch(context, &saved, &err);

	if (r < 0) {
		print_failure(&err);
		return r == -EINTR ? STATUS_INTERRUPTED : STATUS_FAILED;
	}
	if (context->terminal->json) {
		answer = json_pack("{s:s}", RESULT_SAVED, saved);
		return printed_status(answer ? json_print(context->terminal, answer, false) : -EINVAL);
	}
	if (strcmp(saved, "-") != 0)
		fprintf(context->terminal->results, "%s\n", saved);
	return STATUS_OK;
}
