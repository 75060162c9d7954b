/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The formats in which alerts come, each read into JSON objects that rules look at. Pure; any thread.
 *
 *     eve zeek falco wazuh pagerduty opsgenie elastic json    one JSON object, or an array of them
 *     alertmanager grafana    each of `alerts`, with what the message says of all of them
 *     kv                      key=value pairs, values in double or single quotes if they have blanks
 *     syslog                  RFC 5424, or RFC 3164 as daemons write it
 *     trap                    what snmptrapd hands to a traphandle
 *
 * `request` is our own JSON: no alert, so no rule sees it.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ALERT_MESSAGE_MAX (1024 * 1024) /* bytes */
#define ALERT_BATCH_MAX 1000		/* alerts in a message */
#define ALERT_PAIRS_MAX 256		/* in `kv`, structured data, variables of a trap */

enum alert_format {
	ALERT_FORMAT_EVE,
	ALERT_FORMAT_ZEEK,
	ALERT_FORMAT_ALERTMANAGER,
	ALERT_FORMAT_GRAFANA,
	ALERT_FORMAT_FALCO,
	ALERT_FORMAT_WAZUH,
	ALERT_FORMAT_PAGERDUTY,
	ALERT_FORMAT_OPSGENIE,
	ALERT_FORMAT_ELASTIC,
	ALERT_FORMAT_TRAP,
	ALERT_FORMAT_SYSLOG,
	ALERT_FORMAT_KV,
	ALERT_FORMAT_JSON,
	ALERT_FORMAT_REQUEST,
	ALERT_FORMATS,
};

const char *alert_format_name(enum alert_format format);

/* "eve" → ALERT_FORMAT_EVE; ALERT_FORMATS: no such format. */
enum alert_format alert_format_find(const char *name);

/* Reads a message into an array of objects, which the caller owns. -EINVAL with the fault and its place (always of
 * ALERT_FORMAT_REQUEST), or -ENOMEM. */
warn_unused int alert_format_read(enum alert_format format, const char *bytes, size_t size, struct error *err,
				  json_t **alerts);
