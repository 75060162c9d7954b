/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text comes from Redis, where other clients may have changed it: every type is checked, a value of the wrong type
 * counts as absent, and only an object without a valid kind is refused.
 */
#include "event/event_parse.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "event/event_copy.h"

#define DESTINATIONS_MAX 64
#define SKIPPED_MAX 4096

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static uint64_t number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
}

static uint64_t time_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	uint64_t realtime_ns = 0;

	return text && clock_parse(text, &realtime_ns) == 0 ? realtime_ns : 0;
}

static uint64_t duration_of(const json_t *object, const char *key)
{
	const double seconds = json_number_value(json_object_get(object, key));

	return seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * NS_PER_S + 0.5) : 0;
}

static struct event_limits limits_of(const json_t *object)
{
	return (struct event_limits){
		.packets = number_of(object, "packets"),
		.bytes = number_of(object, "bytes"),
		.snap = number_of(object, "snap"),
		.duration_ns = duration_of(object, "duration"),
		.idle_ns = duration_of(object, "idle"),
	};
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool find_kind(const char *name, enum event_kind *kind)
{
	for (int i = 0; name && i < EVENT_KINDS; i++) {
		*kind = (enum event_kind)i;
		if (strcmp(event_kind_name(*kind), name) == 0)
			return true;
	}
	return false;
}

static void read_counts(const json_t *object, struct event *event)
{
	const json_t *window = json_object_get(object, "window"), *lost = json_object_get(object, "lost");
	const json_t *nic = json_object_get(object, "nic");

	event->counted = json_is_integer(json_object_get(object, "packets"));
	event->packets = number_of(object, "packets");
	event->bytes = number_of(object, "bytes");
	event->first_ns = time_of(object, "first");
	event->last_ns = time_of(object, "last");
	event->window.from_ns = time_of(window, "from");
	event->window.to_ns = time_of(window, "to");
	event->window.asked_from_ns = time_of(window, "asked_from");
	event->window.asked_to_ns = time_of(window, "asked_to");
	event->window.complete = json_is_true(json_object_get(window, "complete"));
	event->lost.kernel = number_of(lost, "kernel");
	event->lost.evicted = number_of(lost, "evicted");
	event->lost.memory = number_of(lost, "memory");
	event->lost.at_least = json_is_true(json_object_get(lost, "at_least"));
	event->seen = number_of(object, "seen");
	event->ended_by = text_of(object, "ended_by");
	event->limit_key = text_of(json_object_get(object, "limit"), "key");
	event->limit = number_of(json_object_get(object, "limit"), "value");
	event->interface_state = text_of(object, "interface_state");
	event->hint = text_of(object, "hint");
	event->odd_stamps = number_of(object, "odd_stamps");
	event->nic.rx_dropped = number_of(nic, "rx_dropped");
	event->nic.rx_missed_errors = number_of(nic, "rx_missed_errors");
	event->nic.queue_drops = number_of(nic, "queue_drops");
	event->truncated = number_of(object, "truncated");
	event->duplicates = number_of(object, "duplicates");
}

/* Objects beyond the cap are left out. */
static void read_destination(const json_t *object, bool superseded, struct event_destination *list, size_t *count)
{
	const json_t *failed;
	const char *name = text_of(object, "name");
	size_t i;

	json_array_foreach(json_object_get(object, "instead_of"), i, failed)
	{
		if (!superseded) /* one level deep */
			read_destination(failed, true, list, count);
	}
	if (*count == DESTINATIONS_MAX)
		return;
	list[(*count)++] = (struct event_destination){
		.name = name ? name : "",
		.ok = json_is_true(json_object_get(object, "ok")),
		.url = text_of(object, "url"),
		.error = text_of(object, "error"),
		.warning = text_of(object, "warning"),
		.attempts = (unsigned)number_of(object, "attempts"),
		.superseded = superseded,
		.streamed = json_object_get(object, "delivered"),
		.delivered = number_of(object, "delivered"),
	};
}

static size_t read_destinations(const json_t *array, struct event_destination destinations[static DESTINATIONS_MAX])
{
	const json_t *object;
	size_t i, count = 0;

	json_array_foreach(array, i, object)
	{
		read_destination(object, false, destinations, &count);
	}
	return count;
}

/* Caller frees `*skipped`; NULL: there are none. */
static size_t read_skipped(const json_t *array, struct event_skipped **skipped)
{
	size_t count = json_array_size(array);

	if (count > SKIPPED_MAX)
		count = SKIPPED_MAX;
	*skipped = count ? calloc(count, sizeof(**skipped)) : NULL;
	for (size_t i = 0; *skipped && i < count; i++) {
		const json_t *object = json_array_get(array, i);
		const char *interface = text_of(object, "interface"), *reason = text_of(object, "reason");

		(*skipped)[i] = (struct event_skipped){interface ? interface : "", reason ? reason : ""};
	}
	return *skipped ? count : 0;
}

struct event *event_parse(const char *json, size_t size)
{
	cleanup(cleanup_json) json_t *object = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
	struct event_destination destinations[DESTINATIONS_MAX];
	cleanup(cleanup_free) struct event_skipped *skipped = NULL;
	char alertid[24];
	struct event event = {0};

	if (!json_is_object(object) || !find_kind(text_of(object, "event"), &event.kind))
		return NULL;
	const json_t *number = json_object_get(object, "alertid");
	event.id = text_of(object, "id");
	event.capture = text_of(object, "capture");
	event.node = text_of(object, "node");
	event.interface = text_of(object, "interface");
	event.time_ns = time_of(object, "time");
	event.reason = text_of(object, "reason");
	event.field = text_of(object, "field");
	event.origin = text_of(object, "origin");
	event.key = text_of(object, "key");
	event.rule = text_of(object, "rule");
	event.filter = text_of(object, "filter");
	event.inner = text_of(object, "inner");
	event.limits = limits_of(json_object_get(object, "limits"));
	event.folded_into = text_of(object, "folded_into");
	event.until_ns = time_of(object, "until");
	read_counts(object, &event);
	event.skipped_count = read_skipped(json_object_get(object, "skipped"), &skipped);
	event.skipped = skipped;
	event.skipped_total = number_of(object, "skipped_total");
	event.destinations = destinations;
	event.destination_count = read_destinations(json_object_get(object, "destinations"), destinations);
	event.file = text_of(object, "file");
	event.tags = text_of(object, "tags");
	event.customer = text_of(object, "customer");
	event.alertid = json_string_value(number);
	event.alertid_is_integer = json_is_integer(number);
	if (event.alertid_is_integer) {
		snprintf(alertid, sizeof(alertid), "%" JSON_INTEGER_FORMAT, json_integer_value(number));
		event.alertid = alertid;
	}
	return event_copy(&event);
}
