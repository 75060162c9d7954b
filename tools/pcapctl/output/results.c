/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events are untrusted and come from daemons of any version: a field that is missing or of another type counts as
 * empty, and all text is made printable.
 */
#include "pcapctl/output/results.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "pcapctl/cli/refusal_text.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/shortfall.h"
#include "pcapctl/output/table.h"

#define LOCATION_MAX 4000 /* bytes */
#define NAME_SIZE 128

static bool is_kind(const json_t *event, const char *kind)
{
	return strcmp(json_text(event, "event"), kind) == 0;
}

bool event_is_final(const json_t *event)
{
	return is_kind(event, "done") || is_kind(event, "failed") || is_kind(event, "rejected") ||
	       is_kind(event, "spooled");
}

bool event_is_rotated(const json_t *event)
{
	return strcmp(json_text(event, "reason"), "rotated") == 0 ||
	       strcmp(json_text(event, "ended_by"), "rotated") == 0;
}

bool event_is_success(const json_t *event)
{
	size_t i;
	json_t *destination;

	if (!is_kind(event, "done") || event_is_folded(event))
		return false;
	json_array_foreach(json_object_get(event, "destinations"), i, destination)
	{
		if (!json_is_true(json_object_get(destination, "ok")))
			return false;
	}
	return true;
}

bool event_is_empty(const json_t *event)
{
	return is_kind(event, "done") && strcmp(json_text(event, "reason"), "empty") == 0;
}

bool event_is_folded(const json_t *event)
{
	return is_kind(event, "done") && strcmp(json_text(event, "reason"), "folded") == 0;
}

bool event_is_suppressed(const json_t *event)
{
	return is_kind(event, "suppressed");
}

bool event_is_flood_of_alerts(const json_t *event)
{
	return event_is_suppressed(event) && strcmp(json_text(event, "reason"), "alerts") == 0;
}

bool event_is_duplicate(const json_t *event)
{
	return json_is_true(json_object_get(event, "duplicate"));
}

static const json_t *find_destination(const json_t *event, const char *name)
{
	size_t i;
	json_t *destination;

	json_array_foreach(json_object_get(event, "destinations"), i, destination)
	{
		if (strcmp(json_text(destination, "name"), name) == 0 &&
		    json_is_true(json_object_get(destination, "ok")))
			return destination;
	}
	return NULL;
}

const char *event_destination_url(const json_t *event, const char *name)
{
	return json_string_value(json_object_get(find_destination(event, name), "url"));
}

bool event_has_destination(const json_t *event, const char *name)
{
	return find_destination(event, name) != NULL;
}

enum exit_status results_status(const json_t *events, const struct results_view *view)
{
	size_t i, succeeded = 0, empty = 0, under_way = 0, short_of = 0, count = json_array_size(events);
	json_t *event;

	json_array_foreach(events, i, event)
	{
		succeeded += event_is_final(event) ? event_is_success(event) : view->accepted;
		short_of += event_is_cut_short(event, view->stopped_here) || event_is_incomplete(event);
		empty += event_is_empty(event);
		under_way += event_is_folded(event) || is_kind(event, "spooled");
	}
	if (succeeded == 0)
		return under_way ? STATUS_PARTIAL : STATUS_FAILED;
	if (succeeded < count || short_of > 0)
		return STATUS_PARTIAL;
	return empty == count ? STATUS_EMPTY : STATUS_OK;
}

/* --- the table --- */

static bool is_memory(const json_t *destination)
{
	return strcmp(json_text(destination, "name"), "memory") == 0;
}

/* Paths are those of the host that captured: to the file, or for "memory" to its control API, which is no link. */
static int append_destination(struct buffer *text, const json_t *event, const json_t *destination)
{
	const char *node = json_text(event, "node"), *url = json_text(destination, "url");

	if (is_memory(destination))
		return buffer_printf(text, "memory%s%.255s", *node ? " of " : "", node);
	if (*url == '/' && *node)
		return buffer_printf(text, "%.255s:%.2000s", node, url);
	return buffer_printf(text, "%.2000s", url);
}

/* Destinations that failed before this one was tried. */
static int append_superseded(struct buffer *text, const json_t *destination)
{
	const json_t *failed;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(destination, "instead_of"), i, failed)
	{
		if (r == 0)
			r = buffer_printf(text, " (%.64s: %.500s)", json_text(failed, "name"),
					  json_text(failed, "error"));
	}
	return r;
}

/* Where the packets are, or why there are none. */
static const char *packets_location(const json_t *event, struct buffer *text)
{
	const char *saved = json_text(event, RESULT_SAVED);
	size_t i;
	json_t *destination;
	int r = 0;

	buffer_clear(text);
	if (is_kind(event, "rejected"))
		return refusal_text(json_text(event, "field"), json_text(event, "reason"), text);
	if (event_is_folded(event))
		return buffer_printf(text, "request %.128s", json_text(event, "folded_into")) < 0 ? ""
												  : buffer_text(text);
	if (*saved)
		r = buffer_append_string(text, saved);
	else if (is_kind(event, "spooled"))
		r = buffer_append_string(text, "waits in the node's spool");
	json_array_foreach(json_object_get(event, "destinations"), i, destination)
	{
		const char *url = json_text(destination, "url"), *error = json_text(destination, "error");
		const char *warning = json_text(destination, "warning");
		bool ok = json_is_true(json_object_get(destination, "ok"));

		if (ok && *warning) { /* then there is no link */
			ok = false;
			error = warning;
		}
		if (r < 0 || (ok && (!*url || (*saved && is_memory(destination)))))
			continue;
		if (text->size)
			r = buffer_append_string(text, ", ");
		if (r == 0)
			r = ok ? append_destination(text, event, destination)
			       : buffer_printf(text, "%.64s: %.2000s", json_text(destination, "name"),
					       *error ? error : "failed");
		if (r == 0)
			r = append_superseded(text, destination);
	}
	return buffer_text(text);
}

static void add_row(struct table *table, const json_t *event, bool with_node)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(LOCATION_MAX);
	char number[FORMAT_SIZE];
	bool rejected = is_kind(event, "rejected"), counted = json_object_get(event, "packets");
	const char *kind = json_text(event, "event");

	if (with_node)
		table_cell(table, json_text(event, "node"));
	table_cell(table, json_text(event, "interface"));
	table_cell_tone(table, kind, terminal_tone_of(kind));
	table_cell(table, counted ? format_count(json_number(event, "packets"), number) : "");
	table_cell(table, counted ? format_bytes(json_number(event, "bytes"), number) : "");
	table_cell(table, rejected ? "" : json_text(event, "reason"));
	table_cell(table, packets_location(event, &text));
}

/* Shows the command for one capture, as an example. */
static void note_kept_files(const struct terminal *terminal, const json_t *events)
{
	char capture[NAME_SIZE], node[NAME_SIZE];
	size_t i;
	json_t *event;

	json_array_foreach(events, i, event)
	{
		const char *url = event_destination_url(event, "memory");

		if (!url || *json_text(event, RESULT_SAVED))
			continue;
		terminal_note(terminal, "`pcapctl get %s` on %s fetches the file from its memory",
			      printable_word(capture, sizeof(capture), json_text(event, "capture")),
			      printable(node, sizeof(node), json_text(event, "node")));
		return;
	}
}

int results_print(const struct terminal *terminal, const json_t *events, const struct results_view *view)
{
	static const struct table_column columns[] = {
		{"NODE", false}, {"INTERFACE", false}, {"RESULT", false}, {"PACKETS", true},
		{"BYTES", true}, {"ENDED BY", false},  {"WHERE", false},
	};
	size_t count = sizeof(columns) / sizeof(*columns) - !view->with_nodes, i;
	cleanup(cleanup_table) struct table *table = table_new(columns + !view->with_nodes, count);
	json_t *event;
	int r;

	if (!table)
		return -ENOMEM;
	json_array_foreach(events, i, event)
	{
		add_row(table, event, view->with_nodes);
	}
	r = table_print(table, terminal);
	json_array_foreach(events, i, event)
	{
		shortfall_print(terminal, event, view->stopped_here);
	}
	note_kept_files(terminal, events);
	return r;
}

static void print_folded(const json_t *event, const char *target_options, bool with_node, bool in_redis)
{
	char node[NAME_SIZE], into[NAME_SIZE], time[FORMAT_SIZE], until[NAME_SIZE];
	char node_word[NAME_SIZE], into_word[NAME_SIZE];
	bool ends = *json_text(event, "until");

	printable(node, sizeof(node), json_text(event, "node"));
	printable(into, sizeof(into), json_text(event, "folded_into"));
	printable_word(node_word, sizeof(node_word), json_text(event, "node"));
	printable_word(into_word, sizeof(into_word), json_text(event, "folded_into"));
	printable(until, sizeof(until), format_time(json_text(event, "until"), time));
	if (!with_node)
		terminal_error("folded into request %s%s%s: `pcapctl get %s%s` fetches its file when it is over", into,
			       ends ? ", which goes on until " : "", ends ? until : "", into_word, target_options);
	else if (in_redis)
		terminal_error(
			"%s folded it into request %s%s%s: `pcapctl get %s.1 --node %s%s` fetches its file when it "
			"is over",
			node, into, ends ? ", which goes on until " : "", ends ? until : "", into_word, node_word,
			target_options);
	else
		terminal_error("%s folded it into request %s%s%s: `pcapctl watch --id %s%s` shows where its file goes",
			       node, into, ends ? ", which goes on until " : "", ends ? until : "", into_word,
			       target_options);
}

void results_print_folded(const json_t *events, const char *target_options, bool with_nodes, bool in_redis)
{
	size_t i;
	json_t *event;

	json_array_foreach(events, i, event)
	{
		if (event_is_folded(event))
			print_folded(event, target_options, with_nodes, in_redis);
	}
}

/* --- one event --- */

static void print_field(FILE *out, const char *prefix, const char *text)
{
	char shown[1024];

	if (*text)
		fprintf(out, "%s%s", prefix, printable(shown, sizeof(shown), text));
}

void event_print(const struct terminal *terminal, const json_t *event)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(LOCATION_MAX);
	const char *kind = json_text(event, "event");
	enum tone tone = terminal_tone_of(kind);
	FILE *out = terminal->results;
	char number[FORMAT_SIZE], bytes[FORMAT_SIZE], kind_shown[NAME_SIZE];

	print_field(out, "", format_time(json_text(event, "time"), number));
	print_field(out, " ", json_text(event, "node"));
	print_field(out, " ", json_text(event, "interface"));
	fprintf(out, " %s%s%s", terminal_begin(terminal, tone), printable(kind_shown, sizeof(kind_shown), kind),
		terminal_end(terminal, tone));
	print_field(out, " ", *json_text(event, "capture") ? json_text(event, "capture") : json_text(event, "id"));
	if (event_is_suppressed(event))
		fprintf(out, " %s %s", format_count(json_number(event, "count"), number),
			event_is_flood_of_alerts(event) ? "alerts" : "events");
	if (event_is_flood_of_alerts(event))
		print_field(out, " of ", json_text(event, "origin"));
	else if (!is_kind(event, "rejected"))
		print_field(out, event_is_suppressed(event) ? ": " : " by ", json_text(event, "reason"));
	if (json_object_get(event, "packets"))
		fprintf(out, ", %s packets, %s", format_count(json_number(event, "packets"), number),
			format_bytes(json_number(event, "bytes"), bytes));
	print_field(out, ": ", packets_location(event, &text));
	fputc('\n', out);
	fflush(out);
}

/* A terminal may obey C1 controls, and marks of direction show text in another order: \\u escapes say the same. */
static void print_escaped(FILE *out, const char *text)
{
	uint32_t code;

	for (size_t step; *text; text += step) {
		step = utf8_decode(text, strlen(text), &code);
		step = step ? step : 1;
		if (step > 1 && utf8_is_unprintable(code))
			fprintf(out, "\\u%04x", (unsigned)code);
		else
			fwrite(text, 1, step, out);
	}
}

int json_print(const struct terminal *terminal, const json_t *json, bool line)
{
	FILE *out = terminal->results;
	cleanup(cleanup_free) char *text = json_dumps(json, line ? JSON_COMPACT : JSON_INDENT(2));

	if (!text)
		return -ENOMEM;
	if (isatty(fileno(out)))
		print_escaped(out, text);
	else
		fputs(text, out);
	fputc('\n', out);
	if (line)
		fflush(out);
	return 0;
}
