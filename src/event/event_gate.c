/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bucket for each cause, and two sizes of them. A message that names this node is answered by one node, so scripts
 * get all answers that they can reasonably want. A message that names none, or fits an expression, is answered by every
 * node it concerns: with 10,000 nodes, one answer a second from each is 10,000.
 */
#include "event/event_gate.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/token_bucket.h"
#include "event/event.h"
#include "event/event_bus.h"

static const struct {
	uint64_t per_second, burst;
} named_limit = {100, 1000}, broad_limit = {1, 100};

struct event_gate {
	struct event_bus *bus;
	struct event *timer;
	char *node;
	struct {
		struct token_bucket named, broad;
		uint64_t unreported, total;
	} causes[SUPPRESSED_CAUSES];
};

const char *suppressed_cause_name(enum suppressed_cause cause)
{
	static const char *const names[] = {
		[SUPPRESSED_INVALID] = "invalid",
		[SUPPRESSED_RATE] = "rate",
		[SUPPRESSED_REFUSED] = "refused",
		[SUPPRESSED_REPEATED] = "repeated",
	};

	return names[cause];
}

/* False: captures cause it, and limits.captures and limits.requests_per_second limit those. */
static bool find_cause(const struct event *event, enum suppressed_cause *cause)
{
	const bool stopped_nothing = event->reason && strcmp(event->reason, EVENT_REASON_STOP) == 0 && !event->count;

	if (event->duplicate || event->folded_into || stopped_nothing)
		*cause = SUPPRESSED_REPEATED;
	else if (event->kind != EVENT_REJECTED)
		return false;
	else if (event->code == -EDQUOT)
		*cause = SUPPRESSED_RATE;
	else
		*cause = event->code == -EINVAL ? SUPPRESSED_INVALID : SUPPRESSED_REFUSED;
	return true;
}

bool event_gate_allows(struct event_gate *gate, const struct event *event)
{
	static const struct timeval interval = {.tv_sec = EVENT_GATE_INTERVAL_S};
	const uint64_t now_ns = clock_boottime_ns();
	enum suppressed_cause cause;

	if (!find_cause(event, &cause))
		return true;
	if (event->broad ? token_bucket_take_burst(&gate->causes[cause].broad, broad_limit.per_second,
						   broad_limit.burst, now_ns)
			 : token_bucket_take_burst(&gate->causes[cause].named, named_limit.per_second,
						   named_limit.burst, now_ns))
		return true;
	gate->causes[cause].unreported++;
	gate->causes[cause].total++;
	if (!evtimer_pending(gate->timer, NULL))
		(void)evtimer_add(gate->timer, &interval);
	return false;
}

void event_gate_report(struct event_gate *gate)
{
	for (int cause = 0; cause < SUPPRESSED_CAUSES; cause++) {
		const struct event event = {
			.kind = EVENT_SUPPRESSED,
			.node = gate->node,
			.time_ns = clock_realtime_ns(),
			.reason = suppressed_cause_name((enum suppressed_cause)cause),
			.count = gate->causes[cause].unreported,
		};

		gate->causes[cause].unreported = 0;
		if (event.count)
			event_bus_publish(gate->bus, &event);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	event_gate_report(ctx);
}

uint64_t event_gate_suppressed(const struct event_gate *gate, enum suppressed_cause cause)
{
	return gate->causes[cause].total;
}

struct event_gate *event_gate_new(struct event_base *loop, struct event_bus *bus, const char *node)
{
	cleanup(cleanup_event_gate) struct event_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->bus = bus;
	gate->node = strdup(node);
	gate->timer = evtimer_new(loop, on_timer, gate);
	for (int cause = 0; cause < SUPPRESSED_CAUSES; cause++) {
		token_bucket_init_burst(&gate->causes[cause].named, named_limit.per_second, named_limit.burst,
					clock_boottime_ns());
		token_bucket_init_burst(&gate->causes[cause].broad, broad_limit.per_second, broad_limit.burst,
					clock_boottime_ns());
	}
	return gate->node && gate->timer ? take(gate) : NULL;
}

void event_gate_free(struct event_gate *gate)
{
	if (!gate)
		return;
	if (gate->timer)
		event_free(gate->timer);
	free(gate->node);
	free(gate);
}
