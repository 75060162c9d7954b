/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON is read here, text in alert_text.c. */
#include "alert/alert_format.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert_path.h"
#include "alert/alert_text.h"
#include "base/utf8.h"
#include "request/request_peek.h"

static const char *const names[ALERT_FORMATS] = {
	[ALERT_FORMAT_EVE] = "eve",
	[ALERT_FORMAT_ZEEK] = "zeek",
	[ALERT_FORMAT_ALERTMANAGER] = "alertmanager",
	[ALERT_FORMAT_GRAFANA] = "grafana",
	[ALERT_FORMAT_FALCO] = "falco",
	[ALERT_FORMAT_WAZUH] = "wazuh",
	[ALERT_FORMAT_PAGERDUTY] = "pagerduty",
	[ALERT_FORMAT_OPSGENIE] = "opsgenie",
	[ALERT_FORMAT_ELASTIC] = "elastic",
	[ALERT_FORMAT_TRAP] = "trap",
	[ALERT_FORMAT_SYSLOG] = "syslog",
	[ALERT_FORMAT_KV] = "kv",
	[ALERT_FORMAT_JSON] = "json",
	[ALERT_FORMAT_REQUEST] = "request",
};

const char *alert_format_name(enum alert_format format)
{
	return names[format];
}

enum alert_format alert_format_find(const char *name)
{
	enum alert_format format = 0;

	while (format < ALERT_FORMATS && strcmp(names[format], name) != 0)
		format++;
	return format;
}

static int add(json_t *alerts, json_t *alert)
{
	return json_array_append(alerts, alert) < 0 ? -ENOMEM : 0;
}

static int add_each(json_t *alerts, const json_t *array, const char *where, struct error *err)
{
	size_t i;
	json_t *item;

	if (json_array_size(array) > ALERT_BATCH_MAX)
		return error_set(err, -EINVAL, "%s has more than %d alerts", where, ALERT_BATCH_MAX);
	json_array_foreach(array, i, item)
	{
		if (!json_is_object(item))
			return error_set(err, -EINVAL, "%s.%zu is not an object", where, i);
		if (add(alerts, item) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Alertmanager's and Grafana's: what holds for all of the message's alerts goes into each, if it has no such key. */
static int add_group(json_t *alerts, json_t *message, struct error *err)
{
	json_t *list = json_object_get(message, "alerts");
	size_t i;
	json_t *alert;

	if (!json_is_array(list))
		return error_set(err, -EINVAL, "the message has no array \"alerts\"");
	const int r = add_each(alerts, list, "alerts", err);
	if (r < 0)
		return r;
	json_object_del(message, "alerts");
	json_array_foreach(alerts, i, alert)
	{
		if (json_object_update_missing(alert, message) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Wazuh hands its active responses the alert inside a command: {"command":"add","parameters":{"alert":{…}}}. The alert
 * gets the `command`. */
static int add_wazuh(json_t *alerts, json_t *message)
{
	json_t *alert = json_object_get(json_object_get(message, "parameters"), "alert");

	if (!json_is_object(alert))
		return add(alerts, message);
	json_t *command = json_object_get(message, "command");
	if (command && json_object_set(alert, "command", command) < 0)
		return -ENOMEM;
	return add(alerts, alert);
}

static int add_json(enum alert_format format, json_t *message, json_t *alerts, struct error *err)
{
	const bool is_group = format == ALERT_FORMAT_ALERTMANAGER || format == ALERT_FORMAT_GRAFANA;

	if (json_is_object(message) && format == ALERT_FORMAT_WAZUH)
		return add_wazuh(alerts, message);
	if (json_is_object(message))
		return is_group ? add_group(alerts, message, err) : add(alerts, message);
	if (json_is_array(message) && !is_group)
		return add_each(alerts, message, "the message", err);
	return error_set(err, -EINVAL, is_group ? "is not an object" : "is neither an object nor an array of them");
}

static int read_json(enum alert_format format, const char *bytes, size_t size, json_t *alerts, struct error *err)
{
	json_error_t fault;

	if (request_peek_is_deeper(bytes, size, ALERT_DEPTH_MAX))
		return error_set(err, -EINVAL, "nests deeper than %d levels", ALERT_DEPTH_MAX);
	json_t *message = json_loadb(bytes, size, JSON_ALLOW_NUL, &fault);
	if (!message)
		return error_set(err, -EINVAL, "is not JSON: %s at line %d, column %d", fault.text, fault.line,
				 fault.column);
	const int r = add_json(format, message, alerts, err);
	json_decref(message);
	return r;
}

/* The number of its first bytes that are text: UTF-8 without NUL. */
static size_t text_bytes(const char *bytes, size_t size)
{
	size_t at = 0;

	while (at < size && bytes[at]) {
		uint32_t code;
		const size_t length = utf8_decode(bytes + at, size - at, &code);

		if (!length)
			break;
		at += length;
	}
	return at;
}

static int read_text(enum alert_format format, const char *bytes, size_t size, json_t *alerts, struct error *err)
{
	const size_t valid = text_bytes(bytes, size);

	if (valid < size)
		return error_set(err, -EINVAL, "is not UTF-8 text at byte %zu", valid);
	cleanup(cleanup_free) char *text = malloc(size + 1);
	json_t *alert = json_object();
	int r = text && alert ? 0 : -ENOMEM;
	if (r == 0) {
		memcpy(text, bytes, size);
		text[size] = '\0';
	}
	if (r == 0)
		r = format == ALERT_FORMAT_KV	    ? alert_text_read_pairs(text, alert, err)
		    : format == ALERT_FORMAT_SYSLOG ? alert_text_read_syslog(text, alert, err)
						    : alert_text_read_trap(text, alert, err);
	if (r == 0)
		r = add(alerts, alert);
	json_decref(alert);
	return r;
}

static bool is_text(enum alert_format format)
{
	return format == ALERT_FORMAT_KV || format == ALERT_FORMAT_SYSLOG || format == ALERT_FORMAT_TRAP;
}

int alert_format_read(enum alert_format format, const char *bytes, size_t size, struct error *err, json_t **result)
{
	if (format == ALERT_FORMAT_REQUEST)
		return error_set(err, -EINVAL, "is a request, which needs no rule");
	if (size > ALERT_MESSAGE_MAX)
		return error_set(err, -EINVAL, "is longer than %d bytes", ALERT_MESSAGE_MAX);
	json_t *alerts = json_array();
	if (!alerts)
		return error_set(err, -ENOMEM, "out of memory");
	const int r = is_text(format) ? read_text(format, bytes, size, alerts, err)
				      : read_json(format, bytes, size, alerts, err);
	if (r < 0) {
		json_decref(alerts);
		return r == -ENOMEM ? error_set(err, -ENOMEM, "out of memory") : r;
	}
	*result = alerts;
	return 0;
}
