/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /v1/history: the packets a recorder holds as a pcapng file, produced while the client reads it. Before the first
 * piece, a failure is an HTTP error. After that the connection breaks off, so that no client takes half a file for a
 * whole one.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quantity.h"
#include "job/jobs.h"
#include "request/request.h"

#define PIECE_BYTES (64u * 1024) /* queued for the client at a time */
#define REFUSALS_LOGGED 10	 /* a second */

struct history_response {
	LIST_ENTRY(history_response) list;
	struct history_stream *packets;
	struct http_request *request; /* until the first piece is ready */
	bool pcap;
	struct http_stream *stream; /* afterwards */
	bool more_wanted;	    /* the client has taken what there was */
};

static void history_response_free(struct history_response *history)
{
	LIST_REMOVE(history, list);
	history_stream_free(history->packets);
	free(history);
}

/* The client is gone, or the daemon is stopping. */
static void on_gone(void *ctx)
{
	struct history_response *history = ctx;

	if (history->request)
		http_answer_error(take(history->request), 503, "the daemon is stopping");
	if (history->stream)
		http_stream_end(take(history->stream), false);
	history_response_free(history);
}

static void answer_failure(struct history_response *history)
{
	const char *field;
	const char *error = history_stream_error(history->packets, &field);

	if (history->request) {
		http_answer_error(take(history->request),
				  error_http_status(history_stream_error_code(history->packets)), "%s", error);
	} else {
		log_warning("history-broken-off", log_str("error", error));
		http_stream_end(take(history->stream), false);
	}
	history_response_free(history);
}

/* Queues the next piece; ends the answer if the history stream has ended or failed. */
static void send_next_piece(struct history_response *history)
{
	uint8_t bytes[PIECE_BYTES];
	const size_t got = history_stream_read(history->packets, bytes, sizeof(bytes));

	if (got) {
		history->more_wanted = false;
		if (http_stream_write(history->stream, bytes, got) < 0) {
			http_stream_end(take(history->stream), false);
			history_response_free(history);
		}
		return;
	}
	if (history_stream_state(history->packets) == HISTORY_STREAM_ENDED) {
		http_stream_end(take(history->stream), true);
		history_response_free(history);
	} else if (history_stream_state(history->packets) == HISTORY_STREAM_FAILED) {
		answer_failure(history);
	}
}

static void on_more(void *ctx)
{
	struct history_response *history = ctx;

	history->more_wanted = true;
	send_next_piece(history);
}

static void start_stream(struct history_response *history)
{
	const struct http_producer source = {.name = history_stream_name(history->packets),
					     .more = on_more,
					     .gone = on_gone,
					     .ctx = history};
	struct http_request *request = take(history->request);

	http_request_set_gone_handler(request, NULL, NULL);
	history->stream = http_answer_stream(request, history->pcap ? API_TYPE_PCAP : API_TYPE_PCAPNG, &source);
	if (!history->stream)
		history_response_free(history);
}

static void on_history_changed(void *ctx)
{
	struct history_response *history = ctx;

	if (history_stream_state(history->packets) == HISTORY_STREAM_FAILED)
		answer_failure(history);
	else if (history->request)
		start_stream(history);
	else if (history->more_wanted)
		send_next_piece(history);
}

void histories_stop(struct api *api)
{
	struct history_response *history;

	while ((history = LIST_FIRST(&api->histories)))
		on_gone(history);
}

/* --- parameters --- */

static bool parse_time(struct http_request *request, const char *name, uint64_t *time_ns)
{
	const char *text;
	uint64_t seconds_ns;

	if (!api_parameter(request, name, &text))
		return false;
	if (!text || clock_parse(text, time_ns) == 0)
		return true;
	if (!text[strspn(text, "0123456789.")] && quantity_parse_duration(text, &seconds_ns) == 0) {
		*time_ns = seconds_ns ? seconds_ns : 1;
		return true;
	}
	http_answer_error(request, 400, "%s must be a time such as 2026-11-23T08:41:00.5Z, or Unix seconds", name);
	return false;
}

static bool parse_number(struct http_request *request, const char *name, uint64_t max, uint64_t *number)
{
	const char *text;
	char *end;

	if (!api_parameter(request, name, &text))
		return false;
	if (!text)
		return true;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (!errno && !*end && *text >= '0' && *text <= '9' && *number <= max)
		return true;
	http_answer_error(request, 400, "%s must be a number from 0 to %" PRIu64, name, max);
	return false;
}

static bool parse_last(struct http_request *request, uint64_t *last_ns)
{
	const char *text;

	if (!api_parameter(request, "last", &text))
		return false;
	if (!text || (quantity_parse_duration(text, last_ns) == 0 && *last_ns))
		return true;
	http_answer_error(request, 400, "last must be a duration such as 30s or 2m, or a number of seconds");
	return false;
}

static bool parse_window(struct http_request *request, struct history_stream_spec *spec)
{
	const uint64_t now_ns = clock_realtime_ns();
	uint64_t from_ns = 0, to_ns = 0, last_ns = 0;

	if (!parse_time(request, "from", &from_ns) || !parse_time(request, "to", &to_ns) ||
	    !parse_last(request, &last_ns))
		return false;
	spec->to_ns = to_ns && to_ns < now_ns ? to_ns : now_ns;
	if (last_ns && from_ns) {
		http_answer_error(request, 400, "give either last or from, not both");
		return false;
	}
	spec->from_ns = last_ns ? (last_ns < spec->to_ns ? spec->to_ns - last_ns : 1) : from_ns ? from_ns : 1;
	spec->from_given = last_ns || from_ns;
	if (spec->from_ns < spec->to_ns)
		return true;
	http_answer_error(request, 400, from_ns > now_ns ? "from is in the future" : "from must be earlier than to");
	return false;
}

static bool parse_filter(struct http_request *request, const char *name, const char **filter)
{
	if (!api_parameter(request, name, filter))
		return false;
	if (*filter && !**filter)
		*filter = NULL;
	if (!*filter || strlen(*filter) <= REQUEST_BPF_MAX)
		return true;
	http_answer_error(request, 400, "%s: at most %d bytes", name, REQUEST_BPF_MAX);
	return false;
}

static bool parse_spec(struct http_request *request, struct history_stream_spec *spec)
{
	static const char *const known[] = {"interface", "from",    "to",    "last",   "bpf", "inner",
					    "snap",	 "packets", "bytes", "format", NULL};
	uint64_t snap = 0;

	*spec = (struct history_stream_spec){.snaplen = REQUEST_SNAP_MAX};
	if (!api_check_parameters(request, known) || !api_parameter(request, "interface", &spec->interface) ||
	    !parse_filter(request, "bpf", &spec->bpf) || !parse_filter(request, "inner", &spec->inner) ||
	    !parse_number(request, "snap", REQUEST_SNAP_MAX, &snap) ||
	    !parse_number(request, "packets", INT64_MAX, &spec->packets) ||
	    !parse_number(request, "bytes", INT64_MAX, &spec->bytes) || !parse_window(request, spec))
		return false;
	const char *format;
	if (!api_parameter(request, "format", &format))
		return false;
	if (format && strcmp(format, "pcap") != 0 && strcmp(format, "pcapng") != 0) {
		http_answer_error(request, 400, "format must be pcapng or pcap");
		return false;
	}
	spec->pcap = format && strcmp(format, "pcap") == 0;
	if (snap)
		spec->snaplen = (uint32_t)snap;
	if (!spec->interface || !*spec->interface)
		http_answer_error(request, 400, "interface is required");
	return spec->interface && *spec->interface;
}

/* Reading history makes no event, so the log alone tells who read what. `refusal` NULL: it is being read. */
static void log_reading(const struct http_request *request, const struct history_stream_spec *spec, const char *refusal)
{
	static struct log_rate refused_rate = {.burst = REFUSALS_LOGGED}; /* the loop's thread only */
	char origin[API_ORIGIN_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
	uint64_t suppressed = 0;

	if (refusal && !log_rate_allow(&refused_rate, &suppressed))
		return;
	snprintf(origin, sizeof(origin), "api:%s", http_request_peer(request));
	log_notice(refusal ? "history-refused" : "history-read", log_str("origin", origin), log_str("reason", refusal),
		   log_str("interface", spec->interface), log_str("required", spec->required),
		   log_str("bpf", spec->bpf), log_str("inner", spec->inner),
		   log_str("from", spec->from_given ? clock_format(spec->from_ns, from) : NULL),
		   log_str("to", clock_format(spec->to_ns, to)), log_uint("suppressed", suppressed));
}

void route_history(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	struct history_stream_spec spec;
	struct error error;

	if (!parse_spec(request, &spec))
		return;
	struct history_response *history = calloc(1, sizeof(*history));
	if (!history) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	const int r =
		jobs_open_history_stream(api->options.jobs, &spec,
					 (struct history_stream_reader){.changed = on_history_changed, .ctx = history},
					 &error, &history->packets);
	if (r < 0) {
		free(history);
		log_reading(request, &spec, error.text);
		http_answer_error(request, error_http_status(r), "%s", error.text);
		return;
	}
	log_reading(request, &spec, NULL);
	history->request = request;
	history->pcap = spec.pcap;
	LIST_INSERT_HEAD(&api->histories, history, list);
	http_request_set_gone_handler(request, on_gone, history);
}
