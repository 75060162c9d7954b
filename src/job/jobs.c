/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses requests, looks up answers from before a restart, hands the rest to admission.c, and ends jobs whose captures
 * are final.
 *
 * Events about a request being admitted go to its `submitter`; later ones belong to a job and go to all its watches.
 */
#include "job/jobs.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "job/jobs_internal.h"
#include "job/reply_store.h"
#include "job/targets.h"
#include "request/request.h"
#include "sink/delivery.h"

#define ARMING_THREADS 2
#define NAME_LOOKUP_THREADS 16 /* filters with names to look up, which take as long as name servers, 5 s at most */
#define PACKET_LOG_QUEUE 64    /* captures waiting for their packet log */
#define REPEATS_LOGGED 10      /* a second */
#define ARMING_QUEUE 4096      /* tasks waiting for an arming thread */

/* A request whose id the reply store is looking up. */
struct pending_lookup {
	LIST_ENTRY(pending_lookup) list;
	struct jobs *jobs;
	struct job_watch *watch; /* NULL: no observer */
	struct request *request;
	char *origin;
};

/* --- events --- */

/* An event without a capture is about the request being admitted. */
static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct jobs *jobs = ctx;
	struct job *job = event->capture && event->id ? job_find(jobs->table, event->id) : NULL;

	cleanup(cleanup_free) char *own = NULL; /* a suppressed event still is the answer for those who wait for it */

	if (event->suppressed && (job || jobs->submitter))
		json = own = event_json(event);
	else if (!event->suppressed)
		jobs->counts.events[event->kind]++;
	if (json && job)
		job_notify(job, event, json);
	else if (json)
		job_watch_event(jobs->submitter, event, json);
}

bool jobs_idle(const struct jobs *jobs)
{
	return !jobs->counts.running && !jobs->counts.delivering && !jobs->history_stream_count &&
	       !jobs->saving_count && !jobs->pending_lookup_count;
}

static void check_idle(struct jobs *jobs)
{
	if (jobs->shutting_down && jobs_idle(jobs))
		event_active(jobs->idle_event, EV_TIMEOUT, 1);
}

static void refuse_invalid(struct jobs *jobs, const char *origin, const struct request_refusal *refusal)
{
	const struct event event = {
		.kind = EVENT_REJECTED,
		.id = *refusal->id ? refusal->id : NULL,
		.node = jobs->options.config->general.node,
		.time_ns = clock_realtime_ns(),
		.reason = refusal->error.text,
		.field = *refusal->field ? refusal->field : NULL,
		.code = -EINVAL,
		.origin = origin,
		.broad = !refusal->named,
	};

	event_bus_publish(jobs->options.bus, &event);
}

/* --- answers from before a restart --- */

/* Admits the request and finishes its watch, unless a job has taken that over. */
static void admit_watched(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	jobs->submitter = watch;
	const enum job_outcome outcome = jobs_admit(jobs, submission);
	struct job_watch *submitter = take(jobs->submitter);
	if (submitter)
		job_watch_finish(submitter, outcome);
}

/* So many requests that even their look-ups would be too many. */
static void refuse_watched(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	jobs->submitter = watch;
	const enum job_outcome outcome = jobs_refuse_over_rate(jobs, submission);
	jobs->submitter = NULL;
	job_watch_finish(watch, outcome);
}

static void on_reply_looked_up(void *ctx, const char *json, size_t size)
{
	struct pending_lookup *pending_lookup = ctx;
	struct jobs *jobs = pending_lookup->jobs;
	const struct submission submission = {pending_lookup->origin, pending_lookup->request};

	LIST_REMOVE(pending_lookup, list);
	jobs->pending_lookup_count--;
	if (json && !reply_cache_knows(jobs->reply_cache, pending_lookup->request->id))
		(void)reply_cache_restore(jobs->reply_cache, pending_lookup->request->id, json, size);
	/* A durable trigger submits this request again after the restart, so it is not answered now. */
	if (jobs->shutting_down && job_watch_is_durable(pending_lookup->watch))
		job_watch_cancel(pending_lookup->watch);
	else
		admit_watched(jobs, &submission, pending_lookup->watch);
	if (pending_lookup->watch)
		(void)job_watch_release(pending_lookup->watch);
	request_unref(pending_lookup->request);
	free(pending_lookup->origin);
	free(pending_lookup);
	check_idle(jobs);
}

static bool wants_lookup(const struct jobs *jobs, const struct request *request)
{
	struct reply_store *reply_store = jobs->options.reply_store;

	return reply_store && request->id_given && !reply_cache_knows(jobs->reply_cache, request->id) &&
	       reply_store_is_up(reply_store) && jobs->pending_lookup_count < JOBS_PENDING_LOOKUPS_MAX;
}

/* True: the reply store is looking it up. */
static bool look_up_reply(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	struct reply_store *reply_store = jobs->options.reply_store;
	const struct request *request = submission->request;

	struct pending_lookup *pending_lookup = calloc(1, sizeof(*pending_lookup));
	if (!pending_lookup || !(pending_lookup->origin = strdup(submission->origin)) ||
	    reply_store_find(reply_store, request->id, on_reply_looked_up, pending_lookup) < 0) {
		free(pending_lookup ? pending_lookup->origin : NULL);
		free(pending_lookup);
		return false;
	}
	pending_lookup->jobs = jobs;
	pending_lookup->watch = watch;
	if (watch) /* its owner may cancel it meanwhile */
		job_watch_hold(watch);
	pending_lookup->request = request_ref(submission->request);
	LIST_INSERT_HEAD(&jobs->pending_lookup, pending_lookup, list);
	jobs->pending_lookup_count++;
	return true;
}

/* --- requests --- */

static void look_up_or_admit(struct jobs *jobs, const struct job_message *message, struct request *request,
			     struct job_watch *watch)
{
	const struct submission submission = {message->origin, request};

	if (message->id)
		request_set_id(request, message->id);
	request->published_ns = message->published_ns;
	const bool wanted = wants_lookup(jobs, request);
	if (wanted && !token_bucket_take(&jobs->lookup_rate, jobs->options.config->limits.requests_per_second,
					 clock_boottime_ns()))
		refuse_watched(jobs, &submission, watch);
	else if (!wanted || !look_up_reply(jobs, &submission, watch))
		admit_watched(jobs, &submission, watch);
	request_unref(request);
}

static void submit(struct jobs *jobs, const struct job_message *message, struct job_watch *watch)
{
	struct request_refusal refusal = {0};
	struct request *request = NULL;
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_destination_names(jobs->options.deliveries, names);

	switch (request_parse(message->bytes, message->size, clock_realtime_ns(), jobs->options.config, names,
			      name_count, &refusal, &request)) {
	case REQUEST_OURS:
		look_up_or_admit(jobs, message, request, watch);
		break;
	case REQUEST_ELSEWHERE:
		jobs->counts.elsewhere++;
		log_debug(job, "request-elsewhere", log_str("origin", message->origin),
			  log_uint("bytes", message->size));
		job_watch_finish(watch, JOB_ELSEWHERE);
		break;
	case REQUEST_INVALID:
		jobs->submitter = watch;
		refuse_invalid(jobs, message->origin, &refusal);
		jobs->submitter = NULL;
		job_watch_finish(watch, JOB_REFUSED);
		break;
	}
}

struct job_watch *jobs_submit(struct jobs *jobs, const struct job_message *message, const struct job_observer *observer)
{
	struct job_watch *watch = observer ? job_watch_new(jobs->table, observer) : NULL;

	if (observer && !watch)
		log_error("request-unwatched", log_str("origin", message->origin), log_str("error", "out of memory"));
	if (!watch) {
		submit(jobs, message, NULL);
		return NULL;
	}
	job_watch_hold(watch);
	submit(jobs, message, watch);
	return job_watch_release(watch);
}

struct job_watch *jobs_request(struct jobs *jobs, const char *origin, const void *bytes, size_t size,
			       const struct job_observer *observer)
{
	return jobs_submit(jobs, &(struct job_message){.origin = origin, .bytes = bytes, .size = size}, observer);
}

/* --- ends of captures --- */

static void on_capturing_ended(void *ctx, struct capture *capture)
{
	struct jobs *jobs = ctx;

	jobs->counts.running--;
	jobs->counts.running_parts -= capture_part_count(capture);
	jobs->counts.delivering++;
}

void jobs_end_job(struct jobs *jobs, struct job *job)
{
	engine_memory_return(jobs->options.engine, job_charge(job));
	job_end(job);
}

/* The answers are saved (or could not be). */
static void on_reply_saved(void *ctx)
{
	struct job *job = ctx;
	struct jobs *jobs = job_owner(job);

	jobs->saving_count--;
	jobs_end_job(jobs, job);
	check_idle(jobs);
}

/* Saves the answers in the reply store, if there is one. A durable job ends only once its answers are saved, or saving
 * has failed. */
static void finish_job(struct jobs *jobs, struct job *job)
{
	const struct request *request = job_request(job);
	const bool wanted = jobs->options.reply_store && request->id_given;
	const bool wait = job_is_durable(job);
	cleanup(cleanup_free) char *json = wanted ? reply_cache_json(jobs->reply_cache, request->id) : NULL;
	const bool saving = json && reply_store_save(jobs->options.reply_store, request->id, json,
						     wait ? on_reply_saved : NULL, job) == 0;

	if (saving && wait)
		jobs->saving_count++;
	else
		jobs_end_job(jobs, job);
}

static void on_capture_finished(void *ctx, struct capture *capture)
{
	struct jobs *jobs = ctx;
	struct job *job = capture_owner(capture);

	job_remove_capture(job, capture);
	jobs->counts.delivering--;
	if (!job_capture_count(job))
		finish_job(jobs, job);
	check_idle(jobs);
}

static void on_idle(evutil_socket_t fd, short what, void *ctx)
{
	struct jobs *jobs = ctx;

	(void)fd;
	(void)what;
	jobs->idle(jobs->idle_ctx);
}

void jobs_shut_down(struct jobs *jobs, void (*idle)(void *ctx), void *ctx)
{
	jobs->shutting_down = true;
	atomic_store(&jobs->stopping, true);
	jobs->idle = idle;
	jobs->idle_ctx = ctx;
	for (struct job *job = job_first(jobs->table); job; job = job_next(job)) {
		for (struct capture *capture = job_captures(job); capture; capture = capture_next(capture))
			capture_shut_down(capture);
	}
	check_idle(jobs);
}

static void abandon_captures(struct job *job)
{
	struct capture *next;

	for (struct capture *capture = job_captures(job); capture; capture = next) {
		next = capture_next(capture);
		capture_abandon(capture); /* the last one may free the job */
	}
}

void jobs_abandon(struct jobs *jobs)
{
	struct job *next;

	for (struct job *job = job_first(jobs->table); job; job = next) {
		next = job_next(job);
		abandon_captures(job);
	}
}

struct jobs_counts jobs_counts(const struct jobs *jobs)
{
	return jobs->counts;
}

static void on_history_stream_freed(void *ctx)
{
	struct jobs *jobs = ctx;

	jobs->history_stream_count--;
	check_idle(jobs);
}

int jobs_open_history_stream(struct jobs *jobs, const struct history_stream_spec *spec,
			     struct history_stream_reader reader, struct error *err, struct history_stream **stream)
{
	const struct history_stream_deps deps = {
		.config = jobs->options.config,
		.engine = jobs->options.engine,
		.arming = jobs->arming,
		.name_lookup = jobs->name_lookup,
		.freed = on_history_stream_freed,
		.freed_ctx = jobs,
	};

	if (jobs->shutting_down)
		return error_set(err, -ESHUTDOWN, "the daemon is stopping");
	if (jobs->history_stream_count >= JOBS_HISTORY_STREAMS_MAX)
		return error_set(err, -EBUSY, "%d history streams are open already", JOBS_HISTORY_STREAMS_MAX);
	int r = targets_check(spec->interface, jobs->options.engine, err);
	if (r < 0)
		return r;
	if (!engine_records(jobs->options.engine, spec->interface))
		return error_set(err, -ENODEV, "interface: \"%s\" is not recorded (history.interfaces)",
				 spec->interface);
	r = history_stream_start(&deps, spec, reader, stream);
	if (r < 0)
		return error_set(err, r, "%s", r == -ENOMEM ? "out of memory" : "too many captures are being started");
	jobs->history_stream_count++;
	return 0;
}

void jobs_visit_all(const struct jobs *jobs, capture_visitor visit, void *ctx)
{
	capture_list_visit_all(jobs->table, jobs->reply_cache, visit, ctx);
}

size_t jobs_visit(const struct jobs *jobs, const char *id, capture_visitor visit, void *ctx)
{
	return capture_list_visit(jobs->table, jobs->reply_cache, id, visit, ctx);
}

int jobs_stop(const struct jobs *jobs, const char *id)
{
	return capture_list_stop(jobs->table, jobs->reply_cache, id);
}

/* --- start and end --- */

struct jobs *jobs_new(const struct jobs_options *options, struct error *err)
{
	cleanup(cleanup_jobs) struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	jobs->options = *options;
	token_bucket_init(&jobs->request_rate, clock_boottime_ns());
	token_bucket_init(&jobs->lookup_rate, clock_boottime_ns());
	jobs->arming = offload_new(options->loop, "pcapd-arm", ARMING_THREADS, ARMING_QUEUE);
	jobs->name_lookup = offload_new(options->loop, "pcapd-name", NAME_LOOKUP_THREADS, ARMING_QUEUE);
	jobs->packet_log = offload_new(options->loop, "pcapd-trace", 1, PACKET_LOG_QUEUE);
	jobs->repeat_rate.burst = REPEATS_LOGGED;
	jobs->reply_cache = reply_cache_new();
	jobs->dedupe = dedupe_new(options->config);
	jobs->customer_limit = customer_limit_new(options->config);
	jobs->table = job_table_new();
	jobs->idle_event = event_new(options->loop, -1, 0, on_idle, jobs);
	jobs->capture_deps = (struct capture_deps){
		.config = options->config,
		.engine = options->engine,
		.arming = jobs->arming,
		.name_lookup = jobs->name_lookup,
		.packet_log = jobs->packet_log,
		.stopping = &jobs->stopping,
		.deliveries = options->deliveries,
		.bus = options->bus,
		.capturing_ended = on_capturing_ended,
		.finished = on_capture_finished,
		.ctx = jobs,
	};
	if (!jobs->arming || !jobs->name_lookup || !jobs->packet_log || !jobs->reply_cache || !jobs->dedupe ||
	    !jobs->customer_limit || !jobs->table || !jobs->idle_event ||
	    event_bus_subscribe(options->bus, reply_cache_on_event, jobs->reply_cache) < 0 ||
	    event_bus_subscribe(options->bus, on_event, jobs) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	return take(jobs);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	assert(jobs_idle(jobs));
	offload_free(jobs->arming);
	offload_free(jobs->name_lookup);
	offload_free(jobs->packet_log);
	if (jobs->reply_cache)
		event_bus_unsubscribe(jobs->options.bus, reply_cache_on_event, jobs->reply_cache);
	event_bus_unsubscribe(jobs->options.bus, on_event, jobs);
	reply_cache_free(jobs->reply_cache);
	dedupe_free(jobs->dedupe);
	customer_limit_free(jobs->customer_limit);
	job_table_free(jobs->table);
	if (jobs->idle_event)
		event_free(jobs->idle_event);
	free(jobs);
}
