/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs are in a small hash table by id and in a list. A watch belongs to a job, or waits in the table until its request
 * is admitted. Observers may cancel any watch during a callback, so a watch with calls under way is only marked as
 * cancelled and freed later.
 */
#include "job/job.h"

#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"

#define BUCKETS 256

struct job_watch {
	struct job_observer observer;
	bool cancelled;
	unsigned calls; /* under way */
	TAILQ_ENTRY(job_watch) list;
	struct watch_list *in;
};

TAILQ_HEAD(watch_list, job_watch);

struct job {
	struct job_table *table;
	void *owner;
	struct job *chain;
	LIST_ENTRY(job) list;
	struct request *request;
	struct capture *captures;
	size_t capture_count, charged_bytes;
	unsigned last_number; /* of a capture */
	struct follower *follower;
	bool answered; /* an event about a capture was published */
	bool put_off;
	struct watch_list watches;
};

struct job_table {
	struct job *buckets[BUCKETS];
	LIST_HEAD(, job) jobs;
	struct watch_list waiting;
};

struct job_table *job_table_new(void)
{
	struct job_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	LIST_INIT(&table->jobs);
	TAILQ_INIT(&table->waiting);
	return table;
}

void job_table_free(struct job_table *table)
{
	struct job_watch *watch;

	if (!table)
		return;
	while ((watch = TAILQ_FIRST(&table->waiting))) {
		TAILQ_REMOVE(&table->waiting, watch, list);
		free(watch);
	}
	free(table);
}

/* --- watches --- */

static void move_watch(struct job_watch *watch, struct watch_list *list)
{
	TAILQ_REMOVE(watch->in, watch, list);
	TAILQ_INSERT_TAIL(list, watch, list);
	watch->in = list;
}

struct job_watch *job_watch_new(struct job_table *table, const struct job_observer *observer)
{
	struct job_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->observer = *observer;
	watch->in = &table->waiting;
	TAILQ_INSERT_TAIL(watch->in, watch, list);
	return watch;
}

static void free_watch(struct job_watch *watch)
{
	TAILQ_REMOVE(watch->in, watch, list);
	free(watch);
}

void job_watch_cancel(struct job_watch *watch)
{
	if (!watch)
		return;
	watch->cancelled = true;
	if (!watch->calls)
		free_watch(watch);
}

static void leave_call(struct job_watch *watch)
{
	if (--watch->calls == 0 && watch->cancelled)
		free_watch(watch);
}

void job_watch_hold(struct job_watch *watch)
{
	watch->calls++;
}

struct job_watch *job_watch_release(struct job_watch *watch)
{
	struct job_watch *alive = watch->cancelled ? NULL : watch;

	leave_call(watch);
	return alive;
}

bool job_watch_is_durable(const struct job_watch *watch)
{
	return watch && watch->observer.durable;
}

void job_watch_admitted(struct job_watch *watch, const char *id, size_t captures)
{
	if (!watch || watch->cancelled || !watch->observer.admitted)
		return;
	watch->calls++;
	watch->observer.admitted(watch->observer.ctx, id, captures);
	leave_call(watch);
}

void job_watch_event(struct job_watch *watch, const struct event *event, const char *json)
{
	if (!watch || watch->cancelled || !watch->observer.event)
		return;
	watch->calls++;
	watch->observer.event(watch->observer.ctx, event, json);
	leave_call(watch);
}

void job_watch_finish(struct job_watch *watch, enum job_outcome outcome)
{
	if (!watch || watch->cancelled)
		return;
	watch->calls++;
	watch->cancelled = true; /* no call follows */
	if (watch->observer.finished)
		watch->observer.finished(watch->observer.ctx, outcome);
	leave_call(watch);
}

/* --- jobs --- */

static struct job **bucket_of(struct job_table *table, const char *id)
{
	return &table->buckets[hash_text(id) % BUCKETS];
}

void *job_owner(const struct job *job)
{
	return job->owner;
}

struct job *job_new(struct job_table *table, struct request *request, void *owner)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	struct job **bucket = bucket_of(table, request->id);
	job->table = table;
	job->owner = owner;
	job->request = request_ref(request);
	job->chain = *bucket;
	*bucket = job;
	LIST_INSERT_HEAD(&table->jobs, job, list);
	TAILQ_INIT(&job->watches);
	return job;
}

struct job *job_find(const struct job_table *table, const char *id)
{
	struct job *job = table->buckets[hash_text(id) % BUCKETS];

	while (job && strcmp(job->request->id, id) != 0)
		job = job->chain;
	return job;
}

void job_add_watch(struct job *job, struct job_watch *watch)
{
	move_watch(watch, &job->watches);
}

void job_add_capture(struct job *job, struct capture *capture)
{
	capture_set_next(capture, job->captures);
	job->captures = capture;
	job->capture_count++;
}

void job_remove_capture(struct job *job, const struct capture *capture)
{
	job->capture_count--;
	if (job->captures == capture) {
		job->captures = capture_next(capture);
		return;
	}
	struct capture *before = job->captures;
	while (capture_next(before) != capture)
		before = capture_next(before);
	capture_set_next(before, capture_next(capture));
}

unsigned job_next_number(struct job *job)
{
	return ++job->last_number;
}

struct follower *job_follower(const struct job *job)
{
	return job->follower;
}

void job_set_follower(struct job *job, struct follower *follower)
{
	job->follower = follower;
}

void job_end(struct job *job)
{
	struct job **at = bucket_of(job->table, job->request->id);

	while (*at != job)
		at = &(*at)->chain;
	*at = job->chain;
	LIST_REMOVE(job, list);
	struct job_watch *watch;
	while ((watch = TAILQ_FIRST(&job->watches))) {
		move_watch(watch, &job->table->waiting); /* a call to the observer may be under way */
		job_watch_finish(watch, job->put_off ? JOB_PUT_OFF : JOB_FINISHED);
	}
	request_unref(job->request);
	free(job);
}

void job_notify(struct job *job, const struct event *event, const char *json)
{
	struct job_watch *next;

	job->answered = true;
	for (struct job_watch *watch = TAILQ_FIRST(&job->watches); watch; watch = next) {
		watch->calls++; /* keeps it in the list */
		job_watch_event(watch, event, json);
		next = TAILQ_NEXT(watch, list);
		leave_call(watch);
	}
}

bool job_is_durable(const struct job *job)
{
	const struct job_watch *watch;

	TAILQ_FOREACH(watch, &job->watches, list)
	{
		if (watch->observer.durable)
			return true;
	}
	return false;
}

bool job_put_off(struct job *job)
{
	const struct job_watch *watch;
	bool durable = !TAILQ_EMPTY(&job->watches);

	TAILQ_FOREACH(watch, &job->watches, list)
	durable &= watch->observer.durable;
	job->put_off |= durable && !job->answered;
	return job->put_off;
}

bool job_is_put_off(const struct job *job)
{
	return job->put_off;
}

void job_set_charge(struct job *job, size_t bytes)
{
	job->charged_bytes = bytes;
}

size_t job_charge(const struct job *job)
{
	return job->charged_bytes;
}

struct request *job_request(const struct job *job)
{
	return job->request;
}

struct capture *job_captures(const struct job *job)
{
	return job->captures;
}

size_t job_capture_count(const struct job *job)
{
	return job->capture_count;
}

struct job *job_first(const struct job_table *table)
{
	return LIST_FIRST(&table->jobs);
}

struct job *job_next(const struct job *job)
{
	return LIST_NEXT(job, list);
}
