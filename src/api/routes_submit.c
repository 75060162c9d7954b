/*
 * POST /v1/captures. The answer waits until every capture is armed or refused, or with ?wait=1 until all are final. The
 * captures go on whatever becomes of the client.
 */
#include <errno.h>
#include <string.h>

#include "api/api_routes.h"
#include "base/error.h"
#include "config/config.h"
#include "event/event.h"
#include "job/jobs.h"

#define ORIGIN_SIZE 128

struct submission {
	LIST_ENTRY(submission) list;
	struct api *api;
	struct http_request *http; /* NULL: answered, or the client is gone */
	struct job_watch *watch;
	bool wait;
	bool submitting; /* inside jobs_request: not to be freed */
	bool over;	 /* the watch is gone */
	bool admitted;
	size_t expected;  /* captures */
	json_t *settled;  /* by capture: armed, or refused */
	json_t *started;  /* array of what was armed */
	json_t *finals;	  /* by capture: the final event */
	int code;	  /* of the first refusal */
	struct error why; /* likewise */
	char field[64];
	char id[REQUEST_ID_SIZE];
	char folded_into[REQUEST_ID_SIZE];
};

static void free_submission(struct submission *submission)
{
	LIST_REMOVE(submission, list);
	json_decref(submission->settled);
	json_decref(submission->started);
	json_decref(submission->finals);
	free(submission);
}

/* Nothing more is to be heard or said. */
static void finish(struct submission *submission)
{
	if (!submission->over)
		job_watch_cancel(take(submission->watch));
	submission->over = true;
	if (!submission->submitting)
		free_submission(submission);
}

static json_t *final_events(const struct submission *submission)
{
	json_t *array = json_array(), *event;
	const char *capture;
	json_object_foreach(submission->finals, capture, event) json_array_append(array, event);
	return array;
}

static void answer_refused(struct submission *submission)
{
	json_t *json = json_pack("{ss}", "error", submission->why.text);
	if (*submission->field)
		json_object_set_new(json, "field", json_string(submission->field));
	if (*submission->id)
		json_object_set_new(json, "id", json_string(submission->id));
	if (json_object_size(submission->finals))
		json_object_set_new(json, "events", final_events(submission));
	api_answer_json(take(submission->http), api_status_of(submission->code), json);
}

static void answer(struct submission *submission)
{
	json_t *json = NULL;
	if (!submission->http)
		return;
	if (submission->code && !json_array_size(submission->started)) {
		answer_refused(submission);
		return;
	}
	if (submission->wait)
		json = json_pack("{ss so}", "id", submission->id, "events", final_events(submission));
	else
		json = json_pack("{ss sO}", "id", submission->id, "captures", submission->started);
	if (*submission->folded_into)
		json_object_set_new(json, "folded_into", json_string(submission->folded_into));
	if (submission->code && !submission->wait)
		json_object_set_new(json, "refused", final_events(submission));
	api_answer_json(take(submission->http), submission->wait ? 200 : 202, json);
}

/* --- what becomes of it --- */

static void on_admitted(void *ctx, const char *id, size_t captures)
{
	struct submission *submission = ctx;
	submission->admitted = true;
	submission->expected = captures;
	snprintf(submission->id, sizeof(submission->id), "%s", id);
}

static void note_refusal(struct submission *submission, const struct event *event)
{
	if (submission->code)
		return;
	submission->code = event->code ? event->code : -EINVAL;
	error_set(&submission->why, 0, "%s", event->reason ? event->reason : "refused");
	snprintf(submission->field, sizeof(submission->field), "%s", event->field ? event->field : "");
	if (event->id)
		snprintf(submission->id, sizeof(submission->id), "%s", event->id);
}

/* Without ?wait=1 it is enough that every capture is armed or refused. */
static void answer_if_settled(struct submission *submission)
{
	if (submission->wait || !submission->admitted || json_object_size(submission->settled) < submission->expected)
		return;
	answer(submission);
	finish(submission);
}

static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct submission *submission = ctx;
	const char *capture = event->capture ? event->capture : "";
	const bool final = event->kind != EVENT_ACCEPTED && event->kind != EVENT_CAPTURED;
	if (final)
		json_object_set_new(submission->finals, capture, json_loads(json, 0, NULL));
	if (event->kind == EVENT_REJECTED)
		note_refusal(submission, event);
	else if (event->capture && !json_object_get(submission->settled, capture))
		json_array_append_new(submission->started,
				      json_pack("{ss ss*}", "capture", event->capture, "interface", event->interface));
	if (event->capture)
		json_object_set_new(submission->settled, capture, json_true());
	if (event->folded_into)
		snprintf(submission->folded_into, sizeof(submission->folded_into), "%s", event->folded_into);
	if (!submission->submitting)
		answer_if_settled(submission);
}

static void on_over(void *ctx, enum job_end end)
{
	struct submission *submission = ctx;
	submission->over = true;
	if (end == JOB_ELSEWHERE && submission->http)
		http_answer_error(take(submission->http), 404, "the request is for another node, this is %s",
				  submission->api->with.config->general.node);
	answer(submission);
	finish(submission);
}

static void on_gone(void *ctx)
{
	struct submission *submission = ctx;
	struct http_request *http = take(submission->http);
	http_answer_error(http, 503, "nobody waits"); /* ends the handle's life */
	finish(submission);
}

void submissions_forget(struct api *api)
{
	struct submission *submission;
	while ((submission = LIST_FIRST(&api->submissions))) {
		job_watch_cancel(submission->watch);
		free_submission(submission);
	}
}

static struct submission *new_submission(struct api *api, struct http_request *http)
{
	struct submission *submission = calloc(1, sizeof(*submission));
	if (!submission)
		return NULL;
	submission->api = api;
	submission->http = http;
	LIST_INSERT_HEAD(&api->submissions, submission, list);
	submission->settled = json_object();
	submission->started = json_array();
	submission->finals = json_object();
	if (submission->settled && submission->started && submission->finals)
		return submission;
	free_submission(submission);
	return NULL;
}

static void submit(struct submission *submission, const void *body, size_t size)
{
	const struct job_observer observer = {.admitted = on_admitted,
					      .event = on_event,
					      .over = on_over,
					      .ctx = submission};
	char origin[ORIGIN_SIZE];
	snprintf(origin, sizeof(origin), "api:%s", http_request_peer(submission->http));
	submission->submitting = true;
	submission->watch = jobs_request(submission->api->with.jobs, origin, body, size, &observer);
	submission->submitting = false;
	if (submission->over) {
		free_submission(submission);
		return;
	}
	http_request_on_gone(submission->http, on_gone, submission);
	answer_if_settled(submission); /* a repetition of one that runs */
}

void route_submit(void *ctx, struct http_request *http)
{
	static const char *const known[] = {"wait", NULL};
	struct api *api = ctx;
	const char *wait;
	size_t size;
	if (!api_check_query(http, known) || !api_query(http, "wait", &wait))
		return;
	if (wait && strcmp(wait, "0") != 0 && strcmp(wait, "1") != 0) {
		http_answer_error(http, 400, "wait must be 0 or 1");
		return;
	}
	const void *body = http_request_body(http, &size);
	struct submission *submission = new_submission(api, http);
	if (!submission) {
		http_answer_error(http, 500, "out of memory");
		return;
	}
	submission->wait = wait && *wait == '1';
	submit(submission, body, size);
}
