/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job: an admitted request while any of its captures lives, and whoever wants to hear what becomes of it. The table
 * of jobs finds them by the request's id. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "event/event.h"
#include "job/capture.h"
#include "request/request.h"

struct job;
struct job_table;
struct job_watch;

enum job_end {
	JOB_OVER,      /* every capture had its final event */
	JOB_ELSEWHERE, /* for another node: there is no event */
	JOB_REFUSED,   /* one `rejected` event, nothing was started */
};

/* Who hands a request in and wants to hear of it. Members may be NULL. Calls come from the loop, also from within
 * jobs_request. */
struct job_observer {
	/* It is this node's, and so many captures are being started; before the first event about them. */
	void (*admitted)(void *ctx, const char *id, size_t captures);
	/* An event about the request: as it is published to everybody. */
	void (*event)(void *ctx, const struct event *event, const char *json);
	/* The last call. The watch is gone. */
	void (*over)(void *ctx, enum job_end end);
	bool durable; /* `over` comes only when what was answered is kept where a restart does not lose it */
	void *ctx;
};

struct job_table *job_table_new(void);
void job_table_free(struct job_table *table); /* no job may be left; watches are forgotten without a call */

/* A new watch, belonging to no job yet. NULL on ENOMEM. */
struct job_watch *job_watch_new(struct job_table *table, const struct job_observer *observer);
/* The observer is not called any more. Also from within its own calls. NULL is fine. */
void job_watch_cancel(struct job_watch *watch);
/* It stays valid while held, even when it is over or cancelled; releasing gives it back, or NULL if it is gone then. */
void job_watch_hold(struct job_watch *watch);
struct job_watch *job_watch_release(struct job_watch *watch);
bool job_watch_is_durable(const struct job_watch *watch); /* NULL: it is not */
void job_watch_admitted(struct job_watch *watch, const char *id, size_t captures);
void job_watch_event(struct job_watch *watch, const struct event *event, const char *json);
void job_watch_over(struct job_watch *watch, enum job_end end);

/* A job without captures. The request is referenced. NULL on ENOMEM. */
struct job *job_new(struct job_table *table, struct request *request, void *owner);
void *job_owner(const struct job *job);
struct job *job_find(const struct job_table *table, const char *id);
void job_add_watch(struct job *job, struct job_watch *watch);
void job_add_capture(struct job *job, struct capture *capture);
void job_remove_capture(struct job *job, const struct capture *capture);

/* Once it has no capture (any more): tells its watches and is gone. */
void job_end(struct job *job);

/* Hands an event to the job's watches. */
void job_notify(struct job *job, const struct event *event, const char *json);

/* One of its watches is durable. */
bool job_is_durable(const struct job *job);

const struct request *job_request(const struct job *job);
struct capture *job_captures(const struct job *job); /* the first; capture_next leads on */
size_t job_capture_count(const struct job *job);

/* All jobs, in no order. */
struct job *job_first(const struct job_table *table);
struct job *job_next(const struct job *job);

CLEANUP_DEFINE(job_table, struct job_table, job_table_free)
