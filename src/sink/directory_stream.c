/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop fills a chunk, a thread writes it, and so on; they never touch the stream at the same time. So cancelling
 * waits for nothing: a stream whose thread is at work frees itself when that is done.
 *
 *     { fill (loop) → write (thread) }… → name (thread) → done
 *                         ↓ fails, or is cancelled
 *               keep or remove (thread) → done, if not cancelled
 *
 * A process that is killed leaves the temporary file, which the next start removes (directory_quota.h).
 */
#include "sink/directory_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/log.h"
#include "base/offload.h"
#include "sink/directory_file.h"
#include "sink/directory_quota.h"
#include "sink/report_text.h"
#include "sink/whole_blocks.h"

#define CHUNK_BYTES (512 * 1024)
#define WRITEBACK_BYTES (32u << 20) /* the disk begins with so much, so that the flush at the end is short */
#define NAMING_TEXT "the file was being named, and may or may not have its name by now"

enum step { STEP_WRITE, STEP_KEEP, STEP_REMOVE };

/* Of a chunk that a thread writes. It takes the last step as well if the stream is cancelled meanwhile: at the daemon's
 * end the pool takes no further task. */
enum fate { FATE_OPEN, FATE_WRITTEN, FATE_KEEP, FATE_REMOVE };

struct directory_stream {
	struct offload_task task;
	struct directory_stream_options options;
	char name[NAME_MAX + 1], temporary[NAME_MAX + 1];
	const struct sink_file *file; /* NULL once its stream is closed. Loop thread only, like the rest up to `step` */
	struct byte_stream stream;
	sink_attempt_done done; /* NULL: cancelled */
	void *ctx;
	uint64_t sent_bytes;				       /* written so far, up to the last whole block */
	char error[sizeof(((struct sink_outcome *)0)->error)]; /* why the last step has begun */
	bool remove;					       /* a cancelled stream keeps nothing */
	_Atomic enum fate fate;
	bool busy; /* a thread has what follows */

	enum step step;
	int directory_fd, fd;		       /* -1: not open yet */
	uint64_t written_bytes, started_bytes; /* started: for which the disk was told to begin */
	uint64_t reserved_bytes;
	struct whole_blocks blocks;
	struct sink_outcome outcome;
	size_t used; /* of the chunk */
	bool at_end; /* nothing follows the chunk */
	uint8_t chunk[CHUNK_BYTES];
};

/* --- on the pool's threads --- */

static void fail(struct directory_stream *stream, int code, const char *what)
{
	struct error text;

	error_set(&text, code, "cannot %s %s/%s: %s", what, stream->options.path, stream->name, strerror(-code));
	report_text_copy(stream->outcome.error, sizeof(stream->outcome.error), text.text);
	stream->outcome.verdict = directory_file_may_pass(-code) ? SINK_RETRY : SINK_REFUSED;
}

static bool has_failed(const struct directory_stream *stream)
{
	return stream->outcome.error[0];
}

static void open_file(struct directory_stream *stream)
{
	if (!directory_file_is_plain(stream->name)) {
		fail(stream, -EINVAL, "create");
		return;
	}
	stream->directory_fd = open(stream->options.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stream->directory_fd < 0) {
		fail(stream, -errno, "create");
		return;
	}
	const int fd = directory_file_create(stream->directory_fd, stream->name, stream->temporary);
	if (fd < 0)
		fail(stream, fd, "create");
	else
		stream->fd = fd;
}

static void reserve(struct directory_stream *stream)
{
	struct error over, text;

	if (directory_quota_reserve(stream->options.quota, stream->directory_fd, stream->used, &over) == 0) {
		stream->reserved_bytes += stream->used;
		return;
	}
	error_set(&text, 0, "after %llu bytes: %s", (unsigned long long)stream->written_bytes, over.text);
	report_text_copy(stream->outcome.error, sizeof(stream->outcome.error), text.text);
	stream->outcome.verdict = SINK_REFUSED;
}

static void write_chunk(struct directory_stream *stream)
{
	const int r = directory_file_write(stream->fd, stream->chunk, stream->used);

	if (r < 0) {
		fail(stream, r, "write");
		return;
	}
	whole_blocks_pass(&stream->blocks, stream->chunk, stream->used);
	stream->written_bytes += stream->used;
	stream->used = 0;
	if (stream->written_bytes - stream->started_bytes < WRITEBACK_BYTES)
		return;
	(void)sync_file_range(stream->fd, (off_t)stream->started_bytes,
			      (off_t)(stream->written_bytes - stream->started_bytes), SYNC_FILE_RANGE_WRITE);
	stream->started_bytes = stream->written_bytes;
}

/* Flushes the file and gives it its name. An error is put after the one that there is already. */
static void name_file(struct directory_stream *stream)
{
	char name[NAME_MAX + 1];
	const char *what;

	if (fsync(stream->fd) < 0) {
		fail(stream, -errno, "flush");
		return;
	}
	const int r = directory_file_name(stream->directory_fd, stream->temporary, stream->name, name, &what);
	if (r < 0) {
		fail(stream, r, what);
		return;
	}
	stream->temporary[0] = '\0';
	directory_file_url(stream->outcome.url, sizeof(stream->outcome.url), stream->options.path, name);
}

static void run_write(struct directory_stream *stream)
{
	if (stream->fd < 0)
		open_file(stream);
	if (!has_failed(stream))
		reserve(stream);
	if (!has_failed(stream))
		write_chunk(stream);
	if (!has_failed(stream) && stream->at_end)
		name_file(stream);
}

static void keep(struct directory_stream *stream)
{
	struct error first;

	error_set(&first, 0, "%s", stream->outcome.error);
	if (ftruncate(stream->fd, (off_t)stream->blocks.end_bytes) == 0)
		name_file(stream);
	if (!stream->outcome.url[0])
		return;
	report_text_copy(stream->outcome.error, sizeof(stream->outcome.error), first.text);
	log_notice("local-part-kept", log_str("file", stream->outcome.url),
		   log_uint("bytes", stream->blocks.end_bytes));
}

static void run_task(struct offload_task *task)
{
	struct directory_stream *stream = container_of(task, struct directory_stream, task);

	const bool writes = stream->step == STEP_WRITE;
	enum fate fate = FATE_OPEN;

	if (writes)
		run_write(stream);
	/* Sequentially consistent: either the loop sees that it is written, or this sees what the loop wants. */
	if (writes && !atomic_compare_exchange_strong(&stream->fate, &fate, FATE_WRITTEN))
		stream->step = fate == FATE_KEEP && stream->blocks.end_bytes ? STEP_KEEP : STEP_REMOVE;
	if (stream->step == STEP_KEEP && stream->temporary[0])
		keep(stream);
	if (stream->step != STEP_WRITE && stream->temporary[0])
		unlinkat(stream->directory_fd, stream->temporary, 0);
}

/* --- on the loop --- */

static void free_stream(struct directory_stream *stream)
{
	if (stream->file)
		stream->file->close(stream->file->ctx, &stream->stream);
	directory_quota_settle(stream->options.quota, stream->reserved_bytes, stream->outcome.url[0]);
	if (stream->fd >= 0)
		close(stream->fd);
	if (stream->directory_fd >= 0)
		close(stream->directory_fd);
	free(stream);
}

static void finish(struct directory_stream *stream)
{
	if (stream->file)
		stream->file->close(take(stream->file)->ctx, &stream->stream);
	if (stream->done)
		stream->done(stream->ctx, &stream->outcome);
	free_stream(stream);
}

static bool submit(struct directory_stream *stream)
{
	atomic_store(&stream->fate, FATE_OPEN);
	stream->busy = offload_submit(stream->options.offload, &stream->task) == 0;
	return stream->busy;
}

/* What was written is kept or removed. Without a thread for it, it is left to the next start. */
static void begin_last_step(struct directory_stream *stream, bool restarts)
{
	stream->step = restarts || !stream->blocks.end_bytes ? STEP_REMOVE : STEP_KEEP;
	memcpy(stream->error, stream->outcome.error, sizeof(stream->error));
	if (stream->fd < 0 || !submit(stream))
		finish(stream);
}

static bool restarts(const struct directory_stream *stream)
{
	return stream->outcome.verdict == SINK_RETRY && stream->file->restarts(stream->file->ctx);
}

/* Fills the chunk and has it written. If there are too many tasks, the next call has it written. */
static void go_on(struct directory_stream *stream)
{
	size_t got = 1;

	while (got && stream->used < CHUNK_BYTES) {
		got = stream->stream.read(stream->stream.ctx, stream->chunk + stream->used, CHUNK_BYTES - stream->used);
		stream->used += got;
	}
	stream->at_end = stream->stream.ended(stream->stream.ctx);
	if (stream->used || stream->at_end)
		(void)submit(stream);
}

static void on_task_done(struct offload_task *task)
{
	struct directory_stream *stream = container_of(task, struct directory_stream, task);

	stream->busy = false;
	stream->outcome.sent_bytes = stream->sent_bytes = stream->blocks.end_bytes;
	if (stream->step != STEP_WRITE || (stream->at_end && !has_failed(stream)))
		finish(stream);
	else if (!stream->done)
		begin_last_step(stream, stream->remove);
	else if (has_failed(stream))
		begin_last_step(stream, restarts(stream));
	else
		go_on(stream);
}

void directory_stream_more(struct directory_stream *stream)
{
	if (!stream->busy)
		go_on(stream);
}

struct directory_stream *directory_stream_new(const struct directory_stream_options *options,
					      const struct sink_file *file, sink_attempt_done done, void *ctx)
{
	struct directory_stream *stream = malloc(sizeof(*stream));

	if (!stream)
		return NULL;
	memset(stream, 0, offsetof(struct directory_stream, chunk));
	stream->task.run = run_task;
	stream->task.done = on_task_done;
	stream->options = *options;
	snprintf(stream->name, sizeof(stream->name), "%s", file->name);
	stream->done = done;
	stream->ctx = ctx;
	stream->directory_fd = stream->fd = -1;
	if (!file->open(file->ctx, &stream->stream)) {
		free(stream);
		return NULL;
	}
	stream->file = file;
	go_on(stream);
	return stream;
}

bool directory_stream_cancel(struct directory_stream *stream, struct sink_outcome *outcome)
{
	const bool naming = stream->busy && stream->step == STEP_WRITE && stream->at_end;
	const bool ending = stream->busy && stream->step != STEP_WRITE;

	stream->remove = stream->file->restarts(stream->file->ctx);
	enum fate fate = FATE_OPEN;

	(void)atomic_compare_exchange_strong(&stream->fate, &fate, stream->remove ? FATE_REMOVE : FATE_KEEP);
	stream->file->close(take(stream->file)->ctx, &stream->stream);
	stream->done = NULL;
	outcome->sent_bytes = stream->sent_bytes;
	if (naming || ending) {
		outcome->verdict = SINK_RETRY;
		report_text_copy(outcome->error, sizeof(outcome->error), naming ? NAMING_TEXT : stream->error);
	}
	if (!stream->busy)
		begin_last_step(stream, stream->remove);
	return naming || ending;
}
