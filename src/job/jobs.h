/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: what this node does with requests. Takes bytes from any trigger, decides (for us? valid? within limits? new?),
 * starts a capture for every interface, and sees to it that each ends in exactly one final event. The only glue between
 * the modules. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "history/history_stream.h"
#include "job/capture_list.h"
#include "job/job.h"

struct config;
struct deliveries;
struct engine;
struct event_base;
struct event_bus;
struct jobs;
struct reply_store;

struct jobs_options {
	struct event_base *loop;
	const struct config *config;
	struct engine *engine;
	struct deliveries *deliveries;
	struct event_bus *bus;
	struct reply_store *reply_store; /* NULL: none */
};

#define JOBS_PENDING_LOOKUPS_MAX 1024 /* requests that wait for the reply store's word on their id */

/* A request as it came. */
struct job_message {
	const char *origin; /* "redis:capture" */
	const void *bytes;
	size_t size;
	const char *id;	       /* if it names none itself; NULL: then one is made */
	uint64_t published_ns; /* real time when it was sent, if it may have been long ago; 0: just now */
};

/* Everything in `options` must outlive the jobs. NULL and `err` on failure. */
struct jobs *jobs_new(const struct jobs_options *options, struct error *err);

/* Whether nothing is under way: no capture, no history, no look into the reply store. */
bool jobs_idle(const struct jobs *jobs);

/* They must be idle. */
void jobs_free(struct jobs *jobs);

/*
 * A request. Whatever becomes of it is an event, unless it is for another node.
 * `observer` (copied; NULL: nobody) hears of it. Returns the watch, to be given to job_watch_cancel by who does not
 * want to hear any more; NULL once it is over, which for what ends at once is before this returns.
 */
struct job_watch *jobs_submit(struct jobs *jobs, const struct job_message *message,
			      const struct job_observer *observer);

/* The same for one that was just made. */
struct job_watch *jobs_request(struct jobs *jobs, const char *origin, const void *bytes, size_t size,
			       const struct job_observer *observer);

#define JOBS_HISTORY_STREAMS_MAX 8 /* histories being read at once */

/*
 * Starts a history stream, which is no job: see history/history_stream.h. The interface must be recorded. 0, or with
 * `err`: -ENODEV, -EBUSY (JOBS_HISTORY_STREAMS_MAX), -ESHUTDOWN, -ENOBUFS, -EAGAIN, -ENOMEM. All streams must be freed
 * when `idle` of jobs_shut_down is to come.
 */
warn_unused int jobs_open_history_stream(struct jobs *jobs, const struct history_stream_spec *spec,
					 struct history_stream_reader reader, struct error *err,
					 struct history_stream **stream);

/* The captures that live and the latest that have ended: see capture_list.h. */
void jobs_visit_all(const struct jobs *jobs, capture_visitor visit, void *ctx);
size_t jobs_visit(const struct jobs *jobs, const char *id, capture_visitor visit, void *ctx);
int jobs_stop(const struct jobs *jobs, const char *id);

/* Ends all captures with reason "shutdown" and refuses new requests; `idle` is called once when every capture is over
 * (never from within this call). */
void jobs_shut_down(struct jobs *jobs, void (*idle)(void *ctx), void *ctx);

/* No more time: deliveries still under way are given up and reported as failed. */
void jobs_abandon(struct jobs *jobs);

struct jobs_counts {
	uint64_t running;	      /* captures that are being armed or run */
	uint64_t running_parts;	      /* their interfaces: what limits.captures counts */
	uint64_t delivering;	      /* captures that are being delivered */
	uint64_t elsewhere;	      /* requests for other nodes since the start */
	uint64_t events[EVENT_KINDS]; /* published since the start, by enum event_kind */
};
struct jobs_counts jobs_counts(const struct jobs *jobs);

CLEANUP_DEFINE(jobs, struct jobs, jobs_free)
