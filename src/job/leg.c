/*
 * A capture may end before the loop hears that it was armed (one packet was enough): the two messages come by different
 * ways. So a leg goes on only when every part was armed (or refused), and then when every part has ended; events keep
 * their order.
 */
#include "job/leg.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "capture/filter.h"
#include "config/config.h"
#include "job/leg_parts.h"

#define LATE_NS NS_PER_S /* a request younger than this was not late */

struct leg *leg_next(const struct leg *leg)
{
	return leg->next;
}

void leg_set_next(struct leg *leg, struct leg *next)
{
	leg->next = next;
}

void *leg_owner(const struct leg *leg)
{
	return leg->owner;
}

void leg_set_owner(struct leg *leg, void *owner)
{
	leg->owner = owner;
}

unsigned leg_captures(const struct leg *leg)
{
	return (unsigned)leg->part_count;
}

static void free_leg(struct leg *leg)
{
	image_deinit(&leg->image);
	for (size_t i = 0; i < leg->part_count; i++)
		consumer_free(leg->parts[i].consumer);
	request_unref(leg->request);
	free(leg->tags);
	free(leg);
}

void leg_end(struct leg *leg)
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

static void stop_parts(struct leg *leg, enum end_reason reason)
{
	for (size_t i = 0; i < leg->part_count; i++) {
		struct leg_part *part = &leg->parts[i];
		if (part->settled && !part->ended)
			consumer_stop(part->consumer, reason);
	}
}

/* --- before and during the capture --- */

/* Everything has ended that will: what was refused or given up has had its final event already. */
static void check_ended(struct leg *leg)
{
	if (!all_settled(leg) || !all_ended(leg))
		return;
	if (!leg->over) {
		leg_finish(leg);
		return;
	}
	leg->with->ended(leg->with->ctx, leg);
	leg_end(leg);
}

static void capture_over(void *ctx, struct consumer *consumer)
{
	struct leg_part *part = ctx;
	part->consumer = consumer;
	part->ended = true;
	check_ended(part->leg);
}

static void limit_reached(void *ctx)
{
	struct leg *leg = ctx;
	stop_parts(leg, END_PACKETS);
}

static void run_arming(struct offload_task *task)
{
	struct leg_part *part = (struct leg_part *)task;
	const struct leg_surroundings *with = part->leg->with;
	struct consumer *consumer = NULL;
	if (atomic_load(with->stopping))
		part->result = error_set(&part->error, -ECANCELED, "%s", LEG_STOPPED_TEXT);
	else
		part->result = consumer_start(with->engine, &part->spec, capture_over, part, &part->error, &part->field,
					      &consumer);
	part->started = part->result == 0 ? consumer : NULL;
}

static const struct leg_part *find_refused(const struct leg *leg)
{
	for (size_t i = 0; i < leg->part_count; i++) {
		if (leg->parts[i].result < 0)
			return &leg->parts[i];
	}
	return NULL;
}

/* All of them, or it is false. *until_ns becomes the latest end if that is later. */
static bool extend_parts(const struct leg *leg, uint64_t *until_ns)
{
	bool all = true;
	for (size_t i = 0; i < leg->part_count && all; i++) {
		const struct leg_part *part = &leg->parts[i];
		all = !part->ended && consumer_extend(part->consumer, *until_ns);
		if (all && consumer_ends_ns(part->consumer) > *until_ns)
			*until_ns = consumer_ends_ns(part->consumer);
	}
	return all;
}

static void arming_over(struct offload_task *task)
{
	struct leg_part *part = (struct leg_part *)task;
	struct leg *leg = part->leg;
	part->settled = true;
	if (part->result < 0)
		part->ended = true;
	else
		part->consumer = part->started;
	if (!all_settled(leg))
		return;
	const struct leg_part *refused = find_refused(leg);
	if (leg->over) {
		stop_parts(leg, END_SHUTDOWN);
	} else if (refused) {
		leg_refuse(leg, refused->result, refused->field, refused->error.text);
		stop_parts(leg, END_STOPPED);
	} else {
		const struct event event = leg_describe(leg, EVENT_ACCEPTED);
		event_bus_publish(leg->with->bus, &event);
		leg->accepted = true;
		if (leg->extend_ns)
			extend_parts(leg, &leg->extend_ns);
		if (leg->shut_down)
			stop_parts(leg, END_SHUTDOWN);
		else if (leg->stop_wanted)
			stop_parts(leg, END_STOPPED);
		else if (atomic_load(&leg->quota.told)) /* it was reached before the last part was armed */
			stop_parts(leg, END_PACKETS);
	}
	check_ended(leg);
}

/*
 * A request that was on its way for long means its own time. Where a recorder has that, it is what the capture is of;
 * elsewhere the capture is made now, and its report says what it does not reach back to.
 */
static void move_to_its_time(struct leg_part *part)
{
	const struct request *request = part->leg->request;
	struct consumer_spec *spec = &part->spec;
	const uint64_t now_ns = clock_realtime_ns(), asked_ns = request->published_ns;
	if (!asked_ns || now_ns < asked_ns + LATE_NS || request->from_ns || request->to_ns)
		return;
	if (!engine_records(part->leg->with->engine, part->interface)) {
		spec->before_ns += now_ns - asked_ns;
		return;
	}
	spec->from_real_ns = request->before_ns < asked_ns ? asked_ns - request->before_ns : 1;
	spec->to_real_ns = asked_ns + request->duration_ns;
	spec->before_ns = 0;
}

static void specify(struct leg_part *part)
{
	struct leg *leg = part->leg;
	const struct request *request = leg->request;
	part->spec = (struct consumer_spec){
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
	move_to_its_time(part);
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
	leg->started_ns = clock_boottime_ns();
	leg->part_count = target_count;
	leg->quota.max_packets = request->packets;
	leg->quota.max_bytes = request->bytes;
	leg->quota.spent = limit_reached;
	leg->quota.ctx = leg;
	snprintf(leg->id, sizeof(leg->id), "%s.%u", request->id, index);
	for (size_t i = 0; i < target_count; i++) {
		struct leg_part *part = &leg->parts[i];
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
		struct leg_part *part = &leg->parts[i];
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
	stop_parts(leg, END_SHUTDOWN);
}

void leg_abandon(struct leg *leg)
{
	leg->abandoned = true;
	if (leg->delivery)
		delivery_abandon(leg->delivery, LEG_STOPPED_TEXT);
	else if (!leg->over && !leg->accepted)
		leg_refuse(leg, -ESHUTDOWN, NULL, LEG_STOPPED_TEXT);
}

/* --- while it runs --- */

static bool is_running(const struct leg *leg)
{
	return leg->accepted && !all_ended(leg);
}

bool leg_stop(struct leg *leg)
{
	if (leg->over || all_ended(leg))
		return false;
	leg->stop_wanted = true; /* for what is being armed */
	stop_parts(leg, END_STOPPED);
	return true;
}

/* In a storm the first repetitions come before the first capture is armed. */
static bool extend_when_armed(struct leg *leg, uint64_t until_ns)
{
	bool goes_on = !leg->over && !leg->stop_wanted && !leg->shut_down;
	for (size_t i = 0; i < leg->part_count; i++)
		goes_on &= !leg->parts[i].ended && !leg->parts[i].spec.to_real_ns;
	if (goes_on && until_ns > leg->extend_ns)
		leg->extend_ns = until_ns;
	return goes_on;
}

bool leg_extend(struct leg *leg, uint64_t duration_ns, uint64_t *until_ns)
{
	const uint64_t most_ns = leg->started_ns + leg->with->config->general.maxduration_ns;
	const uint64_t wanted_ns = clock_boottime_ns() + duration_ns;
	*until_ns = wanted_ns < most_ns ? wanted_ns : most_ns;
	return leg->accepted ? is_running(leg) && extend_parts(leg, until_ns) : extend_when_armed(leg, *until_ns);
}

static void look_at_parts(const struct leg *leg, struct leg_view *view)
{
	uint64_t ends_ns = 0;
	for (size_t i = 0; i < leg->part_count; i++) {
		struct consumer_report report;
		if (!leg->parts[i].consumer)
			continue;
		consumer_report(leg->parts[i].consumer, &report);
		view->packets += report.packets;
		view->bytes += report.bytes;
		const uint64_t end_ns = leg->parts[i].ended ? 0 : consumer_ends_ns(leg->parts[i].consumer);
		ends_ns = end_ns > ends_ns ? end_ns : ends_ns;
	}
	if (ends_ns && ends_ns < INT64_MAX)
		view->ends_ns = ends_ns + (uint64_t)clock_offset_ns();
}

void leg_look(const struct leg *leg, struct leg_view *view)
{
	*view = (struct leg_view){
		.state = !leg->accepted	   ? LEG_ARMING
			 : is_running(leg) ? LEG_RUNNING
					   : LEG_DELIVERING,
		.capture = leg->id,
		.interface = leg->name,
		.tags = leg->tags,
	};
	if (view->state == LEG_DELIVERING) {
		view->packets = leg->report.packets;
		view->bytes = leg->report.bytes;
	} else if (leg->accepted) {
		look_at_parts(leg, view);
	}
}
