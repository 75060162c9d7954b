/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs: capture requests that alert rules began and that have not ended. A run here is a job that is watched; one on
 * another node is followed by the events that the node publishes. Loop thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct alert_runs;
struct job_message;
struct jobs;

#define ALERT_RUNS_MAX 4096

/* How long another node may take to answer a published request, and a delivery to be reported after its time is up. */
#define ALERT_RUNS_ANSWER_NS (40 * UINT64_C(1000000000))

/* What became of a rule's requests on this node. */
struct alert_runs_observer {
	void (*admitted)(void *ctx, const char *rule, size_t captures);
	void (*refused)(void *ctx, const char *rule);
	/* No capture began: the request was refused, or another node did not answer it. `alert`: as it was handed over.
	 */
	void (*unmet)(void *ctx, const char *alert);
	void *ctx;
};

/* The observer is copied. NULL on ENOMEM. */
struct alert_runs *alert_runs_new(const struct alert_runs_observer *observer);
/* Call it before the jobs are freed. Captures go on. */
void alert_runs_free(struct alert_runs *runs);

/* Runs of a rule; NULL: all. */
size_t alert_runs_count(const struct alert_runs *runs, const char *rule);

/* Whether the rule has a run for the request's node and dedupe key. False if the request has no such key. */
bool alert_runs_has(const struct alert_runs *runs, const char *rule, const json_t *request);

/* Ends the same run if it is on this node, also if its request is not admitted yet. The number of captures, and of such
 * requests. */
int alert_runs_stop(const struct alert_runs *runs, const char *rule, const json_t *request, struct jobs *jobs);

/*
 * Submits the request, whose text is `message`, which names the rule. `alert`: what the alert is remembered by, NULL:
 * nothing. 0; -ECONNREFUSED: it was refused at once, as its event says; -ENOMEM.
 */
int alert_runs_submit(struct alert_runs *runs, const char *alert, const json_t *request, struct jobs *jobs,
		      const struct job_message *message);

/*
 * The request, which has an `id`, was published for another node. It ends with its events; without an answer after
 * ALERT_RUNS_ANSWER_NS, without an end `lasts_ns` after that. `alert`: as above. False: out of memory.
 */
bool alert_runs_publish(struct alert_runs *runs, const char *rule, const char *alert, const json_t *request,
			uint64_t lasts_ns);

/* An event of any node, as published. */
void alert_runs_take_event(struct alert_runs *runs, const char *json, size_t size);

/* Ends runs on other nodes that had no answer or no end in time; `now_ns`: boot time. Logs those without an answer. */
void alert_runs_expire(struct alert_runs *runs, uint64_t now_ns);

CLEANUP_DEFINE(alert_runs, struct alert_runs, alert_runs_free)
