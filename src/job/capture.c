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
#include "base/log.h"
#include "bpf/filter.h"
#include "bpf/filter_cache.h"
#include "capture/engine.h"
#include "capture/ring_size.h"
#include "config/config.h"
#include "event/event_bus.h"
#include "job/capture_internal.h"
#include "job/capture_live.h"
#include "job/capture_stream.h"
#include "output/live_output.h"

#define LEFT_OUT_LOGGED 10 /* a second */
#define LATE_NS NS_PER_S   /* a request younger than this is not late */

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

static void describe(struct capture *capture);

static void free_part(struct capture_part *part)
{
	consumer_free(part->consumer);
	free(part);
}

static void free_capture(struct capture *capture)
{
	if (capture->next_file)
		free_capture(capture->next_file);
	output_file_deinit(&capture->output_file);
	for (size_t i = 0; i < capture->part_count; i++)
		free_part(capture->parts[i]);
	free(capture->parts);
	capture_stream_free(capture->stream);
	live_output_detach(capture->live); /* the parts' packets were charged to it */
	filter_cache_free(capture->filters);
	skipped_deinit(&capture->skipped);
	request_unref(capture->request);
	duplicates_free(capture->duplicates);
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
		all &= capture->parts[i]->arming_done;
	return all;
}

static bool all_ended(const struct capture *capture)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count; i++)
		all &= capture->parts[i]->ended;
	return all;
}

static void stop_parts(struct capture *capture, enum end_reason reason)
{
	for (size_t i = 0; i < capture->part_count; i++) {
		struct capture_part *part = capture->parts[i];

		if (part->arming_done && !part->ended)
			consumer_stop(part->consumer, reason);
	}
}

/* --- capturing --- */

static struct capture *begin_next_file(struct capture *capture);

/* A refused or abandoned capture has had its final event already. */
static void check_ended(struct capture *capture)
{
	while (capture && !capture->pending && all_arming_done(capture) && all_ended(capture)) {
		struct capture *next = begin_next_file(capture);

		if (!capture->final_published) {
			capture_finish(capture);
		} else {
			capture->deps->capturing_ended(capture->deps->ctx, capture);
			capture_end(capture);
		}
		capture = next; /* which may have ended meanwhile */
	}
}

/* Without memory for one part's packets the whole capture ends: then its file covers one window, and its losses are
 * those of that window. */
static void end_with_memory(const struct capture_part *part)
{
	struct capture *capture = part->capture;
	struct consumer_report report;

	consumer_report(part->consumer, &report);
	if (report.reason != END_MEMORY || capture->memory_spent)
		return;
	capture->memory_spent = true; /* for parts being armed */
	stop_parts(capture, END_MEMORY);
}

static void on_consumer_done(void *ctx, struct consumer *consumer)
{
	struct capture_part *part = ctx;

	part->consumer = consumer;
	part->ended = true;
	end_with_memory(part);
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

/* Whether no part could be armed. */
static bool all_refused(const struct capture *capture)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count; i++)
		all &= capture->parts[i]->result < 0;
	return all;
}

/* The first part, whose error now names its interface unless all have the same. */
static const struct capture_part *name_refusal(struct capture *capture)
{
	struct capture_part *first = capture->parts[0];
	bool same = true;

	for (size_t i = 1; i < capture->part_count; i++)
		same &= strcmp(capture->parts[i]->error.text, first->error.text) == 0;
	if (!same && !strstr(first->error.text, first->interface))
		error_prefix(&first->error, "interface %s", first->interface);
	return first;
}

/* The events have them all. */
static void log_left_out(const struct capture_part *part)
{
	static struct log_rate rate = {.burst = LEFT_OUT_LOGGED}; /* the loop's thread only */
	uint64_t suppressed;

	if (log_rate_allow(&rate, &suppressed))
		log_notice("interface-left-out", log_str("request", part->capture->request->id),
			   log_str("interface", part->interface), log_str("error", part->error.text),
			   log_uint("suppressed", suppressed));
}

/* Interfaces that could not be armed are no part of the capture. */
static void drop_refused_parts(struct capture *capture)
{
	size_t kept = 0;

	for (size_t i = 0; i < capture->part_count; i++) {
		struct capture_part *part = capture->parts[i];

		if (!part->arming_done || part->result == 0) {
			capture->parts[kept++] = part;
			continue;
		}
		log_left_out(part);
		skipped_add(&capture->skipped, part->interface, part->result, part->error.text);
		free_part(part);
	}
	if (kept == capture->part_count)
		return;
	capture->part_count = kept;
	if (!capture->accepted)
		describe(capture);
}

/* False unless all parts could be extended. `*until_ns` becomes the latest end if that is later. */
static bool extend_parts(const struct capture *capture, uint64_t *until_ns)
{
	bool all = true;

	for (size_t i = 0; i < capture->part_count && all; i++) {
		const struct capture_part *part = capture->parts[i];

		if (!part->arming_done)
			continue; /* it is extended once it has joined */
		all = !part->ended && consumer_extend(part->consumer, *until_ns);
		if (!all && capture->next_file) /* which may have begun */
			all = consumer_extend(capture->next_file->parts[i]->consumer, *until_ns);
		if (all && consumer_ends_ns(part->consumer) > *until_ns)
			*until_ns = consumer_ends_ns(part->consumer);
	}
	return all;
}

/* Why the capture is to end; END_NONE: it goes on. */
static enum end_reason stop_reason(const struct capture *capture)
{
	return capture->shut_down			? END_SHUTDOWN
	       : capture->stop_requested		? END_STOPPED
	       : capture->memory_spent			? END_MEMORY
	       : atomic_load(&capture->quota.announced) ? END_PACKETS
							: END_NONE;
}

/* --- a series of files --- */

static struct capture_part *add_next_part(struct capture *capture, const struct capture_part *before);

/* The capture that goes on where `before` ends. NULL: out of memory. */
static struct capture *new_next_file(const struct capture *before)
{
	const struct request *request = before->request;
	struct capture *capture = calloc(1, sizeof(*capture));
	struct consumer_spec spec = {0};

	if (!capture)
		return NULL;
	capture->deps = before->deps;
	capture->request = request_ref(before->request);
	capture->started_ns = before->started_ns;
	capture->file_number = before->file_number + 1;
	capture->pending = true;
	skipped_add_all(&capture->skipped, &before->skipped);
	struct capture_part *part = add_next_part(capture, before->parts[0]);
	bool ok = part && (!request->stream || capture_stream_attach(capture, 1));
	if (ok && capture->live)
		capture_live_fill_spec(part, &spec);
	capture->tag_interface =
		(struct request_interface){.name = capture->name, .alias = before->tag_interface.alias};
	if (ok)
		describe(capture);
	ok = ok && capture->tags;
	if (ok)
		part->consumer = consumer_continue(before->parts[0]->consumer, capture->file_number == request->files,
						   spec.feed, on_consumer_done, part);
	if (ok && part->consumer)
		return capture;
	free_capture(capture);
	return NULL;
}

/* Without memory for it the series ends with this file. */
static void prepare_next_file(struct capture *capture)
{
	if (capture->file_number >= capture->request->files)
		return;
	capture->next_file = new_next_file(capture);
	if (!capture->next_file)
		log_error("series-cut", log_str("request", capture->request->id), log_str("capture", capture->id),
			  log_str("error", "out of memory"));
}

static enum end_reason stop_reason(const struct capture *capture);

/* The capture has ended. If its series goes on, the next file has begun, and is returned; else that one is dropped. */
static struct capture *begin_next_file(struct capture *capture)
{
	struct capture *next = take(capture->next_file);
	struct consumer_report report;

	if (!next)
		return NULL;
	consumer_report(capture->parts[0]->consumer, &report);
	if (!report.rotated) {
		free_capture(next);
		return NULL;
	}
	capture->continued = true;
	next->pending = false;
	next->accepted = true;
	next->shut_down = capture->shut_down;
	next->abandoned = capture->abandoned;
	next->stop_requested = capture->stop_requested;
	next->deps->continued(next->deps->ctx, capture, next);
	const struct event event = capture_event(next, EVENT_ACCEPTED);
	event_bus_publish(next->deps->bus, &event);
	if (next->live)
		capture_live_begin(next);
	prepare_next_file(next);
	if (stop_reason(next) != END_NONE)
		stop_parts(next, stop_reason(next));
	return next;
}

void capture_set_number(struct capture *capture, unsigned number)
{
	snprintf(capture->id, sizeof(capture->id), "%s.%u", capture->request->id, number);
}

uint64_t capture_files_left(const struct capture *capture)
{
	const uint64_t files = capture->request->files;

	return files && !capture->continued ? files - capture->file_number : 0;
}

/* A part of a running capture is armed, or could not be. The capture may have been extended or stopped meanwhile. */
static void on_joined(struct capture *capture, struct capture_part *part)
{
	if (part->result < 0) {
		drop_refused_parts(capture);
		check_ended(capture);
		return;
	}
	log_info("interface-joined", log_str("request", capture->request->id), log_str("capture", capture->id),
		 log_str("interface", part->interface));
	if (stop_reason(capture) != END_NONE)
		consumer_stop(part->consumer, stop_reason(capture));
	else
		consumer_extend(part->consumer, capture_ends_ns(capture));
	check_ended(capture);
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
	if (capture->accepted) {
		on_joined(capture, part);
		return;
	}
	if (!all_arming_done(capture))
		return;
	const struct capture_part *refused = all_refused(capture) ? name_refusal(capture) : NULL;
	if (capture->final_published) {
		stop_parts(capture, END_SHUTDOWN);
	} else if (capture->deps->withdrawn(capture->deps->ctx, capture, refused ? refused->result : 0,
					    refused ? refused->error.text : NULL)) {
		capture->final_published = true; /* there is none */
		stop_parts(capture, END_STOPPED);
	} else if (refused) {
		capture_reject(capture, refused->result, refused->field, refused->error.text);
	} else {
		drop_refused_parts(capture);
		const struct event event = capture_event(capture, EVENT_ACCEPTED);

		event_bus_publish(capture->deps->bus, &event);
		capture->accepted = true;
		if (capture->live)
			capture_live_begin(capture);
		prepare_next_file(capture);
		if (capture->extend_ns)
			extend_parts(capture, &capture->extend_ns);
		if (stop_reason(capture) != END_NONE) /* such as a quota spent before the last part was armed */
			stop_parts(capture, stop_reason(capture));
	}
	check_ended(capture);
}

/*
 * The window of a late request is relative to the time it was published. With a recorder, the capture takes
 * that window, a little more if that time is uncertain; without one it runs now, and its report shows what it could not
 * reach.
 */
static void shift_to_publication(struct capture_part *part, const struct engine_target *target)
{
	const struct request *request = part->capture->request;
	struct consumer_spec *spec = &part->consumer_spec;
	const uint64_t now_ns = clock_realtime_ns(), published_ns = request->published_ns;
	const uint64_t before_ns = request->before_ns + request->published_error_ns;

	if (!published_ns || now_ns < published_ns + LATE_NS || request->from_ns || request->to_ns)
		return;
	if (!engine_records(part->capture->deps->engine, target)) {
		spec->before_ns = before_ns + now_ns - published_ns;
		return;
	}
	spec->from_real_ns = before_ns < published_ns ? published_ns - before_ns : 1;
	spec->to_real_ns = published_ns + request->duration_ns + request->published_error_ns;
	spec->before_ns = 0;
}

/* The boot time that the rules let the request reach back to; 0: any. Whatever time it claims to be from, which the
 * publisher of a stream's entry chooses, the time at which it came counts. */
static uint64_t find_limit(const struct request *request)
{
	const uint64_t most_ns = request->allowed->maxbefore_ns;
	const uint64_t came_ns = request->received_ns - (uint64_t)clock_offset_ns();

	return most_ns >= CONFIG_MAXBEFORE_NONE ? 0 : came_ns > most_ns ? came_ns - most_ns : 1;
}

/* The rest of the capture's window. */
static void take_rest_of_window(struct capture_part *part, uint64_t until_ns)
{
	struct consumer_spec *spec = &part->consumer_spec;

	spec->before_ns = 0;
	if (spec->from_real_ns <= clock_realtime_ns())
		spec->from_real_ns = 0;
	spec->until_ns = until_ns;
	spec->since_appearance = true;
	part->joined = true;
}

static void fill_consumer_spec(struct capture_part *part, const struct engine_target *target, uint64_t until_ns)
{
	struct capture *capture = part->capture;
	const struct request *request = capture->request;

	part->consumer_spec = (struct consumer_spec){
		.interface = part->interface,
		.ifindex = target->ifindex,
		.source = target->source,
		.former = target->former,
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
		.not_before_ns = find_limit(request),
		.duration_ns = request->duration_ns,
		.idle_ns = request->idle_ns,
		.ring_bytes = capture->ring_bytes,
		.filters = capture->filters,
		.part_ns = request->every_ns,
		.continued = request->files > 1,
	};
	if (request->merge)
		part->consumer_spec.quota = &capture->quota;
	if (capture->live)
		capture_live_fill_spec(part, &part->consumer_spec);
	if (until_ns)
		take_rest_of_window(part, until_ns);
	else
		shift_to_publication(part, target);
}

/* Names that do not fit are counted: "eth0+eth1+7-more". */
static void join_names(struct capture *capture)
{
	const size_t room = sizeof(capture->name) - sizeof("+4294967295-more");
	size_t used = 0;

	for (size_t i = 0; i < capture->part_count; i++) {
		const char *interface = capture->parts[i]->interface;

		if (used + strlen(interface) + 1 >= room) {
			snprintf(capture->name + used, sizeof(capture->name) - used, "+%u-more",
				 (unsigned)(capture->part_count - i));
			return;
		}
		used += (size_t)snprintf(capture->name + used, room - used, "%s%s", used ? "+" : "", interface);
	}
}

/* Name and tags, from the interfaces. Without memory for new tags the old ones stay. */
static void describe(struct capture *capture)
{
	join_names(capture);
	char *tags = request_tags(capture->request, &capture->tag_interface, capture->deps->config->general.node);

	if (!tags)
		return;
	free(capture->tags);
	capture->tags = tags;
}

static bool make_room(struct capture *capture)
{
	const size_t room = capture->part_room ? 2 * capture->part_room : 1;

	if (capture->part_count < capture->part_room)
		return true;
	struct capture_part **parts = reallocarray(capture->parts, room, sizeof(*parts));
	if (!parts)
		return false;
	capture->parts = parts;
	capture->part_room = room;
	return true;
}

static struct capture_part *add_part(struct capture *capture, const struct capture_target *target, uint64_t until_ns)
{
	struct capture_part *part = make_room(capture) ? calloc(1, sizeof(*part)) : NULL;

	if (!part)
		return NULL;
	part->capture = capture;
	part->arming.run = run_arming;
	part->arming.done = on_arming_done;
	snprintf(part->interface, sizeof(part->interface), "%s", target->on.name);
	part->live_index = capture->part_count;
	fill_consumer_spec(part, &target->on, until_ns);
	capture->parts[capture->part_count++] = part;
	return part;
}

/* The same interface in the next file of a series: nothing is armed. */
static struct capture_part *add_next_part(struct capture *capture, const struct capture_part *before)
{
	struct capture_part *part = make_room(capture) ? calloc(1, sizeof(*part)) : NULL;

	if (!part)
		return NULL;
	part->capture = capture;
	part->arming_done = true;
	memcpy(part->interface, before->interface, sizeof(part->interface));
	capture->parts[capture->part_count++] = part;
	return part;
}

static struct capture *new_capture(const struct capture_deps *deps, struct request *request,
				   const struct capture_interfaces *interfaces, unsigned index)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return NULL;
	capture->deps = deps;
	capture->request = request_ref(request);
	capture->started_ns = clock_boottime_ns();
	capture->file_number = 1;
	capture->quota.max_packets = request->packets;
	capture->quota.max_bytes = request->bytes;
	capture->quota.on_spent = on_quota_spent;
	capture->quota.ctx = capture;
	snprintf(capture->id, sizeof(capture->id), "%s.%u", request->id, index);
	skipped_add_all(&capture->skipped, interfaces->skipped);
	capture->ring_bytes = interfaces->ring_bytes;
	capture->filters = filter_cache_new();
	bool ok = capture->filters;
	if (ok && interfaces->live)
		ok = capture_live_attach(capture, interfaces->live, LIVE_OUTPUT_BYTES, interfaces->count);
	if (ok && request->stream)
		ok = capture_stream_attach(capture, interfaces->count);
	for (size_t i = 0; ok && i < interfaces->count; i++)
		ok = add_part(capture, &interfaces->targets[i], interfaces->until_ns);
	capture->tag_interface =
		(struct request_interface){.name = capture->name, .alias = interfaces->targets[0].alias};
	if (ok)
		describe(capture);
	if (ok && capture->tags)
		return capture;
	free_capture(capture);
	return NULL;
}

static struct offload *choose_pool(const struct capture_deps *deps, const struct request *request, size_t interfaces)
{
	const bool names = filter_may_resolve_names(request->bpf) || filter_may_resolve_names(request->inner);

	if ((names && !request->no_names) || filter_may_resolve_names(request->required))
		return deps->name_lookup;
	return interfaces > RING_SIZE_MANY ? deps->arming_many : deps->arming;
}

int capture_start(const struct capture_deps *deps, struct request *request, const struct capture_interfaces *interfaces,
		  unsigned index, struct capture **result)
{
	struct capture *capture = new_capture(deps, request, interfaces, index);
	struct offload *pool = choose_pool(deps, request, interfaces->wanted);

	if (!capture)
		return -ENOMEM;
	for (size_t i = 0; i < interfaces->count; i++) {
		struct capture_part *part = capture->parts[i];
		int r = offload_submit(pool, &part->arming);

		if (r < 0 && i == 0) {
			free_capture(capture);
			return r;
		}
		if (r < 0) { /* earlier parts are being armed */
			part->result = error_set(&part->error, r, "too many captures are being started");
			part->arming_done = part->ended = true;
		}
	}
	*result = capture;
	return 0;
}

void capture_join(struct capture *capture, const struct capture_target *target)
{
	struct capture_part *part = NULL;
	int r = 0;

	/* Interfaces that come and go are many: small rings, and not the pool of requests for few. */
	struct offload *pool = choose_pool(capture->deps, capture->request, REQUEST_INTERFACES_MAX);
	capture->ring_bytes = engine_plan_rings(capture->deps->engine, RING_SIZE_MANY + 1);
	if (capture->part_count >= REQUEST_INTERFACES_MAX)
		r = -E2BIG;
	else if (!(part = add_part(capture, target, capture_ends_ns(capture))))
		r = -ENOMEM;
	else
		r = offload_submit(pool, &part->arming);
	if (r == 0)
		return;
	if (part) {
		capture->part_count--;
		free_part(part);
	}
	skipped_add(&capture->skipped, target->on.name, r,
		    r == -E2BIG ? SKIPPED_LIMIT_TEXT : "too many captures are being started");
}

void capture_shut_down(struct capture *capture)
{
	capture->shut_down = true;
	stop_parts(capture, END_SHUTDOWN);
}

void capture_abandon(struct capture *capture)
{
	capture->abandoned = true;
	if (capture->live && capture->accepted && !capture->final_published)
		capture_live_abandon(capture); /* may free it */
	else if (capture->delivery)
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
		goes_on &= !capture->parts[i]->ended && !capture->parts[i]->consumer_spec.to_real_ns;
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

uint64_t capture_ends_ns(const struct capture *capture)
{
	uint64_t ends_ns = 0;

	for (size_t i = 0; is_running(capture) && i < capture->part_count; i++) {
		const struct capture_part *part = capture->parts[i];
		const uint64_t end_ns = part->consumer && !part->ended ? consumer_ends_ns(part->consumer) : 0;

		ends_ns = end_ns > ends_ns && end_ns != UINT64_MAX ? end_ns : ends_ns;
	}
	return ends_ns;
}

static void sum_parts(const struct capture *capture, struct capture_status *view)
{
	uint64_t ends_ns = 0;

	for (size_t i = 0; i < capture->part_count; i++) {
		struct consumer_report report;

		if (!capture->parts[i]->consumer)
			continue;
		consumer_report(capture->parts[i]->consumer, &report);
		view->packets += report.packets;
		view->bytes += report.bytes;
		const uint64_t end_ns = capture->parts[i]->ended ? 0 : consumer_ends_ns(capture->parts[i]->consumer);
		ends_ns = end_ns > ends_ns ? end_ns : ends_ns;
	}
	if (ends_ns && ends_ns < REQUEST_ENDLESS_NS)
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
		.streamed = capture->stream,
		.delivered = capture->stream ? capture_stream_delivered(capture->stream) : 0,
	};
	if (view->state == CAPTURE_DELIVERING) {
		view->packets = capture->report.packets;
		view->bytes = capture->report.bytes;
	} else if (capture->accepted) {
		sum_parts(capture, view);
	}
}
