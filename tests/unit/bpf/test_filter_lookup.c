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

static void test_words_are_judged_as_libpcap_scans_them(void **state)
{
	static const char *const names[] = {
		"host 1.slow.example",
		"host 10.0.0.1.example",
		"host 1-2",
		"host 10.0.0.1a",
		"host 0xyz",
		"host 12e",
		"net 10.slow",
		"src 1.2.3.4.5",
		"host example",
		"host TCP",
		"host tcp-server.example",
		"host icmp-x",
		"host \\tcp",
		"port http",
		"portrange 1-http",
		"tcp and host 4you",
		"ether host 1-2-3-4-5",
		"host 1.2.3.4 or host 1.x",
		"host gre",
		"host 1_2",
	};
	static const char *const others[] = {
		"",
		"host 10.0.0.1",
		"net 10.1/16 and not host 10.1.2.3",
		"net 10",
		"host fe80::1",
		"host ::ffff:10.0.0.1",
		"ether host 00:11:22:aa:bb:cc",
		"ether host 00-11-22-aa-bb-cc",
		"ether host 0011.22aa.bbcc",
		"portrange 1-2 or port 53",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"icmp[icmptype] = icmp-echo",
		"ip[0x2:2] > 0x10 and ether[0] & 1 = 0",
		"vlan 5 and (udp or icmp6)",
		"len <= 100 and greater 10",
		"tcp[0] - 1 > 2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!filter_may_resolve_names(names[i]))
			fail_msg("%s has a name", names[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (filter_may_resolve_names(others[i]))
			fail_msg("%s has no name", others[i]);
	assert_false(filter_may_resolve_names(NULL));
}

/* The judgement above, by libpcap: what has no name asks no server. */
static void test_expressions_without_names_ask_no_name_server(void **state)
{
	static const char *const expressions[] = {"host 10.0.0.1",
						  "net 10.1/16",
						  "ether host 0011.22aa.bbcc",
						  "portrange 1-2",
						  "len <= 100",
						  "ether host 00-11-22-aa-bb-cc",
						  "tcp[tcpflags] & tcp-syn != 0",
						  "host 10.1",
						  "net 10"};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		struct filter *filter = NULL;

		const int r = filter_compile(expressions[i], LINKTYPE_ETHERNET, &err, &filter);
		if (r != 0 && r != -EINVAL)
			fail_msg("%s: %s", expressions[i], err.text);
		filter_free(filter);
	}
	assert_int_equal(atomic_load(&asked), 0);
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
		cmocka_unit_test(test_words_are_judged_as_libpcap_scans_them),
		cmocka_unit_test(test_expressions_without_names_ask_no_name_server),
		cmocka_unit_test(test_lookups_have_a_deadline_and_a_bound),
	};

	sem_init(&released, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
