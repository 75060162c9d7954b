/*
 *   arming (offload thread) → running (engine) → a piece to be read → arming → … → the end of the file
 *
 * A consumer may end before the loop hears that it was armed: as with a capture, a piece is there when both were told.
 * Who frees the past early leaves it to these two calls to clean up.
 *
 * Packets that reached the ring out of the order of time are sorted within a piece, not across the border of two.
 */
#include "job/past.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "capture/filter.h"
#include "config/config.h"
#include "job/host_info.h"
#include "pcapng/capture_pieces.h"

struct past {
	struct offload_task arming; /* first */
	struct past_surroundings with;
	struct past_reader reader;
	char interface[16];
	char *bpf;
	struct past_spec spec; /* packets and bytes: what is left of them */
	struct consumer_spec piece;
	struct resume_point place;
	struct consumer *started;  /* the arming thread's word of it */
	struct consumer *consumer; /* the piece that is read, or is being made */
	struct store_reader packets;
	struct capture_pieces *file; /* NULL: nothing was captured yet */
	struct packet_interface named;
	struct error error;
	const char *field;
	int result;
	enum past_state state;
	bool settled, over; /* the piece is armed (or refused); it has ended */
	bool last;	    /* no piece follows */
	bool closing;	    /* the file's end is being read */
	bool freed;
};

static void release(struct past *past)
{
	void (*gone)(void *ctx) = past->with.gone;
	void *ctx = past->with.gone_ctx;
	capture_pieces_free(past->file);
	consumer_free(past->consumer);
	free(past->bpf);
	free(past);
	gone(ctx);
}

static void change(struct past *past, enum past_state state)
{
	past->state = state;
	past->reader.changed(past->reader.ctx);
}

static void fail(struct past *past, int code, const char *text)
{
	past->result = error_set(&past->error, code, "%s", text);
	change(past, PAST_FAILED);
}

/* --- a piece --- */

static void count(struct past *past, const struct consumer_report *report)
{
	struct packet_interface *named = &past->named;
	named->received += report->received + report->lost_evicted;
	named->dropped += report->lost_kernel + report->lost_evicted + report->lost_memory;
	named->end_ns = report->to_ns;
	past->last |= past->spec.bytes && report->bytes >= past->spec.bytes;
	past->spec.packets -= past->spec.packets ? report->packets : 0;
	past->spec.bytes -= report->bytes < past->spec.bytes ? report->bytes : past->spec.bytes;
}

static int open_file(struct past *past, const struct consumer_report *report)
{
	char from[CLOCK_TEXT_SIZE], asked[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], text[256];
	const char *const comments[] = {text};
	struct capture_file_info info = {.comments = comments,
					 .comment_count = 1,
					 .interfaces = &past->named,
					 .interface_count = 1};
	past->named = (struct packet_interface){
		.name = past->interface,
		.filter = past->bpf,
		.linktype = report->linktype,
		.snaplen = report->snaplen,
		.start_ns = report->from_ns,
	};
	snprintf(text, sizeof(text), "history: from %s to %s, asked from %s; node %s",
		 clock_format(report->from_ns, from), clock_format(past->spec.to_ns, to),
		 clock_format(report->asked_from_ns, asked), past->with.config->general.node);
	host_info_describe(&info);
	past->file = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	return past->file ? 0 : -ENOMEM;
}

static bool is_last(const struct past *past, const struct consumer_report *report)
{
	const bool full = report->reason == END_BYTES || report->reason == END_PACKETS;
	return !full || past->last || (past->piece.max_packets == past->spec.packets && report->reason == END_PACKETS);
}

static void take_piece(struct past *past)
{
	struct consumer_report report;
	consumer_report(past->consumer, &report);
	if (report.reason == END_MEMORY) {
		fail(past, -ENOBUFS, "no memory for the packets (limits.memory)");
		return;
	}
	past->last = is_last(past, &report);
	past->place = consumer_resume_point(past->consumer);
	if (!past->file && open_file(past, &report) < 0) {
		fail(past, -ENOMEM, "out of memory");
		return;
	}
	count(past, &report);
	store_reader_init(&past->packets, consumer_store(past->consumer));
	if (capture_pieces_add(past->file, store_reader_source(&past->packets)) < 0) {
		fail(past, -EINVAL, "a packet does not fit into the file");
		return;
	}
	change(past, PAST_READY);
}

static void check_piece(struct past *past)
{
	if (!past->settled || !past->over)
		return;
	if (past->freed)
		release(past);
	else if (past->result < 0)
		change(past, PAST_FAILED);
	else
		take_piece(past);
}

static void piece_over(void *ctx, struct consumer *consumer)
{
	struct past *past = ctx;
	past->consumer = consumer;
	past->over = true;
	check_piece(past);
}

static void arm(struct offload_task *task)
{
	struct past *past = (struct past *)task;
	past->started = NULL;
	past->result = consumer_start(past->with.engine, &past->piece, piece_over, past, &past->error, &past->field,
				      &past->started);
}

static void armed(struct offload_task *task)
{
	struct past *past = (struct past *)task;
	past->settled = true;
	if (past->result < 0)
		past->over = true;
	else if (past->freed && !past->over)
		consumer_stop(past->started, END_STOPPED);
	check_piece(past);
}

static int start_piece(struct past *past)
{
	struct offload *pool = filter_may_look_up(past->bpf) ? past->with.name_lookup : past->with.arming;
	const struct past_spec *spec = &past->spec;
	const bool limited = spec->bytes && spec->bytes <= PAST_PIECE_BYTES;
	past->piece = (struct consumer_spec){
		.interface = past->interface,
		.promiscuous = config_wants_promiscuous(past->with.config, past->interface),
		.bpf = past->bpf,
		.snaplen = spec->snaplen,
		.max_packets = spec->packets ? spec->packets : UINT64_MAX,
		.max_bytes = limited ? spec->bytes : PAST_PIECE_BYTES,
		.from_real_ns = spec->from_ns,
		.to_real_ns = spec->to_ns,
		.resume = past->file ? &past->place : NULL,
	};
	past->last = limited;
	past->settled = past->over = false;
	past->state = PAST_WAITING;
	return offload_submit(pool, &past->arming);
}

/* --- reading --- */

/* The piece is read: the next one, or the end of the file. */
static void go_on(struct past *past)
{
	const struct packet_interface *named = &past->named;
	consumer_free(take(past->consumer));
	if (past->closing) {
		past->state = PAST_ENDED;
	} else if (past->last) {
		past->closing = true;
		if (capture_pieces_end(past->file, named) < 0) {
			past->result = error_set(&past->error, -ENOMEM, "out of memory");
			past->state = PAST_FAILED;
		}
	} else {
		const int r = start_piece(past);
		if (r < 0) {
			past->result = error_set(&past->error, r, "too many captures are being started");
			past->state = PAST_FAILED;
		}
	}
}

size_t past_read(struct past *past, uint8_t *into, size_t room)
{
	size_t got = 0;
	while (past->state == PAST_READY && got < room) {
		got += capture_pieces_read(past->file, into + got, room - got);
		if (!capture_pieces_left(past->file))
			go_on(past);
	}
	return got;
}

enum past_state past_state(const struct past *past)
{
	return past->state;
}

int past_code(const struct past *past)
{
	return past->result;
}

const char *past_error(const struct past *past, const char **field)
{
	*field = past->field;
	return past->error.text;
}

/* --- life --- */

int past_start(const struct past_surroundings *surroundings, const struct past_spec *spec, struct past_reader reader,
	       struct past **result)
{
	struct past *past = calloc(1, sizeof(*past));
	if (!past)
		return -ENOMEM;
	past->with = *surroundings;
	past->reader = reader;
	past->spec = *spec;
	past->arming.run = arm;
	past->arming.done = armed;
	snprintf(past->interface, sizeof(past->interface), "%s", spec->interface);
	past->bpf = spec->bpf ? strdup(spec->bpf) : NULL;
	const int r = spec->bpf && !past->bpf ? -ENOMEM : start_piece(past);
	if (r < 0) {
		free(past->bpf);
		free(past);
		return r;
	}
	*result = past;
	return 0;
}

void past_free(struct past *past)
{
	if (!past)
		return;
	past->freed = true;
	if (past->settled && past->over)
		release(past);
	else if (past->settled)
		consumer_stop(past->started, END_STOPPED);
}
