/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   arming (offload thread) → running (engine) → a piece to be read → arming → … → the end of the file
 *
 * A consumer may end before the loop learns that it was armed: as with a capture, a piece is ready once both messages
 * have come. If the stream is freed earlier, the later of the two cleans up.
 *
 * Packets that reached the ring out of time order are sorted within a piece, but not across pieces.
 */
#include "history/history_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/offload.h"
#include "bpf/filter.h"
#include "capture/consumer.h"
#include "config/config.h"
#include "output/filter_text.h"
#include "output/host_info.h"
#include "output/statistics_comment.h"
#include "pcapng/capture_pieces.h"

struct history_stream {
	struct offload_task arming;
	struct history_stream_deps deps;
	struct history_stream_reader reader;
	struct engine_target target;
	char *bpf, *inner;
	char *filter;			 /* with what is required, as text */
	struct history_stream_spec spec; /* packets and bytes: what remains of the limits */
	struct consumer_spec consumer_spec;
	struct resume_point resume_at;
	struct consumer *armed_consumer; /* written by the arming thread */
	struct consumer *consumer;	 /* the piece being read or captured */
	struct store_reader packets;
	struct capture_pieces *file; /* NULL: no piece yet */
	struct packet_interface interface_info;
	struct consumer_report sums; /* of all pieces, as far as the statistics' comment needs them */
	char statistics[STATISTICS_COMMENT_SIZE];
	char name[CAPTURE_FILE_NAME_SIZE];
	struct error error;
	const char *field;
	int result;
	enum history_stream_state state;
	bool arming_done, ended; /* of the piece: it is armed or refused; it has ended */
	bool is_last_piece;
	bool is_tail; /* only the file's tail is left to read */
	bool free_requested;
};

static void destroy(struct history_stream *stream)
{
	void (*freed)(void *ctx) = stream->deps.freed;
	void *ctx = stream->deps.freed_ctx;

	capture_pieces_free(stream->file);
	consumer_free(stream->consumer);
	free(stream->bpf);
	free(stream->inner);
	free(stream->filter);
	free(stream);
	freed(ctx);
}

static void set_state(struct history_stream *stream, enum history_stream_state state)
{
	stream->state = state;
	stream->reader.changed(stream->reader.ctx);
}

static void fail(struct history_stream *stream, int code, const char *text)
{
	stream->result = error_set(&stream->error, code, "%s", text);
	set_state(stream, HISTORY_STREAM_FAILED);
}

/* --- a piece --- */

static void add_counters(struct history_stream *stream, const struct consumer_report *report)
{
	struct packet_interface *interface_info = &stream->interface_info;

	interface_info->received += report->received + report->lost_evicted;
	interface_info->dropped += report->lost_kernel + report->lost_evicted + report->lost_memory;
	interface_info->end_ns = report->to_ns;
	stream->sums.truncated += report->truncated;
	interface_info->comment = statistics_comment(&stream->sums, 0, stream->statistics);
	stream->is_last_piece |= stream->spec.bytes && report->bytes >= stream->spec.bytes;
	stream->spec.packets -= stream->spec.packets ? report->packets : 0;
	stream->spec.bytes -= report->bytes < stream->spec.bytes ? report->bytes : stream->spec.bytes;
}

static int open_file(struct history_stream *stream, const struct consumer_report *report)
{
	char from[CLOCK_TEXT_SIZE], asked[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], text[256];
	cleanup(cleanup_free) char *inner = NULL;
	const char *comments[2] = {text};
	struct capture_file_info info = {.comments = comments,
					 .comment_count = 1,
					 .interfaces = &stream->interface_info,
					 .interface_count = 1};

	stream->interface_info = (struct packet_interface){
		.name = stream->target.name,
		.filter = stream->filter,
		.linktype = report->linktype,
		.snaplen = report->snaplen,
		.start_ns = report->from_ns,
	};
	snprintf(text, sizeof(text), "history: from %s to %s, asked from %s; node %s",
		 clock_format(report->from_ns, from), clock_format(stream->spec.to_ns, to),
		 clock_format(report->asked_from_ns, asked), stream->deps.config->general.node);
	if (stream->inner) {
		if (asprintf(&inner, "inner: %s", stream->inner) < 0)
			return -ENOMEM;
		comments[info.comment_count++] = inner;
	}
	host_info_describe(&info);
	const enum capture_file_format format = stream->spec.pcap ? CAPTURE_FILE_PCAP : CAPTURE_FILE_PCAPNG;
	capture_file_name(stream->name, stream->deps.config->general.node, stream->interface_info.name, report->from_ns,
			  "history", format);
	stream->file = capture_pieces_new(format, &info);
	return stream->file ? 0 : -ENOMEM;
}

static bool is_last(const struct history_stream *stream, const struct consumer_report *report)
{
	const bool full = report->reason == END_BYTES || report->reason == END_PACKETS;

	return !full || stream->is_last_piece ||
	       (stream->consumer_spec.max_packets == stream->spec.packets && report->reason == END_PACKETS);
}

static void deliver_piece(struct history_stream *stream)
{
	struct consumer_report report;

	consumer_report(stream->consumer, &report);
	if (report.reason == END_MEMORY) {
		fail(stream, -ENOBUFS, "no memory for the packets (limits.memory)");
		return;
	}
	stream->is_last_piece = is_last(stream, &report);
	stream->resume_at = consumer_resume_point(stream->consumer);
	if (!stream->file && open_file(stream, &report) < 0) {
		fail(stream, -ENOMEM, "out of memory");
		return;
	}
	add_counters(stream, &report);
	store_reader_init(&stream->packets, consumer_store(stream->consumer));
	if (capture_pieces_add(stream->file, store_reader_source(&stream->packets)) < 0) {
		fail(stream, -EINVAL, "a packet does not fit into the file");
		return;
	}
	set_state(stream, HISTORY_STREAM_READY);
}

static void check_piece_done(struct history_stream *stream)
{
	if (!stream->arming_done || !stream->ended)
		return;
	if (stream->free_requested)
		destroy(stream);
	else if (stream->result < 0)
		set_state(stream, HISTORY_STREAM_FAILED);
	else
		deliver_piece(stream);
}

static void on_consumer_done(void *ctx, struct consumer *consumer)
{
	struct history_stream *stream = ctx;

	stream->consumer = consumer;
	stream->ended = true;
	check_piece_done(stream);
}

static void run_arming(struct offload_task *task)
{
	struct history_stream *stream = container_of(task, struct history_stream, arming);

	stream->armed_consumer = NULL;
	stream->result = consumer_start(stream->deps.engine, &stream->consumer_spec, on_consumer_done, stream,
					&stream->error, &stream->field, &stream->armed_consumer);
}

static void on_arming_done(struct offload_task *task)
{
	struct history_stream *stream = container_of(task, struct history_stream, arming);

	stream->arming_done = true;
	if (stream->result < 0)
		stream->ended = true;
	else if (stream->free_requested && !stream->ended)
		consumer_stop(stream->armed_consumer, END_STOPPED);
	check_piece_done(stream);
}

static int start_piece(struct history_stream *stream)
{
	const bool looks_up = filter_may_resolve_names(stream->bpf) || filter_may_resolve_names(stream->inner) ||
			      filter_may_resolve_names(stream->spec.required);
	struct offload *pool = looks_up ? stream->deps.name_lookup : stream->deps.arming;
	const struct history_stream_spec *spec = &stream->spec;
	const bool limited = spec->bytes && spec->bytes <= HISTORY_STREAM_PIECE_BYTES;

	stream->consumer_spec = (struct consumer_spec){
		.interface = stream->target.name,
		.ifindex = stream->target.ifindex,
		.source = stream->target.source,
		.former = stream->target.former,
		.promiscuous = config_wants_promiscuous(stream->deps.config, stream->target.name),
		.bpf = stream->bpf,
		.inner = stream->inner,
		.required = spec->required,
		.no_names = spec->no_names,
		.snaplen = spec->snaplen,
		.max_packets = spec->packets ? spec->packets : UINT64_MAX,
		.max_bytes = limited ? spec->bytes : HISTORY_STREAM_PIECE_BYTES,
		.from_real_ns = spec->from_ns,
		.to_real_ns = spec->to_ns,
		.resume = stream->file ? &stream->resume_at : NULL,
	};
	stream->is_last_piece = limited;
	stream->arming_done = stream->ended = false;
	stream->state = HISTORY_STREAM_WAITING;
	return offload_submit(pool, &stream->arming);
}

/* --- reading --- */

/* The piece is read: goes on to the next piece or to the file's tail. */
static void next_piece(struct history_stream *stream)
{
	const struct packet_interface *interface_info = &stream->interface_info;

	consumer_free(take(stream->consumer));
	if (stream->is_tail) {
		stream->state = HISTORY_STREAM_ENDED;
	} else if (stream->is_last_piece) {
		stream->is_tail = true;
		if (capture_pieces_end(stream->file, interface_info) < 0) {
			stream->result = error_set(&stream->error, -ENOMEM, "out of memory");
			stream->state = HISTORY_STREAM_FAILED;
		}
	} else {
		const int r = start_piece(stream);

		if (r < 0) {
			stream->result = error_set(&stream->error, r, "too many captures are being started");
			stream->state = HISTORY_STREAM_FAILED;
		}
	}
}

size_t history_stream_read(struct history_stream *stream, uint8_t *into, size_t room)
{
	size_t got = 0;

	while (stream->state == HISTORY_STREAM_READY && got < room) {
		got += capture_pieces_read(stream->file, into + got, room - got);
		if (!capture_pieces_left(stream->file))
			next_piece(stream);
	}
	return got;
}

const char *history_stream_name(const struct history_stream *stream)
{
	return stream->name;
}

enum history_stream_state history_stream_state(const struct history_stream *stream)
{
	return stream->state;
}

int history_stream_error_code(const struct history_stream *stream)
{
	return stream->result;
}

const char *history_stream_error(const struct history_stream *stream, const char **field)
{
	*field = stream->field;
	return stream->error.text;
}

/* --- start and end --- */

int history_stream_start(const struct history_stream_deps *deps, const struct history_stream_spec *spec,
			 const struct engine_target *target, struct history_stream_reader reader,
			 struct history_stream **result)
{
	struct history_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->deps = *deps;
	stream->reader = reader;
	stream->spec = *spec;
	stream->arming.run = run_arming;
	stream->arming.done = on_arming_done;
	stream->target = *target;
	stream->bpf = spec->bpf ? strdup(spec->bpf) : NULL;
	stream->inner = spec->inner ? strdup(spec->inner) : NULL;
	const bool copied = !spec->bpf == !stream->bpf && !spec->inner == !stream->inner;
	int r = copied ? filter_text(spec->required, spec->bpf, &stream->filter) : -ENOMEM;
	if (r == 0)
		r = start_piece(stream);
	if (r < 0) {
		free(stream->bpf);
		free(stream->inner);
		free(stream->filter);
		free(stream);
		return r;
	}
	*result = stream;
	return 0;
}

void history_stream_free(struct history_stream *stream)
{
	if (!stream)
		return;
	stream->free_requested = true;
	if (stream->arming_done && stream->ended)
		destroy(stream);
	else if (stream->arming_done)
		consumer_stop(stream->armed_consumer, END_STOPPED);
}
