/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>

#include "capture/cpu_isolation.h"

/* A thread that runs until stopped. */
struct other {
	pthread_t thread;
	sem_t end;
};

static void *live(void *arg)
{
	struct other *other = arg;

	while (sem_wait(&other->end) < 0)
		;
	return NULL;
}

static void start(struct other *other)
{
	assert_int_equal(sem_init(&other->end, 0, 0), 0);
	assert_int_equal(pthread_create(&other->thread, NULL, live, other), 0);
}

static void stop(struct other *other)
{
	sem_post(&other->end);
	assert_int_equal(pthread_join(other->thread, NULL), 0);
	sem_destroy(&other->end);
}

static cpu_set_t cpus_of(pthread_t thread)
{
	cpu_set_t cpus;

	assert_int_equal(pthread_getaffinity_np(thread, sizeof(cpus), &cpus), 0);
	return cpus;
}

static void test_threads_move_to_other_cpus_if_there_are_any(void **state)
{
	struct cpu_isolation isolation;
	struct other others[2];

	(void)state;
	start(&others[0]);
	start(&others[1]);
	const cpu_set_t before = cpus_of(pthread_self());
	cpu_isolation_begin(&isolation);
	cpu_isolation_keep_off(&isolation, others[0].thread);
	cpu_isolation_keep_off(&isolation, others[1].thread);
	const cpu_set_t own = cpus_of(pthread_self());
	assert_int_equal(CPU_COUNT(&own), 1);
	assert_true(CPU_ISSET((size_t)sched_getcpu(), &own));
	for (size_t i = 0; i < 2; i++) {
		const cpu_set_t now = cpus_of(others[i].thread);
		cpu_set_t expected;

		CPU_XOR(&expected, &before, &own);
		assert_true(CPU_EQUAL(&now, CPU_COUNT(&before) > 1 ? &expected : &before));
	}
	cpu_isolation_end(&isolation);
	const cpu_set_t after = cpus_of(pthread_self());
	assert_true(CPU_EQUAL(&after, &before));
	for (size_t i = 0; i < 2; i++) {
		const cpu_set_t now = cpus_of(others[i].thread);

		assert_true(CPU_EQUAL(&now, &before));
		stop(&others[i]);
	}
}

/* As if an administrator had pinned it. */
static void test_thread_pinned_to_the_same_cpu_stays(void **state)
{
	struct cpu_isolation isolation;
	struct other other;

	(void)state;
	start(&other);
	cpu_isolation_begin(&isolation);
	const cpu_set_t own = cpus_of(pthread_self());
	assert_int_equal(pthread_setaffinity_np(other.thread, sizeof(own), &own), 0);
	cpu_isolation_keep_off(&isolation, other.thread);
	cpu_set_t now = cpus_of(other.thread);
	assert_true(CPU_EQUAL(&now, &own));
	cpu_isolation_end(&isolation);
	now = cpus_of(other.thread);
	assert_true(CPU_EQUAL(&now, &own));
	stop(&other);
}

static void test_affinity_masks_are_restored(void **state)
{
	struct cpu_isolation isolation;
	struct other other;
	const cpu_set_t before = cpus_of(pthread_self());
	cpu_set_t own;

	(void)state;
	CPU_ZERO(&own);
	CPU_SET((size_t)sched_getcpu(), &own);
	assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof(own), &own), 0);
	start(&other); /* inherits it */
	assert_int_equal(pthread_setaffinity_np(other.thread, sizeof(before), &before), 0);
	cpu_isolation_begin(&isolation);
	cpu_isolation_keep_off(&isolation, other.thread);
	cpu_isolation_end(&isolation);
	cpu_set_t now = cpus_of(pthread_self());
	assert_true(CPU_EQUAL(&now, &own));
	now = cpus_of(other.thread);
	assert_true(CPU_EQUAL(&now, &before));
	stop(&other);
	assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof(before), &before), 0);
}

static void test_threads_beyond_the_cap_are_left_alone(void **state)
{
	struct cpu_isolation isolation;
	struct other others[CPU_ISOLATION_MAX + 1];
	const cpu_set_t before = cpus_of(pthread_self());

	(void)state;
	for (size_t i = 0; i <= CPU_ISOLATION_MAX; i++)
		start(&others[i]);
	cpu_isolation_begin(&isolation);
	for (size_t i = 0; i <= CPU_ISOLATION_MAX; i++)
		cpu_isolation_keep_off(&isolation, others[i].thread);
	const cpu_set_t last = cpus_of(others[CPU_ISOLATION_MAX].thread);
	assert_true(CPU_EQUAL(&last, &before));
	cpu_isolation_end(&isolation);
	for (size_t i = 0; i <= CPU_ISOLATION_MAX; i++) {
		const cpu_set_t now = cpus_of(others[i].thread);

		assert_true(CPU_EQUAL(&now, &before));
		stop(&others[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_move_to_other_cpus_if_there_are_any),
		cmocka_unit_test(test_thread_pinned_to_the_same_cpu_stays),
		cmocka_unit_test(test_affinity_masks_are_restored),
		cmocka_unit_test(test_threads_beyond_the_cap_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
