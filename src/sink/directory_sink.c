/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file gets into the directory in three steps, all on the pool's threads: it is written whole under a temporary name
 * of its own (".<name>.part", O_EXCL), flushed to the disk, then linked to its final name. A link, unlike a rename,
 * cannot replace an existing file: a name that is taken gets "-1", "-2" … before its extension. On filesystems without
 * hard links, renameat2(RENAME_NOREPLACE) does the same. Everything happens relative to one descriptor of the
 * directory, so a directory swapped in between is never half-used.
 *
 * On any failure the temporary file is removed. Those of a killed process are removed at the next start: a temporary
 * file is locked while it is written, which tells the living from the dead (directory_quota.h).
 *
 * Cancelling must not wait for a disk. Packets are read only under the attempt's lock, into the thread's own chunk. So
 * cancelling waits for at most one copy in memory, takes the stream away, and leaves the thread to clean up. Only a
 * file that is being named at that moment cannot be held back: cancelling waits for it, at most a second for all
 * attempts that are cancelled together, and gets its outcome.
 */
#include "sink/directory_sink.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/offload.h"
#include "sink/directory_file.h"
#include "sink/directory_quota.h"
#include "sink/directory_stream.h"
#include "sink/report_text.h"
#include "sink/sink.h"

#define THREADS 2
#define QUEUE_MAX 64
#define CHUNK_BYTES (256 * 1024)
#define UPKEEP_MAX_S 60
#define STILL_NAMING "the file was being named, and may or may not have its name by now"
#define NAMING_MAX_NS NS_PER_S /* the longest wait for files being named when attempts are cancelled */

struct directory_sink {
	struct sink sink;
	struct offload *offload;
	struct directory_quota *quota;
	struct upkeep *upkeep;
	char *path;
	uint64_t cancel_wait_until_ns; /* boot time; restarted if long past */
};

/* Removes orphans once, at the start, and then what is too old, every now and then. */
struct upkeep {
	struct offload_task task;
	struct directory_sink *sink;
	struct event *timer;
	struct timeval interval;
	bool removed_orphans; /* pool thread */
};

enum stage { STAGE_WRITING, STAGE_NAMING, STAGE_ENDED };

struct sink_attempt {
	struct directory_stream *growing; /* NULL: the file is whole, and the members below are for it */
	struct offload_task task;
	const struct directory_sink *sink;
	char name[NAME_MAX + 1];
	uint64_t size_bytes;
	pthread_mutex_t lock;	      /* guards the members below, up to `outcome` */
	pthread_cond_t ended;	      /* STAGE_ENDED */
	enum stage stage;	      /* set by the thread */
	bool cancelled;		      /* no answer is wanted, and the stream is closed */
	const struct sink_file *file; /* loop thread only */
	struct byte_stream stream;
	struct sink_outcome outcome; /* written by the thread until STAGE_ENDED */
	sink_attempt_done done;
	void *ctx;
};

/* --- on the pool's threads --- */

/* Fills the outcome; returns `code` (a negative errno). */
static int fail(struct sink_attempt *attempt, int code, const char *what)
{
	struct error text;

	error_set(&text, code, "cannot %s %s/%s: %s", what, attempt->sink->path, attempt->name, strerror(-code));
	report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), text.text);
	attempt->outcome.verdict = directory_file_may_pass(-code) ? SINK_RETRY : SINK_REFUSED;
	return code;
}

/* Reads the next chunk. *got is less than a chunk only at the end. 0 or -ECANCELED. */
static int read_chunk(struct sink_attempt *attempt, uint8_t *chunk, size_t *got)
{
	size_t used = 0;
	bool cancelled;

	pthread_mutex_lock(&attempt->lock);
	cancelled = attempt->cancelled;
	while (!cancelled && used < CHUNK_BYTES) {
		size_t more = attempt->stream.read(attempt->stream.ctx, chunk + used, CHUNK_BYTES - used);

		if (more == 0)
			break;
		used += more;
	}
	pthread_mutex_unlock(&attempt->lock);
	if (cancelled)
		return -ECANCELED;
	*got = used;
	return 0;
}

/* False: the attempt is cancelled and stays at its stage. */
static bool enter_stage(struct sink_attempt *attempt, enum stage stage)
{
	bool cancelled;

	pthread_mutex_lock(&attempt->lock);
	cancelled = attempt->cancelled;
	if (!cancelled)
		attempt->stage = stage;
	pthread_mutex_unlock(&attempt->lock);
	return !cancelled;
}

static void finish_stage(struct sink_attempt *attempt)
{
	pthread_mutex_lock(&attempt->lock);
	attempt->stage = STAGE_ENDED;
	pthread_cond_signal(&attempt->ended);
	pthread_mutex_unlock(&attempt->lock);
}

/* Reserves the space, so that a full disk fails before the first byte. Not every filesystem supports it. */
static int reserve(int fd, uint64_t size_bytes)
{
	if (size_bytes == 0 || fallocate(fd, 0, 0, (off_t)size_bytes) == 0)
		return 0;
	return errno == ENOSPC || errno == EDQUOT ? -errno : 0;
}

static int write_stream(struct sink_attempt *attempt, int fd)
{
	cleanup(cleanup_free) uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t total = 0;
	size_t got = 0;
	int r;

	if (!chunk)
		return fail(attempt, -ENOMEM, "write");
	r = reserve(fd, attempt->size_bytes);
	if (r < 0)
		return fail(attempt, r, "write");
	do {
		r = read_chunk(attempt, chunk, &got);
		if (r == 0)
			r = directory_file_write(fd, chunk, got);
		if (r < 0)
			return fail(attempt, r, "write");
		total += got;
	} while (got == CHUNK_BYTES);
	if (total != attempt->size_bytes)
		return fail(attempt, -EPROTO, "read all of");
	if (fsync(fd) < 0)
		return fail(attempt, -errno, "flush");
	return 0;
}

static int name_file(struct sink_attempt *attempt, int directory_fd, const char *temporary)
{
	char name[NAME_MAX + 1];
	const char *what;
	const int r = directory_file_name(directory_fd, temporary, attempt->name, name, &what);

	if (r < 0)
		return fail(attempt, r, what);
	attempt->outcome.verdict = SINK_OK;
	directory_file_url(attempt->outcome.url, sizeof(attempt->outcome.url), attempt->sink->path, name);
	return 0;
}

static void write_temporary(struct sink_attempt *attempt, int directory_fd)
{
	cleanup(cleanup_close) int fd = -1;
	char temporary[NAME_MAX + 1];
	int r;

	fd = directory_file_create(directory_fd, attempt->name, temporary);
	if (fd < 0) {
		fail(attempt, fd, "create");
		return;
	}
	r = write_stream(attempt, fd);
	if (r == 0)
		r = enter_stage(attempt, STAGE_NAMING) ? name_file(attempt, directory_fd, temporary) : -ECANCELED;
	if (r < 0)
		unlinkat(directory_fd, temporary, 0);
}

static void write_file(struct sink_attempt *attempt)
{
	cleanup(cleanup_close) int directory_fd = -1;
	struct directory_quota *quota = attempt->sink->quota;
	struct error over;

	if (!enter_stage(attempt, STAGE_WRITING))
		return;
	if (!directory_file_is_plain(attempt->name)) {
		fail(attempt, -EINVAL, "create");
		return;
	}
	directory_fd = open(attempt->sink->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0) {
		fail(attempt, -errno, "create");
		return;
	}
	if (directory_quota_reserve(quota, directory_fd, attempt->size_bytes, &over) < 0) {
		report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), over.text);
		attempt->outcome.verdict = SINK_REFUSED;
		return;
	}
	write_temporary(attempt, directory_fd);
	directory_quota_settle(quota, attempt->size_bytes,
			       attempt->outcome.verdict == SINK_OK && !attempt->outcome.error[0]);
}

static void attempt_run(struct offload_task *task)
{
	struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);

	write_file(attempt);
	finish_stage(attempt);
}

/* --- on the loop --- */

static void attempt_close_stream(struct sink_attempt *attempt)
{
	if (attempt->file)
		attempt->file->close(attempt->file->ctx, &attempt->stream);
	attempt->file = NULL;
}

static void attempt_free(struct sink_attempt *attempt)
{
	attempt_close_stream(attempt);
	pthread_cond_destroy(&attempt->ended);
	pthread_mutex_destroy(&attempt->lock);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

static void attempt_done(struct offload_task *task)
{
	cleanup(cleanup_attempt) struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);

	if (attempt->cancelled)
		return;
	attempt_close_stream(attempt);
	attempt->done(attempt->ctx, &attempt->outcome);
}

static struct sink_attempt *directory_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					    void *ctx)
{
	struct directory_sink *directory_sink = container_of(sink, struct directory_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	attempt->ended = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	attempt->task.run = attempt_run;
	attempt->task.done = attempt_done;
	attempt->sink = directory_sink;
	attempt->done = done;
	attempt->ctx = ctx;
	/* A name too long to copy is too long for the kernel, too, which fails to create the file. */
	snprintf(attempt->name, sizeof(attempt->name), "%s", file->name);
	if (!file->open(file->ctx, &attempt->stream))
		return NULL;
	attempt->file = file;
	attempt->size_bytes = attempt->stream.size_bytes;
	if (offload_submit(directory_sink->offload, &attempt->task) < 0)
		return NULL;
	return take(attempt);
}

/* --- files that grow --- */

static void on_growing_done(void *ctx, const struct sink_outcome *outcome)
{
	struct sink_attempt *attempt = ctx;

	attempt->done(attempt->ctx, outcome);
	free(attempt);
}

static struct sink_attempt *directory_start_growing(struct sink *sink, const struct sink_file *file,
						    sink_attempt_done done, void *ctx)
{
	const struct directory_sink *directory_sink = container_of(sink, struct directory_sink, sink);
	const struct directory_stream_options options = {directory_sink->offload, directory_sink->quota,
							 directory_sink->path};
	struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->growing = directory_stream_new(&options, file, on_growing_done, attempt);
	if (attempt->growing)
		return attempt;
	free(attempt);
	return NULL;
}

static void directory_more(struct sink *sink, struct sink_attempt *attempt)
{
	(void)sink;
	directory_stream_more(attempt->growing);
}

/* --- cancelling --- */

/* The deadline, on the monotonic clock, shared by all attempts that are cancelled now. */
static struct timespec cancel_deadline(struct directory_sink *directory_sink)
{
	const uint64_t now_ns = clock_boottime_ns();
	struct timespec deadline;
	uint64_t left_ns;

	if (now_ns > directory_sink->cancel_wait_until_ns + NAMING_MAX_NS)
		directory_sink->cancel_wait_until_ns = now_ns + NAMING_MAX_NS;
	left_ns = directory_sink->cancel_wait_until_ns > now_ns ? directory_sink->cancel_wait_until_ns - now_ns : 0;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	left_ns += (uint64_t)deadline.tv_nsec;
	deadline.tv_sec += (time_t)(left_ns / NS_PER_S);
	deadline.tv_nsec = (long)(left_ns % NS_PER_S);
	return deadline;
}

static bool directory_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	const struct timespec deadline = cancel_deadline(container_of(sink, struct directory_sink, sink));
	enum stage stage;
	int r = 0;

	if (attempt->growing) {
		const bool ended = directory_stream_cancel(attempt->growing, outcome);

		free(attempt);
		return ended;
	}
	pthread_mutex_lock(&attempt->lock);
	while (attempt->stage == STAGE_NAMING && r != ETIMEDOUT)
		r = pthread_cond_clockwait(&attempt->ended, &attempt->lock, CLOCK_MONOTONIC, &deadline);
	stage = attempt->stage;
	if (stage == STAGE_ENDED)
		*outcome = attempt->outcome;
	attempt->cancelled = true;
	attempt_close_stream(attempt);
	pthread_mutex_unlock(&attempt->lock);
	if (stage == STAGE_NAMING) {
		outcome->verdict = SINK_RETRY;
		report_text_copy(outcome->error, sizeof(outcome->error), STILL_NAMING);
	}
	return stage != STAGE_WRITING;
}

/* --- upkeep --- */

static void upkeep_run(struct offload_task *task)
{
	struct upkeep *upkeep = container_of(task, struct upkeep, task);
	struct directory_quota *quota = upkeep->sink->quota;
	cleanup(cleanup_close) int fd = open(upkeep->sink->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return; /* the next file reports it */
	if (!upkeep->removed_orphans)
		directory_quota_remove_orphans(quota, fd);
	upkeep->removed_orphans = true;
	directory_quota_expire(quota, fd);
}

static void upkeep_done(struct offload_task *task)
{
	struct upkeep *upkeep = container_of(task, struct upkeep, task);

	if (upkeep->timer)
		(void)event_add(upkeep->timer, &upkeep->interval);
}

static void on_upkeep_due(evutil_socket_t fd, short what, void *ctx)
{
	struct upkeep *upkeep = ctx;

	(void)fd;
	(void)what;
	if (offload_submit(upkeep->sink->offload, &upkeep->task) < 0)
		(void)event_add(upkeep->timer, &upkeep->interval);
}

static struct upkeep *upkeep_new(struct event_base *loop, struct directory_sink *sink, uint64_t max_age_ns)
{
	struct upkeep *upkeep = calloc(1, sizeof(*upkeep));
	uint64_t interval_s = max_age_ns ? max_age_ns / NS_PER_S / 4 : UPKEEP_MAX_S;

	if (!upkeep)
		return NULL;
	interval_s = interval_s < 1 ? 1 : interval_s > UPKEEP_MAX_S ? UPKEEP_MAX_S : interval_s;
	upkeep->interval.tv_sec = (time_t)interval_s;
	upkeep->task.run = upkeep_run;
	upkeep->task.done = upkeep_done;
	upkeep->sink = sink;
	upkeep->timer = evtimer_new(loop, on_upkeep_due, upkeep);
	if (!upkeep->timer) {
		free(upkeep);
		return NULL;
	}
	event_active(upkeep->timer, EV_TIMEOUT, 0);
	return upkeep;
}

static void upkeep_stop(struct upkeep *upkeep)
{
	if (upkeep)
		event_free(take(upkeep->timer));
}

/* --- life --- */

static void directory_free(struct sink *sink)
{
	struct directory_sink *directory_sink = container_of(sink, struct directory_sink, sink);

	upkeep_stop(directory_sink->upkeep);
	if (directory_sink->offload)
		offload_free(directory_sink->offload);
	free(directory_sink->upkeep);
	directory_quota_free(directory_sink->quota);
	free(directory_sink->path);
	free(directory_sink->sink.name);
	free(directory_sink);
}

struct removal {
	struct offload_task task;
	char *path;
	bool removed;
	sink_remove_done done;
	void *ctx;
};

static void removal_run(struct offload_task *task)
{
	struct removal *removal = container_of(task, struct removal, task);

	removal->removed = unlink(removal->path) == 0;
}

static void removal_done(struct offload_task *task)
{
	struct removal *removal = container_of(task, struct removal, task);

	removal->done(removal->ctx, removal->removed);
	free(removal->path);
	free(removal);
}

/* The room it took is found to be free when the directory is next counted. */
static void directory_remove(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
			     void *ctx)
{
	const struct directory_sink *directory_sink = container_of(sink, struct directory_sink, sink);
	struct removal *removal = calloc(1, sizeof(*removal));

	(void)file;
	if (removal)
		*removal = (struct removal){.task = {.run = removal_run, .done = removal_done},
					    .path = strdup(url),
					    .done = done,
					    .ctx = ctx};
	if (removal && removal->path && *removal->path && offload_submit(directory_sink->offload, &removal->task) == 0)
		return;
	if (removal)
		free(removal->path);
	free(removal);
	done(ctx, false);
}

static const char *directory_address(const struct sink *sink)
{
	return container_of(sink, const struct directory_sink, sink)->path;
}

static const struct sink_class directory_class = {
	.start = directory_start,
	.cancel = directory_cancel,
	.free = directory_free,
	.address = directory_address,
	.remove = directory_remove,
	.start_growing = directory_start_growing,
	.more = directory_more,
};

struct sink *directory_sink_new(struct event_base *loop, const char *name, const char *path,
				const struct directory_quota_options *quota)
{
	struct directory_sink *directory_sink = calloc(1, sizeof(*directory_sink));

	if (!directory_sink)
		return NULL;
	directory_sink->sink = (struct sink){.class = &directory_class, .name = strdup(name)};
	directory_sink->path = strdup(path);
	directory_sink->offload = offload_new(loop, "sink-local", THREADS, QUEUE_MAX);
	directory_sink->quota = directory_quota_new(quota);
	if (directory_sink->sink.name && directory_sink->path && directory_sink->offload && directory_sink->quota)
		directory_sink->upkeep = upkeep_new(loop, directory_sink, quota->max_age_ns);
	if (!directory_sink->upkeep) {
		directory_free(&directory_sink->sink);
		return NULL;
	}
	return &directory_sink->sink;
}
