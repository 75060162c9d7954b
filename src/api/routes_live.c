/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /v1/live: a capture whose packets the client gets as they come, as one pcapng (or pcap) file. The parameters are
 * a request's fields. A refusal is an HTTP error; once the capture runs the answer begins, and ends with the file. When
 * the client goes the capture ends. If the daemon runs out of memory the connection breaks off, so that no client takes
 * half a file for a whole one.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "config/config.h"
#include "event/event.h"
#include "job/jobs.h"

#define PIECE_BYTES (64u * 1024) /* queued for the client at a time */
#define ORIGIN_SIZE 128
#define POLL_MS 100 /* packets of several interfaces become readable as time passes */

struct live_response {
	LIST_ENTRY(live_response) list;
	struct api *api;
	struct http_request *request; /* until the file begins */
	struct http_stream *stream;   /* afterwards */
	struct job_watch *watch;      /* until the file begins; NULL: it is over */
	struct live_output *output;
	struct event *timer;
	json_t *refusal; /* the event; NULL: it was not refused */
	int code;
	bool submitting;  /* inside jobs_request_live: must not be freed */
	bool over;	  /* the watch is gone */
	bool more_wanted; /* the client has taken what there was */
};

static void free_response(struct live_response *live)
{
	LIST_REMOVE(live, list);
	if (!live->over)
		job_watch_cancel(take(live->watch));
	if (live->timer)
		event_free(live->timer);
	if (live->output)
		live_output_close(live->output);
	json_decref(live->refusal);
	free(live);
}

/* The client is gone. */
static void on_gone(void *ctx)
{
	struct live_response *live = ctx;

	if (live->request)
		http_answer_error(take(live->request), 503, "the daemon is stopping");
	if (live->stream)
		http_stream_end(take(live->stream), false);
	free_response(live);
}

static void end_stream(struct live_response *live, bool whole)
{
	http_stream_end(take(live->stream), whole);
	free_response(live);
}

static void send_next_piece(struct live_response *live)
{
	uint8_t bytes[PIECE_BYTES];
	const size_t got = live_output_read(live->output, bytes, sizeof(bytes));

	if (got) {
		live->more_wanted = false;
		if (http_stream_write(live->stream, bytes, got) < 0)
			end_stream(live, false);
		return;
	}
	const enum live_output_state state = live_output_state(live->output);
	if (state == LIVE_OUTPUT_ENDED || state == LIVE_OUTPUT_FAILED)
		end_stream(live, state == LIVE_OUTPUT_ENDED);
}

static void on_more(void *ctx)
{
	struct live_response *live = ctx;

	live->more_wanted = true;
	send_next_piece(live);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct live_response *live = ctx;

	(void)fd;
	(void)events;
	if (live->stream && live->more_wanted)
		send_next_piece(live);
}

static void start_stream(struct live_response *live)
{
	const struct timeval interval = {.tv_usec = POLL_MS * 1000};
	const struct http_producer source = {.name = live_output_name(live->output),
					     .more = on_more,
					     .gone = on_gone,
					     .ctx = live};
	struct http_request *request = take(live->request);

	job_watch_cancel(take(live->watch));
	live->over = true;
	http_request_set_gone_handler(request, NULL, NULL);
	(void)event_add(live->timer, &interval);
	live->stream = http_answer_stream(request, live_output_is_pcap(live->output) ? API_TYPE_PCAP : API_TYPE_PCAPNG,
					  &source);
	if (!live->stream)
		free_response(live);
}

static void on_changed(void *ctx)
{
	struct live_response *live = ctx;

	if (live->request && live_output_state(live->output) == LIVE_OUTPUT_FAILED) {
		http_answer_error(take(live->request), 500, "out of memory");
		free_response(live);
	} else if (live->request) {
		start_stream(live);
	} else if (live->more_wanted) {
		send_next_piece(live);
	}
}

/* --- the job's events, until the file begins --- */

static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct live_response *live = ctx;

	if (event->kind != EVENT_REJECTED || live->refusal)
		return;
	live->refusal = json_loads(json, 0, NULL);
	live->code = event->code ? event->code : -EINVAL;
}

static void answer_refused(struct live_response *live)
{
	json_t *json = json_pack("{sO* sO* sO*}", "error", json_object_get(live->refusal, "reason"), "field",
				 json_object_get(live->refusal, "field"), "id", json_object_get(live->refusal, "id"));

	api_answer_json(take(live->request), error_http_status(live->code ? live->code : -ECANCELED), json);
	free_response(live);
}

static void on_finished(void *ctx, enum job_outcome outcome)
{
	struct live_response *live = ctx;

	(void)outcome;
	live->over = true;
	live->watch = NULL;
	if (!live->submitting)
		answer_refused(live);
}

void lives_cancel(struct api *api)
{
	struct live_response *live;

	while ((live = LIST_FIRST(&api->lives)))
		on_gone(live);
}

/* --- parameters --- */

static json_t *make_text(const char *text)
{
	return json_string(text);
}

static json_t *make_count(const char *text)
{
	char *end;

	errno = 0;
	const long long number = strtoll(text, &end, 10);
	return errno || *end || *text < '0' || *text > '9' ? NULL : json_integer(number);
}

static json_t *make_seconds(const char *text)
{
	uint64_t ns;

	if (quantity_parse_duration(text, &ns) < 0)
		return NULL;
	return ns % NS_PER_S ? json_real((double)ns / NS_PER_S) : json_integer((json_int_t)(ns / NS_PER_S));
}

static json_t *make_time(const char *text)
{
	uint64_t ns;

	return clock_parse(text, &ns) == 0 ? json_string(text) : make_seconds(text);
}

static json_t *make_alertid(const char *text)
{
	json_t *number = make_count(text);

	return number ? number : json_string(text);
}

static json_t *make_flag(const char *text)
{
	return strcmp(text, "0") == 0 ? json_false() : strcmp(text, "1") == 0 ? json_true() : NULL;
}

/* Names separated by commas. */
static json_t *make_names(const char *text)
{
	json_t *array = json_array();

	for (const char *at = text; array; at++) {
		const size_t size = strcspn(at, ",");

		if (json_array_append_new(array, json_stringn(at, size)) < 0) {
			json_decref(array);
			return NULL;
		}
		at += size;
		if (!*at)
			break;
	}
	return array;
}

static const struct {
	const char *name;
	json_t *(*make)(const char *text); /* NULL: invalid */
	const char *expectation;
} parameters[] = {
	{"interface", make_names, "names in UTF-8, separated by commas"},
	{"alias", make_names, "names in UTF-8, separated by commas"},
	{"bpf", make_text, "text in UTF-8"},
	{"inner", make_text, "text in UTF-8"},
	{"snap", make_count, "a number of bytes"},
	{"packets", make_count, "a number"},
	{"bytes", make_count, "a number of bytes"},
	{"timeout", make_seconds, "a duration such as 30s or 2m, or a number of seconds"},
	{"duration", make_seconds, "a duration such as 30s or 2m, or a number of seconds"},
	{"before", make_seconds, "a duration such as 30s or 2m, or a number of seconds"},
	{"from", make_time, "a time such as 2026-11-23T08:41:00.5Z, or Unix seconds"},
	{"to", make_time, "a time such as 2026-11-23T08:41:00.5Z, or Unix seconds"},
	{"tags", make_text, "text in UTF-8"},
	{"customer", make_text, "text in UTF-8"},
	{"alertid", make_alertid, "text in UTF-8"},
	{"comment", make_text, "text in UTF-8"},
	{"id", make_text, "text in UTF-8"},
	{"format", make_text, "pcapng or pcap"},
	{"logrequest", make_flag, "0 or 1"},
};

#define PARAMETER_COUNT (sizeof(parameters) / sizeof(*parameters))

/* The request's JSON, which the caller frees. NULL: the HTTP request is answered. */
static char *make_request(const struct api *api, struct http_request *http)
{
	const char *known[PARAMETER_COUNT + 1] = {NULL};
	json_t *request = json_pack("{ss}", "node", api->options.config->general.node);
	char *text = NULL;
	bool ok = request;

	for (size_t i = 0; i < PARAMETER_COUNT; i++)
		known[i] = parameters[i].name;
	if (!request)
		http_answer_error(http, 500, "out of memory");
	ok = ok && api_check_parameters(http, known);
	for (size_t i = 0; ok && i < PARAMETER_COUNT; i++) {
		const char *value;

		ok = api_parameter(http, parameters[i].name, &value);
		if (!ok || !value)
			continue;
		json_t *made = parameters[i].make(value);
		ok = made && json_object_set_new(request, parameters[i].name, made) == 0;
		if (!ok)
			http_answer_error(http, 400, "%s must be %s", parameters[i].name, parameters[i].expectation);
	}
	if (ok && !(text = json_dumps(request, JSON_COMPACT)))
		http_answer_error(http, 500, "out of memory");
	json_decref(request);
	return text;
}

static struct live_response *new_response(struct api *api, struct http_request *request)
{
	struct live_response *live = calloc(1, sizeof(*live));

	if (!live)
		return NULL;
	live->api = api;
	live->request = request;
	live->over = true; /* until it is submitted */
	LIST_INSERT_HEAD(&api->lives, live, list);
	live->timer = event_new(api->options.loop, -1, EV_PERSIST, on_timer, live);
	live->output = live_output_new(on_changed, live);
	if (live->timer && live->output)
		return live;
	free_response(live);
	return NULL;
}

static void submit(struct live_response *live, const char *json)
{
	const struct job_observer observer = {.event = on_event, .finished = on_finished, .ctx = live};
	char origin[ORIGIN_SIZE];
	const struct job_message message = {.origin = origin,
					    .bytes = json,
					    .size = strlen(json),
					    .live = live->output};

	snprintf(origin, sizeof(origin), "api:%s", http_request_peer(live->request));
	live->submitting = true;
	live->over = false;
	live->watch = jobs_request_live(live->api->options.jobs, &message, &observer);
	live->submitting = false;
	if (live->over) {
		answer_refused(live);
	} else if (!live->watch) {
		live->over = true;
		http_answer_error(take(live->request), 500, "out of memory");
		free_response(live);
	} else {
		http_request_set_gone_handler(live->request, on_gone, live);
	}
}

void route_live(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	cleanup(cleanup_free) char *json = make_request(api, request);

	if (!json)
		return;
	struct live_response *live = new_response(api, request);
	if (live)
		submit(live, json);
	else
		http_answer_error(request, 500, "out of memory");
}
