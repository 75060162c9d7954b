/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /v1/events: all published events, or those of one request, as they happen. */
#include <string.h>

#include "api/api_internal.h"
#include "event/event.h"
#include "request/request.h"

struct event_listener {
	LIST_ENTRY(event_listener) list;
	struct http_stream *stream;
	char id[REQUEST_ID_SIZE]; /* "": all requests */
};

static void on_gone(void *ctx)
{
	struct event_listener *listener = ctx;

	LIST_REMOVE(listener, list);
	http_stream_end(listener->stream, false);
	free(listener);
}

void api_on_event(void *ctx, const struct event *event, const char *json)
{
	const struct api *api = ctx;
	struct event_listener *listener;

	if (event->suppressed)
		return;
	LIST_FOREACH(listener, &api->listeners, list)
	{
		if (*listener->id && (!event->id || strcmp(listener->id, event->id) != 0))
			continue;
		http_sse_send(listener->stream, event_kind_name(event->kind), json); /* on failure `gone` follows */
	}
}

void route_events(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"id", NULL};
	struct api *api = ctx;
	const char *id;

	if (!api_check_parameters(request, known) || !api_parameter(request, "id", &id))
		return;
	if (id && strlen(id) >= REQUEST_ID_SIZE) {
		http_answer_error(request, 400, "id is too long");
		return;
	}
	struct event_listener *listener = calloc(1, sizeof(*listener));
	if (!listener) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	snprintf(listener->id, sizeof(listener->id), "%s", id ? id : "");
	listener->stream = http_answer_sse(request, on_gone, listener);
	if (listener->stream)
		LIST_INSERT_HEAD(&api->listeners, listener, list);
	else
		free(listener);
}
