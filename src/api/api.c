/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of routes, and helpers for all of them. The routes are in routes_*.c, by subject. */
#include "api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert_format.h"
#include "api/alert_signature.h"
#include "api/api_internal.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "request/request.h"
#include "sink/destination_check.h"

static const struct http_route routes[] = {
	{"POST", "/v1/captures", route_submit, .body_bytes_max = REQUEST_SIZE_MAX},
	{"GET", "/v1/captures", route_list, .body_bytes_max = 0},
	{"GET", "/v1/captures/*", route_show, .body_bytes_max = 0},
	{"DELETE", "/v1/captures/*", route_stop, .body_bytes_max = 0},
	{"GET", "/v1/captures/*/file", route_file, .body_bytes_max = 0},
	{"POST", "/v1/alerts/*", route_alert, .body_bytes_max = ALERT_MESSAGE_MAX, .any_type = true, .guests = true},
	{"GET", "/v1/rules", route_rules, .body_bytes_max = 0},
	{"GET", "/v1/interfaces", route_interfaces, .body_bytes_max = 0},
	{"GET", "/v1/history", route_history, .body_bytes_max = 0},
	{"GET", "/v1/live", route_live, .body_bytes_max = 0},
	{"GET", "/v1/events", route_events, .body_bytes_max = 0},
	{"GET", "/v1/destinations", route_destinations, .body_bytes_max = 0},
	{"POST", "/v1/destinations/check", route_check_destinations, .body_bytes_max = 0},
	{"GET", "/v1/status", route_status, .body_bytes_max = 0},
	{"GET", "/metrics", route_metrics, .body_bytes_max = 0},
	{"GET", "/healthz", route_health, .body_bytes_max = 0},
};

void api_answer_json(struct http_request *request, unsigned status, json_t *json)
{
	cleanup(cleanup_free) char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;

	json_decref(json);
	if (text)
		http_answer_json(request, status, text);
	else
		http_answer_error(request, 500, "out of memory");
}

const char *const api_no_parameters[] = {NULL};

bool api_check_parameters(struct http_request *request, const char *const *known)
{
	const char *unknown = http_request_unknown_parameter(request, known);

	if (unknown)
		http_answer_error(request, 400, "unknown parameter \"%s\"", unknown);
	return !unknown;
}

bool api_parameter(struct http_request *request, const char *name, const char **value)
{
	if (http_request_parameter(request, name, value) != -EINVAL)
		return true;
	http_answer_error(request, 400, "parameter %s is given twice", name);
	return false;
}

bool api_read_limit(struct http_request *request, size_t *limit)
{
	const char *text;
	char *end;
	if (!api_parameter(request, "limit", &text))
		return false;
	*limit = API_LIST_DEFAULT;
	if (!text)
		return true;
	errno = 0;
	const unsigned long value = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value < 1 || value > API_LIST_MAX) {
		http_answer_error(request, 400, "limit must be 1 to %d", API_LIST_MAX);
		return false;
	}
	*limit = value;
	return true;
}

/* Sources of alerts may hand over alerts, and nothing else. */
static const char *find_alert_source(void *ctx, const char *token, size_t size)
{
	const struct config_key *key = config_keyring_find_secret(ctx, token, size);

	return key ? key->name : NULL;
}

struct api *api_new(const struct api_options *options, struct error *err)
{
	const struct config *config = options->config;
	cleanup(cleanup_api) struct api *api = calloc(1, sizeof(*api));

	if (!api) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	api->options = *options;
	LIST_INIT(&api->histories);
	LIST_INIT(&api->lives);
	LIST_INIT(&api->listeners);
	LIST_INIT(&api->submissions);
	const struct http_server_options server = {
		.loop = options->loop,
		.routes = routes,
		.route_count = sizeof(routes) / sizeof(*routes),
		.ctx = api,
		.socket = config->api.socket,
		.group = config->api.group,
		.listen = config->api.listen,
		.secret = options->token,
		.guests = {.find = config->api.alert_tokens ? find_alert_source : NULL,
			   .ctx = config->api.alert_tokens,
			   .signatures = config->api.alert_keys ? alert_signature_headers : NULL},
		.cert_file = *config->api.cert_file ? config->api.cert_file : NULL,
		.key_file = *config->api.key_file ? config->api.key_file : NULL,
	};
	if (config->api.alert_keys && !(api->signatures = alert_signatures_new(config->api.alert_signature_age_ns))) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	api->server = http_server_new(&server, err);
	if (!api->server)
		return NULL;
	if (event_bus_subscribe(options->bus, api_on_event, api) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	log_notice("api-ready", log_str("socket", *config->api.socket ? config->api.socket : NULL),
		   log_str("listen", *config->api.listen ? config->api.listen : NULL));
	return take(api);
}

void api_stop(struct api *api)
{
	if (api)
		histories_stop(api);
}

void api_free(struct api *api)
{
	if (!api)
		return;
	event_bus_unsubscribe(api->options.bus, api_on_event, api);
	histories_stop(api);
	lives_cancel(api);
	http_server_free(api->server);
	destination_check_cancel(api->check);
	submissions_cancel(api);
	alert_signatures_free(api->signatures);
	free(api);
}
