/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs and their watches: which observer gets what, and that a cancelled one gets nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "job/job.h"

struct watch_log {
	unsigned admitted, events, finished;
	size_t captures;
	enum job_outcome outcome;
	struct job_watch *cancel_in_event; /* the watch to cancel in the event callback */
};

static void on_admitted(void *ctx, const char *id, size_t captures)
{
	struct watch_log *log = ctx;

	assert_string_equal(id, "a");
	log->admitted++;
	log->captures = captures;
}

static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct watch_log *log = ctx;

	assert_string_equal(json, "{}");
	assert_int_equal(event->kind, EVENT_DONE);
	log->events++;
	job_watch_cancel(take(log->cancel_in_event));
}

static void on_finished(void *ctx, enum job_outcome outcome)
{
	struct watch_log *log = ctx;

	log->finished++;
	log->outcome = outcome;
}

static struct job_watch *new_watch(struct job_table *table, struct watch_log *log)
{
	const struct job_observer observer = {.admitted = on_admitted,
					      .event = on_event,
					      .finished = on_finished,
					      .ctx = log};
	struct job_watch *watch = job_watch_new(table, &observer);

	assert_non_null(watch);
	return watch;
}

static struct request *make_request(const char *id)
{
	struct request *request = calloc(1, sizeof(*request));

	request->references = 1;
	snprintf(request->id, sizeof(request->id), "%s", id);
	return request;
}

static struct job *make_job(struct job_table *table, const char *id)
{
	cleanup(cleanup_request) struct request *request = make_request(id);
	struct job *job = job_new(table, request, NULL);

	assert_non_null(job);
	return job;
}

static const struct event done = {.kind = EVENT_DONE};

static void test_jobs_are_found_by_request_id(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();

	(void)state;
	struct job *a = make_job(table, "a"), *b = make_job(table, "b");
	assert_ptr_equal(job_find(table, "a"), a);
	assert_ptr_equal(job_find(table, "b"), b);
	assert_null(job_find(table, "c"));
	job_end(a);
	assert_null(job_find(table, "a"));
	assert_ptr_equal(job_first(table), b);
	assert_null(job_next(b));
	job_end(b);
	assert_null(job_first(table));
}

static void test_every_watch_gets_each_event_and_the_end_once(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct watch_log one = {0}, two = {0}, unrelated = {0};

	(void)state;
	struct job *job = make_job(table, "a"), *other = make_job(table, "b");
	struct job_watch *watch = new_watch(table, &one);
	job_watch_admitted(watch, "a", 3);
	job_add_watch(job, watch);
	job_add_watch(job, new_watch(table, &two));
	job_add_watch(other, new_watch(table, &unrelated));
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(one.admitted, 1);
	assert_int_equal(one.captures, 3);
	assert_int_equal(one.events, 1);
	assert_int_equal(two.events, 1);
	assert_int_equal(one.finished, 1);
	assert_int_equal(two.finished, 1);
	assert_int_equal(two.outcome, JOB_FINISHED);
	assert_int_equal(unrelated.events + unrelated.finished, 0);
	job_end(other);
	assert_int_equal(unrelated.finished, 1);
}

static void test_cancelled_watch_gets_nothing(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct watch_log log = {0};

	(void)state;
	struct job *job = make_job(table, "a");
	struct job_watch *watch = new_watch(table, &log);
	job_add_watch(job, watch);
	job_watch_cancel(watch);
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(log.events + log.finished, 0);
}

static void test_watches_may_be_cancelled_in_a_callback(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct watch_log logs[3] = {0};
	struct job_watch *watches[3];

	(void)state;
	struct job *job = make_job(table, "a");
	for (size_t i = 0; i < 3; i++) {
		watches[i] = new_watch(table, &logs[i]);
		job_add_watch(job, watches[i]);
	}
	logs[0].cancel_in_event = watches[1]; /* the next in line */
	logs[2].cancel_in_event = watches[2]; /* itself */
	job_notify(job, &done, "{}");
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(logs[0].events, 2);
	assert_int_equal(logs[0].finished, 1);
	assert_int_equal(logs[1].events + logs[1].finished, 0);
	assert_int_equal(logs[2].events, 1);
	assert_int_equal(logs[2].finished, 0);
}

static void test_durable_watch_makes_its_job_durable(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	const struct job_observer durable = {.durable = true};
	struct watch_log log = {0};

	(void)state;
	struct job *job = make_job(table, "a");
	struct job_watch *watch = job_watch_new(table, &durable), *other = new_watch(table, &log);
	assert_true(job_watch_is_durable(watch));
	assert_false(job_watch_is_durable(other));
	assert_false(job_watch_is_durable(NULL));
	job_add_watch(job, other);
	assert_false(job_is_durable(job));
	job_add_watch(job, watch);
	assert_true(job_is_durable(job));
	job_end(job);
}

static void test_watch_without_a_job_can_be_ended(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct watch_log log = {0};

	(void)state;
	struct job_watch *watch = new_watch(table, &log);
	job_watch_event(watch, &done, "{}");
	job_watch_finish(watch, JOB_REFUSED);
	assert_int_equal(log.events, 1);
	assert_int_equal(log.finished, 1);
	assert_int_equal(log.outcome, JOB_REFUSED);
	job_watch_event(NULL, &done, "{}"); /* no watch */
	job_watch_finish(NULL, JOB_FINISHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_are_found_by_request_id),
		cmocka_unit_test(test_every_watch_gets_each_event_and_the_end_once),
		cmocka_unit_test(test_cancelled_watch_gets_nothing),
		cmocka_unit_test(test_watches_may_be_cancelled_in_a_callback),
		cmocka_unit_test(test_durable_watch_makes_its_job_durable),
		cmocka_unit_test(test_watch_without_a_job_can_be_ended),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
