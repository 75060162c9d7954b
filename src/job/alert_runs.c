/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redis keeps no events for an absent subscriber, and a node may vanish, so a run on another node also ends by time.
 * Events may come twice after a failover: the captures that are open are a set.
 */
#include "job/alert_runs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/event_copy.h"
#include "event/event_parse.h"
#include "job/jobs.h"
#include "request/request.h"

struct run {
	LIST_ENTRY(run) list;
	struct alert_runs *runs;
	struct job_watch *watch; /* NULL: on another node */
	char *rule, *node;
	char *dedupe, *alert;	  /* NULL: none */
	char id[REQUEST_ID_SIZE]; /* "" until it is admitted */
	json_t *open;		  /* on another node: keys: captures that were accepted and have not ended */
	bool answered;		  /* with `accepted` */
	bool refused;		  /* on another node: one of its interfaces */
	uint64_t ends_ns;	  /* boot time: of the wait for an answer, then of the run; on another node only */
	uint64_t lasts_ns;
};

struct alert_runs {
	LIST_HEAD(, run) list;
	struct alert_runs_observer observer;
	size_t count, published; /* published: of these, on other nodes */
	struct log_rate unanswered_rate;
};

struct alert_runs *alert_runs_new(const struct alert_runs_observer *observer)
{
	struct alert_runs *runs = calloc(1, sizeof(*runs));

	if (!runs)
		return NULL;
	LIST_INIT(&runs->list);
	runs->observer = *observer;
	runs->unanswered_rate.burst = 1;
	return runs;
}

static void free_run(struct run *run)
{
	LIST_REMOVE(run, list);
	run->runs->count--;
	run->runs->published -= run->open != NULL;
	json_decref(run->open);
	free(run->rule);
	free(run->node);
	free(run->dedupe);
	free(run->alert);
	free(run);
}

void alert_runs_free(struct alert_runs *runs)
{
	struct run *run;

	if (!runs)
		return;
	while ((run = LIST_FIRST(&runs->list))) {
		job_watch_cancel(run->watch);
		free_run(run);
	}
	free(runs);
}

static const char *text_of(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

static struct run *add_run(struct alert_runs *runs, const char *rule, const char *alert, const json_t *request)
{
	struct run *run = calloc(1, sizeof(*run));
	const char *dedupe = text_of(request, "dedupe");

	if (!run)
		return NULL;
	run->runs = runs;
	run->rule = strdup(rule);
	run->node = strdup(text_of(request, "node"));
	run->dedupe = dedupe ? strdup(dedupe) : NULL;
	run->alert = alert ? strdup(alert) : NULL;
	LIST_INSERT_HEAD(&runs->list, run, list);
	runs->count++;
	if (run->rule && run->node && (run->dedupe || !dedupe) && (run->alert || !alert))
		return run;
	free_run(run);
	return NULL;
}

size_t alert_runs_count(const struct alert_runs *runs, const char *rule)
{
	size_t count = 0;
	const struct run *run;

	LIST_FOREACH(run, &runs->list, list)
	count += !rule || strcmp(run->rule, rule) == 0;
	return count;
}

static const struct run *find_run(const struct alert_runs *runs, const char *rule, const json_t *request)
{
	const char *node = text_of(request, "node"), *dedupe = text_of(request, "dedupe");
	const struct run *run;

	LIST_FOREACH(run, &runs->list, list)
	{
		if (dedupe && run->dedupe && strcmp(run->dedupe, dedupe) == 0 && strcmp(run->rule, rule) == 0 &&
		    strcmp(run->node, node) == 0)
			return run;
	}
	return NULL;
}

bool alert_runs_has(const struct alert_runs *runs, const char *rule, const json_t *request)
{
	return find_run(runs, rule, request);
}

int alert_runs_stop(const struct alert_runs *runs, const char *rule, const json_t *request, struct jobs *jobs)
{
	const struct run *run = find_run(runs, rule, request);

	if (!run || !run->watch)
		return 0;
	return *run->id ? jobs_stop(jobs, run->id) : jobs_stop_watched(jobs, run->watch);
}

static void tell_unmet(const struct run *run)
{
	if (run->alert)
		run->runs->observer.unmet(run->runs->observer.ctx, run->alert);
}

/* --- on this node --- */

static void on_admitted(void *ctx, const char *id, size_t captures)
{
	struct run *run = ctx;

	run->runs->observer.admitted(run->runs->observer.ctx, run->rule, captures);
	snprintf(run->id, sizeof(run->id), "%s", id);
}

static void on_finished(void *ctx, enum job_outcome outcome)
{
	struct run *run = ctx;

	if (outcome == JOB_REFUSED) {
		run->refused = true;
		run->runs->observer.refused(run->runs->observer.ctx, run->rule);
		tell_unmet(run);
	}
	if (run->watch)
		free_run(run); /* otherwise alert_runs_submit() does */
}

int alert_runs_submit(struct alert_runs *runs, const char *alert, const json_t *request, struct jobs *jobs,
		      const struct job_message *message)
{
	struct run *run = add_run(runs, message->rule, alert, request);
	const struct job_observer observer = {.admitted = on_admitted, .finished = on_finished, .ctx = run};

	if (!run)
		return -ENOMEM;
	run->watch = jobs_submit(jobs, message, &observer);
	const bool refused = run->refused;
	if (!run->watch)
		free_run(run);
	return refused ? -ECONNREFUSED : 0;
}

/* --- on other nodes --- */

bool alert_runs_publish(struct alert_runs *runs, const char *rule, const char *alert, const json_t *request,
			uint64_t lasts_ns)
{
	struct run *run = add_run(runs, rule, alert, request);

	if (!run)
		return false;
	run->open = json_object();
	if (!run->open) {
		free_run(run);
		return false;
	}
	runs->published++;
	snprintf(run->id, sizeof(run->id), "%s", text_of(request, "id"));
	run->ends_ns = clock_boottime_ns() + ALERT_RUNS_ANSWER_NS;
	run->lasts_ns = lasts_ns;
	return true;
}

static struct run *find_published(const struct alert_runs *runs, const char *id)
{
	struct run *run;

	LIST_FOREACH(run, &runs->list, list)
	{
		if (run->open && strcmp(run->id, id) == 0)
			return run;
	}
	return NULL;
}

static void accept(struct run *run, const struct event *event)
{
	if (!run->answered)
		run->ends_ns += run->lasts_ns;
	run->answered = true;
	if (event->capture && json_object_size(run->open) < REQUEST_INTERFACES_MAX)
		(void)!json_object_set_new(run->open, event->capture, json_true());
}

/* A refusal without a capture's id is of the whole request, or of one of its interfaces: others may be accepted later.
 */
static void end(struct run *run, const struct event *event)
{
	if (!run->answered && !event->capture && event->interface) {
		run->refused = true;
		return;
	}
	if (event->capture)
		json_object_del(run->open, event->capture);
	if (json_object_size(run->open))
		return;
	if (!run->answered)
		tell_unmet(run);
	free_run(run);
}

void alert_runs_take_event(struct alert_runs *runs, const char *json, size_t size)
{
	cleanup(cleanup_event_copy) struct event *event = runs->published ? event_parse(json, size) : NULL;
	struct run *run = event && event->id ? find_published(runs, event->id) : NULL;

	if (!run)
		return;
	switch (event->kind) {
	case EVENT_ACCEPTED:
		accept(run, event);
		break;
	case EVENT_REJECTED:
	case EVENT_DONE:
	case EVENT_FAILED:
	case EVENT_SPOOLED: /* its packets are there; only their way takes longer */
		end(run, event);
		break;
	case EVENT_CAPTURED:
	case EVENT_WARNING:
	case EVENT_SUPPRESSED:
		break;
	}
}

static void warn_of_silence(struct alert_runs *runs, const struct run *run)
{
	uint64_t suppressed;

	if (log_rate_allow(&runs->unanswered_rate, &suppressed))
		log_warning("request-unanswered", log_str("request", run->id), log_str("rule", run->rule),
			    log_str("node", run->node), log_uint("suppressed", suppressed));
}

void alert_runs_expire(struct alert_runs *runs, uint64_t now_ns)
{
	struct run *run = LIST_FIRST(&runs->list), *next;

	for (; run; run = next) {
		next = LIST_NEXT(run, list);
		if (!run->open || now_ns < run->ends_ns)
			continue;
		if (!run->answered) {
			if (!run->refused)
				warn_of_silence(runs, run);
			tell_unmet(run);
		}
		free_run(run);
	}
}
