/* SPDX-License-Identifier: BSD-2-Clause */
/* Events repeat origin, filter and limits; this log has the filters whole. */
#include "job/audit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "output/filter_text.h"
#include "request/request.h"

#define LINES_PER_SECOND 100 /* of those that a publisher can cause at any rate */
#define LIST_BYTES_MAX 1024  /* of names in a line */
#define CUT "..."

/* What an event may have of a filter. NULL: there is none, or no memory. */
static char *shown(const char *required, const char *filter)
{
	char *text;

	if (filter_text(required, filter, &text) == 0 && text && strlen(text) > EVENT_FILTER_MAX)
		memcpy(text + EVENT_FILTER_MAX - strlen(CUT), CUT, sizeof(CUT));
	return text;
}

void audit_describe(struct request *request, const char *origin)
{
	request->origin = origin ? strdup(origin) : NULL;
	request->filter_shown = shown(request->required, request->bpf);
	request->inner_shown = shown(NULL, request->inner);
}

struct event_limits audit_limits(const struct request *request)
{
	return (struct event_limits){
		.packets = request->packets,
		.bytes = request->bytes,
		.snap = request->snap,
		.duration_ns = request->duration_ns,
		.idle_ns = request->idle_ns,
	};
}

static struct log_field number_field(const char *key, uint64_t number)
{
	return number ? log_uint(key, number) : log_str(key, NULL);
}

static struct log_field seconds_field(const char *key, uint64_t ns)
{
	return ns ? log_num(key, (double)ns / NS_PER_S) : log_str(key, NULL);
}

static const char *time_text(uint64_t time_ns, char text[static CLOCK_TEXT_SIZE])
{
	return time_ns ? clock_format(time_ns, text) : NULL;
}

/* The names that fit. NULL: none. */
static const char *interface_names(const struct request *request, struct buffer *text)
{
	for (size_t i = 0; request && i < request->interface_count; i++) {
		if (buffer_printf(text, "%s%s", i ? "," : "", request->interfaces[i].name) < 0)
			break;
	}
	return text->size ? buffer_text(text) : NULL;
}

static const char *join(char *const *names, size_t count, struct buffer *text)
{
	for (size_t i = 0; i < count; i++) {
		if (buffer_printf(text, "%s%s", i ? "," : "", names[i]) < 0)
			break;
	}
	return text->size ? buffer_text(text) : NULL;
}

/* What became of the request. */
struct audit {
	const char *message_id, *id, *origin, *key;
	const char *reason, *field, *folded_into; /* NULL: none */
	bool admitted;
	uint64_t captures, suppressed;
};

/* A request that could not be read has neither filter nor limits. */
static void write_line(const struct audit *audit, const struct request *request)
{
	static const struct request unread = {0};
	const struct request *of = request ? request : &unread;
	cleanup(buffer_deinit) struct buffer interfaces = BUFFER_INIT(LIST_BYTES_MAX);
	cleanup(buffer_deinit) struct buffer destinations = BUFFER_INIT(LIST_BYTES_MAX);
	cleanup(buffer_deinit) struct buffer first_of = BUFFER_INIT(LIST_BYTES_MAX);
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];

	log_notice(audit->message_id, log_str("request", audit->id), log_str("origin", audit->origin),
		   log_str("key", audit->key), log_str("reason", audit->reason), log_str("field", audit->field),
		   log_str("folded_into", audit->folded_into),
		   audit->admitted ? log_uint("captures", audit->captures) : log_str("captures", NULL),
		   log_str("interfaces", interface_names(request, &interfaces)), log_str("required", of->required),
		   log_str("bpf", of->bpf), log_str("inner", of->inner), number_field("packets", of->packets),
		   number_field("bytes", of->bytes), number_field("snap", of->snap),
		   seconds_field("duration", of->duration_ns), seconds_field("idle", of->idle_ns),
		   seconds_field("before", of->before_ns), log_str("from", time_text(of->from_ns, from)),
		   log_str("to", time_text(of->to_ns, to)),
		   log_str("destinations", join(of->destinations, of->destination_count, &destinations)),
		   log_str("first_of", join(of->first_of, of->first_of_count, &first_of)),
		   log_str("customer", of->customer), log_str("alertid", of->alertid),
		   number_field("suppressed", audit->suppressed));
}

void audit_admitted(const struct request *request, size_t captures, const char *folded_into)
{
	static struct log_rate folded_rate = {.burst = LINES_PER_SECOND}; /* the loop's thread only */
	struct audit audit = {
		.message_id = "request-admitted",
		.id = request->id,
		.origin = request->origin,
		.key = request_key_name(request),
		.folded_into = folded_into,
		.admitted = true,
		.captures = captures,
	};

	if (!folded_into || log_rate_allow(&folded_rate, &audit.suppressed))
		write_line(&audit, request);
}

void audit_stopped(const struct request *request, uint64_t captures)
{
	static struct log_rate idle_rate = {.burst = LINES_PER_SECOND}; /* the loop's thread only */
	struct audit audit = {
		.message_id = "request-stops",
		.id = request->id,
		.origin = request->origin,
		.key = request_key_name(request),
		.admitted = true,
		.captures = captures,
	};

	if (captures || log_rate_allow(&idle_rate, &audit.suppressed))
		write_line(&audit, NULL); /* filter and limits are those of other requests */
}

void audit_refused(const struct request *request, const struct event *refusal)
{
	static struct log_rate refused_rate = {.burst = LINES_PER_SECOND}; /* the loop's thread only */
	struct audit audit = {
		.message_id = "request-refused",
		.id = refusal->id,
		.origin = refusal->origin,
		.key = refusal->key,
		.reason = refusal->reason,
		.field = refusal->field,
	};

	if (log_rate_allow(&refused_rate, &audit.suppressed))
		write_line(&audit, request);
}
