/*
 * The order of the checks is the order of what they cost: another node's request is dropped after a glance, too many
 * requests are refused before their interfaces are looked up, and nothing is started unless all of it may start.
 *
 * What is said about a request while it is judged goes to who handed it in (`judging`); what is said later belongs to a
 * job, and goes to all its watches.
 */
#include "job/jobs.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "config/config.h"
#include "event/event.h"
#include "job/answers.h"
#include "job/job.h"
#include "job/leg.h"
#include "job/storm.h"
#include "job/targets.h"
#include "request/request.h"
#include "sink/sink.h"

#define ARMING_THREADS 2
#define NAMING_THREADS 2    /* for filters with names to look up: slow name servers hold up only each other */
#define TRACING_QUEUE 64    /* captures whose packets wait to be logged */
#define REPEATS_LOGGED 10   /* a second */
#define ARMING_QUEUE 4096   /* more wait than can run at once */
#define LEGS_PER_RUNNING 16 /* legs being delivered, as a multiple of the captures that may run */

struct jobs {
	struct jobs_options with;
	struct leg_surroundings surroundings;
	struct offload *arming, *naming, *tracing;
	atomic_bool stopping; /* read by arming threads */
	struct answers *answers;
	struct storm *storm;
	struct job_book *book;
	struct job_watch *judging; /* of the request that is being judged; NULL: nobody asks */
	struct jobs_counts counts;
	unsigned pasts;
	uint64_t tokens_ns; /* requests_per_second as a bucket of time: a second's worth at most */
	uint64_t refilled_ns;
	struct log_rate repeat_rate;
	void (*idle)(void *ctx);
	void *idle_ctx;
	struct event *idle_event;
	bool shutting_down;
};

/* A request that is being judged. */
struct submission {
	const char *origin;
	struct request *request;
};

/* --- saying it --- */

/* What has no capture is about the request that is being judged. */
static void hear(void *ctx, const struct event *event, const char *json)
{
	struct jobs *jobs = ctx;
	struct job *job = event->capture && event->id ? job_find(jobs->book, event->id) : NULL;
	jobs->counts.events[event->kind]++;
	if (job)
		job_hear(job, event, json);
	else
		job_watch_event(jobs->judging, event, json);
}

static struct event describe(const struct jobs *jobs, const struct submission *submission, enum event_kind kind)
{
	const struct request *request = submission->request;
	return (struct event){
		.kind = kind,
		.id = request->id,
		.node = jobs->with.config->general.node,
		.time_ns = clock_realtime_ns(),
		.origin = submission->origin,
		.tags = request->tags,
		.customer = request->customer,
		.alertid = request->alertid,
		.alertid_is_integer = request->alertid_is_integer,
	};
}

static enum job_end refuse(struct jobs *jobs, const struct submission *submission, const char *field,
			   const char *reason)
{
	struct event event = describe(jobs, submission, EVENT_REJECTED);
	event.reason = reason;
	event.field = field;
	event_bus_publish(jobs->with.bus, &event);
	return JOB_REFUSED;
}

static void refuse_invalid(struct jobs *jobs, const char *origin, const struct request_refusal *refusal)
{
	const struct event event = {
		.kind = EVENT_REJECTED,
		.id = *refusal->id ? refusal->id : NULL,
		.node = jobs->with.config->general.node,
		.time_ns = clock_realtime_ns(),
		.reason = refusal->error.text,
		.field = *refusal->field ? refusal->field : NULL,
		.origin = origin,
	};
	event_bus_publish(jobs->with.bus, &event);
}

/* --- limits --- */

static bool within_rate(struct jobs *jobs)
{
	const uint64_t price_ns = NS_PER_S / jobs->with.config->limits.requests_per_second;
	const uint64_t now_ns = clock_boottime_ns();
	jobs->tokens_ns += now_ns - jobs->refilled_ns;
	jobs->refilled_ns = now_ns;
	if (jobs->tokens_ns > NS_PER_S)
		jobs->tokens_ns = NS_PER_S;
	if (jobs->tokens_ns < price_ns)
		return false;
	jobs->tokens_ns -= price_ns;
	return true;
}

static int check_limits(const struct jobs *jobs, size_t more, struct error *err)
{
	const uint64_t captures = jobs->with.config->limits.captures;
	const uint64_t legs = captures * LEGS_PER_RUNNING;
	if (jobs->counts.running + more > captures)
		return error_set(err, -ENOSPC, "%llu captures are running already, at most %llu may (limits.captures)",
				 (unsigned long long)jobs->counts.running, (unsigned long long)captures);
	if (jobs->counts.legs + more > legs)
		return error_set(err, -ENOSPC, "%llu captures wait to be delivered, at most %llu may",
				 (unsigned long long)(jobs->counts.legs - jobs->counts.running),
				 (unsigned long long)legs);
	return 0;
}

static uint64_t customer_captures(const struct jobs *jobs, const char *customer)
{
	uint64_t count = 0;
	struct leg_view look;
	for (const struct job *job = job_first(jobs->book); job && customer; job = job_next(job)) {
		if (!job_request(job)->customer || strcmp(job_request(job)->customer, customer) != 0)
			continue;
		for (const struct leg *leg = job_legs(job); leg; leg = leg_next(leg)) {
			leg_look(leg, &look);
			count += look.state == LEG_DELIVERING ? 0 : leg_captures(leg);
		}
	}
	return count;
}

static int check_customer(const struct jobs *jobs, const struct request *request, size_t more, struct error *err)
{
	const bool limited = jobs->with.config->limits.customer_captures && request->customer;
	return storm_admit_customer(jobs->storm, request->customer,
				    limited ? customer_captures(jobs, request->customer) : 0, more, clock_boottime_ns(),
				    err);
}

/* --- a request that was there before --- */

/* The same id again: what it was answered is answered again, and who asks hears how it ends if it still runs. */
static bool repeat_answer(struct jobs *jobs, const struct submission *submission)
{
	const struct request *request = submission->request;
	uint64_t suppressed;
	if (!request->id_given || !answers_knows(jobs->answers, request->id))
		return false;
	struct job *job = job_find(jobs->book, request->id);
	if (jobs->judging && job)
		job_add_watch(job, jobs->judging);
	job_watch_admitted(jobs->judging, request->id,
			   job ? job_leg_count(job) : answers_captures(jobs->answers, request->id));
	answers_repeat(jobs->answers, request->id, jobs->with.bus);
	if (log_rate_allow(&jobs->repeat_rate, &suppressed))
		log_info("request-repeated", log_str("request", request->id), log_str("origin", submission->origin),
			 log_uint("suppressed", suppressed));
	if (job)
		jobs->judging = NULL; /* the job tells it when it is over */
	return true;
}

static void answer_folded(struct jobs *jobs, const struct submission *submission, const char *into, uint64_t until_ns)
{
	struct event event = describe(jobs, submission, EVENT_DONE);
	event.reason = "folded";
	event.folded_into = into;
	event.until_ns = until_ns + (uint64_t)clock_offset_ns();
	storm_renew(jobs->storm, submission->request, clock_boottime_ns());
	job_watch_admitted(jobs->judging, submission->request->id, 0);
	event_bus_publish(jobs->with.bus, &event);
}

/* The same event again, within its cooldown: the capture that runs goes on for as long as this one would; if it has
 * ended, the packets are elsewhere already. */
static bool fold(struct jobs *jobs, const struct submission *submission, enum job_end *end)
{
	const struct request *request = submission->request;
	const char *before = storm_find(jobs->storm, request, clock_boottime_ns());
	const struct job *job = before ? job_find(jobs->book, before) : NULL;
	char into[REQUEST_ID_SIZE];
	uint64_t latest_ns = 0;
	struct error error;
	if (!before)
		return false;
	snprintf(into, sizeof(into), "%s", before);
	for (struct leg *leg = job ? job_legs(job) : NULL; leg; leg = leg_next(leg)) {
		uint64_t until_ns;
		if (leg_extend(leg, request->duration_ns, &until_ns) && until_ns > latest_ns)
			latest_ns = until_ns;
	}
	if (latest_ns) {
		answer_folded(jobs, submission, into, latest_ns);
		*end = JOB_OVER;
		return true;
	}
	error_set(&error, -EALREADY, "the same %s was captured as request %s less than %.12g s ago (limits.cooldown)",
		  request->dedupe ? "dedupe key" : "alertid", into,
		  (double)jobs->with.config->limits.cooldown_ns / NS_PER_S);
	*end = refuse(jobs, submission, request->dedupe ? "dedupe" : "alertid", error.text);
	return true;
}

/* --- a request that is started --- */

static void start_leg(struct jobs *jobs, const struct submission *submission, struct job *job,
		      const struct leg_target *targets, size_t count)
{
	struct leg *leg = NULL;
	const int r = leg_start(&jobs->surroundings, submission->request, targets, count,
				(unsigned)job_leg_count(job) + 1, &leg);
	if (r < 0) {
		struct error error;
		error_set(&error, r, "interface %s: %s", targets->name,
			  r == -ENOMEM ? "out of memory" : "too many captures are being started");
		refuse(jobs, submission, NULL, error.text);
		return;
	}
	leg_set_owner(leg, job);
	job_add_leg(job, leg);
	jobs->counts.legs++;
	jobs->counts.running += count;
}

static enum job_end start(struct jobs *jobs, const struct submission *submission, const struct targets *targets)
{
	const bool merge = submission->request->merge;
	struct job *job = job_new(jobs->book, submission->request);
	if (!job)
		return refuse(jobs, submission, NULL, "out of memory");
	answers_expect(jobs->answers, submission->request->id);
	storm_note(jobs->storm, submission->request, clock_boottime_ns());
	job_watch_admitted(jobs->judging, submission->request->id, merge ? 1 : targets->count);
	for (size_t i = 0; i < targets->count; i += merge ? targets->count : 1)
		start_leg(jobs, submission, job, &targets->items[i], merge ? targets->count : 1);
	if (!job_leg_count(job)) {
		job_end(job);
		return JOB_REFUSED;
	}
	if (jobs->judging)
		job_add_watch(job, jobs->judging);
	jobs->judging = NULL;
	return JOB_OVER;
}

static enum job_end judge_targets(struct jobs *jobs, const struct submission *submission, struct targets *targets)
{
	const struct request *request = submission->request;
	struct error error;
	if (targets_find(request, jobs->with.engine, targets, &error) < 0)
		return refuse(jobs, submission, "interface", error.text);
	if (request->merge && request->format == REQUEST_FORMAT_PCAP && targets->count > 1)
		return refuse(jobs, submission, "format", "format: pcap holds one interface only, merge needs pcapng");
	if (check_customer(jobs, request, targets->count, &error) < 0)
		return refuse(jobs, submission, "customer", error.text);
	if (check_limits(jobs, targets->count, &error) < 0)
		return refuse(jobs, submission, NULL, error.text);
	return start(jobs, submission, targets);
}

static enum job_end judge(struct jobs *jobs, const struct submission *submission)
{
	const struct request *request = submission->request;
	struct targets targets = {};
	enum job_end end = JOB_OVER;
	if (request->logrequest)
		log_info("request", log_str("request", request->id), log_str("origin", submission->origin),
			 log_str("json", request->json));
	if (jobs->shutting_down)
		return refuse(jobs, submission, NULL, "the daemon is stopping");
	if (!within_rate(jobs))
		return refuse(jobs, submission, NULL, "too many requests (limits.requests_per_second)");
	if (repeat_answer(jobs, submission) || fold(jobs, submission, &end))
		return end;
	end = judge_targets(jobs, submission, &targets);
	targets_deinit(&targets);
	return end;
}

static enum job_end submit(struct jobs *jobs, const char *origin, const void *bytes, size_t size)
{
	struct request_refusal refusal = {};
	struct request *request = NULL;
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_names(jobs->with.deliveries, names);
	enum job_end end = JOB_REFUSED;
	switch (request_parse(bytes, size, clock_realtime_ns(), jobs->with.config, names, name_count, &refusal,
			      &request)) {
	case REQUEST_OURS:
		end = judge(jobs, &(struct submission){origin, request});
		request_unref(request);
		break;
	case REQUEST_ELSEWHERE:
		jobs->counts.elsewhere++;
		end = JOB_ELSEWHERE;
		break;
	case REQUEST_INVALID:
		refuse_invalid(jobs, origin, &refusal);
		break;
	}
	return end;
}

struct job_watch *jobs_request(struct jobs *jobs, const char *origin, const void *bytes, size_t size,
			       const struct job_observer *observer)
{
	struct job_watch *watch = observer ? job_watch_new(jobs->book, observer) : NULL;
	if (observer && !watch)
		log_error("request-unwatched", log_str("origin", origin), log_str("error", "out of memory"));
	jobs->judging = watch;
	const enum job_end end = submit(jobs, origin, bytes, size);
	const bool over = jobs->judging;
	jobs->judging = NULL;
	if (!over)
		return watch; /* a job has it now */
	job_watch_over(watch, end);
	return NULL;
}

/* --- the legs' ends --- */

static void capture_ended(void *ctx, struct leg *leg)
{
	struct jobs *jobs = ctx;
	jobs->counts.running -= leg_captures(leg);
}

static void check_idle(struct jobs *jobs)
{
	if (jobs->shutting_down && !jobs->counts.legs && !jobs->pasts)
		event_active(jobs->idle_event, EV_TIMEOUT, 1);
}

static void leg_over(void *ctx, struct leg *leg)
{
	struct jobs *jobs = ctx;
	struct job *job = leg_owner(leg);
	job_remove_leg(job, leg);
	jobs->counts.legs--;
	if (!job_leg_count(job))
		job_end(job);
	check_idle(jobs);
}

static void tell_idle(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	struct jobs *jobs = ctx;
	jobs->idle(jobs->idle_ctx);
}

void jobs_shut_down(struct jobs *jobs, void (*idle)(void *ctx), void *ctx)
{
	jobs->shutting_down = true;
	atomic_store(&jobs->stopping, true);
	jobs->idle = idle;
	jobs->idle_ctx = ctx;
	for (struct job *job = job_first(jobs->book); job; job = job_next(job)) {
		for (struct leg *leg = job_legs(job); leg; leg = leg_next(leg))
			leg_shut_down(leg);
	}
	check_idle(jobs);
}

static void abandon_legs(struct job *job)
{
	struct leg *next;
	for (struct leg *leg = job_legs(job); leg; leg = next) {
		next = leg_next(leg);
		leg_abandon(leg); /* with the last one the job goes */
	}
}

void jobs_abandon(struct jobs *jobs)
{
	struct job *next;
	for (struct job *job = job_first(jobs->book); job; job = next) {
		next = job_next(job);
		abandon_legs(job);
	}
}

struct jobs_counts jobs_counts(const struct jobs *jobs)
{
	return jobs->counts;
}

static void past_gone(void *ctx)
{
	struct jobs *jobs = ctx;
	jobs->pasts--;
	check_idle(jobs);
}

int jobs_past(struct jobs *jobs, const struct past_spec *spec, struct past_reader reader, struct error *err,
	      struct past **past)
{
	const struct past_surroundings surroundings = {
		.config = jobs->with.config,
		.engine = jobs->with.engine,
		.arming = jobs->arming,
		.naming = jobs->naming,
		.gone = past_gone,
		.gone_ctx = jobs,
	};
	if (jobs->shutting_down)
		return error_set(err, -ESHUTDOWN, "the daemon is stopping");
	if (jobs->pasts >= JOBS_PASTS_MAX)
		return error_set(err, -EBUSY, "%d histories are being read already", JOBS_PASTS_MAX);
	int r = targets_check(spec->interface, jobs->with.engine, err);
	if (r < 0)
		return r;
	r = past_start(&surroundings, spec, reader, past);
	if (r < 0)
		return error_set(err, r, "%s", r == -ENOMEM ? "out of memory" : "too many captures are being started");
	jobs->pasts++;
	return 0;
}

void jobs_visit_all(const struct jobs *jobs, capture_visitor visit, void *ctx)
{
	captures_visit_all(jobs->book, jobs->answers, visit, ctx);
}

size_t jobs_visit(const struct jobs *jobs, const char *id, capture_visitor visit, void *ctx)
{
	return captures_visit(jobs->book, jobs->answers, id, visit, ctx);
}

int jobs_stop(const struct jobs *jobs, const char *id)
{
	return captures_stop(jobs->book, jobs->answers, id);
}

/* --- the whole --- */

struct jobs *jobs_new(const struct jobs_options *options, struct error *err)
{
	cleanup(cleanup_jobs) struct jobs *jobs = calloc(1, sizeof(*jobs));
	if (!jobs) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	jobs->with = *options;
	jobs->refilled_ns = clock_boottime_ns();
	jobs->tokens_ns = NS_PER_S;
	jobs->arming = offload_new(options->loop, "pcapd-arm", ARMING_THREADS, ARMING_QUEUE);
	jobs->naming = offload_new(options->loop, "pcapd-name", NAMING_THREADS, ARMING_QUEUE);
	jobs->tracing = offload_new(options->loop, "pcapd-trace", 1, TRACING_QUEUE);
	jobs->repeat_rate.burst = REPEATS_LOGGED;
	jobs->answers = answers_new();
	jobs->storm = storm_new(options->config);
	jobs->book = job_book_new();
	jobs->idle_event = event_new(options->loop, -1, 0, tell_idle, jobs);
	jobs->surroundings = (struct leg_surroundings){
		.config = options->config,
		.engine = options->engine,
		.arming = jobs->arming,
		.naming = jobs->naming,
		.tracing = jobs->tracing,
		.stopping = &jobs->stopping,
		.deliveries = options->deliveries,
		.bus = options->bus,
		.ended = capture_ended,
		.over = leg_over,
		.ctx = jobs,
	};
	if (!jobs->arming || !jobs->naming || !jobs->tracing || !jobs->answers || !jobs->storm || !jobs->book ||
	    !jobs->idle_event || event_bus_subscribe(options->bus, answers_subscriber, jobs->answers) < 0 ||
	    event_bus_subscribe(options->bus, hear, jobs) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	return take(jobs);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	assert(!jobs->counts.legs && !jobs->pasts);
	offload_free(jobs->arming);
	offload_free(jobs->naming);
	offload_free(jobs->tracing);
	if (jobs->answers)
		event_bus_unsubscribe(jobs->with.bus, answers_subscriber, jobs->answers);
	event_bus_unsubscribe(jobs->with.bus, hear, jobs);
	answers_free(jobs->answers);
	storm_free(jobs->storm);
	job_book_free(jobs->book);
	if (jobs->idle_event)
		event_free(jobs->idle_event);
	free(jobs);
}
