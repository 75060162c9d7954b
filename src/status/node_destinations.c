/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts come from sinks, which have taken secrets out of them. */
#include "status/node_destinations.h"

#include <string.h>

#include "base/clock.h"
#include "sink/delivery.h"
#include "sink/destination_check.h"
#include "sink/report_text.h"

#define ERROR_MAX 256 /* bytes of an error in the status, which is published often */

static json_t *time_json(uint64_t realtime_ns)
{
	char text[CLOCK_TEXT_SIZE];

	return realtime_ns ? json_string(clock_format(realtime_ns, text)) : NULL;
}

/* With three digits. */
static json_t *seconds_json(uint64_t ns)
{
	const uint64_t ms = ns / NS_PER_MS;

	return json_real((double)ms / 1000);
}

static const char *none_if_empty(const char *text)
{
	return text && *text ? text : NULL;
}

static const char *state_of(const struct destination_status *status)
{
	if (status->breaker != BREAKER_CLOSED)
		return "failing";
	return status->running ? "busy" : "idle";
}

static json_t *destination_json(const struct destination_status *status)
{
	json_t *last_error = NULL;

	if (*status->last_error)
		last_error =
			json_pack("{so* ss}", "time", time_json(status->last_error_ns), "error", status->last_error);
	return json_pack("{ss ss ss* sb ss ss so* sI s{sI sI} so* so*}", "name", status->name, "type", status->type,
			 "address", none_if_empty(status->address), "enabled", status->enabled, "state",
			 state_of(status), "breaker", breaker_state_name(status->breaker), "breaker_wait",
			 status->breaker_wait_ns ? seconds_json(status->breaker_wait_ns) : NULL, "breaker_openings",
			 (json_int_t)status->breaker_openings, "waiting", "files", (json_int_t)status->waiting_files,
			 "bytes", (json_int_t)status->waiting_bytes, "last_error", last_error, "last_success",
			 time_json(status->last_success_ns));
}

json_t *node_destinations_json(const struct deliveries *deliveries)
{
	struct destination_status status[SINKS_MAX];
	const size_t count = deliveries_status(deliveries, status);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, destination_json(&status[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *node_destinations_failing_json(const struct deliveries *deliveries)
{
	struct destination_status status[SINKS_MAX];
	const size_t count = deliveries_status(deliveries, status);
	json_t *array = NULL;

	for (size_t i = 0; i < count; i++) {
		char error[ERROR_MAX];

		if (status[i].breaker == BREAKER_CLOSED)
			continue;
		array = array ? array : json_array();
		report_text_copy(error, sizeof(error), status[i].last_error);
		json_array_append_new(array, json_pack("{ss ss}", "name", status[i].name, "error", error));
	}
	return array;
}

json_t *node_destinations_check_json(const struct destination_check_result *results, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct destination_check_result *result = &results[i];
		json_t *object =
			json_pack("{ss ss ss* sb ss* so* ss* ss* ss* so}", "name", result->name, "type", result->type,
				  "address", none_if_empty(result->address), "ok", result->ok, "url", result->url,
				  "removed", result->ok ? json_boolean(result->removed) : NULL, "error", result->error,
				  "hint", result->hint, "warning", result->warning, "seconds",
				  seconds_json(result->took_ns));

		if (json_array_append_new(array, object) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}
