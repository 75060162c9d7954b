/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/container_of.h"
#include "base/offload.h"

static struct event_base *loop;
static pthread_t loop_thread;
static unsigned done_count, done_wanted;

struct job {
	struct offload_task task;
	sem_t *started, *proceed; /* NULL: does not wait */
	unsigned ran, done;
	char thread_name[16];
	bool on_loop, signals_blocked;
};

static void run(struct offload_task *task)
{
	struct job *job = container_of(task, struct job, task);
	sigset_t mask;

	if (job->started)
		sem_post(job->started);
	if (job->proceed)
		while (sem_wait(job->proceed) < 0)
			;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	job->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
	pthread_getname_np(pthread_self(), job->thread_name, sizeof(job->thread_name));
	job->on_loop = pthread_equal(pthread_self(), loop_thread);
	job->ran++;
}

static void done(struct offload_task *task)
{
	struct job *job = container_of(task, struct job, task);

	assert_true(pthread_equal(pthread_self(), loop_thread));
	assert_int_equal(job->ran, job->done + 1);
	job->done++;
	if (++done_count == done_wanted)
		event_base_loopbreak(loop);
}

#define JOB(...)                                                \
	{                                                       \
		.task = {.run = run, .done = done}, __VA_ARGS__ \
	}

static void dispatch_until(unsigned wanted)
{
	done_wanted = wanted;
	if (done_count < wanted)
		event_base_dispatch(loop);
}

static int set_up(void **state)
{
	(void)state;
	loop = event_base_new();
	loop_thread = pthread_self();
	done_count = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_base_free(loop);
	return 0;
}

static unsigned threads_of_process(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void test_task_runs_on_a_thread_and_completes_on_the_loop(void **state)
{
	cleanup(cleanup_offload) struct offload *offload = offload_new(loop, "a-name-that-is-too-long", 2, 10);
	struct job job = JOB();
	sigset_t before, after;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(offload_submit(offload, &job.task), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	dispatch_until(1);
	assert_int_equal(job.done, 1);
	assert_false(job.on_loop);
	assert_true(job.signals_blocked);
	assert_string_equal(job.thread_name, "a-name-that-is-");

	/* After done(), the task belongs to the caller again. */
	assert_int_equal(offload_submit(offload, &job.task), 0);
	dispatch_until(2);
	assert_int_equal(job.done, 2);
}

static void test_threads_start_with_the_first_task(void **state)
{
	unsigned before = threads_of_process();
	cleanup(cleanup_offload) struct offload *offload = offload_new(loop, "pool", 4, 10);
	struct job job = JOB();

	(void)state;
	assert_int_equal(threads_of_process(), before);
	assert_int_equal(offload_submit(offload, &job.task), 0);
	assert_int_equal(threads_of_process(), before + 1);
	dispatch_until(1);
}

static void test_threads_run_in_parallel(void **state)
{
	cleanup(cleanup_offload) struct offload *offload = offload_new(loop, "pool", 3, 0);
	sem_t started, proceed;

	(void)state;
	sem_init(&started, 0, 0);
	sem_init(&proceed, 0, 0);
	struct job jobs[3] = {JOB(.started = &started, .proceed = &proceed),
			      JOB(.started = &started, .proceed = &proceed),
			      JOB(.started = &started, .proceed = &proceed)};
	for (int i = 0; i < 3; i++)
		assert_int_equal(offload_submit(offload, &jobs[i].task), 0);
	for (int i = 0; i < 3; i++) /* hangs unless all three run at once */
		sem_wait(&started);
	for (int i = 0; i < 3; i++)
		sem_post(&proceed);
	dispatch_until(3);
	assert_int_equal(jobs[0].done + jobs[1].done + jobs[2].done, 3);
}

static void test_queue_is_capped(void **state)
{
	cleanup(cleanup_offload) struct offload *offload = offload_new(loop, "pool", 1, 2);
	sem_t proceed;

	(void)state;
	sem_init(&proceed, 0, 0);
	struct job jobs[4] = {JOB(.proceed = &proceed), JOB(), JOB(), JOB()};
	/* One for the thread and two in the queue, whether or not the thread has taken its task. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(offload_submit(offload, &jobs[i].task), 0);
	assert_int_equal(offload_submit(offload, &jobs[3].task), -ENOBUFS);
	sem_post(&proceed);
	dispatch_until(3);
	assert_int_equal(jobs[3].ran, 0);
	assert_int_equal(offload_submit(offload, &jobs[3].task), 0);
	dispatch_until(4);
	assert_int_equal(jobs[3].done, 1);
}

static void test_free_runs_and_completes_every_task(void **state)
{
	struct offload *offload = offload_new(loop, "pool", 2, 1000);
	struct job jobs[500];

	(void)state;
	for (int i = 0; i < 500; i++) {
		jobs[i] = (struct job)JOB();
		assert_int_equal(offload_submit(offload, &jobs[i].task), 0);
	}
	offload_free(offload);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(jobs[i].ran, 1);
		assert_int_equal(jobs[i].done, 1);
	}
	offload_free(NULL);
}

static struct offload *ending;
static struct job late = JOB();
static int late_result;

static void submit_late(struct offload_task *task)
{
	(void)task;
	late_result = offload_submit(ending, &late.task);
}

static void test_no_task_is_accepted_during_free(void **state)
{
	struct job job = JOB();

	(void)state;
	ending = offload_new(loop, "pool", 1, 10);
	job.task.done = submit_late;
	assert_int_equal(offload_submit(ending, &job.task), 0);
	offload_free(ending);
	assert_int_equal(late_result, -EAGAIN);
	assert_int_equal(late.ran, 0);
}

static void test_no_task_is_accepted_without_threads(void **state)
{
	cleanup(cleanup_offload) struct offload *offload = offload_new(loop, "pool", 0, 10);
	struct job job = JOB();

	(void)state;
	assert_int_equal(offload_submit(offload, &job.task), -EAGAIN);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_task_runs_on_a_thread_and_completes_on_the_loop),
		test(test_threads_start_with_the_first_task),
		test(test_threads_run_in_parallel),
		test(test_queue_is_capped),
		test(test_free_runs_and_completes_every_task),
		test(test_no_task_is_accepted_during_free),
		test(test_no_task_is_accepted_without_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
