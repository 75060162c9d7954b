/* SPDX-License-Identifier: BSD-2-Clause */
/* getaddrinfo() is replaced by a name server that never answers until it is released. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_lookup.h"

static sem_t released;
static atomic_uint asked;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	(void)name;
	(void)service;
	(void)hints;
	(void)result;
	atomic_fetch_add(&asked, 1);
	while (sem_wait(&released) < 0)
		;
	return EAI_NONAME;
}

static void *compile_slow(void *ctx)
{
	struct filter *filter = NULL;

	*(int *)ctx = filter_compile("host 1.slow.example", LINKTYPE_ETHERNET, NULL, &filter);
	return NULL;
}

static void test_lookups_have_a_deadline_and_a_bound(void **state)
{
	pthread_t threads[FILTER_LOOKUPS_MAX];
	int results[FILTER_LOOKUPS_MAX];
	struct filter *filter = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < FILTER_LOOKUPS_MAX; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, compile_slow, &results[i]), 0);
	while (atomic_load(&asked) < FILTER_LOOKUPS_MAX)
		sched_yield();
	assert_int_equal(filter_compile("host 2.slow.example", LINKTYPE_ETHERNET, &err, &filter), -EAGAIN);
	assert_int_equal(filter_compile("host 10.0.0.1", LINKTYPE_ETHERNET, &err, &filter), 0); /* not delayed */
	filter_free(filter);
	for (size_t i = 0; i < FILTER_LOOKUPS_MAX; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(results[i], -ETIMEDOUT);
	}
	/* Those given up on still count, until their name server answers. */
	assert_int_equal(filter_compile("host 2.slow.example", LINKTYPE_ETHERNET, &err, &filter), -EAGAIN);
	for (size_t i = 0; i < 1000; i++)
		sem_post(&released);
	int r;
	while ((r = filter_compile("host 2.slow.example", LINKTYPE_ETHERNET, &err, &filter)) == -EAGAIN)
		sched_yield();
	assert_int_equal(r, -EINVAL);
	assert_non_null(strstr(err.text, "2.slow.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups_have_a_deadline_and_a_bound),
	};

	sem_init(&released, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
