/* SPDX-License-Identifier: BSD-2-Clause */
/* Recognised by what every one of them has: so on any node, whatever rule and configuration made it. */
#include "alert/alert_own.h"

#include <string.h>

static bool has_text(const json_t *object, const char *key)
{
	return json_is_string(json_object_get(object, key));
}

/* As event.c writes it. */
static bool is_event(const json_t *object)
{
	return json_is_integer(json_object_get(object, "v")) && has_text(object, "event") && has_text(object, "node");
}

/* As rules publish it: for one node, with an id. */
static bool is_request(const json_t *object)
{
	return has_text(object, "node") && has_text(object, "id") &&
	       (json_is_array(json_object_get(object, "interface")) ||
		json_is_array(json_object_get(object, "alias")) || json_is_true(json_object_get(object, "stop")));
}

/* A line of syslog, whose message may be one of the others. */
static bool is_line(const json_t *object, const char *tag)
{
	const char *app = json_string_value(json_object_get(object, "app"));
	const json_t *message = json_object_get(object, "json");

	return (app && strcmp(app, tag) == 0 && has_text(object, "message")) || is_event(message) ||
	       is_request(message);
}

bool alert_is_own(const json_t *alert, const char *tag)
{
	return is_event(alert) || is_request(alert) || is_line(alert, tag);
}
