/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of daemons that do not tell the cause yet are judged by the reason alone. */
#include "pcapctl/output/shortfall.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define NAME_SIZE 128
#define LIST_MAX 4000 /* bytes */
#define CAUSE_SIZE 256
#define SKIPPED_SHOWN 8 /* interfaces; `--json` has them all */

/* "edge1 eth0" */
struct place {
	char text[2 * NAME_SIZE];
};

static struct place place_of(const json_t *event)
{
	char node[NAME_SIZE], interface[NAME_SIZE];
	struct place place;

	printable(node, sizeof(node), json_text(event, "node"));
	printable(interface, sizeof(interface), json_text(event, "interface"));
	snprintf(place.text, sizeof(place.text), "%s %s", node, interface);
	return place;
}

/* The reason, or what it was of an empty capture. */
static const char *end_of(const json_t *event)
{
	const char *ended_by = json_text(event, "ended_by");

	return *ended_by ? ended_by : json_text(event, "reason");
}

static bool has_limit(const json_t *event)
{
	return json_is_object(json_object_get(event, "limit"));
}

static bool is_captured(const json_t *event)
{
	return json_object_get(event, "packets") && !event_is_folded(event);
}

bool event_is_cut_short(const json_t *event, bool stopped_here)
{
	static const char *const causes[] = {"memory", "interface-gone", "shutdown"};
	const char *end = end_of(event);

	if (!is_captured(event))
		return false;
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		if (strcmp(end, causes[i]) == 0)
			return true;
	return has_limit(event) || (strcmp(end, "stopped") == 0 && !stopped_here);
}

bool event_is_incomplete(const json_t *event)
{
	return json_is_false(json_object_get(json_object_get(event, "window"), "complete")) ||
	       json_array_size(json_object_get(event, "skipped")) > 0;
}

/* --- why it ended --- */

static const char *limit_text(const json_t *limit, const char *is, char text[static CAUSE_SIZE])
{
	const uint64_t value = json_number(limit, "value");
	char key[NAME_SIZE], shown[FORMAT_SIZE];

	printable(key, sizeof(key), json_text(limit, "key"));
	if (strcmp(key, "general.maxpackets") == 0)
		format_count(value, shown);
	else if (value && value % MIB == 0)
		snprintf(shown, sizeof(shown), "%" PRIu64 " MiB", value / MIB);
	else
		format_bytes(value, shown);
	snprintf(text, CAUSE_SIZE, "%s (%s) is %s", key, shown, is);
	return text;
}

static const char *cause_of(const json_t *event, char text[static CAUSE_SIZE])
{
	static const struct {
		const char *end, *cause;
	} causes[] = {
		{"memory", "there was no memory for its packets"},
		{"interface-gone", "the interface is gone"},
		{"shutdown", "the daemon was stopped"},
		{"stopped", "it was stopped by a client"},
	};
	const char *end = end_of(event);

	if (has_limit(event))
		return limit_text(json_object_get(event, "limit"), strcmp(end, "memory") == 0 ? "full" : "reached",
				  text);
	snprintf(text, CAUSE_SIZE, "it was ended");
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		if (strcmp(causes[i].end, end) == 0)
			snprintf(text, CAUSE_SIZE, "%s", causes[i].cause);
	return text;
}

static bool parse_span(const json_t *window, const char *from, const char *to, double *seconds)
{
	uint64_t from_ns, to_ns;

	if (clock_parse(json_text(window, from), &from_ns) < 0 || clock_parse(json_text(window, to), &to_ns) < 0 ||
	    to_ns < from_ns)
		return false;
	*seconds = (double)(to_ns - from_ns) / NS_PER_S;
	return true;
}

static const char *seconds_text(double seconds, char text[static FORMAT_SIZE])
{
	if (seconds < 0.001)
		snprintf(text, FORMAT_SIZE, "less than 0.001 s");
	else
		snprintf(text, FORMAT_SIZE, seconds < 100 ? "%.3g s" : "%.0f s", seconds);
	return text;
}

static void print_end(const json_t *event)
{
	const json_t *window = json_object_get(event, "window");
	char cause[CAUSE_SIZE], shown[2][FORMAT_SIZE];
	double covered, asked;

	cause_of(event, cause);
	if (parse_span(window, "from", "to", &covered) && parse_span(window, "asked_from", "asked_to", &asked))
		terminal_error("%s: stopped after %s of %s: %s", place_of(event).text, seconds_text(covered, shown[0]),
			       seconds_text(asked, shown[1]), cause);
	else
		terminal_error("%s: stopped early: %s", place_of(event).text, cause);
}

/* --- what was lost --- */

/* False: nothing was. */
static bool print_lost(const json_t *event)
{
	const json_t *lost = json_object_get(event, "lost");
	const uint64_t kernel = json_number(lost, "kernel"), evicted = json_number(lost, "evicted"),
		       memory = json_number(lost, "memory");
	const bool at_least = json_is_true(json_object_get(lost, "at_least"));

	if (kernel + evicted + memory == 0)
		return false;
	terminal_error("%s: packets were lost: %" PRIu64 " dropped by the kernel, %" PRIu64
		       " overwritten before they were read, %s%" PRIu64 " for lack of memory",
		       place_of(event).text, kernel, evicted, at_least ? "at least " : "", memory);
	return true;
}

/* False: the start was not missed. */
static bool print_reach(const json_t *event)
{
	const json_t *window = json_object_get(event, "window");
	const char *from = json_text(window, "from"), *asked = json_text(window, "asked_from");
	char shown[2][FORMAT_SIZE], text[FORMAT_SIZE];

	if (!*asked || strcmp(asked, from) >= 0)
		return false;
	printable(shown[0], FORMAT_SIZE, format_time(from, text));
	printable(shown[1], FORMAT_SIZE, format_time(asked, text));
	if (strcmp(from, json_text(window, "to")) == 0)
		terminal_error("%s: nothing of the requested window is left", place_of(event).text);
	else
		terminal_error("%s: history reaches back only to %s, not to %s", place_of(event).text, shown[0],
			       shown[1]);
	return true;
}

/* The first SKIPPED_SHOWN interfaces that could not take part, and how many more. False: there are none. */
static bool print_skipped(const json_t *event)
{
	const json_t *skipped = json_object_get(event, "skipped"), *item;
	const uint64_t listed = json_array_size(skipped), total = json_number(event, "skipped_total");
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(LIST_MAX);
	uint64_t left = total > listed ? total : listed;
	char shown[LIST_MAX];
	size_t i;

	if (!left)
		return false;
	json_array_foreach(skipped, i, item)
	{
		if (i == SKIPPED_SHOWN || buffer_printf(&text, "%s%.64s (%.255s)", i ? ", " : "",
							json_text(item, "interface"), json_text(item, "reason")) < 0)
			break;
		left--;
	}
	terminal_error(left ? "%s: not captured: %s and %" PRIu64 " more" : "%s: not captured: %s",
		       place_of(event).text, printable(shown, sizeof(shown), buffer_text(&text)), left);
	return true;
}

/* What does not make the window incomplete. */
static void note_others(const struct terminal *terminal, const json_t *event)
{
	const json_t *nic = json_object_get(event, "nic");
	const uint64_t dropped = json_number(nic, "rx_dropped"), missed = json_number(nic, "rx_missed_errors"),
		       by_queues = json_number(nic, "queue_drops"), truncated = json_number(event, "truncated"),
		       duplicates = json_number(event, "duplicates");
	char hint[CAUSE_SIZE * 2];

	if (dropped + missed + by_queues > 0)
		terminal_note(terminal,
			      "%s: the interface lost packets before they could be captured: rx_dropped %" PRIu64
			      ", rx_missed_errors %" PRIu64 ", its queues %" PRIu64,
			      place_of(event).text, dropped, missed, by_queues);
	if (truncated > 0)
		terminal_note(terminal, "%s: %" PRIu64 " packets are not whole: the node held only their beginning",
			      place_of(event).text, truncated);
	if (duplicates > 0)
		terminal_note(terminal, "%s: %" PRIu64 " duplicates are left out", place_of(event).text, duplicates);
	if (event_is_empty(event) && *json_text(event, "hint"))
		terminal_note(terminal, "%s: %s", place_of(event).text,
			      printable(hint, sizeof(hint), json_text(event, "hint")));
}

void shortfall_print(const struct terminal *terminal, const json_t *event, bool stopped_here)
{
	const bool cut_short = event_is_cut_short(event, stopped_here);
	bool explained = cut_short;

	if (!is_captured(event))
		return;
	if (cut_short)
		print_end(event);
	explained |= print_lost(event);
	explained |= print_reach(event);
	explained |= print_skipped(event);
	if (!explained && event_is_incomplete(event))
		terminal_error("%s: incomplete: packets of the window may be missing", place_of(event).text);
	note_others(terminal, event);
}
