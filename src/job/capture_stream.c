/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   live output (packets) → pump → growing bytes (file) → stream delivery → each destination
 *
 * Packets wait in the live output's budget, file bytes in another one; both are parts of limits.memory. If the bytes'
 * is spent because a destination is slow, packets wait; if theirs is spent, too, the engine counts further ones as lost
 * and goes on. So whatever is missing in the file is in lost.memory.
 *
 * Nothing is sent before the first packet, since a capture without one delivers nothing.
 */
#include "job/capture_stream.h"

#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/growing_bytes.h"
#include "base/log.h"
#include "base/slab_pool.h"
#include "capture/store.h"
#include "config/config.h"
#include "job/capture_live.h"
#include "output/live_output.h"
#include "sink/stream_delivery.h"

#define TICK_MS 250
#define SEND_NS NS_PER_S	 /* bytes wait this long at most for more */
#define SEND_BYTES (256u << 10)	 /* from this size on bytes are sent at once */
#define QUIET_NS (25 * NS_PER_S) /* without bytes for this long, the counts so far are sent */
#define PACKETS_PART 4		 /* this part of limits.memory may hold packets */
#define BYTES_PART 2		 /* ... and this part bytes */
#define PACKETS_BYTES_MAX (64u << 20)
#define KEEP_BYTES_MAX (8u << 20) /* of the beginning, so that an attempt can begin again */

struct capture_stream {
	struct capture *capture;
	struct live_output *live; /* as its reader */
	struct budget budget;
	struct growing_bytes *bytes;
	struct stream_delivery *delivery; /* NULL: not begun, or reported */
	struct event *tick;
	uint64_t offered;	       /* bytes of which the destinations know */
	uint64_t offered_ns, grown_ns; /* boot time: when they were told, and when bytes came last */
	bool memory_spent;	       /* the bytes' */
	bool pumping, hopeless;
};

static bool charge(void *ctx, size_t bytes)
{
	struct capture_stream *stream = ctx;

	return budget_charge(&stream->budget, bytes);
}

static void give_back(void *ctx, size_t bytes)
{
	struct capture_stream *stream = ctx;

	budget_return(&stream->budget, bytes);
	if (stream->memory_spent)
		event_active(stream->tick, EV_TIMEOUT, 0); /* packets wait for it */
}

/* --- bytes --- */

static void offer(struct capture_stream *stream)
{
	stream->offered = growing_bytes_size(stream->bytes);
	stream->offered_ns = clock_boottime_ns();
	stream_delivery_more(stream->delivery);
}

/* Moves file bytes from the live output to where destinations read them, as far as there is memory. */
static void move_bytes(struct capture_stream *stream)
{
	size_t got = 1;

	stream->memory_spent = false;
	while (got) {
		size_t room = 0;
		uint8_t *into = growing_bytes_room(stream->bytes, &room);

		stream->memory_spent = !into;
		got = into ? live_output_read(stream->live, into, room) : 0;
		if (got)
			growing_bytes_add(stream->bytes, got);
	}
}

static void check_hopeless(struct capture_stream *stream)
{
	if (stream->hopeless || !stream_delivery_is_hopeless(stream->delivery))
		return;
	stream->hopeless = true;
	(void)capture_stop(stream->capture);
}

/* Sinks take bytes within these calls; the tick makes use of the room. */
static void pump(struct capture_stream *stream)
{
	const uint64_t before = growing_bytes_size(stream->bytes);

	if (stream->pumping || !stream->delivery)
		return;
	stream->pumping = true;
	move_bytes(stream);
	const uint64_t size = growing_bytes_size(stream->bytes);
	const enum live_output_state state = live_output_state(stream->live);
	const bool over = state == LIVE_OUTPUT_ENDED || state == LIVE_OUTPUT_FAILED;
	const bool enough = size - stream->offered >= (stream->memory_spent ? 1 : SEND_BYTES);
	if (size > before)
		stream->grown_ns = clock_boottime_ns();
	if (over)
		growing_bytes_end(stream->bytes);
	if (live_output_packets(stream->live) && (over || enough))
		offer(stream);
	stream->pumping = false;
}

static void on_changed(void *ctx)
{
	struct capture_stream *stream = ctx;

	pump(stream);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct capture_stream *stream = ctx;
	const uint64_t now_ns = clock_boottime_ns();

	(void)fd;
	(void)what;
	if (!stream->delivery)
		return;
	pump(stream); /* time has passed, or memory was freed */
	if (!live_output_packets(stream->live))
		return;
	if (now_ns - stream->grown_ns > QUIET_NS && live_output_add_statistics(stream->live))
		pump(stream);
	if (growing_bytes_size(stream->bytes) > stream->offered && now_ns - stream->offered_ns > SEND_NS)
		offer(stream);
	stream_delivery_check(stream->delivery, stream->memory_spent);
	check_hopeless(stream);
}

/* --- the end --- */

static void on_delivered(void *ctx, const struct delivery_result *results, size_t count)
{
	struct capture_stream *stream = ctx;

	stream->delivery = NULL;
	capture_finish_streamed(stream->capture, results, count);
}

void capture_stream_end(struct capture *capture)
{
	struct capture_stream *stream = capture->stream;

	const struct delivery_result failure = {.name = "delivery", .error = "out of memory"};

	pump(stream);
	if (!stream->delivery)
		capture_finish_streamed(capture, &failure, 1);
	else if (live_output_state(stream->live) == LIVE_OUTPUT_FAILED)
		stream_delivery_abandon(stream->delivery, failure.error);
	else if (!live_output_packets(stream->live))
		capture_finish_streamed(capture, NULL, 0);
	else if (capture->abandoned)
		stream_delivery_abandon(stream->delivery, DAEMON_STOPPED_TEXT);
}

void capture_stream_abandon(struct capture *capture)
{
	if (capture->stream->delivery)
		stream_delivery_abandon(capture->stream->delivery, DAEMON_STOPPED_TEXT);
}

uint64_t capture_stream_delivered(const struct capture_stream *stream)
{
	return stream->delivery ? stream_delivery_delivered(stream->delivery) : 0;
}

/* --- the beginning --- */

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

bool capture_stream_attach(struct capture *capture, size_t parts)
{
	const uint64_t memory = capture->deps->config->limits.memory_bytes;
	const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct capture_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return false;
	capture->stream = stream;
	stream->capture = capture;
	engine_init_budget(capture->deps->engine, &stream->budget, memory / BYTES_PART);
	const struct growing_memory slabs = {.slabs = stream->budget.slabs,
					     .charge = charge,
					     .give_back = give_back,
					     .ctx = stream};
	stream->bytes = growing_bytes_new(&slabs, at_most(memory / BYTES_PART / 2, KEEP_BYTES_MAX));
	stream->tick = event_new(deliveries_loop(capture->deps->deliveries), -1, EV_PERSIST, on_tick, stream);
	stream->live = live_output_new(on_changed, stream);
	if (!stream->bytes || !stream->tick || !stream->live)
		return false;
	(void)event_add(stream->tick, &tick);
	return capture_live_attach(capture, stream->live, at_most(memory / PACKETS_PART, PACKETS_BYTES_MAX), parts);
}

bool capture_stream_begin(struct capture *capture)
{
	struct capture_stream *stream = capture->stream;
	const struct request *request = capture->request;
	const struct stream_file file = {
		.name = live_output_name(stream->live),
		.tags = capture->tags,
		.comment = request->comment,
		.id = request->id,
		.capture = capture->id,
		.bytes = stream->bytes,
	};

	stream->grown_ns = stream->offered_ns = clock_boottime_ns();
	stream->delivery = stream_delivery_new(capture->deps->deliveries, &file, request->destinations,
					       request->destination_count, on_delivered, stream);
	if (!stream->delivery)
		return false;
	pump(stream);
	return true;
}

void capture_stream_free(struct capture_stream *stream)
{
	if (!stream)
		return;
	stream_delivery_free(stream->delivery);
	growing_bytes_free(stream->bytes);
	if (stream->tick)
		event_free(stream->tick);
	if (stream->live)
		live_output_close(stream->live);
	free(stream);
}
