/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures: list them, show one, stop one, download its file. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "event/event.h"
#include "job/jobs.h"
#include "sink/memory_sink.h"

struct capture_list {
	const struct api *api;
	json_t *array;
	size_t max, total;
	char capture[REQUEST_ID_SIZE + 16]; /* of the last one visited */
	char state[16];
};

static json_t *json_uint(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

/* Looking for a file takes time, so only if one was kept at all. */
static bool is_kept(const struct api *api, const struct event *event)
{
	bool was_kept = false;

	for (size_t i = 0; event && event->capture && i < event->destination_count; i++)
		was_kept |= event->destinations[i].ok && strcmp(event->destinations[i].name, "memory") == 0;
	cleanup(cleanup_memory_file) struct memory_file *file =
		was_kept && api->options.memory ? memory_sink_find(api->options.memory, event->capture) : NULL;
	return file;
}

static bool is_live(const struct capture_view *view)
{
	static const char *const states[] = {"arming", "running", "delivering"};
	bool live = false;

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		live |= strcmp(view->state, states[i]) == 0;
	return live;
}

/* The latest event's members, plus the current state. */
static json_t *view_json(const struct api *api, const struct capture_view *view)
{
	char ends[CLOCK_TEXT_SIZE];
	cleanup(cleanup_free) char *text = view->event ? event_json(view->event) : NULL;
	json_t *json = text ? json_loads(text, 0, NULL)
			    : json_pack("{ss ss* ss*}", "id", view->id, "capture", view->capture, "interface",
					view->interface);

	json_object_set_new(json, "state", json_string(view->state));
	if (is_live(view)) {
		json_object_set_new(json, "packets", json_uint(view->packets));
		json_object_set_new(json, "bytes", json_uint(view->bytes));
	}
	if (is_live(view) && view->streamed)
		json_object_set_new(json, "delivered", json_uint(view->delivered));
	if (view->ends_ns)
		json_object_set_new(json, "ends", json_string(clock_format(view->ends_ns, ends)));
	if (is_kept(api, view->event))
		json_object_set_new(json, "kept", json_true());
	return json;
}

/* Live captures are listed even if the limit is used up by newer ones that have ended. */
static void add_capture(void *ctx, const struct capture_view *view)
{
	struct capture_list *capture_list = ctx;

	capture_list->total++;
	snprintf(capture_list->capture, sizeof(capture_list->capture), "%s", view->capture ? view->capture : "");
	snprintf(capture_list->state, sizeof(capture_list->state), "%s", view->state);
	const size_t max = is_live(view) ? API_LIST_MAX : capture_list->max;
	if (json_array_size(capture_list->array) < max)
		json_array_append_new(capture_list->array, view_json(capture_list->api, view));
}

void route_list(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"limit", NULL};
	struct api *api = ctx;
	struct capture_list capture_list = {.api = api, .array = json_array()};

	if (!api_check_parameters(request, known) || !api_read_limit(request, &capture_list.max)) {
		json_decref(capture_list.array);
		return;
	}
	jobs_visit_all(api->options.jobs, add_capture, &capture_list);
	api_answer_json(request, 200,
			json_pack("{so sI}", "captures", capture_list.array, "total", (json_int_t)capture_list.total));
}

static void answer_unknown(struct http_request *request, const char *id)
{
	http_answer_error(request, 404, "capture or request \"%s\" is unknown here, or forgotten by now", id);
}

void route_show(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	const char *id = http_request_segment(request, 0);

	if (!api_check_parameters(request, api_no_parameters))
		return;
	struct capture_list capture_list = {.api = api, .array = json_array(), .max = API_LIST_MAX};
	if (!jobs_visit(api->options.jobs, id, add_capture, &capture_list)) {
		json_decref(capture_list.array);
		answer_unknown(request, id);
	} else if (capture_list.total == 1 && strcmp(capture_list.capture, id) == 0) {
		json_t *only = json_incref(json_array_get(capture_list.array, 0));

		json_decref(capture_list.array);
		api_answer_json(request, 200, only);
	} else {
		api_answer_json(request, 200, json_pack("{so}", "captures", capture_list.array));
	}
}

void route_stop(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;
	const char *id = http_request_segment(request, 0);

	if (!api_check_parameters(request, api_no_parameters))
		return;
	const int stopped = jobs_stop(api->options.jobs, id);
	if (stopped == -ENOENT)
		answer_unknown(request, id);
	else if (!stopped)
		http_answer_error(request, 409, "\"%s\" has ended", id);
	else
		api_answer_json(request, 202, json_pack("{si}", "stopped", stopped));
}

/* --- the file --- */

struct download {
	struct memory_file *file;
	struct byte_stream stream;
};

static void release(void *ctx)
{
	struct download *download = ctx;

	memory_file_close(&download->stream);
	memory_file_unref(download->file);
	free(download);
}

static const char *type_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".pcap") == 0 ? API_TYPE_PCAP : API_TYPE_PCAPNG;
}

static void answer_file(struct http_request *request, struct memory_file *file)
{
	struct download *download = calloc(1, sizeof(*download));

	if (!download || !memory_file_open(file, &download->stream)) {
		free(download);
		memory_file_unref(file);
		http_answer_error(request, 500, "out of memory");
		return;
	}
	download->file = file;
	http_answer_file(request, &(struct http_file){
					  .stream = download->stream,
					  .type = type_of(memory_file_name(file)),
					  .name = memory_file_name(file),
					  .release = release,
					  .release_ctx = download,
				  });
}

/* Answers with the reason why there is no file of this id. */
static void answer_no_file(const struct api *api, struct http_request *request, const char *id)
{
	struct capture_list capture_list = {.api = api, .array = json_array(), .max = API_LIST_MAX};
	const size_t count = jobs_visit(api->options.jobs, id, add_capture, &capture_list);
	struct memory_file *file =
		count == 1 && api->options.memory ? memory_sink_find(api->options.memory, capture_list.capture) : NULL;
	const char *reason = json_string_value(json_object_get(json_array_get(capture_list.array, 0), "reason"));
	const bool empty = reason && strcmp(reason, "empty") == 0;

	json_decref(capture_list.array);
	if (!count)
		answer_unknown(request, id);
	else if (file)
		answer_file(request, file);
	else if (count > 1)
		http_answer_error(request, 409, "request \"%s\" has %zu captures: name one of them, %s.1 to %s.%zu", id,
				  count, id, id, count);
	else if (!api->options.memory)
		http_answer_error(request, 404, "not kept: files are not kept in memory (memory.bytes is 0)");
	else if (empty)
		http_answer_error(request, 404, "not kept: the capture was empty");
	else if (strcmp(capture_list.state, "done") == 0 || strcmp(capture_list.state, "failed") == 0)
		http_answer_error(request, 404,
				  "not kept: delivered to other destinations only, or removed by now "
				  "(memory.bytes, memory.seconds)");
	else
		http_answer_error(request, 404, "not kept: the capture is %s", capture_list.state);
}

void route_file(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;
	const char *id = http_request_segment(request, 0);

	if (!api_check_parameters(request, api_no_parameters))
		return;
	struct memory_file *file = api->options.memory ? memory_sink_find(api->options.memory, id) : NULL;
	if (file)
		answer_file(request, file);
	else
		answer_no_file(api, request, id);
}
