/* SPDX-License-Identifier: BSD-2-Clause */
/* A cancelled check lives on while files are being removed: sinks always report the end of that. */
#include "sink/destination_check.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/printable.h"
#include "sink/delivery.h"
#include "sink/failure_hint.h"
#include "sink/report_text.h"
#include "sink/transfer.h"

#define NAME_SIZE 256
#define NODE_MAX 64
#define ID "destination-check"

/* Section header with a comment, and one interface (draft-ietf-opsawg-pcapng), in this machine's byte order. */
static const struct {
	uint32_t type, length, magic;
	uint16_t major, minor;
	uint64_t section_length;
	uint16_t option, option_length;
	char comment[40];
	uint32_t end_of_options, length_again;
	uint32_t interface[5];
} tiny_file = {
	.type = 0x0a0d0d0a,
	.length = 76,
	.magic = 0x1a2b3c4d,
	.major = 1,
	.section_length = UINT64_MAX,
	.option = 1,
	.option_length = 40,
	.comment = {"a check of destinations, without packets"},
	.length_again = 76,
	.interface = {1, 20, 1, 0, 20},
};

static_assert(sizeof(tiny_file) == 96, "no padding");

struct one {
	struct destination_check *check;
	struct destination *destination;
	struct sink_attempt *attempt; /* NULL: it has ended */
	struct event *timer;
	uint64_t started_ns; /* boot time */
	uint64_t took_ns;
	struct sink_outcome outcome;
	bool removed;
};

struct destination_check {
	struct sink_file file;
	char name[NAME_SIZE];
	destination_check_done done; /* NULL: cancelled */
	void *ctx;
	uint64_t timeout_ns;
	struct event *finish;
	size_t pending; /* attempts and removals */
	size_t count;
	struct one ones[SINKS_MAX];
};

/* --- the file --- */

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	size_t *offset = ctx;
	const size_t left = sizeof(tiny_file) - *offset, size = left < room ? left : room;

	memcpy(into, (const uint8_t *)&tiny_file + *offset, size);
	*offset += size;
	return size;
}

static void rewind_file(void *ctx)
{
	*(size_t *)ctx = 0;
}

static bool open_file(void *ctx, struct byte_stream *stream)
{
	size_t *offset = calloc(1, sizeof(*offset));

	(void)ctx;
	*stream = (struct byte_stream){.size_bytes = sizeof(tiny_file),
				       .read = read_file,
				       .rewind = rewind_file,
				       .ctx = offset};
	return offset;
}

static void close_file(void *ctx, struct byte_stream *stream)
{
	(void)ctx;
	free(stream->ctx);
}

/* As captures are called (pcapng/capture_file.h), so that quotas count it. */
static void make_name(char name[static NAME_SIZE], const char *node)
{
	static const char safe[] = PLAIN_CHARACTERS;
	char time[CLOCK_TEXT_SIZE], part[NODE_MAX + 1] = "_";

	snprintf(part, sizeof(part), "%s", *node ? node : "_");
	for (char *c = part; *c; c++)
		if (!strchr(safe, *c) || (c == part && *c == '.'))
			*c = '_';
	snprintf(name, NAME_SIZE, "%s-" ID "-%s-check.pcapng", part, clock_format_compact(clock_realtime_ns(), time));
}

/* --- the ends --- */

static void free_check(struct destination_check *check)
{
	for (size_t i = 0; i < check->count; i++)
		if (check->ones[i].timer)
			event_free(check->ones[i].timer);
	if (check->finish)
		event_free(check->finish);
	free(check);
}

static void report(struct destination_check *check)
{
	struct destination_check_result results[SINKS_MAX];

	for (size_t i = 0; i < check->count; i++) {
		const struct one *one = &check->ones[i];
		const struct sink *sink = one->destination->sink;
		const bool ok = one->outcome.verdict == SINK_OK;

		results[i] = (struct destination_check_result){
			.name = sink->name,
			.type = sink->type ? sink->type : "",
			.address = sink->class->address ? sink->class->address(sink) : "",
			.ok = ok,
			.removed = one->removed,
			.url = one->outcome.url[0] ? one->outcome.url : NULL,
			.error = ok ? NULL : one->outcome.error,
			.hint = ok ? NULL : failure_hint(one->outcome.error),
			.warning = ok && one->outcome.warning[0] ? one->outcome.warning : NULL,
			.took_ns = one->took_ns,
		};
	}
	check->done(check->ctx, results, check->count);
}

static void on_finish(evutil_socket_t fd, short what, void *ctx)
{
	struct destination_check *check = ctx;

	(void)fd;
	(void)what;
	report(check);
	free_check(check);
}

static void settle(struct destination_check *check)
{
	if (--check->pending > 0)
		return;
	if (check->done)
		event_active(check->finish, EV_TIMEOUT, 0);
	else
		free_check(check);
}

static void on_removed(void *ctx, bool removed)
{
	struct one *one = ctx;

	one->removed = removed;
	settle(one->check);
}

static void conclude(struct one *one)
{
	struct sink *sink = one->destination->sink;

	one->took_ns = clock_boottime_ns() - one->started_ns;
	event_del(one->timer);
	destination_note(one->destination, &one->outcome);
	if (one->outcome.verdict == SINK_OK && sink->class->remove)
		sink->class->remove(sink, &one->check->file, one->outcome.url, on_removed, one);
	else
		settle(one->check);
}

static void on_done(void *ctx, const struct sink_outcome *outcome)
{
	struct one *one = ctx;

	one->attempt = NULL;
	one->outcome = *outcome;
	conclude(one);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct one *one = ctx;
	struct sink *sink = one->destination->sink;
	struct error text;

	(void)fd;
	(void)what;
	if (!one->attempt) {
		report_text_copy(one->outcome.error, sizeof(one->outcome.error), "cannot start: out of memory");
	} else if (!sink->class->cancel(sink, take(one->attempt), &one->outcome)) {
		one->outcome = (struct sink_outcome){.verdict = SINK_RETRY};
		error_set(&text, 0, "no answer within %g s", (double)one->check->timeout_ns / NS_PER_S);
		report_text_copy(one->outcome.error, sizeof(one->outcome.error), text.text);
	}
	conclude(one);
}

/* --- life --- */

static int add(struct destination_check *check, struct event_base *loop, struct destination *destination)
{
	struct one *one = &check->ones[check->count++];

	*one = (struct one){.check = check, .destination = destination, .outcome = {.verdict = SINK_RETRY}};
	one->timer = evtimer_new(loop, on_timeout, one);
	return one->timer ? 0 : -ENOMEM;
}

/* Without an attempt the timer is due at once. */
static void start(struct one *one)
{
	struct sink *sink = one->destination->sink;
	struct timeval wait = {0};

	one->started_ns = clock_boottime_ns();
	one->attempt = sink->class->start(sink, &one->check->file, on_done, one);
	if (one->attempt)
		wait.tv_sec = (time_t)(one->check->timeout_ns / NS_PER_S),
		wait.tv_usec = (suseconds_t)(one->check->timeout_ns % NS_PER_S / 1000);
	event_add(one->timer, &wait);
}

struct destination_check *destination_check_start(struct event_base *loop, struct deliveries *deliveries,
						  const struct destination_check_options *options,
						  destination_check_done done, void *ctx)
{
	struct destination_check *check = calloc(1, sizeof(*check));
	struct destination *destination;
	int r = 0;

	if (!check)
		return NULL;
	make_name(check->name, options->node);
	check->file = (struct sink_file){
		.name = check->name,
		.tags = "",
		.comment = "a check of destinations, without packets",
		.id = ID,
		.capture = ID,
		.node = options->node,
		.interface = ID,
		.time_ns = clock_realtime_ns(),
		.open = open_file,
		.close = close_file,
	};
	check->timeout_ns = options->timeout_ns ? options->timeout_ns : DESTINATION_CHECK_TIMEOUT_NS;
	check->done = done;
	check->ctx = ctx;
	check->finish = event_new(loop, -1, 0, on_finish, check);
	for (size_t i = 0; r == 0 && (destination = deliveries_at(deliveries, i)); i++)
		r = add(check, loop, destination);
	if (r < 0 || !check->finish) {
		free_check(check);
		return NULL;
	}
	check->pending = check->count + 1;
	for (size_t i = 0; i < check->count; i++)
		start(&check->ones[i]);
	settle(check);
	return check;
}

void destination_check_cancel(struct destination_check *check)
{
	struct sink_outcome ignored;

	if (!check)
		return;
	check->done = NULL;
	if (check->pending == 0) { /* about to report */
		free_check(check);
		return;
	}
	check->pending++;
	for (size_t i = 0; i < check->count; i++) {
		struct one *one = &check->ones[i];
		struct sink *sink = one->destination->sink;

		if (!evtimer_pending(one->timer, NULL))
			continue; /* concluded; perhaps its file is being removed */
		event_del(one->timer);
		if (one->attempt)
			(void)sink->class->cancel(sink, take(one->attempt), &ignored);
		check->pending--;
	}
	settle(check);
}
