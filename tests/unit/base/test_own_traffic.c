/* SPDX-License-Identifier: BSD-2-Clause */
/* Own traffic as a filter. The addresses of sockets come from a table: no test opens one to anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/own_traffic.h"

struct end {
	const char *address; /* NULL: none, such as a socket that is not connected has none at the other end */
	unsigned port;
};

static struct end local, remote;
static unsigned told;

static int fill(const struct end *end, struct sockaddr *address, socklen_t *size)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)end->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)end->port)};
	if (!end->address) {
		errno = ENOTCONN;
		return -1;
	}
	if (inet_pton(AF_INET, end->address, &v4.sin_addr) == 1) {
		memcpy(address, &v4, sizeof(v4));
		*size = sizeof(v4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, end->address, &v6.sin6_addr), 1);
		memcpy(address, &v6, sizeof(v6));
		*size = sizeof(v6);
	}
	return 0;
}

/* In place of the C library's. */
int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *restrict size)
{
	(void)fd;
	return fill(&local, address.__sockaddr__, size);
}

int getpeername(int fd, __SOCKADDR_ARG address, socklen_t *restrict size)
{
	(void)fd;
	return fill(&remote, address.__sockaddr__, size);
}

static void tell(void *ctx)
{
	assert_ptr_equal(ctx, &told);
	told++;
}

static void connect_to(const char *from, const char *to, unsigned port)
{
	local = (struct end){from, 40000};
	remote = (struct end){to, port};
	own_traffic_add(3);
}

static void test_pairs_become_a_filter_each_once(void **state)
{
	(void)state;
	char text[OWN_TRAFFIC_TEXT_SIZE];
	assert_string_equal(own_traffic_filter(text), "");
	own_traffic_watch(tell, &told);
	connect_to("10.0.0.1", NULL, 0);
	assert_int_equal(told, 0);
	connect_to("10.0.0.1", "10.0.0.2", 6379);
	connect_to("10.0.0.1", "10.0.0.2", 6379);
	assert_int_equal(told, 1);
	assert_string_equal(own_traffic_filter(text), "(tcp port 6379 and host 10.0.0.2 and host 10.0.0.1)");
	connect_to("10.0.0.1", "10.0.0.2", 6380);
	connect_to("::ffff:10.0.0.1", "::ffff:10.0.0.2", 6380); /* the same in IPv6's clothes */
	assert_int_equal(told, 2);
	connect_to("2001:db8::1", "2001:db8::2", 443);
	assert_int_equal(told, 3);
	assert_string_equal(own_traffic_filter(text), "(tcp port 6379 and host 10.0.0.2 and host 10.0.0.1) or "
						      "(tcp port 6380 and host 10.0.0.2 and host 10.0.0.1) or "
						      "(tcp port 443 and host 2001:db8::2 and host 2001:db8::1)");
}

static void test_longest_pairs_fit_and_the_oldest_are_forgotten(void **state)
{
	(void)state;
	char text[OWN_TRAFFIC_TEXT_SIZE], address[64];
	own_traffic_watch(NULL, NULL);
	for (unsigned i = 0; i < OWN_TRAFFIC_MAX + 2; i++) {
		snprintf(address, sizeof(address), "2001:1db8:1111:2222:3333:4444:5555:%x", 0xa000 + i);
		connect_to("2001:1db8:1111:2222:3333:4444:5555:6666", address, 65535);
	}
	own_traffic_filter(text);
	unsigned pairs = 0;
	for (const char *at = text; (at = strstr(at, "tcp port")); at++)
		pairs++;
	assert_int_equal(pairs, OWN_TRAFFIC_MAX);
	assert_int_equal(text[strlen(text) - 1], ')');
	assert_null(strstr(text, "10.0.0.2"));
	assert_null(strstr(text, ":a001 "));
	assert_non_null(strstr(text, ":a002 "));
	assert_non_null(strstr(text, ":a011 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs_become_a_filter_each_once),
		cmocka_unit_test(test_longest_pairs_fit_and_the_oldest_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
