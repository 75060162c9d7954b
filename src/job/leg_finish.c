/*
 * From the captures' end to the final event: what was got is counted, made into one file's image, handed to the
 * destinations, and logged packet by packet if that is wanted. The packets go when both delivery and log are done.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "job/leg_parts.h"

/* --- events --- */

struct event leg_describe(const struct leg *leg, enum event_kind kind)
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
	const struct consumer_report *report = &leg->report;
	const bool empty = !report->packets && !report->lost_memory;
	event->counted = true;
	event->reason = empty ? "empty" : end_reason_name(report->reason);
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
	struct event event = leg_describe(leg, ok ? EVENT_DONE : EVENT_FAILED);
	count(leg, &event);
	event.destinations = destinations;
	event.destination_count = result_count;
	event_bus_publish(leg->with->bus, &event);
	leg->over = true;
}

void leg_refuse(struct leg *leg, int code, const char *field, const char *reason)
{
	struct event event = leg_describe(leg, EVENT_REJECTED);
	event.reason = reason;
	event.field = field;
	event.code = code;
	event_bus_publish(leg->with->bus, &event);
	leg->over = true;
}

/* --- after the capture --- */

static void part_of_end(struct leg *leg)
{
	if (leg->traced && leg->delivered)
		leg_end(leg);
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
		store_reader_init(&reader, consumer_store(leg->parts[i].consumer));
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
		parts[i].store = consumer_store(leg->parts[i].consumer);
		consumer_report(leg->parts[i].consumer, &parts[i].report);
	}
	const struct image_options options = {
		.request = leg->request,
		.capture = leg->id,
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
	struct event event = leg_describe(leg, EVENT_CAPTURED);
	count(leg, &event);
	event_bus_publish(leg->with->bus, &event);
	if (built)
		leg->delivery = delivery_start(leg->with->deliveries, &leg->image.file, request->destinations,
					       request->destination_count, delivery_over, leg);
	if (!leg->delivery) {
		const struct delivery_result failure = {.name = "delivery", .error = "out of memory"};
		delivery_over(leg, &failure, 1);
	} else if (leg->abandoned) {
		delivery_abandon(leg->delivery, LEG_STOPPED_TEXT);
	}
}

/* What the merged file holds, once the limits of the whole have cut it. */
static void count_merged(const struct leg *leg, struct consumer_report *report)
{
	const struct store *stores[REQUEST_INTERFACES_MAX];
	const struct merge_limits limits = {.packets = leg->request->packets, .bytes = leg->request->bytes};
	for (size_t i = 0; i < leg->part_count; i++)
		stores[i] = consumer_store(leg->parts[i].consumer);
	struct merge *merge = merge_new(stores, leg->part_count, &limits);
	struct packet_view packet;
	if (!merge) {
		report->lost_memory += report->packets;
		report->packets = 0;
		report->reason = END_MEMORY;
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
		report->reason = report->packets >= limits.packets ? END_PACKETS : END_BYTES;
		report->to_ns = report->last_ns;
	}
}

/* The window of the whole is what all parts cover; it ended for the reason for which its last part did. */
static void report_whole(const struct leg *leg, struct consumer_report *whole)
{
	consumer_report(leg->parts[0].consumer, whole);
	whole->complete &= leg->part_count == 1 || whole->reason != END_INTERFACE_GONE;
	for (size_t i = 1; i < leg->part_count; i++) {
		struct consumer_report part;
		consumer_report(leg->parts[i].consumer, &part);
		whole->reason = part.to_ns > whole->to_ns ? part.reason : whole->reason;
		whole->to_ns = part.to_ns > whole->to_ns ? part.to_ns : whole->to_ns;
		whole->from_ns = part.from_ns > whole->from_ns ? part.from_ns : whole->from_ns;
		/* Interfaces are armed one after the other, and each looks back from then. */
		if (part.asked_from_ns > whole->asked_from_ns)
			whole->asked_from_ns = part.asked_from_ns;
		whole->packets += part.packets;
		whole->lost_kernel += part.lost_kernel;
		whole->lost_evicted += part.lost_evicted;
		whole->lost_memory += part.lost_memory;
		whole->disordered |= part.disordered;
		whole->complete &= part.complete && part.reason != END_INTERFACE_GONE;
	}
	if (leg->part_count > 1)
		count_merged(leg, whole);
}

void leg_finish(struct leg *leg)
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
