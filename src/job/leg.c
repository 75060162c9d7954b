/*
 * A capture may end before the loop hears that it was armed (one packet was enough): the two messages come by different
 * ways. So a leg goes on only when every part was armed (or refused), and then when every part has ended; events keep
 * their order.
 */
#include "job/leg.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "capture/filter.h"
#include "config/config.h"
#include "event/event.h"
#include "job/image.h"
#include "job/interfaces.h"
#include "request/request.h"
#include "sink/sink.h"

#define LEG_ID_SIZE (REQUEST_ID_SIZE + 8)
#define LEG_NAME_SIZE 256 /* interfaces joined by "+" */
#define STOPPED_TEXT "the daemon was stopped"

/* One interface. */
struct part {
	struct offload_task arming; /* first */
	struct leg *leg;
	char interface[INTERFACE_NAME_SIZE];
	struct capture_spec spec;
	struct error error;
	const char *field; /* of the request, at fault if arming failed */
	int result;
	struct capture *started; /* the arming thread's word of it */
	struct capture *capture;
	bool settled, ended;
};

struct leg {
	struct offload_task tracing;
	const struct leg_surroundings *with;
	struct leg *next;
	struct request *request;
	char id[LEG_ID_SIZE];
	char name[LEG_NAME_SIZE];
	struct request_interface named; /* for the tags */
	struct quota quota;
	bool accepted, over; /* over: the final event is out */
	bool shut_down, abandoned;
	bool traced, delivered; /* both must be over before the packets go */
	struct capture_report report;
	char *tags;
	struct image image;
	struct delivery *delivery;
	size_t part_count;
	struct part parts[];
};

struct leg *leg_next(const struct leg *leg)
{
	return leg->next;
}

void leg_set_next(struct leg *leg, struct leg *next)
{
	leg->next = next;
}

unsigned leg_captures(const struct leg *leg)
{
	return (unsigned)leg->part_count;
}

static void free_leg(struct leg *leg)
{
	image_deinit(&leg->image);
	for (size_t i = 0; i < leg->part_count; i++)
		capture_free(leg->parts[i].capture);
	request_unref(leg->request);
	free(leg->tags);
	free(leg);
}

static void end_leg(struct leg *leg)
{
	leg->with->over(leg->with->ctx, leg);
	free_leg(leg);
}

static bool all_settled(const struct leg *leg)
{
	bool all = true;
	for (size_t i = 0; i < leg->part_count; i++)
		all &= leg->parts[i].settled;
	return all;
}

static bool all_ended(const struct leg *leg)
{
	bool all = true;
	for (size_t i = 0; i < leg->part_count; i++)
		all &= leg->parts[i].ended;
	return all;
}

static void stop_parts(struct leg *leg, enum capture_reason reason)
{
	for (size_t i = 0; i < leg->part_count; i++) {
		struct part *part = &leg->parts[i];
		if (part->settled && !part->ended)
			capture_stop(part->capture, reason);
	}
}

/* --- events --- */

static struct event describe(const struct leg *leg, enum event_kind kind)
{
	return (struct event){
		.kind = kind,
		.id = leg->request->id,
		.capture = leg->id,
		.node = leg->with->config->general.node,
		.interface = leg->name,
		.time_ns = clock_realtime_ns(),
		.tags = leg->tags,
		.customer = leg->request->customer,
		.alertid = leg->request->alertid,
		.alertid_is_integer = leg->request->alertid_is_integer,
	};
}

static void count(const struct leg *leg, struct event *event)
{
	const struct capture_report *report = &leg->report;
	const bool empty = !report->packets && !report->lost_memory;
	event->counted = true;
	event->reason = empty ? "empty" : capture_reason_name(report->reason);
	event->packets = report->packets;
	event->bytes = report->bytes;
	event->first_ns = report->first_ns;
	event->last_ns = report->last_ns;
	event->window.from_ns = report->from_ns;
	event->window.to_ns = report->to_ns;
	event->window.asked_from_ns = report->asked_from_ns;
	event->window.complete = report->complete;
	event->lost.kernel = report->lost_kernel;
	event->lost.evicted = report->lost_evicted;
	event->lost.memory = report->lost_memory;
	event->file = *leg->image.name ? leg->image.name : NULL;
}

static void publish_final(struct leg *leg, const struct delivery_result *results, size_t result_count)
{
	struct event_destination destinations[SINKS_MAX];
	bool ok = !(leg->report.lost_memory && !leg->report.packets);
	if (result_count > SINKS_MAX)
		result_count = SINKS_MAX;
	for (size_t i = 0; i < result_count; i++) {
		ok &= results[i].ok;
		destinations[i] = (struct event_destination){
			.name = results[i].name,
			.ok = results[i].ok,
			.url = results[i].url,
			.error = results[i].error,
			.attempts = results[i].attempts,
		};
	}
	struct event event = describe(leg, ok ? EVENT_DONE : EVENT_FAILED);
	count(leg, &event);
	event.destinations = destinations;
	event.destination_count = result_count;
	event_bus_publish(leg->with->bus, &event);
	leg->over = true;
}

static void publish_refusal(struct leg *leg, const char *field, const char *reason)
{
	struct event event = describe(leg, EVENT_REJECTED);
	event.reason = reason;
	event.field = field;
	event_bus_publish(leg->with->bus, &event);
	leg->over = true;
}

/* --- after the capture --- */

static void part_of_end(struct leg *leg)
{
	if (leg->traced && leg->delivered)
		end_leg(leg);
}

static void delivery_over(void *ctx, const struct delivery_result *results, size_t result_count)
{
	struct leg *leg = ctx;
	leg->delivery = NULL;
	publish_final(leg, results, result_count);
	leg->delivered = true;
	part_of_end(leg);
}

static void run_tracing(struct offload_task *task)
{
	struct leg *leg = (struct leg *)task;
	static const char *const directions[] = {"unknown", "in", "out"};
	char time[CLOCK_TEXT_SIZE];
	uint64_t number = 0;
	for (size_t i = 0; i < leg->part_count; i++) {
		struct store_reader reader;
		struct packet_view packet;
		store_reader_init(&reader, capture_store(leg->parts[i].capture));
		while (store_reader_next(&reader, &packet))
			log_info("packet", log_str("request", leg->request->id),
				 log_str("interface", leg->parts[i].interface), log_uint("number", ++number),
				 log_str("time", clock_format(packet.time_ns, time)),
				 log_uint("length", packet.wirelen), log_uint("captured", packet.caplen),
				 log_str("direction", directions[packet.direction]));
	}
}

static void tracing_over(struct offload_task *task)
{
	struct leg *leg = (struct leg *)task;
	leg->traced = true;
	part_of_end(leg);
}

static void start_tracing(struct leg *leg)
{
	leg->tracing.run = run_tracing;
	leg->tracing.done = tracing_over;
	leg->traced = !leg->request->packetdebug || !leg->report.packets;
	if (!leg->traced && offload_submit(leg->with->tracing, &leg->tracing) < 0) {
		log_warning("packets-not-logged", log_str("request", leg->request->id), log_str("capture", leg->id));
		leg->traced = true;
	}
}

static bool build_image(struct leg *leg)
{
	cleanup(cleanup_free) struct image_part *parts = calloc(leg->part_count, sizeof(*parts));
	if (!parts)
		return false;
	for (size_t i = 0; i < leg->part_count; i++) {
		parts[i].interface = leg->parts[i].interface;
		parts[i].store = capture_store(leg->parts[i].capture);
		capture_report(leg->parts[i].capture, &parts[i].report);
	}
	const struct image_options options = {
		.request = leg->request,
		.node = leg->with->config->general.node,
		.interface = leg->name,
		.tags = leg->tags,
		.report = &leg->report,
		.parts = parts,
		.part_count = leg->part_count,
	};
	return image_init(&leg->image, &options) == 0;
}

static void deliver(struct leg *leg)
{
	const struct request *request = leg->request;
	const bool built = build_image(leg);
	struct event event = describe(leg, EVENT_CAPTURED);
	count(leg, &event);
	event_bus_publish(leg->with->bus, &event);
	if (built)
		leg->delivery = delivery_start(leg->with->deliveries, &leg->image.file, request->destinations,
					       request->destination_count, delivery_over, leg);
	if (!leg->delivery) {
		const struct delivery_result failure = {.name = "delivery", .error = "out of memory"};
		delivery_over(leg, &failure, 1);
	} else if (leg->abandoned) {
		delivery_abandon(leg->delivery, STOPPED_TEXT);
	}
}

/* What the merged file holds, once the limits of the whole have cut it. */
static void count_merged(const struct leg *leg, struct capture_report *report)
{
	const struct store *stores[REQUEST_INTERFACES_MAX];
	const struct merge_limits limits = {.packets = leg->request->packets, .bytes = leg->request->bytes};
	for (size_t i = 0; i < leg->part_count; i++)
		stores[i] = capture_store(leg->parts[i].capture);
	struct merge *merge = merge_new(stores, leg->part_count, &limits);
	struct packet_view packet;
	if (!merge) {
		report->lost_memory += report->packets;
		report->packets = 0;
		report->reason = CAPTURE_MEMORY;
		return;
	}
	report->packets = report->bytes = report->first_ns = report->last_ns = 0;
	const struct packet_source source = merge_source(merge);
	while (source.next(source.ctx, &packet)) {
		report->first_ns = report->packets++ ? report->first_ns : packet.time_ns;
		report->last_ns = packet.time_ns;
		report->bytes += packet.caplen;
	}
	merge_free(merge);
	if (report->packets >= limits.packets || report->bytes >= limits.bytes) {
		report->reason = report->packets >= limits.packets ? CAPTURE_PACKETS : CAPTURE_BYTES;
		report->to_ns = report->last_ns;
	}
}

/* The window of the whole is what all parts cover; it ended for the reason for which its last part did. */
static void report_whole(const struct leg *leg, struct capture_report *whole)
{
	capture_report(leg->parts[0].capture, whole);
	whole->complete &= leg->part_count == 1 || whole->reason != CAPTURE_INTERFACE_GONE;
	for (size_t i = 1; i < leg->part_count; i++) {
		struct capture_report part;
		capture_report(leg->parts[i].capture, &part);
		whole->reason = part.to_ns > whole->to_ns ? part.reason : whole->reason;
		whole->to_ns = part.to_ns > whole->to_ns ? part.to_ns : whole->to_ns;
		whole->from_ns = part.from_ns > whole->from_ns ? part.from_ns : whole->from_ns;
		whole->packets += part.packets;
		whole->lost_kernel += part.lost_kernel;
		whole->lost_evicted += part.lost_evicted;
		whole->lost_memory += part.lost_memory;
		whole->disordered |= part.disordered;
		whole->complete &= part.complete && part.reason != CAPTURE_INTERFACE_GONE;
	}
	if (leg->part_count > 1)
		count_merged(leg, whole);
}

static void finish_capture(struct leg *leg)
{
	report_whole(leg, &leg->report);
	if (leg->report.disordered)
		log_error("packets-not-sorted", log_str("request", leg->request->id), log_str("capture", leg->id),
			  log_str("error", "out of memory"));
	leg->with->ended(leg->with->ctx, leg);
	start_tracing(leg);
	if (leg->report.packets)
		deliver(leg);
	else
		delivery_over(leg, NULL, 0);
}

/* --- before and during the capture --- */

/* Everything has ended that will: what was refused or given up has had its final event already. */
static void check_ended(struct leg *leg)
{
	if (!all_settled(leg) || !all_ended(leg))
		return;
	if (!leg->over) {
		finish_capture(leg);
		return;
	}
	leg->with->ended(leg->with->ctx, leg);
	end_leg(leg);
}

static void capture_over(void *ctx, struct capture *capture)
{
	struct part *part = ctx;
	part->capture = capture;
	part->ended = true;
	check_ended(part->leg);
}

static void limit_reached(void *ctx)
{
	struct leg *leg = ctx;
	stop_parts(leg, CAPTURE_PACKETS);
}

static void run_arming(struct offload_task *task)
{
	struct part *part = (struct part *)task;
	const struct leg_surroundings *with = part->leg->with;
	struct capture *capture = NULL;
	if (atomic_load(with->stopping))
		part->result = error_set(&part->error, -ECANCELED, "%s", STOPPED_TEXT);
	else
		part->result = capture_start(with->engine, &part->spec, capture_over, part, &part->error, &part->field,
					     &capture);
	part->started = part->result == 0 ? capture : NULL;
}

static const struct part *find_refused(const struct leg *leg)
{
	for (size_t i = 0; i < leg->part_count; i++) {
		if (leg->parts[i].result < 0)
			return &leg->parts[i];
	}
	return NULL;
}

static void arming_over(struct offload_task *task)
{
	struct part *part = (struct part *)task;
	struct leg *leg = part->leg;
	part->settled = true;
	if (part->result < 0)
		part->ended = true;
	else
		part->capture = part->started;
	if (!all_settled(leg))
		return;
	const struct part *refused = find_refused(leg);
	if (leg->over) {
		stop_parts(leg, CAPTURE_SHUTDOWN);
	} else if (refused) {
		publish_refusal(leg, refused->field, refused->error.text);
		stop_parts(leg, CAPTURE_STOPPED);
	} else {
		const struct event event = describe(leg, EVENT_ACCEPTED);
		event_bus_publish(leg->with->bus, &event);
		leg->accepted = true;
		if (leg->shut_down)
			stop_parts(leg, CAPTURE_SHUTDOWN);
		else if (atomic_load(&leg->quota.told)) /* it was reached before the last part was armed */
			stop_parts(leg, CAPTURE_PACKETS);
	}
	check_ended(leg);
}

static void specify(struct part *part)
{
	struct leg *leg = part->leg;
	const struct request *request = leg->request;
	part->spec = (struct capture_spec){
		.interface = part->interface,
		.promiscuous = config_wants_promiscuous(leg->with->config, part->interface),
		.bpf = request->bpf,
		.snaplen = request->snap,
		.max_packets = request->packets,
		.max_bytes = request->bytes,
		.before_ns = request->before_ns,
		.from_real_ns = request->from_ns,
		.to_real_ns = request->to_ns,
		.duration_ns = request->duration_ns,
		.idle_ns = request->idle_ns,
	};
	if (leg->part_count > 1)
		part->spec.quota = &leg->quota;
}

static void append_name(struct leg *leg, const char *interface)
{
	const size_t used = strlen(leg->name);
	snprintf(leg->name + used, sizeof(leg->name) - used, "%s%s", used ? "+" : "", interface);
}

static struct leg *new_leg(const struct leg_surroundings *surroundings, struct request *request,
			   const struct leg_target *targets, size_t target_count, unsigned index)
{
	struct leg *leg = calloc(1, sizeof(*leg) + target_count * sizeof(*leg->parts));
	if (!leg)
		return NULL;
	leg->with = surroundings;
	leg->request = request_ref(request);
	leg->part_count = target_count;
	leg->quota.max_packets = request->packets;
	leg->quota.max_bytes = request->bytes;
	leg->quota.spent = limit_reached;
	leg->quota.ctx = leg;
	snprintf(leg->id, sizeof(leg->id), "%s.%u", request->id, index);
	for (size_t i = 0; i < target_count; i++) {
		struct part *part = &leg->parts[i];
		part->leg = leg;
		part->arming.run = run_arming;
		part->arming.done = arming_over;
		snprintf(part->interface, sizeof(part->interface), "%s", targets[i].name);
		append_name(leg, part->interface);
		specify(part);
	}
	leg->named = (struct request_interface){.name = leg->name, .alias = targets[0].alias};
	leg->tags = request_tags(request, &leg->named, surroundings->config->general.node);
	return leg;
}

int leg_start(const struct leg_surroundings *surroundings, struct request *request, const struct leg_target *targets,
	      size_t target_count, unsigned index, struct leg **result)
{
	struct leg *leg = new_leg(surroundings, request, targets, target_count, index);
	struct offload *pool = filter_may_look_up(request->bpf) ? surroundings->naming : surroundings->arming;
	if (!leg || !leg->tags) {
		if (leg)
			free_leg(leg);
		return -ENOMEM;
	}
	for (size_t i = 0; i < target_count; i++) {
		struct part *part = &leg->parts[i];
		int r = offload_submit(pool, &part->arming);
		if (r < 0 && i == 0) {
			free_leg(leg);
			return r;
		}
		if (r < 0) { /* the others are on their way: this one is refused when they are back */
			part->result = error_set(&part->error, r, "too many captures are being started");
			part->settled = part->ended = true;
		}
	}
	*result = leg;
	return 0;
}

void leg_shut_down(struct leg *leg)
{
	leg->shut_down = true;
	stop_parts(leg, CAPTURE_SHUTDOWN);
}

void leg_abandon(struct leg *leg)
{
	leg->abandoned = true;
	if (leg->delivery)
		delivery_abandon(leg->delivery, STOPPED_TEXT);
	else if (!leg->over && !leg->accepted)
		publish_refusal(leg, NULL, STOPPED_TEXT);
}
