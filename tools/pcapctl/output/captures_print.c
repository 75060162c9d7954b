/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables for several items, lines of "name  value" for one. A missing value is "-". */
#include "pcapctl/output/captures_print.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/table.h"
#include "pcapctl/output/terminal.h"

#define LIST_MAX 2048 /* bytes of names in a cell */

static const char *join_names(const json_t *array, struct buffer *text)
{
	size_t i;
	json_t *name;

	buffer_clear(text);
	json_array_foreach(array, i, name)
	{
		const char *value = json_string_value(name);

		if (value && buffer_printf(text, "%s%s", text->size ? "," : "", value) < 0)
			break;
	}
	return buffer_text(text);
}

static const char *count_text(const json_t *object, const char *key, char text[static FORMAT_SIZE])
{
	return json_object_get(object, key) ? format_count(json_number(object, key), text) : "";
}

static const char *bytes_text(const json_t *object, const char *key, char text[static FORMAT_SIZE])
{
	return json_object_get(object, key) ? format_bytes(json_number(object, key), text) : "";
}

static const char *seconds_text(const json_t *object, const char *key, char text[static FORMAT_SIZE])
{
	double value = json_number_value(json_object_get(object, key));

	if (!json_is_number(json_object_get(object, key)) || !(value >= 0 && value < 1e9))
		return "";
	return format_duration((uint64_t)(value * NS_PER_S), text);
}

/* --- captures --- */

int captures_print(const struct terminal *terminal, const json_t *captures)
{
	static const struct table_column columns[] = {
		{"CAPTURE", false},  {"STATE", false}, {"INTERFACE", false}, {"PACKETS", true}, {"BYTES", true},
		{"ENDED BY", false}, {"SINCE", false}, {"FROM", false},	     {"FILTER", false}, {"FILE", false},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	char text[FORMAT_SIZE];
	size_t i;
	json_t *capture;

	if (!table)
		return -ENOMEM;
	json_array_foreach(captures, i, capture)
	{
		const char *state = json_text(capture, "state"), *id = json_text(capture, "capture");
		bool kept = json_is_true(json_object_get(capture, "kept"));

		table_cell(table, *id ? id : json_text(capture, "id"));
		table_cell_tone(table, state, terminal_tone_of(state));
		table_cell(table, json_text(capture, "interface"));
		table_cell(table, count_text(capture, "packets", text));
		table_cell(table, bytes_text(capture, "bytes", text));
		table_cell(table, json_text(capture, "reason"));
		table_cell(table, *json_text(capture, "time") ? format_time(json_text(capture, "time"), text) : "");
		table_cell(table,
			   *json_text(capture, "key") ? json_text(capture, "key") : json_text(capture, "origin"));
		table_cell(table, json_text(capture, "filter"));
		table_cell_tone(table, json_text(capture, "file"), kept ? TONE_PLAIN : TONE_FAINT);
	}
	return table_print(table, terminal);
}

static void print_value(const struct terminal *terminal, const char *path, const json_t *value)
{
	cleanup(cleanup_free) char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
	const char *text = json_is_string(value) ? json_string_value(value) : dump;
	char shown[2][4096];

	fprintf(terminal->results, "%s%-22s%s %s\n", terminal_begin(terminal, TONE_HEAD),
		printable(shown[0], sizeof(shown[0]), path), terminal_end(terminal, TONE_HEAD),
		printable(shown[1], sizeof(shown[1]), text ? text : "-"));
}

/* Prints objects in it one level deep, as "window.from", and destinations by name. */
int capture_print(const struct terminal *terminal, const json_t *capture)
{
	const char *key, *inner_key;
	json_t *value, *inner;
	char path[256];
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)capture, key, value)
	{
		if (strcmp(key, "destinations") == 0) {
			json_array_foreach(value, i, inner)
			{
				snprintf(path, sizeof(path), "to %s", json_text(inner, "name"));
				print_value(terminal, path,
					    json_object_get(inner, *json_text(inner, "url")	? "url"
								   : *json_text(inner, "error") ? "error"
												: "ok"));
			}
		} else if (json_is_object(value)) {
			json_object_foreach(value, inner_key, inner)
			{
				snprintf(path, sizeof(path), "%s.%s", key, inner_key);
				print_value(terminal, path, inner);
			}
		} else {
			print_value(terminal, key, value);
		}
	}
	return 0;
}

/* --- a daemon --- */

/* A ring that is smaller than it should be has "ring_asked". */
static const char *recorder_text(const json_t *interface)
{
	if (json_is_true(json_object_get(interface, "waiting")))
		return "waiting";
	if (!json_is_true(json_object_get(interface, "recorder")))
		return "off";
	return json_object_get(interface, "ring_asked") ? "shrunk" : "on";
}

static void interface_row(struct table *table, const json_t *interface)
{
	cleanup(buffer_deinit) struct buffer list = BUFFER_INIT(LIST_MAX);
	const json_t *rate = json_object_get(interface, "rate");
	const bool waiting = json_is_true(json_object_get(interface, "waiting"));
	const char *state = json_is_true(json_object_get(interface, "up")) ? "up" : waiting ? "none" : "down";
	char text[FORMAT_SIZE];

	table_cell(table, json_text(interface, "name"));
	table_cell_tone(table, state, terminal_tone_of(state));
	table_cell_tone(table, recorder_text(interface), waiting ? TONE_BAD : TONE_PLAIN);
	table_cell(table, seconds_text(interface, "reach", text));
	table_cell(table, count_text(interface, "captures", text));
	table_cell(table, count_text(rate, "packets", text));
	table_cell(table, bytes_text(rate, "bytes", text));
	table_cell(table, count_text(interface, "packets", text));
	table_cell(table, count_text(interface, "dropped", text));
	table_cell(table, join_names(json_object_get(interface, "aliases"), &list));
}

/* Destinations whose breakers are not closed. */
static void print_failing(const struct terminal *terminal, const json_t *failing)
{
	const json_t *destination;
	char name[LIST_MAX], error[LIST_MAX];
	size_t i;

	json_array_foreach(failing, i, destination)
	{
		fprintf(terminal->results, "%sfailing%s: %s: %s\n", terminal_begin(terminal, TONE_BAD),
			terminal_end(terminal, TONE_BAD), printable(name, LIST_MAX, json_text(destination, "name")),
			printable(error, LIST_MAX, json_text(destination, "error")));
	}
}

/* Prints nothing if the daemon does not use Redis. */
static void print_redis(const struct terminal *terminal, const json_t *redis)
{
	const bool requests = json_is_true(json_object_get(redis, "requests"));
	const bool events = json_is_true(json_object_get(redis, "events"));
	char text[FORMAT_SIZE];

	if (!json_is_object(redis))
		return;
	fprintf(terminal->results, "Redis: %s requests, %s events", requests ? "receiving" : "not receiving",
		events ? "sending" : "not sending");
	if (json_number(redis, "waiting") > 0)
		fprintf(terminal->results, ", %s waiting", format_count(json_number(redis, "waiting"), text));
	fputc('\n', terminal->results);
}

int status_print(const struct terminal *terminal, const json_t *status)
{
	static const struct table_column columns[] = {
		{"INTERFACE", false}, {"LINK", false},	 {"RECORDER", false}, {"REACH", true},	 {"CAPTURES", true},
		{"PKT/S", true},      {"BYTES/S", true}, {"PACKETS", true},   {"DROPPED", true}, {"ALIASES", false},
	};
	cleanup(cleanup_table) struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	cleanup(buffer_deinit) struct buffer list = BUFFER_INIT(LIST_MAX);
	const json_t *load = json_object_get(status, "load");
	char texts[5][FORMAT_SIZE], shown[4][LIST_MAX];
	size_t i;
	json_t *interface;

	if (!table)
		return -ENOMEM;
	fprintf(terminal->results, "node %s, pcapdaemon %s, running since %s\n",
		printable(shown[0], LIST_MAX, json_text(status, "node")),
		printable(shown[1], LIST_MAX, json_text(status, "version")),
		printable(shown[2], LIST_MAX, format_time(json_text(status, "started"), texts[0])));
	fprintf(terminal->results,
		"%s captures running, %s being delivered, %s of %s of memory in use; delivers to %s\n",
		format_count(json_number(load, "captures"), texts[1]),
		format_count(json_number(load, "delivering"), texts[2]),
		format_bytes(json_number(load, "memory"), texts[3]),
		format_bytes(json_number(load, "memory_limit"), texts[4]),
		printable(shown[3], LIST_MAX, join_names(json_object_get(status, "destinations"), &list)));
	print_failing(terminal, json_object_get(status, "failing"));
	print_redis(terminal, json_object_get(status, "redis"));
	fputc('\n', terminal->results);
	json_array_foreach(json_object_get(status, "interfaces"), i, interface)
	{
		interface_row(table, interface);
	}
	const int r = table_print(table, terminal);
	const uint64_t total = json_number(status, "interfaces_total");
	if (total > i)
		terminal_note(terminal, "%" PRIu64 " interfaces are not shown", total - i);
	return r;
}
