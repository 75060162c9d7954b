/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs and their watches: who hears what, and that nobody is called who does not want to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "job/job.h"

struct ear {
	unsigned admitted, events, overs;
	size_t captures;
	enum job_end end;
	struct job_watch *cancel_in_event; /* whom it cancels when it hears something */
};

static void admitted(void *ctx, const char *id, size_t captures)
{
	struct ear *ear = ctx;
	assert_string_equal(id, "a");
	ear->admitted++;
	ear->captures = captures;
}

static void heard(void *ctx, const struct event *event, const char *json)
{
	struct ear *ear = ctx;
	assert_string_equal(json, "{}");
	assert_int_equal(event->kind, EVENT_DONE);
	ear->events++;
	job_watch_cancel(take(ear->cancel_in_event));
}

static void over(void *ctx, enum job_end end)
{
	struct ear *ear = ctx;
	ear->overs++;
	ear->end = end;
}

static struct job_watch *listen_to(struct job_table *table, struct ear *ear)
{
	const struct job_observer observer = {.admitted = admitted, .event = heard, .over = over, .ctx = ear};
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

static void jobs_are_found_by_their_requests_id(void **state)
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

static void every_watch_hears_events_and_the_end_once(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct ear one = {0}, two = {0}, stranger = {0};
	(void)state;
	struct job *job = make_job(table, "a"), *other = make_job(table, "b");
	struct job_watch *watch = listen_to(table, &one);
	job_watch_admitted(watch, "a", 3);
	job_add_watch(job, watch);
	job_add_watch(job, listen_to(table, &two));
	job_add_watch(other, listen_to(table, &stranger));
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(one.admitted, 1);
	assert_int_equal(one.captures, 3);
	assert_int_equal(one.events, 1);
	assert_int_equal(two.events, 1);
	assert_int_equal(one.overs, 1);
	assert_int_equal(two.overs, 1);
	assert_int_equal(two.end, JOB_OVER);
	assert_int_equal(stranger.events + stranger.overs, 0);
	job_end(other);
	assert_int_equal(stranger.overs, 1);
}

static void a_cancelled_watch_hears_nothing(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct ear ear = {0};
	(void)state;
	struct job *job = make_job(table, "a");
	struct job_watch *watch = listen_to(table, &ear);
	job_add_watch(job, watch);
	job_watch_cancel(watch);
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(ear.events + ear.overs, 0);
}

static void watches_may_be_cancelled_from_within_a_call(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct ear ears[3] = {0};
	struct job_watch *watches[3];
	(void)state;
	struct job *job = make_job(table, "a");
	for (size_t i = 0; i < 3; i++) {
		watches[i] = listen_to(table, &ears[i]);
		job_add_watch(job, watches[i]);
	}
	ears[0].cancel_in_event = watches[1]; /* the next in line */
	ears[2].cancel_in_event = watches[2]; /* itself */
	job_notify(job, &done, "{}");
	job_notify(job, &done, "{}");
	job_end(job);
	assert_int_equal(ears[0].events, 2);
	assert_int_equal(ears[0].overs, 1);
	assert_int_equal(ears[1].events + ears[1].overs, 0);
	assert_int_equal(ears[2].events, 1);
	assert_int_equal(ears[2].overs, 0);
}

static void who_is_durable_is_known(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	const struct job_observer durable = {.durable = true};
	struct ear ear = {0};
	(void)state;
	struct job *job = make_job(table, "a");
	struct job_watch *watch = job_watch_new(table, &durable), *other = listen_to(table, &ear);
	assert_true(job_watch_is_durable(watch));
	assert_false(job_watch_is_durable(other));
	assert_false(job_watch_is_durable(NULL));
	job_add_watch(job, other);
	assert_false(job_is_durable(job));
	job_add_watch(job, watch);
	assert_true(job_is_durable(job));
	job_end(job);
}

static void a_watch_without_a_job_can_be_told_of_its_end(void **state)
{
	cleanup(cleanup_job_table) struct job_table *table = job_table_new();
	struct ear ear = {0};
	(void)state;
	struct job_watch *watch = listen_to(table, &ear);
	job_watch_event(watch, &done, "{}");
	job_watch_over(watch, JOB_REFUSED);
	assert_int_equal(ear.events, 1);
	assert_int_equal(ear.overs, 1);
	assert_int_equal(ear.end, JOB_REFUSED);
	job_watch_event(NULL, &done, "{}"); /* nobody asked */
	job_watch_over(NULL, JOB_OVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_are_found_by_their_requests_id),
		cmocka_unit_test(every_watch_hears_events_and_the_end_once),
		cmocka_unit_test(a_cancelled_watch_hears_nothing),
		cmocka_unit_test(watches_may_be_cancelled_from_within_a_call),
		cmocka_unit_test(who_is_durable_is_known),
		cmocka_unit_test(a_watch_without_a_job_can_be_told_of_its_end),
	};
	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
