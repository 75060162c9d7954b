/*
 * The order of the checks is the order of what they cost: another node's request is dropped after a glance, too many
 * requests are refused before their interfaces are looked up, and nothing is started unless all of it may start.
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
#include "job/interfaces.h"
#include "job/leg.h"
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
	struct leg *legs;
	uint64_t running, leg_count, elsewhere;
	uint64_t tokens_ns; /* requests_per_second as a bucket of time: a second's worth at most */
	uint64_t refilled_ns;
	struct log_rate repeat_rate;
	void (*idle)(void *ctx);
	void *idle_ctx;
	struct event *idle_event;
	bool shutting_down;
};

/* --- refusing --- */

static void refuse(struct jobs *jobs, const char *origin, const struct request *request, const char *field,
		   const char *reason)
{
	const struct event event = {
		.kind = EVENT_REJECTED,
		.id = request->id,
		.node = jobs->with.config->general.node,
		.time_ns = clock_realtime_ns(),
		.reason = reason,
		.field = field,
		.origin = origin,
		.tags = request->tags,
		.customer = request->customer,
		.alertid = request->alertid,
		.alertid_is_integer = request->alertid_is_integer,
	};
	event_bus_publish(jobs->with.bus, &event);
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
	if (jobs->running + more > captures)
		return error_set(err, -ENOSPC, "%llu captures are running already, at most %llu may (limits.captures)",
				 (unsigned long long)jobs->running, (unsigned long long)captures);
	if (jobs->leg_count + more > legs)
		return error_set(err, -ENOSPC, "%llu captures wait to be delivered, at most %llu may",
				 (unsigned long long)(jobs->leg_count - jobs->running), (unsigned long long)legs);
	return 0;
}

/* --- interfaces --- */

struct targets {
	struct interface_list up; /* what "any" stands for */
	struct leg_target items[REQUEST_INTERFACES_MAX];
	size_t count;
};

static void add_target(struct targets *targets, const char *name, char *alias)
{
	for (size_t i = 0; i < targets->count; i++) {
		if (strcmp(targets->items[i].name, name) == 0)
			return;
	}
	if (targets->count < REQUEST_INTERFACES_MAX)
		targets->items[targets->count++] = (struct leg_target){name, alias};
}

static int add_any(struct targets *targets, char *alias, struct error *err)
{
	interface_list_deinit(&targets->up);
	int r = interface_list_read(true, &targets->up);
	if (r < 0)
		return error_set(err, r, "looking for interfaces: %s", strerror(-r));
	if (!targets->up.count)
		return error_set(err, -ENODEV, "no interface of this host is up");
	if (targets->up.count > REQUEST_INTERFACES_MAX)
		return error_set(err, -E2BIG, "%zu interfaces are up, one request can take %d", targets->up.count,
				 REQUEST_INTERFACES_MAX);
	for (size_t i = 0; i < targets->up.count; i++)
		add_target(targets, targets->up.names[i], alias);
	return 0;
}

static int unknown_interface(const char *name, struct error *err)
{
	struct interface_list all = {};
	const char *near = interface_list_read(false, &all) == 0 ? interface_list_suggest(&all, name) : NULL;
	error_set(err, -ENODEV, "interface: this host has no \"%s\"%s%s%s", name, near ? " (did you mean \"" : "",
		  near ? near : "", near ? "\"?)" : "");
	interface_list_deinit(&all);
	return -ENODEV;
}

static int find_targets(const struct jobs *jobs, const struct request *request, struct targets *targets,
			struct error *err)
{
	for (size_t i = 0; i < request->interface_count; i++) {
		const struct request_interface *wanted = &request->interfaces[i];
		int r = 0;
		if (strcmp(wanted->name, "any") == 0)
			r = add_any(targets, wanted->alias, err);
		else if (!interface_exists(wanted->name) && !engine_records(jobs->with.engine, wanted->name))
			r = unknown_interface(wanted->name, err);
		else
			add_target(targets, wanted->name, wanted->alias);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- a request that is ours --- */

static void start_leg(struct jobs *jobs, const char *origin, struct request *request, const struct leg_target *targets,
		      size_t count, unsigned index)
{
	struct leg *leg = NULL;
	const int r = leg_start(&jobs->surroundings, request, targets, count, index, &leg);
	if (r < 0) {
		struct error error;
		error_set(&error, r, "interface %s: %s", targets->name,
			  r == -ENOMEM ? "out of memory" : "too many captures are being started");
		refuse(jobs, origin, request, NULL, error.text);
		return;
	}
	leg_set_next(leg, jobs->legs);
	jobs->legs = leg;
	jobs->leg_count++;
	jobs->running += count;
}

static void start_legs(struct jobs *jobs, const char *origin, struct request *request, const struct targets *targets)
{
	if (request->merge) {
		start_leg(jobs, origin, request, targets->items, targets->count, 1);
		return;
	}
	for (size_t i = 0; i < targets->count; i++)
		start_leg(jobs, origin, request, &targets->items[i], 1, (unsigned)i + 1);
}

static bool repeat_answer(struct jobs *jobs, const char *origin, const struct request *request)
{
	uint64_t suppressed;
	if (!request->id_given || !answers_repeat(jobs->answers, request->id, jobs->with.bus))
		return false;
	if (log_rate_allow(&jobs->repeat_rate, &suppressed))
		log_info("request-repeated", log_str("request", request->id), log_str("origin", origin),
			 log_uint("suppressed", suppressed));
	return true;
}

static void admit(struct jobs *jobs, const char *origin, struct request *request)
{
	struct error error;
	struct targets targets = {};
	if (request->logrequest)
		log_info("request", log_str("request", request->id), log_str("origin", origin),
			 log_str("json", request->json));
	if (jobs->shutting_down)
		refuse(jobs, origin, request, NULL, "the daemon is stopping");
	else if (!within_rate(jobs))
		refuse(jobs, origin, request, NULL, "too many requests (limits.requests_per_second)");
	else if (repeat_answer(jobs, origin, request))
		return;
	else if (find_targets(jobs, request, &targets, &error) < 0)
		refuse(jobs, origin, request, "interface", error.text);
	else if (request->merge && request->format == REQUEST_FORMAT_PCAP && targets.count > 1)
		refuse(jobs, origin, request, "format", "format: pcap holds one interface only, merge needs pcapng");
	else if (check_limits(jobs, targets.count, &error) < 0)
		refuse(jobs, origin, request, NULL, error.text);
	else {
		if (request->id_given)
			answers_expect(jobs->answers, request->id);
		start_legs(jobs, origin, request, &targets);
	}
	interface_list_deinit(&targets.up);
}

void jobs_request(struct jobs *jobs, const char *origin, const void *bytes, size_t size)
{
	struct request_refusal refusal = {};
	struct request *request = NULL;
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_names(jobs->with.deliveries, names);
	switch (request_parse(bytes, size, clock_realtime_ns(), jobs->with.config, names, name_count, &refusal,
			      &request)) {
	case REQUEST_OURS:
		admit(jobs, origin, request);
		request_unref(request);
		break;
	case REQUEST_ELSEWHERE:
		jobs->elsewhere++;
		break;
	case REQUEST_INVALID:
		refuse_invalid(jobs, origin, &refusal);
		break;
	}
}

/* --- the legs' ends --- */

static void capture_ended(void *ctx, struct leg *leg)
{
	struct jobs *jobs = ctx;
	jobs->running -= leg_captures(leg);
}

static void check_idle(struct jobs *jobs)
{
	if (jobs->shutting_down && !jobs->legs)
		event_active(jobs->idle_event, EV_TIMEOUT, 1);
}

static void leg_over(void *ctx, struct leg *leg)
{
	struct jobs *jobs = ctx;
	if (jobs->legs == leg) {
		jobs->legs = leg_next(leg);
	} else {
		struct leg *before = jobs->legs;
		while (leg_next(before) != leg)
			before = leg_next(before);
		leg_set_next(before, leg_next(leg));
	}
	jobs->leg_count--;
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
	for (struct leg *leg = jobs->legs; leg; leg = leg_next(leg))
		leg_shut_down(leg);
	check_idle(jobs);
}

void jobs_abandon(struct jobs *jobs)
{
	struct leg *next;
	for (struct leg *leg = jobs->legs; leg; leg = next) {
		next = leg_next(leg);
		leg_abandon(leg);
	}
}

struct jobs_counts jobs_counts(const struct jobs *jobs)
{
	return (struct jobs_counts){.running = jobs->running, .legs = jobs->leg_count, .elsewhere = jobs->elsewhere};
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
	if (!jobs->arming || !jobs->naming || !jobs->tracing || !jobs->answers || !jobs->idle_event ||
	    event_bus_subscribe(options->bus, answers_subscriber, jobs->answers) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	return take(jobs);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	assert(!jobs->legs);
	offload_free(jobs->arming);
	offload_free(jobs->naming);
	offload_free(jobs->tracing);
	if (jobs->answers)
		event_bus_unsubscribe(jobs->with.bus, answers_subscriber, jobs->answers);
	answers_free(jobs->answers);
	if (jobs->idle_event)
		event_free(jobs->idle_event);
	free(jobs);
}
