/*
 * The capture may end before the loop hears that it was armed (one packet was enough): the two messages come by
 * different ways. So "ended" waits for "armed", and events keep their order.
 */
#include "job/leg.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "config/config.h"
#include "event/event.h"
#include "job/image.h"
#include "job/interfaces.h"
#include "request/request.h"
#include "sink/sink.h"

#define LEG_ID_SIZE (REQUEST_ID_SIZE + 8)

struct leg {
	struct offload_task arming; /* first */
	struct offload_task tracing;
	const struct leg_surroundings *with;
	struct leg *next;
	struct request *request;
	char interface[INTERFACE_NAME_SIZE];
	struct request_interface named; /* for the tags */
	char id[LEG_ID_SIZE];
	struct capture_spec spec;
	struct error error;
	const char *field; /* of the request, at fault if arming failed */
	int armed_result;
	struct capture *started; /* the arming thread's word of it */
	bool armed, ended, shut_down, abandoned;
	bool traced, delivered; /* both must be over before the packets go */
	struct capture *capture;
	struct capture_report report;
	char *tags;
	struct image image;
	struct delivery *delivery;
};

struct leg *leg_next(const struct leg *leg)
{
	return leg->next;
}

void leg_set_next(struct leg *leg, struct leg *next)
{
	leg->next = next;
}

static void free_leg(struct leg *leg)
{
	image_deinit(&leg->image);
	capture_free(leg->capture);
	request_unref(leg->request);
	free(leg->tags);
	free(leg);
}

static void leg_over(struct leg *leg)
{
	leg->with->over(leg->with->ctx, leg);
	free_leg(leg);
}

/* --- events --- */

static struct event describe(const struct leg *leg, enum event_kind kind)
{
	return (struct event){
		.kind = kind,
		.id = leg->request->id,
		.capture = leg->id,
		.node = leg->with->config->general.node,
		.interface = leg->interface,
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
}

/* --- after the capture --- */

static void part_over(struct leg *leg)
{
	if (leg->traced && leg->delivered)
		leg_over(leg);
}

static void delivery_over(void *ctx, const struct delivery_result *results, size_t result_count)
{
	struct leg *leg = ctx;
	leg->delivery = NULL;
	publish_final(leg, results, result_count);
	leg->delivered = true;
	part_over(leg);
}

static void run_tracing(struct offload_task *task)
{
	struct leg *leg = (struct leg *)((char *)task - offsetof(struct leg, tracing));
	static const char *const directions[] = {"unknown", "in", "out"};
	char time[CLOCK_TEXT_SIZE];
	struct store_reader reader;
	struct packet_view packet;
	uint64_t number = 0;
	store_reader_init(&reader, capture_store(leg->capture));
	while (store_reader_next(&reader, &packet))
		log_info("packet", log_str("request", leg->request->id), log_str("interface", leg->interface),
			 log_uint("number", ++number), log_str("time", clock_format(packet.time_ns, time)),
			 log_uint("length", packet.wirelen), log_uint("captured", packet.caplen),
			 log_str("direction", directions[packet.direction]));
}

static void tracing_over(struct offload_task *task)
{
	struct leg *leg = (struct leg *)((char *)task - offsetof(struct leg, tracing));
	leg->traced = true;
	part_over(leg);
}

static void start_tracing(struct leg *leg)
{
	leg->tracing.run = run_tracing;
	leg->tracing.done = tracing_over;
	leg->traced = !leg->request->packetdebug || !leg->report.packets ||
		      offload_submit(leg->with->arming, &leg->tracing) < 0;
}

static void deliver(struct leg *leg)
{
	const struct request *request = leg->request;
	int r = image_init(&leg->image, request, leg->with->config->general.node, leg->interface, leg->tags,
			   &leg->report, capture_store(leg->capture));
	struct event event = describe(leg, EVENT_CAPTURED);
	count(leg, &event);
	event_bus_publish(leg->with->bus, &event);
	if (r == 0)
		leg->delivery = delivery_start(leg->with->deliveries, &leg->image.file, request->destinations,
					       request->destination_count, delivery_over, leg);
	if (!leg->delivery) {
		const struct delivery_result failure = {.name = "delivery", .error = "out of memory"};
		delivery_over(leg, &failure, 1);
	} else if (leg->abandoned) {
		delivery_abandon(leg->delivery, "the daemon was stopped");
	}
}

static void finish_capture(struct leg *leg)
{
	capture_report(leg->capture, &leg->report);
	leg->with->ended(leg->with->ctx, leg);
	start_tracing(leg);
	if (leg->report.packets)
		deliver(leg);
	else
		delivery_over(leg, NULL, 0);
}

/* --- before and during the capture --- */

static void capture_over(void *ctx, struct capture *capture)
{
	struct leg *leg = ctx;
	leg->capture = capture;
	leg->ended = true;
	if (leg->armed)
		finish_capture(leg);
}

static void run_arming(struct offload_task *task)
{
	struct leg *leg = (struct leg *)task;
	struct capture *capture = NULL;
	leg->armed_result =
		capture_start(leg->with->engine, &leg->spec, capture_over, leg, &leg->error, &leg->field, &capture);
	leg->started = leg->armed_result == 0 ? capture : NULL;
}

static void arming_over(struct offload_task *task)
{
	struct leg *leg = (struct leg *)task;
	if (leg->armed_result < 0) {
		struct event event = describe(leg, EVENT_REJECTED);
		event.reason = leg->error.text;
		event.field = leg->field;
		event_bus_publish(leg->with->bus, &event);
		leg->with->ended(leg->with->ctx, leg);
		leg_over(leg);
		return;
	}
	leg->armed = true;
	leg->capture = leg->started;
	const struct event event = describe(leg, EVENT_ACCEPTED);
	event_bus_publish(leg->with->bus, &event);
	if (leg->ended)
		finish_capture(leg);
	else if (leg->shut_down)
		capture_stop(leg->capture, CAPTURE_SHUTDOWN);
}

static bool wants_promiscuous(const struct config *config, const char *interface)
{
	for (size_t i = 0; i < config->interface_count; i++) {
		if (strcmp(config->interfaces[i].name, interface) == 0)
			return config->interfaces[i].promiscuous;
	}
	return true;
}

static void specify(struct leg *leg)
{
	const struct request *request = leg->request;
	leg->spec = (struct capture_spec){
		.interface = leg->interface,
		.promiscuous = wants_promiscuous(leg->with->config, leg->interface),
		.bpf = request->bpf,
		.snaplen = request->snap,
		.max_packets = request->packets,
		.max_bytes = request->bytes,
		.duration_ns = request->duration_ns,
		.duration_reason = CAPTURE_TIMEOUT,
		.idle_ns = request->idle_ns,
	};
}

int leg_start(const struct leg_surroundings *surroundings, struct request *request, const char *interface, char *alias,
	      unsigned index, struct leg **result)
{
	struct leg *leg = calloc(1, sizeof(*leg));
	if (!leg)
		return -ENOMEM;
	leg->with = surroundings;
	leg->request = request_ref(request);
	snprintf(leg->interface, sizeof(leg->interface), "%s", interface);
	snprintf(leg->id, sizeof(leg->id), "%s.%u", request->id, index);
	leg->named = (struct request_interface){.name = leg->interface, .alias = alias};
	leg->tags = request_tags(request, &leg->named, surroundings->config->general.node);
	specify(leg);
	leg->arming.run = run_arming;
	leg->arming.done = arming_over;
	int r = leg->tags ? offload_submit(surroundings->arming, &leg->arming) : -ENOMEM;
	if (r < 0) {
		free_leg(leg);
		return r;
	}
	*result = leg;
	return 0;
}

void leg_shut_down(struct leg *leg)
{
	leg->shut_down = true;
	if (leg->armed && !leg->ended)
		capture_stop(leg->capture, CAPTURE_SHUTDOWN);
}

void leg_abandon(struct leg *leg)
{
	leg->abandoned = true;
	if (leg->delivery)
		delivery_abandon(leg->delivery, "the daemon was stopped");
}
