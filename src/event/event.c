/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An event as JSON. The keys have a fixed order for human readers; programs must not rely on it. Text comes from
 * requests, the kernel and servers, and may be any bytes: since jansson refuses invalid UTF-8, it is replaced byte by
 * byte first. Numbers are exact up to 2^63-1.
 */
#include "event/event.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

#define EVENT_VERSION 1
#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define REPLACEMENT_SIZE (sizeof(REPLACEMENT) - 1)

/* A JSON object under construction. `failed` is set by the first failure, and makes the whole fail. */
struct writer {
	json_t *object;
	bool failed;
};

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
		[EVENT_ACCEPTED] = "accepted",	   [EVENT_REJECTED] = "rejected",
		[EVENT_CAPTURED] = "captured",	   [EVENT_DONE] = "done",
		[EVENT_FAILED] = "failed",	   [EVENT_WARNING] = "warning",
		[EVENT_SUPPRESSED] = "suppressed", [EVENT_SPOOLED] = "spooled",
	};

	return names[kind];
}

static char *sanitise(const char *text)
{
	size_t left = strlen(text);
	char *clean = malloc(left * REPLACEMENT_SIZE + 1);
	char *end = clean;
	uint32_t code;

	if (!clean)
		return NULL;
	while (left > 0) {
		size_t size = utf8_decode(text, left, &code);

		end = size ? mempcpy(end, text, size) : mempcpy(end, REPLACEMENT, REPLACEMENT_SIZE);
		size = size ? size : 1;
		text += size;
		left -= size;
	}
	*end = '\0';
	return clean;
}

static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	cleanup(cleanup_free) char *clean = NULL;

	if (json)
		return json;
	clean = sanitise(text);
	return clean ? json_string(clean) : NULL;
}

static void put(struct writer *writer, const char *key, json_t *value)
{
	if (json_object_set_new(writer->object, key, value) < 0)
		writer->failed = true;
}

static void put_text(struct writer *writer, const char *key, const char *text)
{
	if (text)
		put(writer, key, text_json(text));
}

static void put_number(struct writer *writer, const char *key, uint64_t number)
{
	put(writer, key, json_integer(number < INT64_MAX ? (json_int_t)number : INT64_MAX));
}

static void put_time(struct writer *writer, const char *key, uint64_t realtime_ns)
{
	char text[CLOCK_TEXT_SIZE];

	if (realtime_ns)
		put(writer, key, json_string(clock_format(realtime_ns, text)));
}

/* The finished object, or NULL if it failed. */
static json_t *finish(struct writer *part)
{
	if (!part->failed)
		return part->object;
	json_decref(part->object);
	return NULL;
}

static json_t *window_json(const struct event *event)
{
	struct writer window = {.object = json_object()};

	put_time(&window, "from", event->window.from_ns);
	put_time(&window, "to", event->window.to_ns);
	put_time(&window, "asked_from", event->window.asked_from_ns);
	put_time(&window, "asked_to", event->window.asked_to_ns);
	put(&window, "complete", json_boolean(event->window.complete));
	return finish(&window);
}

static json_t *lost_json(const struct event *event)
{
	struct writer lost = {.object = json_object()};

	put_number(&lost, "kernel", event->lost.kernel);
	put_number(&lost, "evicted", event->lost.evicted);
	put_number(&lost, "memory", event->lost.memory);
	if (event->lost.at_least)
		put(&lost, "at_least", json_true());
	return finish(&lost);
}

static void put_positive(struct writer *writer, const char *key, uint64_t number)
{
	if (number)
		put_number(writer, key, number);
}

/* Whole seconds as an integer. */
static void put_seconds(struct writer *writer, const char *key, uint64_t ns)
{
	if (ns && ns % NS_PER_S == 0)
		put_number(writer, key, ns / NS_PER_S);
	else if (ns)
		put(writer, key, json_real((double)ns / NS_PER_S));
}

static void put_limits(struct writer *writer, const struct event_limits *limits)
{
	struct writer inner = {.object = json_object()};

	put_positive(&inner, "packets", limits->packets);
	put_positive(&inner, "bytes", limits->bytes);
	put_positive(&inner, "snap", limits->snap);
	put_seconds(&inner, "duration", limits->duration_ns);
	put_seconds(&inner, "idle", limits->idle_ns);
	json_t *object = finish(&inner);
	if (!object || json_object_size(object))
		put(writer, "limits", object);
	else
		json_decref(object);
}

static json_t *limit_json(const struct event *event)
{
	struct writer limit = {.object = json_object()};

	put_text(&limit, "key", event->limit_key);
	put_number(&limit, "value", event->limit);
	return finish(&limit);
}

static json_t *nic_json(const struct event *event)
{
	struct writer nic = {.object = json_object()};

	put_positive(&nic, "rx_dropped", event->nic.rx_dropped);
	put_positive(&nic, "rx_missed_errors", event->nic.rx_missed_errors);
	put_positive(&nic, "queue_drops", event->nic.queue_drops);
	return finish(&nic);
}

static json_t *destination_json(const struct event_destination *destination)
{
	struct writer writer = {.object = json_object()};

	put_text(&writer, "name", destination->name);
	put(&writer, "ok", json_boolean(destination->ok));
	put_text(&writer, "url", destination->url);
	put_text(&writer, "error", destination->error);
	put_text(&writer, "warning", destination->warning);
	put_number(&writer, "attempts", destination->attempts);
	if (destination->streamed)
		put_number(&writer, "delivered", destination->delivered);
	return finish(&writer);
}

/* Those that failed before it was tried become a list in it. */

static json_t *destinations_json(const struct event *event)
{
	cleanup(cleanup_json) json_t *array = json_array();
	cleanup(cleanup_json) json_t *failed = NULL;

	for (size_t i = 0; i < event->destination_count; i++) {
		json_t *object = destination_json(&event->destinations[i]);

		if (event->destinations[i].superseded) {
			failed = failed ? failed : json_array();
			if (json_array_append_new(failed, object) < 0)
				return NULL;
			continue;
		}
		if (failed && json_object_set_new(object, "instead_of", take(failed)) < 0) {
			json_decref(object);
			return NULL;
		}
		if (json_array_append_new(array, object) < 0)
			return NULL;
	}
	return take(array);
}

static json_t *skipped_json(const struct event *event)
{
	cleanup(cleanup_json) json_t *array = json_array();

	for (size_t i = 0; i < event->skipped_count; i++) {
		struct writer writer = {.object = json_object()};

		put_text(&writer, "interface", event->skipped[i].interface);
		put_text(&writer, "reason", event->skipped[i].reason);
		if (json_array_append_new(array, finish(&writer)) < 0)
			return NULL;
	}
	return take(array);
}

/* The number of the request; a string if it turns out not to be a number. */
static json_t *alertid_json(const struct event *event)
{
	json_t *number = NULL;

	if (event->alertid_is_integer)
		number = json_loads(event->alertid, JSON_DECODE_ANY, NULL);
	if (json_is_integer(number))
		return number;
	json_decref(number);
	return text_json(event->alertid);
}

static void put_counted(struct writer *writer, const struct event *event)
{
	if (!event->counted)
		return;
	put_number(writer, "packets", event->packets);
	put_number(writer, "bytes", event->bytes);
	put_time(writer, "first", event->first_ns);
	put_time(writer, "last", event->last_ns);
	put(writer, "window", window_json(event));
	put(writer, "lost", lost_json(event));
	put_number(writer, "seen", event->seen);
	put_text(writer, "ended_by", event->ended_by);
	if (event->limit_key)
		put(writer, "limit", limit_json(event));
	put_text(writer, "interface_state", event->interface_state);
	put_text(writer, "hint", event->hint);
	put_positive(writer, "odd_stamps", event->odd_stamps);
	if (event->nic.rx_dropped || event->nic.rx_missed_errors || event->nic.queue_drops)
		put(writer, "nic", nic_json(event));
	put_positive(writer, "truncated", event->truncated);
	put_positive(writer, "duplicates", event->duplicates);
}

char *event_json(const struct event *event)
{
	cleanup(cleanup_json) json_t *object = json_object();
	struct writer writer = {.object = object};

	put_number(&writer, "v", EVENT_VERSION);
	put_text(&writer, "event", event_kind_name(event->kind));
	put_text(&writer, "id", event->id);
	put_text(&writer, "capture", event->capture);
	put_text(&writer, "node", event->node);
	put_text(&writer, "interface", event->interface);
	put_time(&writer, "time", event->time_ns);
	put_text(&writer, "origin", event->origin);
	put_text(&writer, "key", event->key);
	put_text(&writer, "rule", event->rule);
	put_text(&writer, "filter", event->filter);
	put_text(&writer, "inner", event->inner);
	put_limits(&writer, &event->limits);
	put_text(&writer, "reason", event->reason);
	put_positive(&writer, "count", event->count);
	put_text(&writer, "field", event->field);
	if (event->duplicate)
		put(&writer, "duplicate", json_true());
	put_text(&writer, "folded_into", event->folded_into);
	put_time(&writer, "until", event->until_ns);
	put_counted(&writer, event);
	if (event->skipped_count > 0)
		put(&writer, "skipped", skipped_json(event));
	if (event->skipped_total > event->skipped_count)
		put_number(&writer, "skipped_total", event->skipped_total);
	if (event->destination_count > 0)
		put(&writer, "destinations", destinations_json(event));
	put_text(&writer, "file", event->file);
	put_text(&writer, "tags", event->tags);
	put_text(&writer, "customer", event->customer);
	if (event->alertid)
		put(&writer, "alertid", alertid_json(event));
	return writer.failed ? NULL : json_dumps(object, JSON_COMPACT);
}
