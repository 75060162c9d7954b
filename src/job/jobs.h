/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: what this node does with requests. Takes bytes from any trigger, decides (for this node? valid? within limits?
 * new?), starts a capture for each interface (with `merge`, one for all), and makes sure that each ends in exactly
 * one final event. The only glue between the modules. Loop thread.
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
#include "job/outcomes.h"
#include "output/live_output.h"

struct config;
struct config_requests;
struct deliveries;
struct engine;
struct event_base;
struct event_bus;
struct jobs;
struct reply_store;
struct spool;

struct jobs_options {
	struct event_base *loop;
	const struct config *config;
	struct engine *engine;
	struct deliveries *deliveries;
	struct event_bus *bus;
	struct reply_store *reply_store; /* NULL: none */
	struct spool *spool;		 /* NULL: none */
};

#define JOBS_PENDING_LOOKUPS_MAX \
	1024 /* requests whose id the reply store is looking up, or whose interfaces the kernel */

/* A request as received. */
struct job_message {
	const char *origin; /* "redis:capture" */
	const void *bytes;
	size_t size;
	const char *id;			       /* if the request has none; NULL: one is generated */
	uint64_t published_ns;		       /* real time when it was sent, if that may be long ago; 0: now */
	uint64_t published_error_ns;	       /* how far off that may be */
	const char *refusal;		       /* why it must be refused if it is for this node; NULL: it need not */
	const struct config_requests *allowed; /* what it may ask for */
	const char *rule;	  /* the alert rule that made it, which then need not be signed; NULL: none */
	struct live_output *live; /* where the packets go while they come; NULL: to destinations */
};

/* Everything in `options` must outlive the jobs. NULL and `err` on failure. */
struct jobs *jobs_new(const struct jobs_options *options, struct error *err);

/* Whether nothing is under way: no capture, no history stream, no use of the reply store. */
bool jobs_idle(const struct jobs *jobs);

/* The jobs must be idle. */
void jobs_free(struct jobs *jobs);

/*
 * Submits a request. Its outcome is an event, unless it is for another node. Calls go to `observer` (copied; NULL:
 * none) until `finished`, or until job_watch_cancel() of the returned watch. Returns NULL if it finished within this
 * call, or on ENOMEM, which leaves the request unwatched.
 */
struct job_watch *jobs_submit(struct jobs *jobs, const struct job_message *message,
			      const struct job_observer *observer);

#define JOBS_LIVE_MAX 16 /* live captures at once */

/* The same for one of the control API whose packets go to `message->live` while it runs: see job/capture_live.h. A
 * known id is refused. */
struct job_watch *jobs_request_live(struct jobs *jobs, const struct job_message *message,
				    const struct job_observer *observer);

#define JOBS_HISTORY_STREAMS_MAX 8 /* open at once */

/*
 * Starts a history stream, which is no job: see history/history_stream.h. The interface must be recorded, and the
 * [api.requests] rules must allow it; they set `spec->required`. 0, or with `err`: -EACCES, -ENODEV, -EBUSY
 * (JOBS_HISTORY_STREAMS_MAX), -ESHUTDOWN, -ENOBUFS, -EAGAIN, -ENOMEM. `idle` of jobs_shut_down comes only after all
 * streams are freed.
 */
warn_unused int jobs_open_history_stream(struct jobs *jobs, struct history_stream_spec *spec,
					 struct history_stream_reader reader, struct error *err,
					 struct history_stream **stream);

/* Live captures and the latest finished ones: see capture_list.h. */
void jobs_visit_all(const struct jobs *jobs, capture_visitor visit, void *ctx);
size_t jobs_visit(const struct jobs *jobs, const char *id, capture_visitor visit, void *ctx);
int jobs_stop(const struct jobs *jobs, const char *id);

/* A request that is not admitted yet will be refused. 1, or 0: none with this watch waits. `watch`: not NULL. */
int jobs_stop_watched(struct jobs *jobs, const struct job_watch *watch);

/* Ends all captures with reason "shutdown" and refuses new requests. Calls `idle` once nothing is under way (never
 * within this call). */
void jobs_shut_down(struct jobs *jobs, void (*idle)(void *ctx), void *ctx);

/* Out of time: abandons captures and deliveries under way and reports them as final events. */
void jobs_abandon(struct jobs *jobs);

struct jobs_counts {
	uint64_t running;	      /* captures being armed or running: what limits.captures counts */
	uint64_t delivering;	      /* captures being delivered */
	uint64_t elsewhere;	      /* requests for other nodes since the start */
	uint64_t events[EVENT_KINDS]; /* published since the start, by enum event_kind */
	struct outcomes outcomes;     /* since the start */
};
struct jobs_counts jobs_counts(const struct jobs *jobs);

CLEANUP_DEFINE(jobs, struct jobs, jobs_free)
