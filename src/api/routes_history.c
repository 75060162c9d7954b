/*
 * GET /v1/history: the packets a recorder holds as a pcapng file, made while the client reads it. Until the first piece
 * is there, a fault is an HTTP error; after that the connection breaks off, so that nobody takes half a file for a
 * whole one.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/api_routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quantity.h"
#include "job/jobs.h"
#include "request/request.h"

#define PIECE_BYTES (64u * 1024) /* handed to the client at once */

struct history {
	LIST_ENTRY(history) list;
	struct history_stream *packets;
	struct http_request *http;  /* until the first piece is there */
	struct http_stream *stream; /* from then on */
	bool wanted;		    /* the client has taken what there was */
};

static void free_history(struct history *history)
{
	LIST_REMOVE(history, list);
	history_stream_free(history->packets);
	free(history);
}

/* The client is gone, or the daemon is going. */
static void on_gone(void *ctx)
{
	struct history *history = ctx;
	if (history->http)
		http_answer_error(take(history->http), 503, "the daemon is stopping");
	if (history->stream)
		http_stream_end(take(history->stream), false);
	free_history(history);
}

static void answer_failure(struct history *history)
{
	const char *field;
	const char *error = history_stream_error(history->packets, &field);
	if (history->http) {
		http_answer_error(take(history->http), api_status_of(history_stream_error_code(history->packets)), "%s",
				  error);
	} else {
		log_warning("history-broken-off", log_str("error", error));
		http_stream_end(take(history->stream), false);
	}
	free_history(history);
}

/* As much as the client takes, as long as there is something. */
static void push(struct history *history)
{
	uint8_t bytes[PIECE_BYTES];
	const size_t got = history_stream_read(history->packets, bytes, sizeof(bytes));
	if (got) {
		history->wanted = false;
		if (http_stream_write(history->stream, bytes, got) < 0) {
			http_stream_end(take(history->stream), false);
			free_history(history);
		}
		return;
	}
	if (history_stream_state(history->packets) == HISTORY_STREAM_ENDED) {
		http_stream_end(take(history->stream), true);
		free_history(history);
	} else if (history_stream_state(history->packets) == HISTORY_STREAM_FAILED) {
		answer_failure(history);
	}
}

static void on_more(void *ctx)
{
	struct history *history = ctx;
	history->wanted = true;
	push(history);
}

static void start_stream(struct history *history)
{
	const struct http_source source = {.more = on_more, .gone = on_gone, .ctx = history};
	struct http_request *http = take(history->http);
	http_request_on_gone(http, NULL, NULL);
	history->stream = http_answer_stream(http, API_TYPE_PCAPNG, &source);
	if (!history->stream)
		free_history(history);
}

static void on_changed(void *ctx)
{
	struct history *history = ctx;
	if (history_stream_state(history->packets) == HISTORY_STREAM_FAILED)
		answer_failure(history);
	else if (history->http)
		start_stream(history);
	else if (history->wanted)
		push(history);
}

void histories_end(struct api *api)
{
	struct history *history;
	while ((history = LIST_FIRST(&api->histories)))
		on_gone(history);
}

/* --- what is asked for --- */

static bool read_time(struct http_request *http, const char *name, uint64_t *time_ns)
{
	const char *text;
	uint64_t seconds_ns;
	if (!api_query(http, name, &text))
		return false;
	if (!text || clock_parse(text, time_ns) == 0)
		return true;
	if (!text[strspn(text, "0123456789.")] && quantity_parse_duration(text, &seconds_ns) == 0) {
		*time_ns = seconds_ns ? seconds_ns : 1;
		return true;
	}
	http_answer_error(http, 400, "%s is not a time like 2026-11-23T08:41:00.5Z, nor Unix seconds", name);
	return false;
}

static bool read_number(struct http_request *http, const char *name, uint64_t most, uint64_t *number)
{
	const char *text;
	char *end;
	if (!api_query(http, name, &text))
		return false;
	if (!text)
		return true;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (!errno && !*end && *text >= '0' && *text <= '9' && *number <= most)
		return true;
	http_answer_error(http, 400, "%s must be a number, 0 to %" PRIu64, name, most);
	return false;
}

static bool read_last(struct http_request *http, uint64_t *last_ns)
{
	const char *text;
	if (!api_query(http, "last", &text))
		return false;
	if (!text || (quantity_parse_duration(text, last_ns) == 0 && *last_ns))
		return true;
	http_answer_error(http, 400, "last is no time like 30s, 2m, or seconds");
	return false;
}

static bool read_window(struct http_request *http, struct history_stream_spec *spec)
{
	const uint64_t now_ns = clock_realtime_ns();
	uint64_t from_ns = 0, to_ns = 0, last_ns = 0;
	if (!read_time(http, "from", &from_ns) || !read_time(http, "to", &to_ns) || !read_last(http, &last_ns))
		return false;
	spec->to_ns = to_ns && to_ns < now_ns ? to_ns : now_ns;
	if (last_ns && from_ns) {
		http_answer_error(http, 400, "last and from cannot both be given");
		return false;
	}
	spec->from_ns = last_ns ? (last_ns < spec->to_ns ? spec->to_ns - last_ns : 1) : from_ns ? from_ns : 1;
	if (spec->from_ns < spec->to_ns)
		return true;
	http_answer_error(http, 400, from_ns > now_ns ? "from lies in the future" : "from must be earlier than to");
	return false;
}

static bool read_spec(struct http_request *http, struct history_stream_spec *spec)
{
	static const char *const known[] = {"interface", "from", "to", "last", "bpf", "snap", "packets", "bytes", NULL};
	uint64_t snap = 0;
	*spec = (struct history_stream_spec){.snaplen = REQUEST_SNAP_MAX};
	if (!api_check_query(http, known) || !api_query(http, "interface", &spec->interface) ||
	    !api_query(http, "bpf", &spec->bpf) || !read_number(http, "snap", REQUEST_SNAP_MAX, &snap) ||
	    !read_number(http, "packets", INT64_MAX, &spec->packets) ||
	    !read_number(http, "bytes", INT64_MAX, &spec->bytes) || !read_window(http, spec))
		return false;
	if (snap)
		spec->snaplen = (uint32_t)snap;
	if (spec->bpf && !*spec->bpf)
		spec->bpf = NULL;
	if (spec->bpf && strlen(spec->bpf) > REQUEST_BPF_MAX) {
		http_answer_error(http, 400, "bpf: at most %d bytes", REQUEST_BPF_MAX);
		return false;
	}
	if (!spec->interface || !*spec->interface)
		http_answer_error(http, 400, "interface must be given");
	return spec->interface && *spec->interface;
}

void route_history(void *ctx, struct http_request *http)
{
	struct api *api = ctx;
	struct history_stream_spec spec;
	struct error error;
	if (!read_spec(http, &spec))
		return;
	struct history *history = calloc(1, sizeof(*history));
	if (!history) {
		http_answer_error(http, 500, "out of memory");
		return;
	}
	const int r = jobs_open_history_stream(api->with.jobs, &spec,
					       (struct history_stream_reader){.changed = on_changed, .ctx = history},
					       &error, &history->packets);
	if (r < 0) {
		free(history);
		http_answer_error(http, api_status_of(r), "%s", error.text);
		return;
	}
	history->http = http;
	LIST_INSERT_HEAD(&api->histories, history, list);
	http_request_on_gone(http, on_gone, history);
}
