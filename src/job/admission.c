/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks run in the order of their cost, and nothing starts unless the whole request passes them. A repeated request is
 * answered before any limit applies.
 *
 * A durable request that meets a limit that passes (rates, captures, memory, descriptors) is put off: it has no event,
 * leaves no trace, and its trigger submits it again. Once one of its captures has had an event, it runs to its end.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "capture/engine.h"
#include "capture/ring_size.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "job/audit.h"
#include "job/follow.h"
#include "job/interface_rules.h"
#include "job/jobs_internal.h"
#include "job/request_rules.h"
#include "job/stream_rules.h"
#include "job/targets.h"
#include "request/request.h"

#define CAPTURES_PER_RUNNING 16 /* limit on captures running or being delivered, as a multiple of limits.captures */

/* --- events --- */

static struct event describe_request(const struct jobs *jobs, const struct submission *submission, enum event_kind kind)
{
	const struct request *request = submission->request;

	return (struct event){
		.kind = kind,
		.filter = request->filter_shown,
		.inner = request->inner_shown,
		.limits = audit_limits(request),
		.id = request->id,
		.node = jobs->options.config->general.node,
		.time_ns = clock_realtime_ns(),
		.origin = submission->origin,
		.broad = request->broad,
		.tags = request->tags,
		.customer = request->customer,
		.key = request_key_name(request),
		.rule = request->rule,
		.alertid = request->alertid,
		.alertid_is_integer = request->alertid_is_integer,
	};
}

bool jobs_is_passing(int code)
{
	static const int passing[] = {-EDQUOT, -ENOSPC, -ENOMEM,    -ENOBUFS,	-EAGAIN,
				      -EMFILE, -ENFILE, -ESHUTDOWN, -ECANCELED, -ETIMEDOUT};

	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++) {
		if (code == passing[i])
			return true;
	}
	return false;
}

void jobs_log_waiting(struct jobs *jobs, const char *id, const char *reason)
{
	uint64_t suppressed;

	if (log_rate_allow(&jobs->put_off_rate, &suppressed))
		log_warning("request-waits", log_str("request", id), log_str("reason", reason),
			    log_uint("suppressed", suppressed));
}

enum job_outcome jobs_refuse(struct jobs *jobs, const struct submission *submission, int code, const char *field,
			     const char *reason)
{
	struct event event;

	if (job_watch_is_durable(jobs->submitter) && jobs_is_passing(code)) {
		jobs_log_waiting(jobs, submission->request->id, reason);
		return JOB_PUT_OFF;
	}
	event = describe_request(jobs, submission, EVENT_REJECTED);
	event.reason = reason;
	event.field = field;
	event.code = code;
	audit_refused(submission->request, &event);
	event_bus_publish(jobs->options.bus, &event);
	return JOB_REFUSED;
}

/* --- limits --- */

/* `more` captures at first, `in_all` with the files that follow in their series. */
static int check_limits(const struct jobs *jobs, size_t more, uint64_t in_all, struct error *err)
{
	const uint64_t running_max = jobs->options.config->limits.captures;
	const uint64_t captures_max = running_max * CAPTURES_PER_RUNNING;

	if (jobs->counts.running + more > running_max)
		return error_set(err, more > running_max ? -E2BIG : -ENOSPC,
				 "%llu captures are running already; the limit is %llu (limits.captures)",
				 (unsigned long long)jobs->counts.running, (unsigned long long)running_max);
	if (in_all > captures_max)
		return error_set(err, -E2BIG, "%llu files are more than the limit for captures in all, %llu",
				 (unsigned long long)in_all, (unsigned long long)captures_max);
	if (jobs->counts.running + jobs->counts.delivering + jobs->expected + in_all > captures_max)
		return error_set(err, -ENOSPC,
				 "%llu captures are waiting to be delivered; the limit for captures in all is %llu",
				 (unsigned long long)(jobs->counts.delivering + jobs->expected),
				 (unsigned long long)captures_max);
	return 0;
}

static uint64_t customer_captures(const struct jobs *jobs, const char *customer)
{
	uint64_t count = 0;
	struct capture_status status;

	for (const struct job *job = job_first(jobs->table); job && customer; job = job_next(job)) {
		if (!job_request(job)->customer || strcmp(job_request(job)->customer, customer) != 0)
			continue;
		for (const struct capture *capture = job_captures(job); capture; capture = capture_next(capture)) {
			capture_get_status(capture, &status);
			count += status.state != CAPTURE_DELIVERING;
		}
	}
	return count;
}

static int check_customer(const struct jobs *jobs, const struct request *request, size_t more, struct error *err)
{
	const bool limited = jobs->options.config->limits.customer_captures && request->customer;

	return customer_limit_admit(jobs->customer_limit, request->customer,
				    limited ? customer_captures(jobs, request->customer) : 0, more, clock_boottime_ns(),
				    err);
}

/* --- repeated requests --- */

/* The same id again: repeats its answers. If the job still runs, the submitter watches it. */
static bool repeat_reply(struct jobs *jobs, const struct submission *submission, enum job_outcome *outcome)
{
	const struct request *request = submission->request;
	uint64_t suppressed;

	if (!request->id_given || !reply_cache_knows(jobs->reply_cache, request->id))
		return false;
	if (request->live) {
		*outcome = jobs_refuse(jobs, submission, -EALREADY, "id", "id: there is a capture with this id");
		return true;
	}
	struct job *job = job_find(jobs->table, request->id);
	if (jobs->submitter && job)
		job_add_watch(job, jobs->submitter);
	job_watch_admitted(jobs->submitter, request->id,
			   job ? job_capture_count(job) : reply_cache_capture_count(jobs->reply_cache, request->id));
	reply_cache_repeat(jobs->reply_cache, request->id, jobs->options.bus);
	if (log_rate_allow(&jobs->repeat_rate, &suppressed))
		log_info("request-repeated", log_str("request", request->id), log_str("origin", submission->origin),
			 log_uint("suppressed", suppressed));
	if (job)
		jobs->submitter = NULL; /* the job finishes it */
	return true;
}

static void report_folded(struct jobs *jobs, const struct submission *submission, const char *into, uint64_t until_ns)
{
	struct event event = describe_request(jobs, submission, EVENT_DONE);

	event.reason = "folded";
	event.folded_into = into;
	event.until_ns = until_ns + (uint64_t)clock_offset_ns();
	dedupe_renew(jobs->dedupe, submission->request, clock_boottime_ns());
	job_watch_admitted(jobs->submitter, submission->request->id, 0);
	audit_admitted(submission->request, 0, into);
	event_bus_publish(jobs->options.bus, &event);
}

/* The same alert again, within its cooldown: extends the running captures to this request's duration. If they have
 * ended, their files have the packets, and the request is refused. */
static bool fold_into_running(struct jobs *jobs, const struct submission *submission, enum job_outcome *outcome)
{
	const struct request *request = submission->request;
	const char *before = dedupe_find(jobs->dedupe, request, clock_boottime_ns());
	const struct job *job = before ? job_find(jobs->table, before) : NULL;
	char into[REQUEST_ID_SIZE];
	uint64_t latest_ns = 0;
	struct error error;

	if (!before || (job && job_is_put_off(job)))
		return false;
	snprintf(into, sizeof(into), "%s", before);
	for (struct capture *capture = job ? job_captures(job) : NULL; capture; capture = capture_next(capture)) {
		uint64_t until_ns;

		if (capture_extend(capture, request->duration_ns, &until_ns) && until_ns > latest_ns)
			latest_ns = until_ns;
	}
	if (latest_ns) {
		report_folded(jobs, submission, into, latest_ns);
		*outcome = JOB_FINISHED;
		return true;
	}
	error_set(&error, -EALREADY, "the same %s was captured as request %s less than %.12g s ago (limits.cooldown)",
		  request->dedupe ? "dedupe key" : "alertid", into,
		  (double)jobs->options.config->limits.cooldown_ns / NS_PER_S);
	*outcome = jobs_refuse(jobs, submission, -EALREADY, request->dedupe ? "dedupe" : "alertid", error.text);
	return true;
}

/* --- starting --- */

void jobs_forget(struct jobs *jobs, const struct request *request)
{
	reply_cache_forget(jobs->reply_cache, request->id);
	dedupe_forget(jobs->dedupe, request);
}

static enum job_outcome start_capture(struct jobs *jobs, const struct submission *submission, struct job *job,
				      const struct capture_interfaces *interfaces)
{
	struct capture *capture = NULL;
	const int r =
		capture_start(&jobs->capture_deps, submission->request, interfaces, job_next_number(job), &capture);

	if (r < 0) {
		struct error error;

		error_set(&error, r, "interface %s: %s", interfaces->targets->on.name,
			  r == -ENOMEM ? "out of memory" : "too many captures are being started");
		return jobs_refuse(jobs, submission, r, NULL, error.text);
	}
	capture_set_owner(capture, job);
	job_add_capture(job, capture);
	jobs->counts.running++;
	jobs->expected += capture_files_left(capture);
	return JOB_FINISHED;
}

/* The request stays for as long as the job, and each capture puts a copy of it into its file. */
static bool charge(struct jobs *jobs, struct job *job, size_t copies)
{
	const size_t bytes = request_bytes(job_request(job)) * copies;

	if (!engine_memory_charge(jobs->options.engine, bytes))
		return false;
	job_set_charge(job, job_charge(job) + bytes);
	return true;
}

/* --- interfaces that appear --- */

/* The latest end of the job's running captures; 0: none runs. */
static uint64_t job_ends_ns(const struct job *job)
{
	uint64_t ends_ns = 0;

	for (const struct capture *capture = job_captures(job); capture; capture = capture_next(capture))
		ends_ns = capture_ends_ns(capture) > ends_ns ? capture_ends_ns(capture) : ends_ns;
	return ends_ns;
}

static int check_join(const struct jobs *jobs, const struct request *request, struct error *err)
{
	const uint64_t customer_max = jobs->options.config->limits.customer_captures;

	if (customer_max && request->customer && customer_captures(jobs, request->customer) >= customer_max)
		return error_set(err, -EDQUOT, "customer %s has %llu captures running (limits.customer_captures)",
				 request->customer, (unsigned long long)customer_max);
	return check_limits(jobs, 1, 1, err);
}

/* A new capture of the job, or its refusal. */
static void join_as_capture(struct jobs *jobs, struct job *job, const struct capture_target *target, uint64_t until_ns)
{
	struct request *request = job_request(job);
	const struct submission submission = {.origin = request->origin, .request = request};
	const struct capture_interfaces interfaces = {
		.targets = target,
		.count = 1,
		.wanted = REQUEST_INTERFACES_MAX, /* how many will follow is not known */
		.ring_bytes = engine_plan_rings(jobs->options.engine, RING_SIZE_MANY + 1),
		.until_ns = until_ns,
		.skipped = &(struct skipped){0},
	};
	const unsigned number = job_next_number(job);
	struct capture *capture = NULL;
	struct error error;
	char id[REQUEST_ID_SIZE + 16];

	int r = check_join(jobs, request, &error);
	if (r == 0 && !charge(jobs, job, 1))
		r = error_set(&error, -ENOBUFS, "no memory for the request itself (limits.memory)");
	if (r == 0) {
		r = capture_start(&jobs->capture_deps, request, &interfaces, number, &capture);
		error_set(&error, r, "interface %s: %s", target->on.name,
			  r == -ENOMEM ? "out of memory" : "too many captures are being started");
	}
	if (r == 0) {
		capture_set_owner(capture, job);
		job_add_capture(job, capture);
		jobs->counts.running++;
		log_info("interface-joined", log_str("request", request->id), log_uint("capture", number),
			 log_str("interface", target->on.name));
		return;
	}
	struct event event = describe_request(jobs, &submission, EVENT_REJECTED);
	snprintf(id, sizeof(id), "%s.%u", request->id, number);
	event.capture = id;
	event.interface = target->on.name;
	event.reason = error.text;
	event.code = r;
	event_bus_publish(jobs->options.bus, &event);
}

static bool may_join(const struct jobs *jobs, const struct request *request, const struct engine_target *target)
{
	struct interface_rules rules;

	interface_rules_init(&rules, jobs->options.engine, request->allowed, request->key);
	const bool allowed = interface_rules_allow(&rules, target->name, target);
	interface_rules_deinit(&rules);
	return allowed;
}

static bool on_appeared(void *ctx, const struct network_interface *interface)
{
	struct capture_target target = {.on = {.ifindex = interface->index}};
	struct job *job = ctx;
	struct jobs *jobs = job_owner(job);
	const uint64_t until_ns = job_ends_ns(job);

	if (jobs->shutting_down)
		return true;
	if (until_ns <= clock_boottime_ns())
		return false;
	const struct request *request = job_request(job);
	memcpy(target.on.name, interface->name, sizeof(target.on.name));
	if (!may_join(jobs, request, &target.on))
		return false; /* it may get another name */
	if (job_request(job)->merge)
		capture_join(job_captures(job), &target);
	else
		join_as_capture(jobs, job, &target, until_ns);
	return true;
}

static enum job_outcome start(struct jobs *jobs, const struct submission *submission, const struct targets *targets)
{
	const bool merge = submission->request->merge;
	struct job *job = job_new(jobs->table, submission->request, jobs);
	enum job_outcome outcome = JOB_FINISHED;

	if (!job)
		return jobs_refuse(jobs, submission, -ENOMEM, NULL, "out of memory");
	if (!charge(jobs, job, 1 + (merge ? 1 : targets->count))) {
		job_end(job);
		return jobs_refuse(jobs, submission, -ENOBUFS, NULL,
				   "no memory for the request itself (limits.memory)");
	}
	if (submission->request->follow) {
		struct follower *follower = follow_begin(jobs->follow, targets, on_appeared, job);

		job_set_follower(job, follower);
		if (!follower) {
			jobs_end_job(jobs, job);
			return jobs_refuse(jobs, submission, -ENOMEM, "follow",
					   "follow: the kernel does not report interface changes");
		}
	}
	reply_cache_track(jobs->reply_cache, submission->request->id);
	if (!submission->request->live)
		dedupe_remember(jobs->dedupe, submission->request, clock_boottime_ns());
	job_watch_admitted(jobs->submitter, submission->request->id, merge ? 1 : targets->count);
	struct capture_interfaces interfaces = {
		.count = merge ? targets->count : 1,
		.wanted = targets->count,
		.ring_bytes = engine_plan_rings(jobs->options.engine, targets->count),
		.skipped = &targets->skipped,
		.live = submission->live,
	};
	for (size_t i = 0; i < targets->count && outcome != JOB_PUT_OFF; i += interfaces.count) {
		interfaces.targets = &targets->items[i];
		outcome = start_capture(jobs, submission, job, &interfaces);
	}
	if (!job_capture_count(job)) {
		follow_end(job_follower(job));
		if (outcome == JOB_PUT_OFF)
			jobs_forget(jobs, submission->request);
		jobs_end_job(jobs, job);
		return outcome;
	}
	if (outcome != JOB_PUT_OFF)
		audit_admitted(submission->request, job_capture_count(job), NULL);
	if (jobs->submitter)
		job_add_watch(job, jobs->submitter);
	jobs->submitter = NULL;
	if (outcome == JOB_PUT_OFF) /* the captures that could be started are withdrawn once they are armed */
		(void)job_put_off(job);
	return JOB_FINISHED;
}

static enum job_outcome admit_targets(struct jobs *jobs, const struct submission *submission, struct targets *targets)
{
	const struct request *request = submission->request;
	struct error error;
	int r = targets_find(request, submission->allowed, jobs->options.engine, targets, &error);

	if (r < 0)
		return jobs_refuse(jobs, submission, r, "interface", error.text);
	if (request->merge && request->format == REQUEST_FORMAT_PCAP && (targets->count > 1 || request->follow))
		return jobs_refuse(jobs, submission, -EINVAL, "format",
				   "format: pcap can hold one interface only; several in one file need pcapng");
	const size_t captures = request->merge ? 1 : targets->count;
	r = check_customer(jobs, request, captures, &error);
	if (r < 0)
		return jobs_refuse(jobs, submission, r, "customer", error.text);
	r = check_limits(jobs, captures, captures * (request->files ? request->files : 1), &error);
	if (r < 0)
		return jobs_refuse(jobs, submission, r, NULL, error.text);
	return start(jobs, submission, targets);
}

/* A live request's client takes its packets. */
static int decide_stream(const struct jobs *jobs, struct request *request, const char **field, struct error *err)
{
	const struct config *config = jobs->options.config;
	const struct deliveries *deliveries = jobs->options.deliveries;

	if (request->live)
		request->stream = false;
	else if (!request->stream)
		request->stream = stream_rules_want(config, deliveries, request);
	else
		return stream_rules_check(config, deliveries, request, field, err);
	return 0;
}

static uint64_t stop_captures(const struct job *job)
{
	uint64_t stopped = 0;

	for (struct capture *capture = job_captures(job); capture; capture = capture_next(capture))
		stopped += capture_stop(capture);
	return stopped;
}

/* Ends what runs with the dedupe key, and delivers it; what waits for a look-up will not begin. The answer counts the
 * captures, and the requests that wait. */
static enum job_outcome stop(struct jobs *jobs, const struct submission *submission, const struct request_rules *rules)
{
	const struct request *request = submission->request;
	struct event event = describe_request(jobs, submission, EVENT_DONE);

	event.reason = EVENT_REASON_STOP;
	event.limits = (struct event_limits){0};
	for (const struct job *job = job_first(jobs->table); job; job = job_next(job)) {
		const struct request *other = job_request(job);

		if (other->dedupe && strcmp(other->dedupe, request->dedupe) == 0 && !job_is_put_off(job) &&
		    request_rules_allow_stop(rules, request->key, other))
			event.count += stop_captures(job);
	}
	event.count += jobs_stop_pending(jobs, rules, request);
	job_watch_admitted(jobs->submitter, request->id, 0);
	audit_stopped(request, event.count);
	event_bus_publish(jobs->options.bus, &event);
	return JOB_FINISHED;
}

static bool is_too_old(const struct jobs *jobs, const struct request *request, struct error *err)
{
	const uint64_t most_ns = jobs->options.config->redis.stream_max_age_ns, now_ns = clock_realtime_ns();

	if (!request->published_ns || !most_ns || now_ns < request->published_ns + most_ns)
		return false;
	error_set(err, -ESTALE, "the request is %.1f s old; the limit is %.12g s (redis.stream_max_age)",
		  (double)(now_ns - request->published_ns) / NS_PER_S, (double)most_ns / NS_PER_S);
	return true;
}

enum job_outcome jobs_refuse_over_rate(struct jobs *jobs, const struct submission *submission)
{
	return jobs_refuse(jobs, submission, -EDQUOT, NULL, "too many requests (limits.requests_per_second)");
}

static unsigned count_live(const struct jobs *jobs)
{
	unsigned count = 0;

	for (const struct job *job = job_first(jobs->table); job; job = job_next(job))
		count += job_request(job)->live;
	return count;
}

enum job_outcome jobs_admit(struct jobs *jobs, const struct submission *submission)
{
	const struct request *request = submission->request;
	struct targets targets = {0};
	struct error error;
	enum job_outcome outcome = JOB_FINISHED;

	if (jobs->shutting_down)
		return jobs_refuse(jobs, submission, -ESHUTDOWN, NULL, "the daemon is stopping");
	const struct request_rules rules = {jobs->options.config, submission->allowed, jobs->options.deliveries,
					    jobs->options.engine};
	const char *field;
	const int r = request_rules_check(&rules, request, &field, &error);
	if (r < 0)
		return jobs_refuse(jobs, submission, r, field, error.text);
	const struct job *same = job_find(jobs->table, request->id);
	if (same && job_is_put_off(same) && !request->stop)
		return jobs_refuse(jobs, submission, -EAGAIN, NULL, "a request with this id waits to be tried again");
	if (!request->stop && repeat_reply(jobs, submission, &outcome))
		return outcome;
	if (!token_bucket_take(&jobs->request_rate, jobs->options.config->limits.requests_per_second,
			       clock_boottime_ns()))
		return jobs_refuse_over_rate(jobs, submission);
	if (request->logrequest)
		log_info("request", log_str("request", request->id), log_str("origin", submission->origin),
			 log_str("json", request->json));
	if (request->live && count_live(jobs) >= JOBS_LIVE_MAX) {
		error_set(&error, -EBUSY, "%d live captures are running already", JOBS_LIVE_MAX);
		return jobs_refuse(jobs, submission, -EBUSY, NULL, error.text);
	}
	if (is_too_old(jobs, request, &error))
		return jobs_refuse(jobs, submission, -ESTALE, NULL, error.text);
	if (request->stop)
		return stop(jobs, submission, &rules);
	if (!request->live && fold_into_running(jobs, submission, &outcome))
		return outcome;
	const int streams = decide_stream(jobs, submission->request, &field, &error);
	if (streams < 0)
		return jobs_refuse(jobs, submission, streams, field, error.text);
	outcome = admit_targets(jobs, submission, &targets);
	targets_deinit(&targets);
	return outcome;
}
