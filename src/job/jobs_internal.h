/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by jobs.c (requests in, captures out) and admission.c (is a request new and within the limits?).
 */
#pragma once

#include <stdatomic.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/token_bucket.h"
#include "job/capture.h"
#include "job/customer_limit.h"
#include "job/dedupe.h"
#include "job/job.h"
#include "job/jobs.h"
#include "job/reply_cache.h"

struct event;
struct nonces;
struct offload;
struct request_rules;

struct jobs {
	struct jobs_options options;
	struct capture_deps capture_deps;
	struct follow *follow;
	struct offload *arming, *arming_many, *name_lookup, *packet_log;
	atomic_bool stopping; /* read by arming threads */
	struct reply_cache *reply_cache;
	struct dedupe *dedupe;
	struct customer_limit *customer_limit;
	struct job_table *table;
	struct job_watch *submitter; /* of the request being admitted; NULL: no observer */
	struct jobs_counts counts;
	uint64_t expected; /* captures that running series may still begin */
	unsigned history_stream_count;
	unsigned saving_count; /* jobs whose answers are being saved in the reply store */
	LIST_HEAD(, pending_lookup) pending_lookup;
	unsigned pending_lookup_count;
	struct nonces *nonces;		  /* NULL: requests need not be signed */
	struct token_bucket request_rate; /* limits.requests_per_second */
	struct token_bucket lookup_rate;  /* the same limit, for look-ups in the reply store */
	struct log_rate repeat_rate, put_off_rate;
	void (*idle)(void *ctx);
	void *idle_ctx;
	struct event *idle_event;
	bool shutting_down;
};

/* A request being admitted. */
struct submission {
	const char *origin;
	struct request *request;
	const struct config_requests *allowed; /* what it may ask for */
	struct live_output *live;	       /* NULL: none */
};

/* Whether a refusal with this code means "not now". */
bool jobs_is_passing(int code);

/* A request is put off. */
void jobs_log_waiting(struct jobs *jobs, const char *id, const char *reason);

/* Refuses a request: publishes the event, or puts the request off if its submitter is durable and the code passes. */
enum job_outcome jobs_refuse(struct jobs *jobs, const struct submission *submission, int code, const char *field,
			     const char *reason);

/* The request was put off: its id and its alert are unknown again. */
void jobs_forget(struct jobs *jobs, const struct request *request);

/* Decides on a request for this node: repeats its answers, folds, refuses or starts it. Events meanwhile go to
 * `jobs->submitter`, which becomes NULL if a job has taken it over. */
enum job_outcome jobs_admit(struct jobs *jobs, const struct submission *submission);

/* Requests with the dedupe key of this one, a stop, whose ids or interfaces are being looked up are refused afterwards.
 * Their number. */
uint64_t jobs_stop_pending(struct jobs *jobs, const struct request_rules *rules, const struct request *request);

/* Ends a job and returns what was charged for it. */
void jobs_end_job(struct jobs *jobs, struct job *job);

/* Refuses it for limits.requests_per_second. */
enum job_outcome jobs_refuse_over_rate(struct jobs *jobs, const struct submission *submission);
