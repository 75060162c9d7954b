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
#include "base/container_of.h"
#include "base/link_table.h"
#include "base/log.h"
#include "base/network_interface.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_copy.h"
#include "job/audit.h"
#include "job/follow.h"
#include "job/interface_rules.h"
#include "job/jobs_internal.h"
#include "job/nonces.h"
#include "job/reply_store.h"
#include "job/request_rules.h"
#include "job/targets.h"
#include "request/request.h"
#include "request/request_label.h"
#include "request/request_text.h"
#include "sink/delivery.h"

#define ARMING_THREADS 4
#define ARMING_MANY_THREADS 16 /* opening a ring is mostly waiting for the kernel */
#define NAME_LOOKUP_THREADS 16 /* filters with names to look up, which take as long as name servers, 5 s at most */
#define PACKET_LOG_QUEUE 64    /* captures waiting for their packet log */
#define SIGNED_ID_BYTES 12     /* of the MAC */
#define REPEATS_LOGGED 10      /* a second */
#define ARMING_QUEUE 4096      /* tasks waiting for an arming thread */
#define ARMING_MANY_QUEUE (4 * REQUEST_INTERFACES_MAX)

/* A request whose id the reply store is looking up, or whose interfaces' names the kernel is. */
struct pending_lookup {
	struct offload_task asking;
	LIST_ENTRY(pending_lookup) list;
	struct jobs *jobs;
	struct job_watch *watch; /* NULL: no observer */
	struct request *request;
	const struct config_requests *allowed;
	char *origin;
	bool stopped; /* meanwhile: it must not begin */
};

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

/* --- events --- */

/* A final event of the spool: its request's job ended long ago. */
struct late_answer {
	struct jobs *jobs;
	struct event *event;
};

static void on_late_answer_found(void *ctx, int code, const char *json, size_t size)
{
	struct late_answer *late = ctx;
	struct jobs *jobs = late->jobs;
	struct reply_cache *cache = jobs->reply_cache;
	const char *id = late->event->id;

	if (code == 0 && json && (reply_cache_knows(cache, id) || reply_cache_restore(cache, id, json, size))) {
		reply_cache_on_event(cache, late->event, NULL);
		cleanup(cleanup_free) char *answers = reply_cache_json(cache, id);
		if (!answers || reply_store_save(jobs->options.reply_store, id, answers, NULL, NULL) < 0)
			log_warning("late-answer-not-saved", log_str("request", id));
	}
	if (code < 0)
		log_warning("late-answer-not-saved", log_str("request", id));
	event_copy_free(late->event);
	free(late);
	jobs->pending_lookup_count--;
	check_idle(jobs);
}

/* Puts it into the stored answer, if there is one. */
static void keep_late_answer(struct jobs *jobs, const struct event *event)
{
	struct late_answer *late = calloc(1, sizeof(*late));

	if (late)
		*late = (struct late_answer){jobs, event_copy(event)};
	if (late && late->event &&
	    reply_store_find(jobs->options.reply_store, event->id, on_late_answer_found, late) == 0) {
		jobs->pending_lookup_count++;
		return;
	}
	if (late)
		event_copy_free(late->event);
	free(late);
	log_warning("late-answer-not-saved", log_str("request", event->id));
}

static bool is_late(const struct event *event, const struct job *job)
{
	return !job && event->capture && event->id && !event->duplicate &&
	       (event->kind == EVENT_DONE || event->kind == EVENT_FAILED);
}

/* An event without a capture is about the request being admitted. */
static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct jobs *jobs = ctx;
	struct job *job = event->capture && event->id ? job_find(jobs->table, event->id) : NULL;
	/* A suppressed event still is the answer for those who wait for it. */
	const bool answers = event->suppressed && (job || jobs->submitter);
	cleanup(cleanup_free) char *own = answers ? event_json(event) : NULL;

	json = answers ? own : json;
	if (!event->suppressed)
		jobs->counts.events[event->kind]++;
	outcomes_count(&jobs->counts.outcomes, event);
	if (jobs->options.reply_store && is_late(event, job))
		keep_late_answer(jobs, event);
	if (event->kind == EVENT_ACCEPTED)
		follow_look(jobs->follow); /* what has appeared while it was armed can join now */
	if (json && job)
		job_notify(job, event, json);
	else if (json)
		job_watch_event(jobs->submitter, event, json);
}

static void refuse_invalid(struct jobs *jobs, const struct job_message *message, const struct request_refusal *refusal)
{
	cleanup(request_label_deinit) struct request_label label;

	request_label_read(message->bytes, message->size, &label);
	const struct event event = {
		.kind = EVENT_REJECTED,
		.id = *refusal->id ? refusal->id : NULL,
		.node = jobs->options.config->general.node,
		.time_ns = clock_realtime_ns(),
		.reason = refusal->error.text,
		.field = *refusal->field ? refusal->field : NULL,
		.code = -EINVAL,
		.origin = message->origin,
		.broad = !refusal->named,
		.tags = label.tags,
		.customer = label.customer,
		.rule = message->rule ? message->rule : label.rule,
		.alertid = label.alertid,
		.alertid_is_integer = label.alertid_is_integer,
	};

	audit_refused(NULL, &event);
	event_bus_publish(jobs->options.bus, &event);
}

/* --- requests that wait for a look-up --- */

/* Admits the request and finishes its watch, unless a job has taken that over. */
static void admit_watched(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	jobs->submitter = watch;
	const enum job_outcome outcome = jobs_admit(jobs, submission);
	struct job_watch *submitter = take(jobs->submitter);
	if (submitter)
		job_watch_finish(submitter, outcome);
}

static void end_submission(struct jobs *jobs, const struct submission *submission, struct job_watch *watch, int code,
			   const char *reason)
{
	jobs->submitter = watch;
	const enum job_outcome outcome = jobs_refuse(jobs, submission, code, NULL, reason);
	jobs->submitter = NULL;
	job_watch_finish(watch, outcome);
}

/* Refuses the request of a pending look-up that was stopped meanwhile. */
static void end_stopped(const struct pending_lookup *pending)
{
	const struct submission submission = {pending->origin, pending->request, pending->allowed, NULL};

	end_submission(pending->jobs, &submission, pending->watch, -ECONNABORTED, "it was stopped before it began");
}

/* So many requests that even their look-ups would be too many. */
static void refuse_watched(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	jobs->submitter = watch;
	const enum job_outcome outcome = jobs_refuse_over_rate(jobs, submission);
	jobs->submitter = NULL;
	job_watch_finish(watch, outcome);
}

static struct pending_lookup *new_pending(struct jobs *jobs, const struct submission *submission,
					  struct job_watch *watch)
{
	struct pending_lookup *pending = calloc(1, sizeof(*pending));
	char *origin = pending ? strdup(submission->origin) : NULL;

	if (!origin) {
		free(pending);
		return NULL;
	}
	pending->origin = origin;
	pending->jobs = jobs;
	pending->watch = watch;
	if (watch) /* its owner may cancel it meanwhile */
		job_watch_hold(watch);
	pending->request = request_ref(submission->request);
	pending->allowed = submission->allowed;
	LIST_INSERT_HEAD(&jobs->pending_lookup, pending, list);
	jobs->pending_lookup_count++;
	return pending;
}

/* It no longer counts as pending; the caller frees it once it has been decided on. */
static void end_pending(struct pending_lookup *pending)
{
	LIST_REMOVE(pending, list);
	pending->jobs->pending_lookup_count--;
}

static void free_pending(struct pending_lookup *pending)
{
	if (pending->watch)
		(void)job_watch_release(pending->watch);
	request_unref(pending->request);
	free(pending->origin);
	free(pending);
}

uint64_t jobs_stop_pending(struct jobs *jobs, const struct request_rules *rules, const struct request *request)
{
	uint64_t stopped = 0;
	struct pending_lookup *pending;

	LIST_FOREACH(pending, &jobs->pending_lookup, list)
	{
		const struct request *other = pending->request;

		if (pending->stopped || !other->dedupe || strcmp(other->dedupe, request->dedupe) != 0 ||
		    !request_rules_allow_stop(rules, request->key, other))
			continue;
		pending->stopped = true;
		stopped++;
	}
	return stopped;
}

int jobs_stop_watched(struct jobs *jobs, const struct job_watch *watch)
{
	struct pending_lookup *pending;

	LIST_FOREACH(pending, &jobs->pending_lookup, list)
	{
		if (pending->watch != watch || pending->stopped)
			continue;
		pending->stopped = true;
		return 1;
	}
	return 0;
}

/* --- names of interfaces that only the kernel may know --- */

static bool is_unknown(const char *name)
{
	int index;

	return network_interface_is_alternative(name) && link_table_find(name, &index) == -ENODEV;
}

static bool has_unknown_name(const struct jobs *jobs, const struct request *request)
{
	struct engine_target away;
	bool unknown = false;

	for (size_t i = 0; i < request->interface_count; i++)
		unknown |= is_unknown(request->interfaces[i].name) &&
			   !engine_find_away(jobs->options.engine, request->interfaces[i].name, &away);
	return unknown;
}

static void run_asking(struct offload_task *task)
{
	const struct request *request = container_of(task, struct pending_lookup, asking)->request;
	int index;

	for (size_t i = 0; i < request->interface_count; i++) {
		if (is_unknown(request->interfaces[i].name))
			(void)!link_table_ask(request->interfaces[i].name, &index);
	}
}

static void on_asked(struct offload_task *task)
{
	struct pending_lookup *pending = container_of(task, struct pending_lookup, asking);
	struct jobs *jobs = pending->jobs;
	const struct submission submission = {pending->origin, pending->request, pending->allowed, NULL};

	end_pending(pending);
	if (jobs->shutting_down && job_watch_is_durable(pending->watch))
		job_watch_cancel(pending->watch);
	else if (pending->stopped)
		end_stopped(pending);
	else
		admit_watched(jobs, &submission, pending->watch);
	free_pending(pending);
	check_idle(jobs);
}

/* Admits the request, after the kernel was asked for names that the link table may lack; a live one at once, since its
 * output may be gone by then. */
static void ask_or_admit(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	/* What is left is for look-ups in the reply store, which requests with ids need. */
	const bool ask = !jobs->shutting_down && !submission->live &&
			 jobs->pending_lookup_count < JOBS_PENDING_LOOKUPS_MAX / 2 &&
			 has_unknown_name(jobs, submission->request);
	struct pending_lookup *pending = ask ? new_pending(jobs, submission, watch) : NULL;

	if (pending) {
		pending->asking = (struct offload_task){.run = run_asking, .done = on_asked};
		if (offload_submit(jobs->name_lookup, &pending->asking) == 0)
			return;
		end_pending(pending);
		free_pending(pending);
	}
	admit_watched(jobs, submission, watch);
}

/* --- answers from before a restart --- */

/* A durable request is not run before it is certain that it was not run already. */
static void decide(struct jobs *jobs, const struct submission *submission, struct job_watch *watch, int code,
		   bool readable)
{
	if (code < 0 && job_watch_is_durable(watch))
		end_submission(jobs, submission, watch, -EAGAIN, "Redis cannot tell whether it was answered before");
	else if (!readable)
		end_submission(jobs, submission, watch, -EBADMSG,
			       "it was answered before, but the stored answer cannot be read");
	else
		ask_or_admit(jobs, submission, watch);
}

static void on_reply_looked_up(void *ctx, int code, const char *json, size_t size)
{
	struct pending_lookup *pending_lookup = ctx;
	struct jobs *jobs = pending_lookup->jobs;
	const struct submission submission = {pending_lookup->origin, pending_lookup->request, pending_lookup->allowed,
					      NULL};
	bool readable = true;

	end_pending(pending_lookup);
	if (json && !reply_cache_knows(jobs->reply_cache, pending_lookup->request->id))
		readable = reply_cache_restore(jobs->reply_cache, pending_lookup->request->id, json, size);
	if (!readable)
		log_error("ledger-unreadable", log_str("request", pending_lookup->request->id),
			  log_uint("bytes", size));
	/* A durable trigger submits this request again after the restart, so it is not answered now. */
	if (jobs->shutting_down && job_watch_is_durable(pending_lookup->watch))
		job_watch_cancel(pending_lookup->watch);
	else if (pending_lookup->stopped && readable &&
		 !reply_cache_knows(jobs->reply_cache, pending_lookup->request->id))
		end_stopped(pending_lookup);
	else
		decide(jobs, &submission, pending_lookup->watch, code, readable);
	free_pending(pending_lookup);
	check_idle(jobs);
}

static bool must_look_up(const struct jobs *jobs, const struct request *request)
{
	return jobs->options.reply_store && request->id_given && !request->live && !request->stop &&
	       !reply_cache_knows(jobs->reply_cache, request->id);
}

/* 0: the reply store is looking it up. Else it cannot. */
static int look_up_reply(struct jobs *jobs, const struct submission *submission, struct job_watch *watch)
{
	struct reply_store *reply_store = jobs->options.reply_store;
	const struct request *request = submission->request;

	if (!reply_store_is_up(reply_store) || jobs->pending_lookup_count >= JOBS_PENDING_LOOKUPS_MAX)
		return -EAGAIN;
	struct pending_lookup *pending_lookup = new_pending(jobs, submission, watch);
	if (!pending_lookup)
		return -EAGAIN;
	if (reply_store_find(reply_store, request->id, on_reply_looked_up, pending_lookup) == 0)
		return 0;
	end_pending(pending_lookup);
	free_pending(pending_lookup);
	return -EAGAIN;
}

/* --- requests --- */

/* A signed request without an id gets one that every copy of it has, so that the reply store recognises them. */
static void name_request(struct request *request, const char *id)
{
	char signed_id[2 + 2 * SIGNED_ID_BYTES] = "k";

	for (size_t i = 0; i < SIGNED_ID_BYTES; i++)
		snprintf(signed_id + 1 + 2 * i, 3, "%02x", request->mac[i]);
	if (request->key || id)
		request_set_id(request, request->key ? signed_id : id);
}

static void look_up_or_admit(struct jobs *jobs, const struct job_message *message, struct request *request,
			     struct job_watch *watch)
{
	const struct submission submission = {message->origin, request, message->allowed, message->live};

	name_request(request, message->id);
	request->allowed = message->allowed;
	request->required = *message->allowed->filter ? message->allowed->filter : NULL;
	request->no_names = message->allowed->resolve ? NULL : message->allowed->resolve_rule;
	request->published_ns = message->published_ns;
	request->published_error_ns = message->published_error_ns;
	audit_describe(request, message->origin);
	if (message->refusal) {
		end_submission(jobs, &submission, watch, -ECONNABORTED, message->refusal);
		request_unref(request);
		return;
	}
	const bool wanted = must_look_up(jobs, request);
	if (wanted && !token_bucket_take(&jobs->lookup_rate, jobs->options.config->limits.requests_per_second,
					 clock_boottime_ns())) {
		refuse_watched(jobs, &submission, watch);
	} else {
		const int r = wanted ? look_up_reply(jobs, &submission, watch) : 1;

		if (r != 0)
			decide(jobs, &submission, watch, r, true);
	}
	request_unref(request);
}

/* A replay is refused before it can do anything. */
static int check_signature_unused(struct jobs *jobs, const struct job_message *message, const struct request *request,
				  struct request_refusal *refusal)
{
	struct error error;

	if (!request->key || nonces_use(jobs->nonces, request, message->id, request->received_ns, &error) == 0)
		return 0;
	snprintf(refusal->id, sizeof(refusal->id), "%s", request->id_given ? request->id : "");
	return request_refuse(refusal, "sig", "%s", error.text);
}

static void refuse(struct jobs *jobs, const struct job_message *message, const struct request_refusal *refusal,
		   struct job_watch *watch)
{
	jobs->submitter = watch;
	refuse_invalid(jobs, message, refusal);
	jobs->submitter = NULL;
	job_watch_finish(watch, JOB_REFUSED);
}

static void submit(struct jobs *jobs, const struct job_message *message, struct job_watch *watch)
{
	struct request_refusal refusal = {0};
	struct request *request = NULL;
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_destination_names(jobs->options.deliveries, names);

	const struct request_arrival arrival = {
		.received_ns = clock_realtime_ns(),
		.published_ns = message->published_ns,
		.rules = message->rule ? NULL : message->allowed,
		.rule = message->rule,
		.live = message->live,
	};

	switch (request_parse(message->bytes, message->size, &arrival, jobs->options.config, names, name_count,
			      &refusal, &request)) {
	case REQUEST_OURS:
		if (check_signature_unused(jobs, message, request, &refusal) == 0) {
			look_up_or_admit(jobs, message, request, watch);
		} else {
			request_unref(request);
			refuse(jobs, message, &refusal, watch);
		}
		break;
	case REQUEST_ELSEWHERE:
		jobs->counts.elsewhere++;
		log_debug(job, "request-elsewhere", log_str("origin", message->origin),
			  log_uint("bytes", message->size));
		job_watch_finish(watch, JOB_ELSEWHERE);
		break;
	case REQUEST_INVALID:
		refuse(jobs, message, &refusal, watch);
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

struct job_watch *jobs_request_live(struct jobs *jobs, const struct job_message *message,
				    const struct job_observer *observer)
{
	struct job_message live = *message;

	live.allowed = &jobs->options.config->api.requests;
	return jobs_submit(jobs, &live, observer);
}

/* --- ends of captures --- */

static bool on_armed(void *ctx, struct capture *capture, int code, const char *reason)
{
	struct job *job = capture_owner(capture);

	if (job_is_put_off(job))
		return true;
	if (code == 0 || !jobs_is_passing(code) || !job_put_off(job))
		return false;
	jobs_log_waiting(ctx, job_request(job)->id, reason);
	return true;
}

static void on_continued(void *ctx, struct capture *capture, struct capture *next)
{
	struct jobs *jobs = ctx;
	struct job *job = capture_owner(capture);

	capture_set_owner(next, job);
	capture_set_number(next, job_next_number(job));
	job_add_capture(job, next);
	jobs->counts.running++;
	jobs->expected--;
}

static void on_capturing_ended(void *ctx, struct capture *capture)
{
	struct jobs *jobs = ctx;

	jobs->expected -= capture_files_left(capture);
	jobs->counts.running--;
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
	const bool wanted = !job_is_put_off(job) && jobs->options.reply_store && request->id_given && !request->live;
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

	const size_t copy_bytes = request_bytes(job_request(job));

	job_remove_capture(job, capture);
	if (job_charge(job) > copy_bytes) {
		engine_memory_return(jobs->options.engine, copy_bytes);
		job_set_charge(job, job_charge(job) - copy_bytes);
	}
	jobs->counts.delivering--;
	if (!job_capture_count(job) && job_is_put_off(job))
		jobs_forget(jobs, job_request(job));
	if (!job_capture_count(job)) {
		follow_end(job_follower(job));
		job_set_follower(job, NULL);
		finish_job(jobs, job);
	}
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

int jobs_open_history_stream(struct jobs *jobs, struct history_stream_spec *spec, struct history_stream_reader reader,
			     struct error *err, struct history_stream **stream)
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
	const struct config_requests *allowed = &jobs->options.config->api.requests;
	struct interface_rules rules;
	struct engine_target target = {0};
	int r = request_rules_check_history(allowed, jobs->options.engine, spec, err);
	if (r == 0) {
		interface_rules_init(&rules, jobs->options.engine, allowed, NULL);
		r = targets_find_interface(spec->interface, &rules, &target, err);
		interface_rules_deinit(&rules);
	}
	if (r < 0)
		return r;
	if (!engine_records(jobs->options.engine, &target))
		return error_set(err, -ENODEV, "interface: \"%s\" is not recorded (history.interfaces)",
				 spec->interface);
	r = history_stream_start(&deps, spec, &target, reader, stream);
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

static void expect_destinations(struct jobs *jobs)
{
	const char *names[SINKS_MAX];
	const size_t count = deliveries_destination_names(jobs->options.deliveries, names);

	for (size_t i = 0; i < count; i++)
		outcomes_expect(&jobs->counts.outcomes, names[i]);
}

static int start_nonces(struct jobs *jobs, struct error *err)
{
	const struct config_requests *rules = &jobs->options.config->requests;

	if (!rules->keyring)
		return 0;
	jobs->nonces = nonces_new(&(struct nonces_options){.path = rules->nonces_file,
							   .max_age_ns = rules->signature_age_ns,
							   .now_ns = clock_realtime_ns()},
				  err);
	return jobs->nonces ? 0 : -ENOMEM;
}

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
	jobs->arming_many = offload_new(options->loop, "pcapd-arm-many", ARMING_MANY_THREADS, ARMING_MANY_QUEUE);
	jobs->name_lookup = offload_new(options->loop, "pcapd-name", NAME_LOOKUP_THREADS, ARMING_QUEUE);
	jobs->packet_log = offload_new(options->loop, "pcapd-trace", 1, PACKET_LOG_QUEUE);
	expect_destinations(jobs);
	jobs->repeat_rate.burst = REPEATS_LOGGED;
	jobs->put_off_rate.burst = 1;
	jobs->reply_cache = reply_cache_new();
	jobs->dedupe = dedupe_new(options->config);
	jobs->customer_limit = customer_limit_new(options->config);
	jobs->table = job_table_new();
	jobs->follow = follow_new(options->loop);
	if (start_nonces(jobs, err) < 0)
		return NULL;
	jobs->idle_event = event_new(options->loop, -1, 0, on_idle, jobs);
	jobs->capture_deps = (struct capture_deps){
		.config = options->config,
		.engine = options->engine,
		.arming = jobs->arming,
		.arming_many = jobs->arming_many,
		.name_lookup = jobs->name_lookup,
		.packet_log = jobs->packet_log,
		.stopping = &jobs->stopping,
		.deliveries = options->deliveries,
		.spool = options->spool,
		.bus = options->bus,
		.withdrawn = on_armed,
		.continued = on_continued,
		.capturing_ended = on_capturing_ended,
		.finished = on_capture_finished,
		.ctx = jobs,
	};
	if (!jobs->arming || !jobs->arming_many || !jobs->name_lookup || !jobs->packet_log || !jobs->reply_cache ||
	    !jobs->dedupe || !jobs->customer_limit || !jobs->table || !jobs->follow || !jobs->idle_event ||
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
	offload_free(jobs->arming_many);
	offload_free(jobs->name_lookup);
	offload_free(jobs->packet_log);
	if (jobs->reply_cache)
		event_bus_unsubscribe(jobs->options.bus, reply_cache_on_event, jobs->reply_cache);
	event_bus_unsubscribe(jobs->options.bus, on_event, jobs);
	reply_cache_free(jobs->reply_cache);
	dedupe_free(jobs->dedupe);
	customer_limit_free(jobs->customer_limit);
	job_table_free(jobs->table);
	follow_free(jobs->follow);
	nonces_free(jobs->nonces);
	if (jobs->idle_event)
		event_free(jobs->idle_event);
	free(jobs);
}
