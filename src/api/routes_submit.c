/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POST /v1/captures, and requests among alerts. The answer waits until every capture is armed or refused, or with
 * ?wait=1 until all are final. The captures continue even if the client leaves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "config/config.h"
#include "event/event.h"
#include "job/jobs.h"

struct submission {
	LIST_ENTRY(submission) list;
	struct api *api;
	struct http_request *request; /* NULL: answered, or the client is gone */
	struct job_watch *watch;
	bool wait;
	bool submitting; /* inside jobs_submit: must not be freed */
	bool over;	 /* the watch is gone */
	bool admitted;
	size_t expected;	   /* captures */
	size_t refused_without_id; /* of these, refused before they had an id */
	json_t *settled;	   /* keys: captures that are armed or refused */
	size_t settled_expected;   /* of these, captures that the answer waits for */
	json_t *started;	   /* array of armed captures */
	json_t *finals;		   /* array of final events */
	json_t *refusal;	   /* the first refusal's event; NULL: none */
	int code;		   /* of the first refusal; 0: none */
	char id[REQUEST_ID_SIZE];
	char folded_into[REQUEST_ID_SIZE];
};

static void free_submission(struct submission *submission)
{
	LIST_REMOVE(submission, list);
	json_decref(submission->settled);
	json_decref(submission->started);
	json_decref(submission->finals);
	json_decref(submission->refusal);
	free(submission);
}

/* Ends the watch; frees the submission unless it is being submitted. */
static void finish(struct submission *submission)
{
	if (!submission->over)
		job_watch_cancel(take(submission->watch));
	submission->over = true;
	if (!submission->submitting)
		free_submission(submission);
}

/* The event's texts are valid UTF-8, even if the reason quotes other bytes. */
static void answer_refused(struct submission *submission)
{
	const json_t *refusal = submission->refusal;
	json_t *json = json_pack("{sO* sO* sO* sO}", "error", json_object_get(refusal, "reason"), "field",
				 json_object_get(refusal, "field"), "id", json_object_get(refusal, "id"), "events",
				 submission->finals);

	api_answer_json(take(submission->request), error_http_status(submission->code), json);
}

static void answer(struct submission *submission)
{
	json_t *json = NULL;

	if (!submission->request)
		return;
	if (submission->code && !json_array_size(submission->started)) {
		answer_refused(submission);
		return;
	}
	if (submission->wait)
		json = json_pack("{ss sO}", "id", submission->id, "events", submission->finals);
	else
		json = json_pack("{ss sO}", "id", submission->id, "captures", submission->started);
	if (*submission->folded_into)
		json_object_set_new(json, "folded_into", json_string(submission->folded_into));
	if (submission->code && !submission->wait)
		json_object_set(json, "refused", submission->finals);
	api_answer_json(take(submission->request), submission->wait ? 200 : 202, json);
}

/* --- events of the job --- */

static void on_admitted(void *ctx, const char *id, size_t captures)
{
	struct submission *submission = ctx;

	submission->admitted = true;
	submission->expected = captures;
	snprintf(submission->id, sizeof(submission->id), "%s", id);
}

static void record_refusal(struct submission *submission, const struct event *event, json_t *json)
{
	submission->refused_without_id += !event->capture;
	if (submission->code)
		return;
	submission->code = event->code ? event->code : -EINVAL;
	submission->refusal = json_incref(json);
}

/* False: it is that of an interface that appeared later. */
static bool is_expected(const struct submission *submission, const char *capture)
{
	const char *dot = strrchr(capture, '.');
	char *end = NULL;

	return dot && strtoul(dot + 1, &end, 10) <= submission->expected && !*end;
}

/* Without ?wait=1 it is enough that every capture is armed or refused. */
static void answer_if_settled(struct submission *submission)
{
	const size_t settled = submission->settled_expected + submission->refused_without_id;

	if (submission->wait || !submission->admitted || settled < submission->expected)
		return;
	answer(submission);
	finish(submission);
}

static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct submission *submission = ctx;
	const bool final = event->kind != EVENT_ACCEPTED && event->kind != EVENT_CAPTURED;
	json_t *object = final ? json_loads(json, 0, NULL) : NULL;

	if (final)
		json_array_append(submission->finals, object);
	if (event->kind == EVENT_REJECTED)
		record_refusal(submission, event, object);
	else if (event->capture && !json_object_get(submission->settled, event->capture))
		json_array_append_new(submission->started,
				      json_pack("{ss ss*}", "capture", event->capture, "interface", event->interface));
	json_decref(object);
	if (event->capture && !json_object_get(submission->settled, event->capture))
		submission->settled_expected += is_expected(submission, event->capture);
	if (event->capture)
		json_object_set_new(submission->settled, event->capture, json_true());
	if (event->folded_into)
		snprintf(submission->folded_into, sizeof(submission->folded_into), "%s", event->folded_into);
	if (!submission->submitting)
		answer_if_settled(submission);
}

static void on_finished(void *ctx, enum job_outcome outcome)
{
	struct submission *submission = ctx;

	submission->over = true;
	if (outcome == JOB_ELSEWHERE && submission->request)
		http_answer_error(take(submission->request), 404, "the request is for another node; this is %s",
				  submission->api->options.config->general.node);
	answer(submission);
	finish(submission);
}

static void on_gone(void *ctx)
{
	struct submission *submission = ctx;
	struct http_request *request = take(submission->request);

	http_answer_error(request, 503, "the daemon is stopping"); /* ends the handle's life; not sent */
	finish(submission);
}

void submissions_cancel(struct api *api)
{
	struct submission *submission;

	while ((submission = LIST_FIRST(&api->submissions))) {
		job_watch_cancel(submission->watch);
		free_submission(submission);
	}
}

static struct submission *new_submission(struct api *api, struct http_request *request)
{
	struct submission *submission = calloc(1, sizeof(*submission));

	if (!submission)
		return NULL;
	submission->api = api;
	submission->request = request;
	LIST_INSERT_HEAD(&api->submissions, submission, list);
	submission->settled = json_object();
	submission->started = json_array();
	submission->finals = json_array();
	if (submission->settled && submission->started && submission->finals)
		return submission;
	free_submission(submission);
	return NULL;
}

static void submit(struct submission *submission, const struct config_requests *allowed)
{
	const struct job_observer observer = {.admitted = on_admitted,
					      .event = on_event,
					      .finished = on_finished,
					      .ctx = submission};
	char origin[API_ORIGIN_SIZE];
	struct job_message message = {.origin = origin, .allowed = allowed};

	message.bytes = http_request_body(submission->request, &message.size);
	snprintf(origin, sizeof(origin), "api:%s", http_request_peer(submission->request));
	submission->submitting = true;
	submission->watch = jobs_submit(submission->api->options.jobs, &message, &observer);
	submission->submitting = false;
	if (submission->over) {
		free_submission(submission);
		return;
	}
	if (!submission->watch) {
		http_answer_error(take(submission->request), 500, "out of memory");
		free_submission(submission);
		return;
	}
	http_request_set_gone_handler(submission->request, on_gone, submission);
	answer_if_settled(submission); /* it may repeat a request that is running */
}

void api_submit(struct api *api, struct http_request *request, const struct config_requests *allowed, bool wait)
{
	struct submission *submission = new_submission(api, request);

	if (!submission) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	submission->wait = wait;
	submit(submission, allowed);
}

void route_submit(void *ctx, struct http_request *request)
{
	static const char *const known[] = {"wait", NULL};
	struct api *api = ctx;
	const char *wait;

	if (!api_check_parameters(request, known) || !api_parameter(request, "wait", &wait))
		return;
	if (wait && strcmp(wait, "0") != 0 && strcmp(wait, "1") != 0) {
		http_answer_error(request, 400, "wait must be 0 or 1");
		return;
	}
	api_submit(api, request, &api->options.config->api.requests, wait && *wait == '1');
}
