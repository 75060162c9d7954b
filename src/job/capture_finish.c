/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the end of capturing to the final event: the packets are counted, made into one output file, delivered, and
 * logged one by one if `packetdebug` is set. They are freed when both delivery and log are done.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "config/config.h"
#include "event/event_bus.h"
#include "job/audit.h"
#include "job/capture_internal.h"
#include "job/capture_live.h"
#include "job/spool.h"
#include "output/live_output.h"

#define ROTATED "rotated" /* the reason of a file after which its series goes on */

/* --- events --- */

struct event capture_event(const struct capture *capture, enum event_kind kind)
{
	return (struct event){
		.kind = kind,
		.id = capture->request->id,
		.capture = capture->id,
		.node = capture->deps->config->general.node,
		.interface = capture->name,
		.time_ns = clock_realtime_ns(),
		.broad = capture->request->broad,
		.tags = capture->tags,
		.customer = capture->request->customer,
		.origin = capture->request->origin,
		.key = request_key_name(capture->request),
		.rule = capture->request->rule,
		.filter = capture->request->filter_shown,
		.inner = capture->request->inner_shown,
		.limits = audit_limits(capture->request),
		.alertid = capture->request->alertid,
		.alertid_is_integer = capture->request->alertid_is_integer,
		.skipped = capture->skipped.items,
		.skipped_count = capture->skipped.listed,
		.skipped_total = capture->skipped.total,
	};
}

static bool is_empty(const struct capture *capture)
{
	return !capture->report.packets && !capture->report.lost_memory;
}

/* The configuration's limit that ended it, if the request does not name that one and was to go on. */
static void add_limit(const struct capture *capture, struct event *event)
{
	const struct request *request = capture->request;
	const struct config *config = capture->deps->config;
	const enum end_reason reason = capture->report.reason;

	if (capture->continued)
		return;
	if (reason == END_MEMORY) {
		event->limit_key = "limits.memory";
		event->limit = config->limits.memory_bytes;
	} else if (reason == END_PACKETS && request->time_given && !request->packets_given) {
		event->limit_key = "general.maxpackets";
		event->limit = request->packets;
	} else if (reason == END_BYTES && request->time_given && !request->bytes_given) {
		event->limit_key = "general.maxbytes";
		event->limit = request->bytes;
	}
}

static void add_counters(const struct capture *capture, struct event *event)
{
	const struct consumer_report *report = &capture->report;
	const bool empty = is_empty(capture);

	event->counted = true;
	const char *ended_by = capture->continued ? ROTATED : end_reason_name(report->reason);
	event->reason = empty ? "empty" : ended_by;
	event->ended_by = empty ? ended_by : NULL;
	event->interface_state = empty ? interface_state_name(report->interface_state) : NULL;
	event->hint = empty ? capture->hint : NULL;
	event->seen = report->seen;
	add_limit(capture, event);
	event->packets = report->packets;
	event->bytes = report->bytes;
	event->first_ns = report->first_ns;
	event->last_ns = report->last_ns;
	event->window.from_ns = report->from_ns;
	event->window.to_ns = report->to_ns;
	event->window.asked_from_ns = report->asked_from_ns;
	event->window.asked_to_ns = report->asked_to_ns;
	event->window.complete = report->complete;
	event->lost.kernel = report->lost_kernel;
	event->lost.evicted = report->lost_evicted;
	event->lost.memory = report->lost_memory;
	event->lost.at_least = report->reason == END_MEMORY;
	event->odd_stamps = report->odd_stamps;
	event->nic.rx_dropped = report->nic.rx_dropped;
	event->nic.rx_missed_errors = report->nic.rx_missed_errors;
	event->nic.queue_drops = report->nic.queue_drops;
	event->truncated = report->truncated;
	event->duplicates = duplicates_count(capture->duplicates);
	event->file = *capture->output_file.name && !(empty && capture->stream) ? capture->output_file.name : NULL;
}

/* Puts the results into `destinations`, which the event then has. */
static struct event final_event(const struct capture *capture, const struct delivery_result *results,
				size_t result_count, struct event_destination destinations[static SINKS_MAX])
{
	bool ok = !(capture->report.lost_memory && !capture->report.packets);

	if (result_count > SINKS_MAX)
		result_count = SINKS_MAX;
	for (size_t i = 0; i < result_count; i++) {
		ok &= results[i].ok || results[i].superseded;
		destinations[i] = (struct event_destination){
			.name = results[i].name,
			.ok = results[i].ok,
			.url = results[i].url,
			.error = results[i].error,
			.warning = results[i].warning,
			.attempts = results[i].attempts,
			.superseded = results[i].superseded,
			.streamed = results[i].streamed,
			.delivered = results[i].delivered,
		};
	}
	struct event event = capture_event(capture, ok ? EVENT_DONE : EVENT_FAILED);
	add_counters(capture, &event);
	event.destinations = destinations;
	event.destination_count = result_count;
	return event;
}

void capture_reject(struct capture *capture, int code, const char *field, const char *reason)
{
	struct event event = capture_event(capture, EVENT_REJECTED);

	event.reason = reason;
	event.field = field;
	event.code = code;
	event_bus_publish(capture->deps->bus, &event);
	capture->final_published = true;
}

/* --- packet log and delivery --- */

static void end_when_done(struct capture *capture)
{
	if (capture->packets_logged && capture->delivered)
		capture_end(capture);
}

/* The spool has published an event. */
static void on_spooled(void *ctx)
{
	struct capture *capture = ctx;

	capture->delivered = true;
	end_when_done(capture);
}

static void on_delivery_done(void *ctx, const struct delivery_result *results, size_t result_count)
{
	struct capture *capture = ctx;
	struct event_destination destinations[SINKS_MAX];
	const struct event event = final_event(capture, results, result_count, destinations);
	struct spool *spool = capture->deps->spool;

	capture->delivery = NULL;
	capture->final_published = true;
	if (spool && spool_wants(results, result_count) &&
	    spool_put(spool, &capture->output_file.file, &event, results, result_count, on_spooled, capture) == 0)
		return;
	event_bus_publish(capture->deps->bus, &event);
	capture->delivered = true;
	end_when_done(capture);
}

static void log_packets(struct offload_task *task)
{
	struct capture *capture = container_of(task, struct capture, packet_log);
	static const char *const directions[] = {"unknown", "in", "out"};
	char time[CLOCK_TEXT_SIZE];
	uint64_t number = 0;
	bool flows = true;

	for (size_t i = 0; i < capture->part_count; i++) {
		struct store_reader reader;
		struct packet_view packet;

		store_reader_init(&reader, consumer_store(capture->parts[i]->consumer));
		while (store_reader_next(&reader, &packet)) {
			flows = flows && log_wait();
			log_info("packet", log_str("request", capture->request->id),
				 log_str("interface", capture->parts[i]->interface), log_uint("number", ++number),
				 log_str("time", clock_format(packet.time_ns, time)),
				 log_uint("length", packet.wirelen), log_uint("captured", packet.caplen),
				 log_str("direction", directions[packet.direction]));
		}
	}
}

static void on_packets_logged(struct offload_task *task)
{
	struct capture *capture = container_of(task, struct capture, packet_log);

	capture->packets_logged = true;
	end_when_done(capture);
}

static void start_packet_log(struct capture *capture)
{
	capture->packet_log.run = log_packets;
	capture->packet_log.done = on_packets_logged;
	capture->packets_logged = !capture->request->packetdebug || !capture->report.packets;
	if (!capture->packets_logged && offload_submit(capture->deps->packet_log, &capture->packet_log) < 0) {
		log_warning("packets-not-logged", log_str("request", capture->request->id),
			    log_str("capture", capture->id));
		capture->packets_logged = true;
	}
}

static bool build_output_file(struct capture *capture)
{
	cleanup(cleanup_free) struct output_part *parts = calloc(capture->part_count, sizeof(*parts));
	cleanup(cleanup_free) char *skipped = skipped_text(&capture->skipped);

	if (!parts)
		return false;
	for (size_t i = 0; i < capture->part_count; i++) {
		parts[i].interface = capture->parts[i]->interface;
		parts[i].store = consumer_store(capture->parts[i]->consumer);
		consumer_report(capture->parts[i]->consumer, &parts[i].report);
	}
	const struct output_file_options options = {
		.request = capture->request,
		.capture = capture->id,
		.node = capture->deps->config->general.node,
		.interface = capture->name,
		.file_id = capture->request->files ? capture->id : NULL,
		.tags = capture->tags,
		.report = &capture->report,
		.skipped = skipped,
		.parts = parts,
		.part_count = capture->part_count,
		.duplicates = capture->duplicates,
	};
	return output_file_init(&capture->output_file, &options) == 0;
}

static void deliver(struct capture *capture)
{
	const struct request *request = capture->request;
	const struct delivery_targets targets = {
		.all = request->destinations,
		.all_count = request->destination_count,
		.first_of = request->first_of,
		.first_of_count = request->first_of_count,
	};
	const bool named = targets.all_count || targets.first_of_count;
	const bool built = build_output_file(capture);
	struct event event = capture_event(capture, EVENT_CAPTURED);

	add_counters(capture, &event);
	event_bus_publish(capture->deps->bus, &event);
	if (built) {
		capture->output_file.file.held_bytes = capture->report.bytes;
		capture->delivery = delivery_start(capture->deps->deliveries, &capture->output_file.file,
						   named ? &targets : NULL, on_delivery_done, capture);
	}
	if (!capture->delivery) {
		const struct delivery_result failure = {.name = "delivery", .error = "out of memory"};

		on_delivery_done(capture, &failure, 1);
	} else if (capture->abandoned) {
		delivery_abandon(capture->delivery, DAEMON_STOPPED_TEXT);
	}
}

/* NULL on ENOMEM. Caller frees. */
static const struct store **list_stores(const struct capture *capture)
{
	const struct store **stores = calloc(capture->part_count, sizeof(*stores));

	for (size_t i = 0; stores && i < capture->part_count; i++)
		stores[i] = consumer_store(capture->parts[i]->consumer);
	return stores;
}

/* Counts what the merged file holds after the limits of the whole capture. */
static void recount_merged(const struct capture *capture, struct consumer_report *report)
{
	cleanup(cleanup_free) const struct store **stores = list_stores(capture);
	const struct store_merge_limits limits = {.packets = capture->request->packets,
						  .bytes = capture->request->bytes,
						  .duplicates = capture->duplicates};

	struct store_merge *merge = stores ? store_merge_new(stores, capture->part_count, &limits) : NULL;
	struct packet_view packet;
	if (!merge) {
		report->lost_memory += report->packets;
		report->packets = 0;
		report->reason = END_MEMORY;
		return;
	}
	report->packets = report->bytes = report->first_ns = report->last_ns = report->odd_stamps = report->truncated =
		0;
	const struct packet_source source = store_merge_source(merge);
	while (source.next(source.ctx, &packet)) {
		const uint64_t real_ns =
			packet.odd_stamp ? packet.arrived_ns + (uint64_t)report->clock_offset_ns : packet.time_ns;

		report->first_ns = report->packets++ ? report->first_ns : real_ns;
		report->last_ns = real_ns;
		report->odd_stamps += packet.odd_stamp;
		report->bytes += packet.caplen;
		report->truncated += packet_is_truncated(&packet, report->snaplen);
	}
	store_merge_free(merge);
	if (report->packets >= limits.packets || report->bytes >= limits.bytes) {
		report->reason = report->packets >= limits.packets ? END_PACKETS : END_BYTES;
		report->to_ns = report->last_ns;
	}
}

/* The window is what all parts cover; the reason is that of the part that ended last. */
static void combine_reports(const struct capture *capture, struct consumer_report *whole)
{
	consumer_report(capture->parts[0]->consumer, whole);
	whole->complete &= capture->part_count == 1 || whole->reason != END_INTERFACE_GONE;
	for (size_t i = 1; i < capture->part_count; i++) {
		struct consumer_report part;

		consumer_report(capture->parts[i]->consumer, &part);
		if (part.to_ns > whole->to_ns && whole->reason != END_MEMORY)
			whole->reason = part.reason;
		whole->to_ns = part.to_ns > whole->to_ns ? part.to_ns : whole->to_ns;
		/* Interfaces are armed one after another, and each looks back from its own start. */
		if (!capture->parts[i]->joined && part.from_ns > whole->from_ns)
			whole->from_ns = part.from_ns;
		if (!capture->parts[i]->joined && part.asked_from_ns > whole->asked_from_ns)
			whole->asked_from_ns = part.asked_from_ns;
		whole->asked_to_ns = part.asked_to_ns > whole->asked_to_ns ? part.asked_to_ns : whole->asked_to_ns;
		if (part.interface_state != whole->interface_state)
			whole->interface_state = INTERFACE_UNKNOWN;
		whole->retention_may_hide |= part.retention_may_hide;
		whole->seen += part.seen;
		whole->packets += part.packets;
		if (part.first_ns && (!whole->first_ns || part.first_ns < whole->first_ns))
			whole->first_ns = part.first_ns;
		whole->last_ns = part.last_ns > whole->last_ns ? part.last_ns : whole->last_ns;
		whole->odd_stamps += part.odd_stamps;
		whole->truncated += part.truncated;
		whole->lost_kernel += part.lost_kernel;
		whole->lost_evicted += part.lost_evicted;
		whole->lost_memory += part.lost_memory;
		whole->nic.rx_dropped += part.nic.rx_dropped;
		whole->nic.rx_missed_errors += part.nic.rx_missed_errors;
		whole->nic.queue_drops += part.nic.queue_drops;
		whole->unsorted |= part.unsorted;
		whole->complete &= part.complete && part.reason != END_INTERFACE_GONE;
	}
	whole->complete &= !capture->request->merge || !capture->skipped.total;
	if (capture->memory_spent)
		whole->reason = END_MEMORY;
}

static void explain_emptiness(struct capture *capture)
{
	const struct consumer_report *report = &capture->report;
	/* Without memory the hint only names no interface. */
	cleanup(cleanup_free) struct empty_hint_interface *interfaces =
		calloc(capture->part_count, sizeof(*interfaces));
	struct empty_hint hint = {
		.interface = capture->name,
		.bpf = capture->request->bpf ? capture->request->bpf : capture->request->required,
		.inner = capture->request->inner,
		.seen = report->seen,
		.from_ns = report->from_ns,
		.to_ns = report->to_ns,
		.out_of_reach = report->from_ns == report->to_ns && report->asked_from_ns < report->from_ns,
		.retention_may_hide = report->retention_may_hide,
		.interfaces = interfaces,
	};

	for (size_t i = 0; interfaces && i < capture->part_count; i++) {
		struct consumer_report part;

		consumer_report(capture->parts[i]->consumer, &part);
		if (part.interface_state != INTERFACE_UP && part.interface_state != INTERFACE_UNKNOWN)
			interfaces[hint.interface_count++] =
				(struct empty_hint_interface){capture->parts[i]->interface, part.interface_state};
	}
	empty_hint_text(&hint, capture->hint);
}

void capture_finish_live(struct capture *capture, const char *error)
{
	const struct delivery_result result = {.name = "live", .ok = true, .warning = error, .attempts = 1};

	capture->report.packets = live_output_packets(capture->live);
	capture->report.bytes = live_output_bytes(capture->live);
	capture->packets_logged = true;
	on_delivery_done(capture, &result, 1);
}

void capture_finish_streamed(struct capture *capture, const struct delivery_result *results, size_t result_count)
{
	capture->report.packets = live_output_packets(capture->live);
	capture->report.bytes = live_output_bytes(capture->live);
	capture->packets_logged = true;
	on_delivery_done(capture, results, result_count);
}

static void finish_combined(struct capture *capture)
{
	if (capture->part_count > 1 && !capture->live)
		recount_merged(capture, &capture->report);
	if (capture->live) {
		capture->report.lost_memory += live_output_lost(capture->live);
		capture->report.complete &= !live_output_lost(capture->live);
	}
	if (capture->report.unsorted)
		log_error("packets-not-sorted", log_str("request", capture->request->id),
			  log_str("capture", capture->id), log_str("error", "out of memory"));
	if (is_empty(capture))
		explain_emptiness(capture);
	capture->deps->capturing_ended(capture->deps->ctx, capture);
	if (capture->stream && !is_empty(capture)) {
		struct event event = capture_event(capture, EVENT_CAPTURED);

		add_counters(capture, &event);
		event_bus_publish(capture->deps->bus, &event);
	}
	if (capture->live) {
		capture_live_end(capture);
		return;
	}
	start_packet_log(capture);
	if (capture->report.packets)
		deliver(capture);
	else
		on_delivery_done(capture, NULL, 0);
}

/* --- duplicates --- */

static void search_duplicates(struct offload_task *task)
{
	struct capture *capture = container_of(task, struct capture, duplicates_search);
	cleanup(cleanup_free) const struct store **stores = list_stores(capture);

	if (!stores || duplicates_find(stores, capture->part_count, &capture->duplicates) < 0)
		log_error("duplicates-kept", log_str("request", capture->request->id), log_str("capture", capture->id),
			  log_str("error", "out of memory"));
}

static void on_duplicates_found(struct offload_task *task)
{
	finish_combined(container_of(task, struct capture, duplicates_search));
}

void capture_finish(struct capture *capture)
{
	combine_reports(capture, &capture->report);
	if (capture->request->drop_duplicates && capture->part_count > 1) {
		capture->duplicates_search.run = search_duplicates;
		capture->duplicates_search.done = on_duplicates_found;
		if (offload_submit(capture->deps->arming, &capture->duplicates_search) == 0)
			return;
		search_duplicates(&capture->duplicates_search);
	}
	finish_combined(capture);
}
