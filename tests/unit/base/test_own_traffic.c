/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's own connections as a filter. Fake getsockname() and getpeername() return the addresses; no test connects
 * anywhere.
 */
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
	const char *address; /* NULL: none, as at the remote end of an unconnected socket */
	unsigned port;
};

static struct end local, remote;
static unsigned notified;

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

/* These replace libc's. */
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

static void notify(void *ctx)
{
	assert_ptr_equal(ctx, &notified);
	notified++;
}

static void connect_to(const char *from, const char *to, unsigned port)
{
	local = (struct end){from, 40000};
	remote = (struct end){to, port};
	own_traffic_add(3);
}

static void test_each_address_pair_is_in_the_filter_once(void **state)
{
	char text[OWN_TRAFFIC_TEXT_SIZE];

	(void)state;
	assert_string_equal(own_traffic_filter(text), "");
	own_traffic_watch(notify, &notified);
	connect_to("10.0.0.1", NULL, 0);
	assert_int_equal(notified, 0);
	connect_to("10.0.0.1", "10.0.0.2", 6379);
	connect_to("10.0.0.1", "10.0.0.2", 6379);
	assert_int_equal(notified, 1);
	assert_string_equal(own_traffic_filter(text), "(tcp port 6379 and host 10.0.0.2 and host 10.0.0.1)");
	connect_to("10.0.0.1", "10.0.0.2", 6380);
	connect_to("::ffff:10.0.0.1", "::ffff:10.0.0.2", 6380); /* the same pair, IPv4-mapped */
	assert_int_equal(notified, 2);
	connect_to("2001:db8::1", "2001:db8::2", 443);
	assert_int_equal(notified, 3);
	assert_string_equal(own_traffic_filter(text), "(tcp port 6379 and host 10.0.0.2 and host 10.0.0.1) or "
						      "(tcp port 6380 and host 10.0.0.2 and host 10.0.0.1) or "
						      "(tcp port 443 and host 2001:db8::2 and host 2001:db8::1)");
}

static void test_longest_pairs_fit_and_oldest_are_dropped(void **state)
{
	char text[OWN_TRAFFIC_TEXT_SIZE], address[64];

	(void)state;
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
		cmocka_unit_test(test_each_address_pair_is_in_the_filter_once),
		cmocka_unit_test(test_longest_pairs_fit_and_oldest_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
