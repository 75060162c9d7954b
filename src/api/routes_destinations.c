/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /v1/destinations: how the destinations fare. POST /v1/destinations/check: tries them; the answer waits until each
 * has taken or refused the file, at most DESTINATION_CHECK_TIMEOUT_NS. One check runs at a time, since each uploads
 * something to every destination.
 */
#include "api/api_internal.h"
#include "sink/destination_check.h"
#include "status/node_destinations.h"
#include "status/node_status.h"

static void answer(const struct api *api, struct http_request *request, json_t *array)
{
	api_answer_json(request, 200,
			json_pack("{ss so}", "node", node_status_node(api->options.status), "destinations", array));
}

void route_destinations(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;

	if (api_check_parameters(request, api_no_parameters))
		answer(api, request, node_destinations_json(api->options.deliveries));
}

static void on_checked(void *ctx, const struct destination_check_result *results, size_t count)
{
	struct api *api = ctx;
	struct http_request *request = take(api->check_request);

	api->check = NULL;
	http_request_set_gone_handler(request, NULL, NULL);
	answer(api, request, node_destinations_check_json(results, count));
}

static void on_gone(void *ctx)
{
	struct api *api = ctx;

	destination_check_cancel(take(api->check));
	http_answer_error(take(api->check_request), 503, "the daemon is stopping"); /* not sent */
}

void route_check_destinations(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	const struct destination_check_options options = {.node = node_status_node(api->options.status)};

	if (!api_check_parameters(request, api_no_parameters))
		return;
	if (api->check) {
		http_answer_error(request, 409, "a check is running");
		return;
	}
	api->check = destination_check_start(api->options.loop, api->options.deliveries, &options, on_checked, api);
	if (!api->check) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	api->check_request = request;
	http_request_set_gone_handler(request, on_gone, api);
}
