/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt is first a task of the pool, then an attempt of the inner sink:
 *
 *     source file ──pool thread──> compressed file in memory ──> inner sink
 *
 * The thread reads packets only under the attempt's lock, into its own chunk. So cancelling waits for at most one copy
 * in memory, takes the stream away, and leaves the thread to end by itself. The threads give way to all others of the
 * host (nice): captures must not lose packets because a file is compressed.
 */
#include "sink/compressed_sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/log.h"
#include "base/offload.h"
#include "sink/compressed_file.h"
#include "sink/report_text.h"
#include "sink/sink.h"

#define THREADS 2
#define QUEUE_MAX 64
#define CHUNK_BYTES (256 * 1024)
#define THREAD_NICE 10
#define LOG_BURST 10 /* "delivery-not-compressed" lines per second and destination */
#define NO_OTHER_NAME                                                                                           \
	"there is no memory to compress the file, and it may be there compressed, under another name, from an " \
	"earlier attempt"
#define COULD_NOT_START "cannot start the attempt: out of memory, or too many are running"

struct compressed_sink {
	struct sink sink;
	struct sink *inner;
	struct offload *offload;
	struct compressed_file_options options;
	struct log_rate log_rate;
};

struct sink_attempt {
	struct offload_task task;
	struct compressed_sink *sink;
	const struct sink_file *source;
	uint64_t source_bytes;
	pthread_mutex_t lock; /* guards the next two while the task runs */
	bool cancelled;	      /* no answer is wanted, and the stream is closed */
	struct byte_stream stream;
	bool stream_open;
	struct compressed_file *compressed; /* the thread's until the task has ended */
	int result;			    /* of the task: 0 or a negative errno */
	char *name;
	struct sink_file file; /* for the inner sink */
	struct sink_attempt *inner;
	char warning[sizeof(((struct sink_outcome *)0)->warning)];
	sink_attempt_done done;
	void *ctx;
};

/* --- on the pool's threads --- */

/* Reads the next chunk. *got is less than a chunk only at the end. 0 or -ECANCELED. */
static int read_chunk(struct sink_attempt *attempt, uint8_t *chunk, size_t *got)
{
	size_t used = 0;
	bool cancelled;

	pthread_mutex_lock(&attempt->lock);
	cancelled = attempt->cancelled;
	while (!cancelled && used < CHUNK_BYTES) {
		const size_t more = attempt->stream.read(attempt->stream.ctx, chunk + used, CHUNK_BYTES - used);

		if (more == 0)
			break;
		used += more;
	}
	pthread_mutex_unlock(&attempt->lock);
	*got = used;
	return cancelled ? -ECANCELED : 0;
}

static int compress(struct sink_attempt *attempt)
{
	cleanup(cleanup_free) uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t total = 0;
	size_t got;
	int r = 0;

	attempt->compressed = compressed_file_new(&attempt->sink->options, attempt->source_bytes);
	if (!chunk || !attempt->compressed)
		return -ENOMEM;
	do {
		r = read_chunk(attempt, chunk, &got);
		total += got;
		if (r == 0)
			r = compressed_file_add(attempt->compressed, chunk, got, got < CHUNK_BYTES);
	} while (r == 0 && got == CHUNK_BYTES);
	return r == 0 && total != attempt->source_bytes ? -EPROTO : r;
}

static void attempt_run(struct offload_task *task)
{
	struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);

	setpriority(PRIO_PROCESS, 0, THREAD_NICE); /* of this thread only: setpriority(2), NOTES */
	attempt->result = compress(attempt);
	if (attempt->result < 0) {
		compressed_file_free(attempt->compressed);
		attempt->compressed = NULL;
	}
}

/* --- on the loop --- */

static void close_source(struct sink_attempt *attempt)
{
	if (attempt->stream_open)
		attempt->source->close(attempt->source->ctx, &attempt->stream);
	attempt->stream_open = false;
}

static void attempt_free(struct sink_attempt *attempt)
{
	close_source(attempt);
	compressed_file_free(attempt->compressed);
	pthread_mutex_destroy(&attempt->lock);
	free(attempt->name);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

static void report(struct sink_attempt *attempt, const struct sink_outcome *outcome)
{
	const sink_attempt_done done = attempt->done;
	void *ctx = attempt->ctx;

	attempt_free(attempt);
	done(ctx, outcome);
}

/* The inner sink's warning, if it has one, is the graver one. */
static void add_warning(const struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	if (!outcome->warning[0])
		report_text_copy(outcome->warning, sizeof(outcome->warning), attempt->warning);
}

static void inner_done(void *ctx, const struct sink_outcome *inner_outcome)
{
	struct sink_attempt *attempt = ctx;
	struct sink_outcome outcome = *inner_outcome;

	add_warning(attempt, &outcome);
	report(attempt, &outcome);
}

static bool open_compressed(void *ctx, struct byte_stream *stream)
{
	const struct sink_attempt *attempt = ctx;

	return compressed_file_open(attempt->compressed, stream);
}

static void close_compressed(void *ctx, struct byte_stream *stream)
{
	(void)ctx;
	compressed_file_close(stream);
}

static void use_compressed_file(struct sink_attempt *attempt)
{
	attempt->file.name = attempt->name;
	attempt->file.ctx = attempt;
	attempt->file.open = open_compressed;
	attempt->file.close = close_compressed;
}

static void use_source_file(struct sink_attempt *attempt)
{
	const char *reason =
		attempt->result == -ENOBUFS ? "limits.memory has no room for it" : strerror(-attempt->result);
	struct error text;
	uint64_t suppressed = 0;

	error_set(&text, 0, "delivered without compression: %s", reason);
	report_text_copy(attempt->warning, sizeof(attempt->warning), text.text);
	if (log_rate_allow(&attempt->sink->log_rate, &suppressed))
		log_warning("delivery-not-compressed", log_str("id", attempt->source->id),
			    log_str("file", attempt->source->name), log_str("destination", attempt->sink->sink.name),
			    log_str("reason", reason), log_uint("suppressed", suppressed));
}

/* It is tried again. */
static void end_attempt(struct sink_attempt *attempt, const char *error)
{
	struct sink_outcome outcome = {.verdict = SINK_RETRY};

	report_text_copy(outcome.error, sizeof(outcome.error), error);
	report(attempt, &outcome);
}

static void task_done(struct offload_task *task)
{
	struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);
	struct sink *inner = attempt->sink->inner;

	if (attempt->cancelled) {
		attempt_free(attempt);
		return;
	}
	close_source(attempt);
	if (!attempt->compressed && attempt->source->copies) {
		end_attempt(attempt, NO_OTHER_NAME);
		return;
	}
	if (attempt->compressed)
		use_compressed_file(attempt);
	else
		use_source_file(attempt);
	attempt->inner = inner->class->start(inner, &attempt->file, inner_done, attempt);
	if (!attempt->inner)
		end_attempt(attempt, COULD_NOT_START);
}

static struct sink_attempt *compressed_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					     void *ctx)
{
	struct compressed_sink *compressed_sink = container_of(sink, struct compressed_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	attempt->task.run = attempt_run;
	attempt->task.done = task_done;
	attempt->sink = compressed_sink;
	attempt->source = file;
	attempt->file = *file;
	attempt->done = done;
	attempt->ctx = ctx;
	if (asprintf(&attempt->name, "%s%s", file->name, compression_extension(compressed_sink->options.kind)) < 0)
		attempt->name = NULL;
	attempt->stream_open = attempt->name && file->open(file->ctx, &attempt->stream);
	attempt->source_bytes = attempt->stream.size_bytes;
	if (!attempt->stream_open || offload_submit(compressed_sink->offload, &attempt->task) < 0)
		return NULL;
	return take(attempt);
}

static bool compressed_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct sink *inner = container_of(sink, struct compressed_sink, sink)->inner;
	bool ended;

	if (attempt->inner) {
		ended = inner->class->cancel(inner, attempt->inner, outcome);
		add_warning(attempt, outcome);
		attempt_free(attempt);
		return ended;
	}
	pthread_mutex_lock(&attempt->lock);
	attempt->cancelled = true;
	close_source(attempt);
	pthread_mutex_unlock(&attempt->lock);
	return false;
}

/* --- the sink --- */

static void compressed_free(struct sink *sink)
{
	struct compressed_sink *compressed_sink = container_of(sink, struct compressed_sink, sink);

	offload_free(compressed_sink->offload);
	compressed_sink->inner->class->free(compressed_sink->inner);
	free(compressed_sink);
}

static const char *compressed_address(const struct sink *sink)
{
	const struct sink *inner = container_of(sink, const struct compressed_sink, sink)->inner;

	return inner->class->address ? inner->class->address(inner) : "";
}

static bool compressed_is_busy(const struct sink *sink)
{
	const struct sink *inner = container_of(sink, const struct compressed_sink, sink)->inner;

	return inner->class->is_busy && inner->class->is_busy(inner);
}

static void compressed_remove(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
			      void *ctx)
{
	struct sink *inner = container_of(sink, struct compressed_sink, sink)->inner;

	if (inner->class->remove)
		inner->class->remove(inner, file, url, done, ctx);
	else
		done(ctx, false);
}

struct sink *compressed_sink_new(struct event_base *loop, struct sink *inner,
				 const struct compressed_file_options *options)
{
	static const struct sink_class class = {.start = compressed_start,
						.cancel = compressed_cancel,
						.free = compressed_free,
						.address = compressed_address,
						.remove = compressed_remove,
						.is_busy = compressed_is_busy};
	struct compressed_sink *compressed_sink;

	if (!inner || options->kind == COMPRESSION_NONE)
		return inner;
	compressed_sink = calloc(1, sizeof(*compressed_sink));
	if (compressed_sink)
		compressed_sink->offload = offload_new(loop, "compress", THREADS, QUEUE_MAX);
	if (!compressed_sink || !compressed_sink->offload) {
		free(compressed_sink);
		inner->class->free(inner);
		return NULL;
	}
	compressed_sink->sink = (struct sink){.class = &class, .name = inner->name, .on_request = inner->on_request};
	compressed_sink->inner = inner;
	compressed_sink->options = *options;
	compressed_sink->log_rate.burst = LOG_BURST;
	return &compressed_sink->sink;
}
