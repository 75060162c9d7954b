/* SPDX-License-Identifier: BSD-2-Clause */
/* The node's own status: interfaces, load, metrics, health. */
#include <string.h>

#include "api/api_internal.h"
#include "api/metrics.h"
#include "base/buffer.h"
#include "status/node_status.h"

#define METRICS_BYTES_MAX (2u << 20) /* METRICS_INTERFACES_MAX interfaces take about 600 KiB */

static void answer_text(struct http_request *request, char *json)
{
	if (json)
		http_answer_json(request, 200, json);
	else
		http_answer_error(request, 500, "out of memory");
	free(json);
}

void route_interfaces(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"limit", NULL};
	const struct api *api = ctx;
	struct error error;
	size_t limit;

	if (!api_check_parameters(request, known) || !api_read_limit(request, &limit))
		return;
	char *json = node_status_interfaces_json(api->options.status, limit, &error);
	if (json)
		answer_text(request, json);
	else
		http_answer_error(request, 503, "%s", error.text);
}

void route_status(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;

	if (api_check_parameters(request, api_no_parameters))
		answer_text(request, node_status_json(api->options.status));
}

/* OpenMetrics, unless the client prefers the older text format or accepts only that. */
void route_metrics(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(METRICS_BYTES_MAX);
	const unsigned open_quality = http_request_quality(request, "application/openmetrics-text");
	const bool open = open_quality > 0 && open_quality >= http_request_quality(request, "text/plain");
	struct metric_writer writer = {.out = &text, .format = open ? METRICS_OPENMETRICS : METRICS_TEXT_004};
	const struct metrics_source source = {
		.status = api->options.status,
		.gate = api->options.gate,
		.webhooks = api->options.webhooks,
		.deliveries = api->options.deliveries,
		.alerts = api->options.alerts,
		.http = http_server_counts(api->server),
	};
	const int r = metrics_write(&writer, &source);

	if (r < 0)
		http_answer_error(request, error_http_status(r), "%s", strerror(-r));
	else
		http_answer(request, 200, metric_content_type(writer.format), buffer_text(&text), text.size);
}

/* A daemon that answers is alive; it is ready if requests from Redis arrive, too. */
void route_health(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"ready", NULL};
	const struct api *api = ctx;
	const char *ready;

	if (!api_check_parameters(request, known) || !api_parameter(request, "ready", &ready))
		return;
	if (ready && strcmp(ready, "0") != 0 && strcmp(ready, "1") != 0) {
		http_answer_error(request, 400, "ready must be 0 or 1");
		return;
	}
	const bool is_ready = api->options.ready(api->options.ready_ctx);
	const bool check_ready = ready && strcmp(ready, "0") != 0;
	api_answer_json(request, check_ready && !is_ready ? 503 : 200,
			json_pack("{ss ss sb}", "status", check_ready && !is_ready ? "not ready" : "ok", "node",
				  node_status_node(api->options.status), "ready", is_ready));
}
