/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table maps options to fields of the request, with one parser for each kind of value. The daemon validates
 * everything again, against its limits; checks here only report errors sooner and in terms of the command line.
 */
#include "pcapctl/cli/request_build.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/when.h"
#include "request/request.h"

#define ID_RANDOM_BYTES 8

typedef json_t *(*value_parser)(const char *text); /* NULL: invalid */

json_t *request_seconds(uint64_t ns)
{
	if (ns % NS_PER_S == 0)
		return json_integer((json_int_t)(ns / NS_PER_S));
	return json_real((double)ns / NS_PER_S);
}

static json_t *parse_duration(const char *text)
{
	uint64_t ns;

	return quantity_parse_duration(text, &ns) < 0 || ns == 0 ? NULL : request_seconds(ns);
}

static json_t *parse_natural(const char *text)
{
	char *end;
	long long number;

	if (*text < '1' || *text > '9')
		return NULL;
	errno = 0;
	number = strtoll(text, &end, 10);
	return *end || errno ? NULL : json_integer(number);
}

static json_t *parse_snap(const char *text)
{
	json_t *number = parse_natural(text);

	if (number && json_integer_value(number) <= REQUEST_SNAP_MAX)
		return number;
	json_decref(number);
	return NULL;
}

static json_t *parse_size(const char *text)
{
	uint64_t bytes;

	if (quantity_parse_bytes(text, &bytes) < 0 || bytes == 0 || bytes > INT64_MAX)
		return NULL;
	return json_integer((json_int_t)bytes);
}

/* A time with its unit, or a number of seconds; else a size, as text. */
static json_t *parse_every(const char *text)
{
	json_t *seconds = parse_duration(text);
	json_t *size = seconds ? NULL : parse_size(text);

	if (!size)
		return seconds;
	json_decref(size);
	return json_string(text);
}

static json_t *parse_text(const char *text)
{
	return json_string(text); /* NULL if it is not UTF-8 */
}

/* A number stays a number, so that the alert's identifier comes back unchanged. */
static json_t *parse_alertid(const char *text)
{
	json_t *number = strcmp(text, "0") == 0 ? json_integer(0) : parse_natural(text);

	return number ? number : parse_text(text);
}

static json_t *parse_id(const char *text)
{
	static const char allowed[] = PLAIN_CHARACTERS;
	size_t size = strlen(text);

	return size > 64 || strspn(text, allowed) != size ? NULL : json_string(text);
}

static json_t *parse_format(const char *text)
{
	return strcmp(text, "pcapng") != 0 && strcmp(text, "pcap") != 0 ? NULL : json_string(text);
}

static json_t *parse_switch(const char *text)
{
	(void)text;
	return json_true();
}

static const struct {
	enum option_id option;
	const char *field;
	value_parser parse;
	const char *expectation;
} scalar_fields[] = {
	{OPTION_NODE, "node", parse_text, "a name in UTF-8"},
	{OPTION_NODERE, "nodere", parse_text, "an expression in UTF-8"},
	{OPTION_INNER, "inner", parse_text, "a filter in UTF-8"},
	{OPTION_SNAP, "snap", parse_snap, "a number of bytes from 1 to 262144"},
	{OPTION_PACKETS, "packets", parse_natural, "a number of packets"},
	{OPTION_BYTES, "bytes", parse_size, "a size like 10MiB"},
	{OPTION_TIMEOUT, "timeout", parse_duration, "a time like 30s or 2m"},
	{OPTION_DURATION, "duration", parse_duration, "a time like 30s or 2m"},
	{OPTION_BEFORE, "before", parse_duration, "a time like 30s or 2m"},
	{OPTION_TAGS, "tags", parse_text, "text in UTF-8"},
	{OPTION_CUSTOMER, "customer", parse_text, "text in UTF-8"},
	{OPTION_ALERTID, "alertid", parse_alertid, "a number or text in UTF-8"},
	{OPTION_COMMENT, "comment", parse_text, "text in UTF-8"},
	{OPTION_ID, "id", parse_id, "1 to 64 of the characters A-Z a-z 0-9 . _ -"},
	{OPTION_FORMAT, "format", parse_format, "pcapng or pcap"},
	{OPTION_DEDUPE, "dedupe", parse_text, "text in UTF-8"},
	{OPTION_DROP_DUPLICATES, "drop_duplicates", parse_switch, ""},
	{OPTION_FOLLOW, "follow", parse_switch, ""},
	{OPTION_FILES, "files", parse_natural, "a number of files"},
	{OPTION_EVERY, "every", parse_every, "a time like 60s or a size like 100MB"},
	{OPTION_STREAMED, "stream", parse_switch, ""},
	{OPTION_LOGREQUEST, "logrequest", parse_switch, ""},
	{OPTION_PACKETDEBUG, "packetdebug", parse_switch, ""},
};

static int set_field(json_t *request, const char *field, json_t *value, struct error *err)
{
	if (!value || json_object_set_new(request, field, value) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int set_scalars(json_t *request, const struct command_line *line, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(scalar_fields) / sizeof(*scalar_fields); i++) {
		const char *text = command_line_value(line, scalar_fields[i].option);
		json_t *value;

		if (!text)
			continue;
		value = scalar_fields[i].parse(text);
		if (!value)
			return error_set(err, -EINVAL, "--%s: must be %s", option_rows[scalar_fields[i].option].name,
					 scalar_fields[i].expectation);
		r = set_field(request, scalar_fields[i].field, value, err);
	}
	return r;
}

static int parse_when(const struct command_line *line, enum option_id option, uint64_t now_ns, uint64_t after_ns,
		      uint64_t *ns, struct error *err)
{
	const char *text = command_line_value(line, option);

	if (!text || when_parse(text, now_ns, after_ns, ns) == 0)
		return 0;
	return error_set(err, -EINVAL, "--%s: must be " WHEN_EXPECTATION, option_rows[option].name);
}

static int check_window(const struct command_line *line, struct error *err)
{
	static const enum option_id starts[] = {OPTION_LAST, OPTION_BEFORE, OPTION_AROUND, OPTION_FROM};
	const struct option_row *first = NULL;

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		if (!command_line_has(line, starts[i]))
			continue;
		if (first)
			return error_set(err, -EINVAL, "--%s and --%s exclude each other", first->name,
					 option_rows[starts[i]].name);
		first = &option_rows[starts[i]];
	}
	if (command_line_has(line, OPTION_AROUND) && command_line_has(line, OPTION_TO))
		return error_set(err, -EINVAL, "--around and --to exclude each other");
	return 0;
}

int request_window(const struct command_line *line, uint64_t *from_ns, uint64_t *to_ns, struct error *err)
{
	const char *around = command_line_value(line, OPTION_AROUND), *last = command_line_value(line, OPTION_LAST);
	const uint64_t now_ns = clock_realtime_ns();
	uint64_t last_ns = 0;

	*from_ns = *to_ns = 0;
	int r = check_window(line, err);
	if (r == 0 && around && when_parse_around(around, now_ns, from_ns, to_ns) < 0)
		r = error_set(err, -EINVAL, "--around: must be a time and a duration, as in 19:10,30s");
	if (r == 0)
		r = parse_when(line, OPTION_FROM, now_ns, 0, from_ns, err);
	if (r == 0)
		r = parse_when(line, OPTION_TO, now_ns, *from_ns, to_ns, err);
	if (r == 0 && last && (quantity_parse_duration(last, &last_ns) < 0 || !last_ns))
		r = error_set(err, -EINVAL, "--last: must be a time like 30s or 2m");
	if (r < 0 || !last)
		return r;
	const uint64_t end_ns = *to_ns && *to_ns < now_ns ? *to_ns : now_ns;
	*from_ns = last_ns < end_ns ? end_ns - last_ns : 1;
	return 0;
}

static int set_window(json_t *request, const struct command_line *line, struct error *err)
{
	char text[CLOCK_TEXT_SIZE];
	uint64_t from_ns, to_ns;
	int r = request_window(line, &from_ns, &to_ns, err);

	if (r == 0 && from_ns)
		r = set_field(request, "from", json_string(clock_format(from_ns, text)), err);
	if (r == 0 && to_ns)
		r = set_field(request, "to", json_string(clock_format(to_ns, text)), err);
	return r;
}

/* Each value of a repeatable option is a list of names separated by commas. */
static int append_names(json_t *array, const struct command_line *line, enum option_id option, struct error *err)
{
	const struct option_values *values = &line->values[option];

	for (size_t i = 0; i < values->count; i++) {
		for (const char *at = values->items[i];; at++) {
			size_t size = strcspn(at, ",");
			json_t *name = size ? json_stringn(at, size) : NULL;

			if (!name)
				return error_set(err, -EINVAL, "--%s: must be names, separated by commas",
						 option_rows[option].name);
			if (json_array_append_new(array, name) < 0)
				return error_set(err, -ENOMEM, "out of memory");
			at += size;
			if (!*at)
				break;
		}
	}
	return 0;
}

static int set_names(json_t *request, const struct command_line *line, enum option_id option, const char *field,
		     struct error *err)
{
	json_t *array;
	int r;

	if (!command_line_has(line, option))
		return 0;
	array = json_array();
	r = set_field(request, field, array, err);
	return r < 0 ? r : append_names(array, line, option, err);
}

static int set_destinations(json_t *request, const struct command_line *line, const struct request_plan *plan,
			    struct error *err)
{
	json_t *array;
	int r;

	if (!plan->destination && !command_line_has(line, OPTION_DESTINATION))
		return 0;
	array = json_array();
	r = set_field(request, "to_destinations", array, err);
	if (r == 0 && plan->destination && json_array_append_new(array, json_string(plan->destination)) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r < 0 ? r : append_names(array, line, OPTION_DESTINATION, err);
}

static int set_filter(json_t *request, const char *filter, struct error *err)
{
	json_t *text = json_string(filter);

	return text ? set_field(request, "bpf", text, err)
		    : error_set(err, -EINVAL, "the filter must be text in UTF-8");
}

static int set_id(json_t *request, struct error *err)
{
	uint8_t random[ID_RANDOM_BYTES];
	char id[8 + 2 * ID_RANDOM_BYTES + 1];
	size_t used = (size_t)snprintf(id, sizeof(id), "ctl-");

	if (json_object_get(request, "id"))
		return 0;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, -EIO, "no random numbers: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(random); i++)
		used += (size_t)snprintf(id + used, sizeof(id) - used, "%02x", random[i]);
	return set_field(request, "id", json_string(id), err);
}

static int check_exclusive(const struct command_line *line, struct error *err)
{
	static const struct {
		enum option_id first, second;
	} exclusive[] = {
		{OPTION_INTERFACE, OPTION_ALIAS}, {OPTION_NODE, OPTION_NODERE},	  {OPTION_WRITE, OPTION_MERGE},
		{OPTION_WRITE, OPTION_NO_FILE},	  {OPTION_MERGE, OPTION_NO_FILE},
	};

	for (size_t i = 0; i < sizeof(exclusive) / sizeof(*exclusive); i++)
		if (command_line_has(line, exclusive[i].first) && command_line_has(line, exclusive[i].second))
			return error_set(err, -EINVAL, "--%s and --%s exclude each other",
					 option_rows[exclusive[i].first].name, option_rows[exclusive[i].second].name);
	if (!command_line_has(line, OPTION_INTERFACE) && !command_line_has(line, OPTION_ALIAS))
		return error_set(err, -EINVAL,
				 "missing interface; name it with -i, or use -i any; `pcapctl status` lists them");
	return 0;
}

static int check_series(const struct command_line *line, const struct request_plan *plan, struct error *err)
{
	if (command_line_has(line, OPTION_FILES) != command_line_has(line, OPTION_EVERY))
		return error_set(err, -EINVAL, "--files and --every go together");
	if (command_line_has(line, OPTION_FILES) && (plan->merge || command_line_output(line)))
		return error_set(err, -EINVAL, "--files makes several files: leave out -w and --merge");
	if (command_line_has(line, OPTION_STREAMED) && !command_line_has(line, OPTION_NO_FILE))
		return error_set(err, -EINVAL,
				 "--streamed sends to the daemon's destinations, not here: add --no-file");
	return 0;
}

static bool has_several_interfaces(const json_t *request)
{
	return json_array_size(json_object_get(request, "interface")) > 1 ||
	       json_array_size(json_object_get(request, "alias")) > 1;
}

int request_build(const struct command_line *line, const struct request_plan *plan, json_t **result, struct error *err)
{
	cleanup(cleanup_json) json_t *request = json_object();
	int r = check_exclusive(line, err);

	if (r == 0 && command_line_has(line, OPTION_DROP_DUPLICATES) && !plan->merge)
		r = error_set(err, -EINVAL, "--drop-duplicates needs one file for all interfaces: -w or --merge");
	if (r == 0)
		r = check_series(line, plan, err);
	if (r == 0 && !request)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0 && !command_line_has(line, OPTION_NODE) && !command_line_has(line, OPTION_NODERE))
		r = set_field(request, "node", json_string("any"), err);
	if (r == 0)
		r = set_names(request, line, OPTION_INTERFACE, "interface", err);
	if (r == 0)
		r = set_names(request, line, OPTION_ALIAS, "alias", err);
	if (r == 0 && line->filter)
		r = set_filter(request, line->filter, err);
	if (r == 0)
		r = set_scalars(request, line, err);
	if (r == 0)
		r = set_window(request, line, err);
	if (r == 0 && command_line_wants_pcap(line) && !command_line_has(line, OPTION_FORMAT))
		r = set_field(request, "format", json_string("pcap"), err);
	if (r == 0 && command_line_wants_pcap(line) && command_line_output(line) && has_several_interfaces(request))
		r = error_set(err, -EINVAL,
			      "a pcap file holds one interface only: name one with -i, or write to a .pcapng file");
	if (r == 0 && plan->merge)
		r = set_field(request, "merge", json_true(), err);
	if (r == 0)
		r = set_destinations(request, line, plan, err);
	if (r == 0)
		r = set_names(request, line, OPTION_FIRST_OF, "first_of", err);
	if (r == 0)
		r = set_id(request, err);
	if (r == 0)
		*result = take(request);
	return r;
}

static uint64_t time_ns(const json_t *value)
{
	uint64_t ns = 0;

	if (json_is_string(value) && clock_parse(json_string_value(value), &ns) < 0)
		return 0;
	return json_is_number(value) ? (uint64_t)(json_number_value(value) * NS_PER_S) : ns;
}

uint64_t request_max_duration_ns(const json_t *request)
{
	uint64_t to_ns = time_ns(json_object_get(request, "to")), now_ns = clock_realtime_ns();
	const json_t *seconds = json_object_get(request, "duration");

	if (to_ns)
		return to_ns > now_ns ? to_ns - now_ns : 0;
	if (!seconds)
		seconds = json_object_get(request, "timeout");
	return (uint64_t)(json_number_value(seconds) * NS_PER_S);
}
