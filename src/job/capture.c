/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A consumer may end before the loop learns that it was armed, since the two messages come on different paths. So that
 * events keep their order, a capture waits until every part is armed or refused, and then until every part has ended.
 */
#include "job/capture.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "bpf/filter.h"
#include "capture/engine.h"
#include "config/config.h"
#include "event/event_bus.h"
#include "job/capture_internal.h"

#define LATE_NS NS_PER_S /* a request younger than this is not late */

struct capture *capture_next(const struct capture *capture)
{
	return capture->next;
}

void capture_set_next(struct capture *capture, struct capture *next)
{
	capture->next = next;
}

void *capture_owner(const struct capture *capture)
{
	return capture->owner;
}

void capture_set_owner(struct capture *capture, void *owner)
{
	capture->owner = owner;
}

unsigned capture_part_count(const struct capture *capture)
{
	return (unsigned)capture->part_count;
}

static void free_capture(struct capture *capture)
{
	output_file_deinit(&capture->output_file);
	for (size_t i = 0; i < capture->part_count; i++)
		consumer_free(capture->parts[i].consumer);
	request_unref(capture->request);
	free(capture->tags);
	free(capture);
}

void capture_end(struct capture *capture)
{
	capture->deps->finished(capture->deps->ctx, capture);
	free_capture(capture);
}

static bool all_arming_done(const struct capture *capture)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count; i++)
		all &= capture->parts[i].arming_done;
	return all;
}

static bool all_ended(const struct capture *capture)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count; i++)
		all &= capture->parts[i].ended;
	return all;
}

static void stop_parts(struct capture *capture, enum end_reason reason)
{
	for (size_t i = 0; i < capture->part_count; i++) {
		struct capture_part *part = &capture->parts[i];

		if (part->arming_done && !part->ended)
			consumer_stop(part->consumer, reason);
	}
}

/* --- capturing --- */

/* A refused or abandoned capture has had its final event already. */
static void check_ended(struct capture *capture)
{
	if (!all_arming_done(capture) || !all_ended(capture))
		return;
	if (!capture->final_published) {
		capture_finish(capture);
		return;
	}
	capture->deps->capturing_ended(capture->deps->ctx, capture);
	capture_end(capture);
}

static void on_consumer_done(void *ctx, struct consumer *consumer)
{
	struct capture_part *part = ctx;

	part->consumer = consumer;
	part->ended = true;
	check_ended(part->capture);
}

static void on_quota_spent(void *ctx)
{
	struct capture *capture = ctx;

	stop_parts(capture, END_PACKETS);
}

static void run_arming(struct offload_task *task)
{
	struct capture_part *part = container_of(task, struct capture_part, arming);
	const struct capture_deps *deps = part->capture->deps;
	struct consumer *consumer = NULL;

	if (atomic_load(deps->stopping))
		part->result = error_set(&part->error, -ECANCELED, "%s", DAEMON_STOPPED_TEXT);
	else
		part->result = consumer_start(deps->engine, &part->consumer_spec, on_consumer_done, part, &part->error,
					      &part->field, &consumer);
	part->armed_consumer = part->result == 0 ? consumer : NULL;
}

static const struct capture_part *find_refused_part(const struct capture *capture)
{
	for (size_t i = 0; i < capture->part_count; i++) {
		if (capture->parts[i].result < 0)
			return &capture->parts[i];
	}
	return NULL;
}

/* False unless all parts could be extended. `*until_ns` becomes the latest end if that is later. */
static bool extend_parts(const struct capture *capture, uint64_t *until_ns)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count && all; i++) {
		const struct capture_part *part = &capture->parts[i];

		all = !part->ended && consumer_extend(part->consumer, *until_ns);
		if (all && consumer_ends_ns(part->consumer) > *until_ns)
			*until_ns = consumer_ends_ns(part->consumer);
	}
	return all;
}

static void on_arming_done(struct offload_task *task)
{
	struct capture_part *part = container_of(task, struct capture_part, arming);
	struct capture *capture = part->capture;

	part->arming_done = true;
	if (part->result < 0)
		part->ended = true;
	else
		part->consumer = part->armed_consumer;
	if (!all_arming_done(capture))
		return;
	const struct capture_part *refused = find_refused_part(capture);
	if (capture->final_published) {
		stop_parts(capture, END_SHUTDOWN);
	} else if (refused) {
		capture_reject(capture, refused->result, refused->field, refused->error.text);
		stop_parts(capture, END_STOPPED);
	} else {
		const struct event event = capture_event(capture, EVENT_ACCEPTED);

		event_bus_publish(capture->deps->bus, &event);
		capture->accepted = true;
		if (capture->extend_ns)
			extend_parts(capture, &capture->extend_ns);
		if (capture->shut_down)
			stop_parts(capture, END_SHUTDOWN);
		else if (capture->stop_requested)
			stop_parts(capture, END_STOPPED);
		else if (atomic_load(&capture->quota.announced)) /* it was spent before the last part was armed */
			stop_parts(capture, END_PACKETS);
	}
	check_ended(capture);
}

/*
 * The window of a late request is relative to the time it was published. With a recorder, the capture takes
 * that window; without one it runs now, and its report shows what it could not reach.
 */
static void shift_to_publication(struct capture_part *part)
{
	const struct request *request = part->capture->request;
	struct consumer_spec *spec = &part->consumer_spec;
	const uint64_t now_ns = clock_realtime_ns(), published_ns = request->published_ns;

	if (!published_ns || now_ns < published_ns + LATE_NS || request->from_ns || request->to_ns)
		return;
	if (!engine_records(part->capture->deps->engine, part->interface)) {
		spec->before_ns += now_ns - published_ns;
		return;
	}
	spec->from_real_ns = request->before_ns < published_ns ? published_ns - request->before_ns : 1;
	spec->to_real_ns = published_ns + request->duration_ns;
	spec->before_ns = 0;
}

static void fill_consumer_spec(struct capture_part *part)
{
	struct capture *capture = part->capture;
	const struct request *request = capture->request;

	part->consumer_spec = (struct consumer_spec){
		.interface = part->interface,
		.promiscuous = config_wants_promiscuous(capture->deps->config, part->interface),
		.bpf = request->bpf,
		.inner = request->inner,
		.required = request->required,
		.no_names = request->no_names,
		.snaplen = request->snap,
		.max_packets = request->packets,
		.max_bytes = request->bytes,
		.before_ns = request->before_ns,
		.from_real_ns = request->from_ns,
		.to_real_ns = request->to_ns,
		.duration_ns = request->duration_ns,
		.idle_ns = request->idle_ns,
	};
	if (capture->part_count > 1)
		part->consumer_spec.quota = &capture->quota;
	shift_to_publication(part);
}

static void append_name(struct capture *capture, const char *interface)
{
	const size_t used = strlen(capture->name);

	snprintf(capture->name + used, sizeof(capture->name) - used, "%s%s", used ? "+" : "", interface);
}

static struct capture *new_capture(const struct capture_deps *deps, struct request *request,
				   const struct capture_target *targets, size_t target_count, unsigned index)
{
	struct capture *capture = calloc(1, sizeof(*capture) + target_count * sizeof(*capture->parts));

	if (!capture)
		return NULL;
	capture->deps = deps;
	capture->request = request_ref(request);
	capture->started_ns = clock_boottime_ns();
	capture->part_count = target_count;
	capture->quota.max_packets = request->packets;
	capture->quota.max_bytes = request->bytes;
	capture->quota.on_spent = on_quota_spent;
	capture->quota.ctx = capture;
	snprintf(capture->id, sizeof(capture->id), "%s.%u", request->id, index);
	for (size_t i = 0; i < target_count; i++) {
		struct capture_part *part = &capture->parts[i];

		part->capture = capture;
		part->arming.run = run_arming;
		part->arming.done = on_arming_done;
		snprintf(part->interface, sizeof(part->interface), "%s", targets[i].name);
		append_name(capture, part->interface);
		fill_consumer_spec(part);
	}
	capture->tag_interface = (struct request_interface){.name = capture->name, .alias = targets[0].alias};
	capture->tags = request_tags(request, &capture->tag_interface, deps->config->general.node);
	return capture;
}

int capture_start(const struct capture_deps *deps, struct request *request, const struct capture_target *targets,
		  size_t target_count, unsigned index, struct capture **result)
{
	struct capture *capture = new_capture(deps, request, targets, target_count, index);
	const bool names = filter_may_resolve_names(request->bpf) || filter_may_resolve_names(request->inner);
	const bool looks_up = (names && !request->no_names) || filter_may_resolve_names(request->required);
	struct offload *pool = looks_up ? deps->name_lookup : deps->arming;

	if (!capture || !capture->tags) {
		if (capture)
			free_capture(capture);
		return -ENOMEM;
	}
	for (size_t i = 0; i < target_count; i++) {
		struct capture_part *part = &capture->parts[i];
		int r = offload_submit(pool, &part->arming);

		if (r < 0 && i == 0) {
			free_capture(capture);
			return r;
		}
		if (r < 0) { /* earlier parts are being armed: the refusal waits for them */
			part->result = error_set(&part->error, r, "too many captures are being started");
			part->arming_done = part->ended = true;
		}
	}
	*result = capture;
	return 0;
}

void capture_shut_down(struct capture *capture)
{
	capture->shut_down = true;
	stop_parts(capture, END_SHUTDOWN);
}

void capture_abandon(struct capture *capture)
{
	capture->abandoned = true;
	if (capture->delivery)
		delivery_abandon(capture->delivery, DAEMON_STOPPED_TEXT);
	else if (!capture->final_published && !capture->accepted)
		capture_reject(capture, -ESHUTDOWN, NULL, DAEMON_STOPPED_TEXT);
}

/* --- stopping and extending --- */

static bool is_running(const struct capture *capture)
{
	return capture->accepted && !all_ended(capture);
}

bool capture_stop(struct capture *capture)
{
	if (capture->final_published || all_ended(capture))
		return false;
	capture->stop_requested = true; /* for parts being armed */
	stop_parts(capture, END_STOPPED);
	return true;
}

/* The first repeated alerts often come before the first capture is armed. */
static bool extend_once_armed(struct capture *capture, uint64_t until_ns)
{
	bool goes_on = !capture->final_published && !capture->stop_requested && !capture->shut_down;

	for (size_t i = 0; i < capture->part_count; i++)
		goes_on &= !capture->parts[i].ended && !capture->parts[i].consumer_spec.to_real_ns;
	if (goes_on && until_ns > capture->extend_ns)
		capture->extend_ns = until_ns;
	return goes_on;
}

bool capture_extend(struct capture *capture, uint64_t duration_ns, uint64_t *until_ns)
{
	const uint64_t max_ns = capture->started_ns + capture->deps->config->general.maxduration_ns;
	const uint64_t wanted_ns = clock_boottime_ns() + duration_ns;

	*until_ns = wanted_ns < max_ns ? wanted_ns : max_ns;
	return capture->accepted ? is_running(capture) && extend_parts(capture, until_ns)
				 : extend_once_armed(capture, *until_ns);
}

static void sum_parts(const struct capture *capture, struct capture_status *view)
{
	uint64_t ends_ns = 0;

	for (size_t i = 0; i < capture->part_count; i++) {
		struct consumer_report report;

		if (!capture->parts[i].consumer)
			continue;
		consumer_report(capture->parts[i].consumer, &report);
		view->packets += report.packets;
		view->bytes += report.bytes;
		const uint64_t end_ns = capture->parts[i].ended ? 0 : consumer_ends_ns(capture->parts[i].consumer);
		ends_ns = end_ns > ends_ns ? end_ns : ends_ns;
	}
	if (ends_ns && ends_ns < INT64_MAX)
		view->ends_ns = ends_ns + (uint64_t)clock_offset_ns();
}

void capture_get_status(const struct capture *capture, struct capture_status *view)
{
	*view = (struct capture_status){
		.state = !capture->accepted    ? CAPTURE_ARMING
			 : is_running(capture) ? CAPTURE_RUNNING
					       : CAPTURE_DELIVERING,
		.id = capture->id,
		.interface = capture->name,
		.tags = capture->tags,
	};
	if (view->state == CAPTURE_DELIVERING) {
		view->packets = capture->report.packets;
		view->bytes = capture->report.bytes;
	} else if (capture->accepted) {
		sum_parts(capture, view);
	}
}
