/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job: an admitted request while any of its captures lives, with the watches that receive its events. The table finds
 * jobs by the request's id. Loop thread.
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

enum job_outcome {
	JOB_FINISHED,  /* every capture had its final event */
	JOB_ELSEWHERE, /* for another node: no event */
	JOB_REFUSED,   /* one `rejected` event, nothing was started */
	JOB_PUT_OFF,   /* durable observers only: a limit that passes was met, no event. Submit it again later */
};

/* The callbacks of a request's submitter; each may be NULL. Called on the loop's thread, also within jobs_submit. */
struct job_observer {
	/* The request is for this node and starts this number of captures. Precedes their first event. */
	void (*admitted)(void *ctx, const char *id, size_t captures);
	/* An event about the request, as published. */
	void (*event)(void *ctx, const struct event *event, const char *json);
	/* The last call. The watch is freed. */
	void (*finished)(void *ctx, enum job_outcome outcome);
	/* The request comes again until it is final: a limit that passes puts it off. `finished` waits until the reply
	 * store has the answers, or has failed to save them. */
	bool durable;
	void *ctx;
};

struct job_table *job_table_new(void);
void job_table_free(struct job_table *table); /* no job may be left; frees watches without a call */

/* A new watch, which belongs to no job yet. NULL on ENOMEM. */
struct job_watch *job_watch_new(struct job_table *table, const struct job_observer *observer);
/* Ends calls to the observer, which may itself call this. NULL is fine. */
void job_watch_cancel(struct job_watch *watch);
/* A held watch stays valid even when finished or cancelled; release then returns NULL, else the watch. */
void job_watch_hold(struct job_watch *watch);
struct job_watch *job_watch_release(struct job_watch *watch);
bool job_watch_is_durable(const struct job_watch *watch); /* NULL: false */
void job_watch_admitted(struct job_watch *watch, const char *id, size_t captures);
void job_watch_event(struct job_watch *watch, const struct event *event, const char *json);
void job_watch_finish(struct job_watch *watch, enum job_outcome outcome);

/* A job without captures, which references the request. NULL on ENOMEM. */
struct job *job_new(struct job_table *table, struct request *request, void *owner);
void *job_owner(const struct job *job);
struct job *job_find(const struct job_table *table, const char *id);
void job_add_watch(struct job *job, struct job_watch *watch);
void job_add_capture(struct job *job, struct capture *capture);
void job_remove_capture(struct job *job, const struct capture *capture);

/* Numbers its captures, from 1. */
unsigned job_next_number(struct job *job);

struct follower;
/* With `follow`, while any of its captures lives. */
struct follower *job_follower(const struct job *job);
void job_set_follower(struct job *job, struct follower *follower);

/* Finishes its watches and frees the job, which must have no capture. */
void job_end(struct job *job);

/* Puts the job off: it ends with JOB_PUT_OFF, and its captures must end without an event. False: it has had an event
 * about a capture, or an observer that is not durable. */
bool job_put_off(struct job *job);
bool job_is_put_off(const struct job *job);

/* Passes an event to the job's watches. */
void job_notify(struct job *job, const struct event *event, const char *json);

/* Whether one of its watches is durable. */
bool job_is_durable(const struct job *job);

/* What its owner has charged for it. */
void job_set_charge(struct job *job, size_t bytes);
size_t job_charge(const struct job *job);

struct request *job_request(const struct job *job);
struct capture *job_captures(const struct job *job); /* the first; follow capture_next */
size_t job_capture_count(const struct job *job);

/* All jobs, in no order. */
struct job *job_first(const struct job_table *table);
struct job *job_next(const struct job *job);

CLEANUP_DEFINE(job_table, struct job_table, job_table_free)
