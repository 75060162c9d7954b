/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events for people: one line each, with a severity that shows whether it needs attention. Any publisher can cause
 * refusals at any rate, so lines about them are rate-limited; the next line has the number of those suppressed.
 */
#include "event/event_log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"

#define ANSWERS_PER_SECOND 100 /* refusals and repeated answers, which a peer can cause at will */
#define LIST_BYTES_MAX 4096

static const char *const message_ids[] = {
	[EVENT_ACCEPTED] = "event-accepted",	 [EVENT_REJECTED] = "event-rejected",
	[EVENT_CAPTURED] = "event-captured",	 [EVENT_DONE] = "event-done",
	[EVENT_FAILED] = "event-failed",	 [EVENT_WARNING] = "event-warning",
	[EVENT_SUPPRESSED] = "event-suppressed", [EVENT_SPOOLED] = "event-spooled",
};

static bool all_delivered(const struct event *event)
{
	for (size_t i = 0; i < event->destination_count; i++)
		if ((!event->destinations[i].ok && !event->destinations[i].superseded) ||
		    event->destinations[i].warning)
			return false;
	return true;
}

static int severity_of(const struct event *event)
{
	switch (event->kind) {
	case EVENT_REJECTED:
	case EVENT_WARNING:
	case EVENT_SUPPRESSED:
	case EVENT_SPOOLED:
		return LOG_WARNING;
	case EVENT_FAILED:
		return LOG_ERR;
	case EVENT_DONE:
		return all_delivered(event) && (!event->counted || event->window.complete) ? LOG_NOTICE : LOG_WARNING;
	default:
		return LOG_INFO;
	}
}

/* "cloudshark=https://… local=/…": URLs of the deliveries, or errors of the failed ones. NULL: there are none. */
static const char *list_destinations(struct buffer *text, const struct event *event, bool delivered)
{
	for (size_t i = 0; i < event->destination_count; i++) {
		const struct event_destination *destination = &event->destinations[i];
		const char *what = delivered ? destination->url : destination->error;

		if (destination->ok != delivered)
			continue;
		/* The event itself has what the cap cuts off. */
		if (buffer_printf(text, "%s%s=%s", text->size ? " " : "", destination->name, what ? what : "") < 0)
			break;
	}
	return text->size ? buffer_text(text) : NULL;
}

static struct log_field count_field(const struct event *event, const char *key, uint64_t number)
{
	return event->counted ? log_uint(key, number) : log_str(key, NULL);
}

static struct log_field optional_field(bool condition, const char *key, uint64_t number)
{
	return condition ? log_uint(key, number) : log_str(key, NULL);
}

static const char *time_text(bool shown, uint64_t time_ns, char text[static CLOCK_TEXT_SIZE])
{
	return shown && time_ns ? clock_format(time_ns, text) : NULL;
}

static void write_line(const struct event *event, uint64_t suppressed)
{
	cleanup(buffer_deinit) struct buffer delivered = BUFFER_INIT(LIST_BYTES_MAX);
	cleanup(buffer_deinit) struct buffer errors = BUFFER_INIT(LIST_BYTES_MAX);
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], asked_from[CLOCK_TEXT_SIZE];
	const bool incomplete = event->counted && !event->window.complete;

	log_at(severity_of(event), message_ids[event->kind], log_str("request", event->id),
	       log_str("capture", event->capture), log_str("interface", event->interface),
	       log_str("reason", event->reason), optional_field(event->count > 0, "count", event->count),
	       log_str("field", event->field), log_str("origin", event->origin), log_str("key", event->key),
	       log_str("rule", event->rule), log_str("alertid", event->alertid),
	       log_str("duplicate", event->duplicate ? "true" : NULL), log_str("folded_into", event->folded_into),
	       count_field(event, "packets", event->packets), count_field(event, "bytes", event->bytes),
	       count_field(event, "lost_kernel", event->lost.kernel),
	       count_field(event, "lost_evicted", event->lost.evicted),
	       count_field(event, "lost_memory", event->lost.memory),
	       optional_field(event->nic.rx_dropped > 0, "nic_rx_dropped", event->nic.rx_dropped),
	       optional_field(event->nic.rx_missed_errors > 0, "nic_rx_missed_errors", event->nic.rx_missed_errors),
	       optional_field(event->nic.queue_drops > 0, "nic_queue_drops", event->nic.queue_drops),
	       optional_field(event->truncated > 0, "truncated", event->truncated),
	       optional_field(event->duplicates > 0, "duplicates", event->duplicates),
	       optional_field(event->skipped_total > 0, "skipped", event->skipped_total),
	       log_str("from", time_text(event->counted, event->window.from_ns, from)),
	       log_str("to", time_text(event->counted, event->window.to_ns, to)),
	       log_str("asked_from", time_text(incomplete, event->window.asked_from_ns, asked_from)),
	       log_str("complete", incomplete ? "false" : NULL), log_str("ended_by", event->ended_by),
	       log_str("limit", event->limit_key), count_field(event, "seen", event->seen),
	       log_str("interface_state", event->interface_state), log_str("hint", event->hint),
	       log_str("file", event->file), log_str("destinations", list_destinations(&delivered, event, true)),
	       log_str("errors", list_destinations(&errors, event, false)),
	       optional_field(suppressed > 0, "suppressed", suppressed));
}

void event_log_subscriber(void *ctx, const struct event *event, const char *json)
{
	static struct log_rate answer_rate = {.burst = ANSWERS_PER_SECOND}; /* the loop's thread only */
	uint64_t suppressed = 0;

	(void)ctx;
	(void)json;
	if (event->suppressed)
		return;
	if ((event->kind == EVENT_REJECTED || event->duplicate || event->folded_into) &&
	    !log_rate_allow(&answer_rate, &suppressed))
		return;
	write_line(event, suppressed);
}
