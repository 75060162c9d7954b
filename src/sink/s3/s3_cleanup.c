/* SPDX-License-Identifier: BSD-2-Clause */
/* A key belongs to one capture, so every upload of it is ours, and none is under way while a search for them runs. */
#include "sink/s3/s3_cleanup.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "sink/s3/s3_call.h"
#include "sink/s3/xml_text.h"

#define DEADLINE_S 8
#define TRIES_MAX 3
#define PAUSE_MS 300
#define UPLOAD_ID_SIZE 1025

struct job {
	struct s3_cleanup *cleanup;
	struct s3_target target;
	char *endpoint, *bucket, *key, *upload_id; /* upload_id NULL: looks for them */
	struct aws_pair query[2];
	struct s3_call *call;
	struct event *deadline, *again;
	unsigned tries;
	void (*done)(void *ctx);
	void *ctx;
	TAILQ_ENTRY(job) list;
};

struct s3_cleanup {
	struct event_base *loop;
	struct s3_client *client;
	size_t count;
	struct log_rate log_rate;
	TAILQ_HEAD(, job) jobs;
};

static void job_free(struct job *job)
{
	s3_call_free(job->call);
	if (job->deadline)
		event_free(job->deadline);
	if (job->again)
		event_free(job->again);
	free(job->endpoint);
	free(job->bucket);
	free(job->key);
	free(job->upload_id);
	free(job);
}

CLEANUP_DEFINE(job, struct job, job_free)

static void end_job(struct job *job)
{
	void (*done)(void *ctx) = job->done;
	void *ctx = job->ctx;

	TAILQ_REMOVE(&job->cleanup->jobs, job, list);
	job->cleanup->count--;
	job_free(job);
	if (done)
		done(ctx);
}

static void give_up(struct job *job, const char *error)
{
	uint64_t suppressed = 0;

	if (log_rate_allow(&job->cleanup->log_rate, &suppressed))
		log_warning("s3-upload-left", log_str("bucket", job->bucket), log_str("key", job->key),
			    log_str("upload", job->upload_id), log_str("error", error),
			    log_uint("suppressed", suppressed));
	end_job(job);
}

static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	give_up(ctx, "no answer in time");
}

/* Every upload that the list names; the last one keeps the job's `done`. */
static void abort_listed(struct job *job, const char *xml)
{
	char key[S3_KEY_MAX + 1], upload_id[UPLOAD_ID_SIZE];
	const char *at = xml;

	while ((at = xml_text(at, "Key", key, sizeof(key))) &&
	       (at = xml_text(at, "UploadId", upload_id, sizeof(upload_id)))) {
		if (strcmp(key, job->key) != 0)
			continue;
		if (s3_cleanup_start(job->cleanup, &job->target, job->key, upload_id, job->done, job->ctx) == 0)
			job->done = NULL;
	}
}

static void on_answer(void *ctx, const struct s3_answer *answer)
{
	struct job *job = ctx;

	if (answer->verdict == SINK_OK && !job->upload_id)
		abort_listed(job, answer->body);
	if (answer->verdict == SINK_OK || strcmp(answer->code, "NoSuchUpload") == 0) {
		end_job(job);
		return;
	}
	if (answer->verdict == SINK_RETRY && ++job->tries < TRIES_MAX) {
		s3_call_free(take(job->call));
		(void)event_add(job->again, &(struct timeval){.tv_usec = PAUSE_MS * 1000});
		return;
	}
	give_up(job, answer->error);
}

static int send_job(struct job *job)
{
	const struct s3_request request = {
		.method = job->upload_id ? "DELETE" : "GET",
		.target = &job->target,
		.key = job->upload_id ? job->key : NULL,
		.query = job->query,
		.query_count = job->upload_id ? 1 : 2,
		.body_hash = AWS_EMPTY_HASH,
		.wants_answer = !job->upload_id,
	};

	job->call = s3_call_start(job->cleanup->client, &request, on_answer, job);
	return job->call ? 0 : -ENOMEM;
}

static void on_again(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	if (send_job(ctx) < 0)
		give_up(ctx, "out of memory");
}

int s3_cleanup_start(struct s3_cleanup *cleanup, const struct s3_target *target, const char *key, const char *upload_id,
		     void (*done)(void *ctx), void *ctx)
{
	cleanup(cleanup_job) struct job *job = NULL;
	struct job *started;

	if (cleanup->count == S3_CLEANUPS_MAX)
		return -ENOBUFS;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->cleanup = cleanup;
	job->target = *target;
	job->target.endpoint = job->endpoint = strdup(target->endpoint);
	job->target.bucket = job->bucket = strdup(target->bucket);
	job->key = strdup(key);
	job->upload_id = upload_id ? strdup(upload_id) : NULL;
	job->deadline = evtimer_new(cleanup->loop, on_deadline, job);
	job->again = evtimer_new(cleanup->loop, on_again, job);
	if (!job->endpoint || !job->bucket || !job->key || (upload_id && !job->upload_id) || !job->deadline ||
	    !job->again)
		return -ENOMEM;
	job->query[0] = upload_id ? (struct aws_pair){"uploadId", job->upload_id} : (struct aws_pair){"uploads", ""};
	job->query[1] = (struct aws_pair){"prefix", job->key};
	job->done = done;
	job->ctx = ctx;
	if (send_job(job) < 0)
		return -ENOMEM;
	started = take(job);
	TAILQ_INSERT_TAIL(&cleanup->jobs, started, list);
	cleanup->count++;
	(void)event_add(started->deadline, &(struct timeval){.tv_sec = DEADLINE_S});
	return 0;
}

void s3_cleanup_forget(struct s3_cleanup *cleanup, const void *ctx)
{
	struct job *job;

	TAILQ_FOREACH(job, &cleanup->jobs, list)
	if (job->ctx == ctx)
		job->done = NULL;
}

bool s3_cleanup_is_busy(const struct s3_cleanup *cleanup)
{
	return cleanup->count > 0;
}

struct s3_cleanup *s3_cleanup_new(struct event_base *loop, struct s3_client *client)
{
	struct s3_cleanup *cleanup = calloc(1, sizeof(*cleanup));

	if (!cleanup)
		return NULL;
	cleanup->loop = loop;
	cleanup->client = client;
	cleanup->log_rate.burst = 3;
	TAILQ_INIT(&cleanup->jobs);
	return cleanup;
}

void s3_cleanup_free(struct s3_cleanup *cleanup)
{
	struct job *job;

	if (!cleanup)
		return;
	while ((job = TAILQ_FIRST(&cleanup->jobs))) {
		TAILQ_REMOVE(&cleanup->jobs, job, list);
		job_free(job);
	}
	free(cleanup);
}
