/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "net/peer_address.h"

static void test_ipv6_peers_count_by_their_network(void **state)
{
	static const struct {
		const char *address, *text, *network;
	} samples[] = {
		{"2001:db8:0:1:2:3:4:5", "2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"},
		{"2001:db8:0:1::9", "2001:db8:0:1::9", "2001:db8:0:1::/64"},
		{"2001:db8:0:2::9", "2001:db8:0:2::9", "2001:db8:0:2::/64"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
	};
	struct peer_address peer;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		struct sockaddr_in6 address = {.sin6_family = AF_INET6};

		assert_int_equal(inet_pton(AF_INET6, samples[i].address, &address.sin6_addr), 1);
		peer_address_read(&peer, (const struct sockaddr *)&address);
		assert_string_equal(peer.text, samples[i].text);
		assert_string_equal(peer.network, samples[i].network);
	}
}

static void test_ipv4_peers_count_by_their_address(void **state)
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct peer_address peer;

	(void)state;
	peer_address_read(&peer, (const struct sockaddr *)&address);
	assert_string_equal(peer.text, "192.0.2.1");
	assert_string_equal(peer.network, "192.0.2.1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv6_peers_count_by_their_network),
		cmocka_unit_test(test_ipv4_peers_count_by_their_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
