/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file is copied whole, one slice per turn of the loop, so that a large one delays nothing else; then the capture's
 * own memory is free. Its room is reserved before the copy begins, by dropping the oldest files if need be. A file that
 * is being read stays, and takes room, until its readers are gone. Files lie in slabs, taken as the copy reaches them;
 * a rest that does not fill a slab is allocated at its own size.
 */
#include "sink/memory_sink.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/slab_pool.h"

#define SLICE_BYTES (1u << 20)

struct memory_sink {
	struct sink sink;
	struct event_base *loop;
	struct memory_sink_options options;
	struct shared_usage *shared_usage;
	TAILQ_HEAD(memory_files, memory_file) files; /* complete ones, oldest first */
	struct event *expiry;
};

/* The bytes of all files, including those held only by a reader; shared with them, as they may outlive the sink. */
struct shared_usage {
	unsigned references;
	uint64_t bytes;
};

struct memory_file {
	TAILQ_ENTRY(memory_file) list;
	struct shared_usage *shared_usage;
	unsigned references;
	uint64_t stored_ns; /* boot time */
	char *capture, *name;
	struct slab_pool *slabs;
	size_t size;
	size_t piece_count;
	uint8_t *pieces[]; /* slabs, the last perhaps smaller; NULL: not reached yet */
};

struct sink_attempt {
	struct memory_sink *memory;
	const struct sink_file *source; /* NULL: no open stream */
	struct byte_stream stream;
	struct memory_file *file;
	size_t filled;
	struct event *copy_event;
	sink_attempt_done done;
	void *ctx;
	struct sink_outcome outcome;
};

struct reader {
	const struct memory_file *file;
	size_t offset;
};

/* --- files --- */

static void shared_usage_unref(struct shared_usage *shared_usage)
{
	if (shared_usage && --shared_usage->references == 0)
		free(shared_usage);
}

static size_t piece_bytes(const struct memory_file *file, size_t index)
{
	const size_t rest = file->size - index * SLAB_BYTES;

	return rest < SLAB_BYTES ? rest : SLAB_BYTES;
}

static uint8_t *new_piece(const struct memory_file *file, size_t index)
{
	const size_t size = piece_bytes(file, index);

	return size == SLAB_BYTES ? slab_pool_take(file->slabs) : malloc(size);
}

static void free_piece(const struct memory_file *file, size_t index)
{
	if (piece_bytes(file, index) < SLAB_BYTES)
		free(file->pieces[index]);
	else if (file->pieces[index])
		slab_pool_give(file->slabs, file->pieces[index]);
}

/* Contiguous bytes from `offset` on; NULL: the file ends there, or the piece is not allocated yet. */
static uint8_t *bytes_at(const struct memory_file *file, size_t offset, size_t *size)
{
	const size_t index = offset / SLAB_BYTES, within = offset % SLAB_BYTES;

	*size = 0;
	if (offset >= file->size || !file->pieces[index])
		return NULL;
	*size = piece_bytes(file, index) - within;
	return file->pieces[index] + within;
}

void memory_file_unref(struct memory_file *file)
{
	if (!file || --file->references)
		return;
	file->shared_usage->bytes -= file->size;
	shared_usage_unref(file->shared_usage);
	for (size_t i = 0; i < file->piece_count; i++)
		free_piece(file, i);
	free(file->capture);
	free(file->name);
	free(file);
}

static struct memory_file *new_file(const struct memory_sink *memory, const struct sink_file *source, uint64_t size)
{
	const size_t piece_count = (size + SLAB_BYTES - 1) / SLAB_BYTES;
	struct memory_file *file = calloc(1, sizeof(*file) + piece_count * sizeof(*file->pieces));

	if (!file)
		return NULL;
	file->references = 1;
	file->shared_usage = memory->shared_usage;
	file->shared_usage->references++;
	file->shared_usage->bytes += size;
	file->slabs = memory->options.slabs;
	file->size = size;
	file->piece_count = piece_count;
	file->capture = strdup(source->capture);
	file->name = strdup(source->name);
	if (!file->capture || !file->name) {
		memory_file_unref(file);
		return NULL;
	}
	return file;
}

static void remove_file(struct memory_sink *memory, struct memory_file *file)
{
	TAILQ_REMOVE(&memory->files, file, list);
	memory_file_unref(file);
}

static void schedule_expiry(struct memory_sink *memory)
{
	const struct memory_file *oldest = TAILQ_FIRST(&memory->files);

	if (!oldest)
		return;
	const uint64_t now_ns = clock_boottime_ns(), due_ns = oldest->stored_ns + memory->options.max_age_ns;
	const uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000 + 1)};
	event_add(memory->expiry, &wait);
}

static void on_expiry(evutil_socket_t fd, short what, void *ctx)
{
	struct memory_sink *memory = ctx;
	struct memory_file *oldest;
	const uint64_t now_ns = clock_boottime_ns();

	(void)fd;
	(void)what;
	while ((oldest = TAILQ_FIRST(&memory->files)) && oldest->stored_ns + memory->options.max_age_ns <= now_ns)
		remove_file(memory, oldest);
	schedule_expiry(memory);
}

static bool make_room(struct memory_sink *memory, uint64_t size)
{
	struct memory_file *oldest;

	while (memory->shared_usage->bytes + size > memory->options.bytes_max && (oldest = TAILQ_FIRST(&memory->files)))
		remove_file(memory, oldest);
	return memory->shared_usage->bytes + size <= memory->options.bytes_max;
}

struct memory_file *memory_sink_find(const struct sink *sink, const char *capture)
{
	const struct memory_sink *memory = container_of(sink, const struct memory_sink, sink);
	struct memory_file *file;

	TAILQ_FOREACH_REVERSE(file, &memory->files, memory_files, list) /* mostly the latest is wanted */
	{
		if (strcmp(file->capture, capture) == 0) {
			file->references++;
			return file;
		}
	}
	return NULL;
}

struct memory_sink_usage memory_sink_usage(const struct sink *sink)
{
	const struct memory_sink *memory = container_of(sink, const struct memory_sink, sink);
	struct memory_sink_usage shared_usage = {.bytes = memory->shared_usage->bytes,
						 .bytes_max = memory->options.bytes_max};
	const struct memory_file *file;

	TAILQ_FOREACH(file, &memory->files, list)
	shared_usage.files++;
	return shared_usage;
}

const char *memory_file_name(const struct memory_file *file)
{
	return file->name;
}

/* --- reading --- */

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct reader *reader = ctx;
	size_t done = 0, size;
	const uint8_t *bytes;

	while (done < room && (bytes = bytes_at(reader->file, reader->offset, &size))) {
		if (size > room - done)
			size = room - done;
		memcpy(into + done, bytes, size);
		reader->offset += size;
		done += size;
	}
	return done;
}

static void rewind_file(void *ctx)
{
	struct reader *reader = ctx;

	reader->offset = 0;
}

bool memory_file_open(const struct memory_file *file, struct byte_stream *stream)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return false;
	reader->file = file;
	*stream =
		(struct byte_stream){.size_bytes = file->size, .read = read_file, .rewind = rewind_file, .ctx = reader};
	return true;
}

void memory_file_close(struct byte_stream *stream)
{
	free(stream->ctx);
}

/* --- an attempt --- */

static void free_attempt(struct sink_attempt *attempt)
{
	if (attempt->source)
		attempt->source->close(attempt->source->ctx, &attempt->stream);
	if (attempt->copy_event)
		event_free(attempt->copy_event);
	memory_file_unref(attempt->file);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, free_attempt)

static void finish(struct sink_attempt *attempt)
{
	const sink_attempt_done done = attempt->done;
	void *ctx = attempt->ctx;
	const struct sink_outcome outcome = attempt->outcome;
	free_attempt(attempt);
	done(ctx, &outcome);
}

static void store_file(struct sink_attempt *attempt)
{
	struct memory_sink *memory = attempt->memory;
	struct memory_file *file = take(attempt->file);

	attempt->outcome.verdict = SINK_OK;
	snprintf(attempt->outcome.url, sizeof(attempt->outcome.url), "/v1/captures/%s/file", file->capture);
	file->stored_ns = clock_boottime_ns();
	TAILQ_INSERT_TAIL(&memory->files, file, list);
	if (!evtimer_pending(memory->expiry, NULL))
		schedule_expiry(memory);
	finish(attempt);
}

/* Runs at the first turn, not from within start, so that failures are reported from the loop. */
static bool reserve_room(struct sink_attempt *attempt)
{
	struct memory_sink *memory = attempt->memory;
	struct sink_outcome *outcome = &attempt->outcome;
	const uint64_t size = attempt->stream.size_bytes, max = memory->options.bytes_max;

	outcome->verdict = size > max ? SINK_REFUSED : SINK_RETRY;
	if (size > max)
		snprintf(outcome->error, sizeof(outcome->error),
			 "the file has %" PRIu64 " bytes, at most %" PRIu64 " are kept (memory.bytes)", size, max);
	else if (!make_room(memory, size))
		snprintf(outcome->error, sizeof(outcome->error), "files being read take up all of memory.bytes");
	else if (!(attempt->file = new_file(memory, attempt->source, size)))
		snprintf(outcome->error, sizeof(outcome->error), "out of memory");
	return attempt->file;
}

/* By a timer: an event that activates itself from its own callback would run again before all others. */
static void schedule_copy(struct sink_attempt *attempt)
{
	const struct timeval at_once = {0};

	event_add(attempt->copy_event, &at_once);
}

static void give_up(struct sink_attempt *attempt, enum sink_verdict verdict, const char *error)
{
	attempt->outcome.verdict = verdict;
	snprintf(attempt->outcome.error, sizeof(attempt->outcome.error), "%s", error);
	finish(attempt);
}

static void copy_slice(struct sink_attempt *attempt)
{
	struct memory_file *file = attempt->file;
	const size_t index = attempt->filled / SLAB_BYTES;

	if (attempt->filled == file->size) {
		store_file(attempt);
		return;
	}
	if (!file->pieces[index])
		file->pieces[index] = new_piece(file, index);
	size_t room;
	uint8_t *into = bytes_at(file, attempt->filled, &room);
	if (!into) {
		give_up(attempt, SINK_RETRY, "out of memory");
		return;
	}
	const size_t got = attempt->stream.read(attempt->stream.ctx, into, room < SLICE_BYTES ? room : SLICE_BYTES);
	attempt->filled += got;
	if (got)
		schedule_copy(attempt);
	else
		give_up(attempt, SINK_REFUSED, "the file is shorter than expected");
}

static void copy_event(evutil_socket_t fd, short what, void *ctx)
{
	struct sink_attempt *attempt = ctx;

	(void)fd;
	(void)what;
	if (!attempt->file && !reserve_room(attempt)) {
		finish(attempt);
		return;
	}
	copy_slice(attempt);
}

static struct sink_attempt *start_attempt(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					  void *ctx)
{
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->memory = container_of(sink, struct memory_sink, sink);
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->copy_event = evtimer_new(attempt->memory->loop, copy_event, attempt);
	if (!attempt->copy_event || !file->open(file->ctx, &attempt->stream))
		return NULL;
	attempt->source = file;
	schedule_copy(attempt);
	return take(attempt);
}

static bool cancel_attempt(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	(void)sink;
	(void)outcome;
	free_attempt(attempt);
	return false;
}

static void remove_stored(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
			  void *ctx)
{
	struct memory_sink *memory = container_of(sink, struct memory_sink, sink);
	struct memory_file *stored;

	(void)url;
	TAILQ_FOREACH_REVERSE(stored, &memory->files, memory_files, list)
	{
		if (strcmp(stored->capture, file->capture) == 0) {
			remove_file(memory, stored);
			break;
		}
	}
	done(ctx, stored != NULL);
}

/* --- the sink --- */

static void free_sink(struct sink *sink)
{
	struct memory_sink *memory = container_of(sink, struct memory_sink, sink);
	struct memory_file *file;

	while ((file = TAILQ_FIRST(&memory->files)))
		remove_file(memory, file);
	if (memory->expiry)
		event_free(memory->expiry);
	shared_usage_unref(memory->shared_usage);
	free(memory->sink.name);
	free(memory);
}

struct sink *memory_sink_new(struct event_base *loop, const char *name, const struct memory_sink_options *options)
{
	static const struct sink_class class = {.start = start_attempt,
						.cancel = cancel_attempt,
						.free = free_sink,
						.remove = remove_stored};
	struct memory_sink *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	memory->sink = (struct sink){.class = &class, .name = strdup(name)};
	memory->loop = loop;
	memory->options = *options;
	TAILQ_INIT(&memory->files);
	memory->shared_usage = calloc(1, sizeof(*memory->shared_usage));
	memory->expiry = evtimer_new(loop, on_expiry, memory);
	if (memory->shared_usage)
		memory->shared_usage->references = 1;
	if (!memory->sink.name || !memory->shared_usage || !memory->expiry) {
		free_sink(&memory->sink);
		return NULL;
	}
	return &memory->sink;
}
