/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "http/http_slots.h"

static void test_slots_of_one_network_are_limited(void **state)
{
	cleanup(cleanup_http_slots) struct http_slots *slots = http_slots_new(4, 2);
	struct http_slot *first, *second;
	bool full;

	(void)state;
	assert_non_null(slots);
	assert_non_null(first = http_slots_take(slots, "192.0.2.1", &full));
	assert_non_null(second = http_slots_take(slots, "192.0.2.1", &full));
	assert_null(http_slots_take(slots, "192.0.2.1", &full));
	assert_true(full);
	assert_non_null(http_slots_take(slots, "192.0.2.2", &full));
	http_slot_release(first);
	assert_non_null(http_slots_take(slots, "192.0.2.1", &full));
	assert_non_null(http_slots_take(slots, "192.0.2.3", &full));
	assert_null(http_slots_take(slots, "192.0.2.4", &full));
	assert_false(full);
	http_slot_release(second);
}

static void test_slot_is_free_when_both_holders_have_let_it_go(void **state)
{
	cleanup(cleanup_http_slots) struct http_slots *slots = http_slots_new(1, 1);
	struct http_slot *slot;
	bool full;

	(void)state;
	assert_non_null(slots);
	assert_non_null(slot = http_slots_take(slots, "a", &full));
	http_slot_hold(slot);
	http_slot_release(slot);
	assert_null(http_slots_take(slots, "b", &full));
	http_slot_release(slot);
	assert_non_null(http_slots_take(slots, "b", &full));
}

static void test_ipv6_peers_count_by_their_network(void **state)
{
	static const struct {
		const char *address, *text, *network;
	} samples[] = {
		{"2001:db8:0:1:2:3:4:5", "tcp:2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"},
		{"2001:db8:0:1::9", "tcp:2001:db8:0:1::9", "2001:db8:0:1::/64"},
		{"2001:db8:0:2::9", "tcp:2001:db8:0:2::9", "2001:db8:0:2::/64"},
		{"::ffff:192.0.2.1", "tcp:::ffff:192.0.2.1", "::ffff:192.0.2.1"},
	};
	struct http_peer peer;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		struct sockaddr_in6 address = {.sin6_family = AF_INET6};

		assert_int_equal(inet_pton(AF_INET6, samples[i].address, &address.sin6_addr), 1);
		http_peer_address(&peer, (const struct sockaddr *)&address);
		assert_string_equal(peer.text, samples[i].text);
		assert_string_equal(peer.network, samples[i].network);
		assert_false(peer.allowed);
	}
}

static void test_ipv4_peers_count_by_their_address(void **state)
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct http_peer peer;

	(void)state;
	http_peer_address(&peer, (const struct sockaddr *)&address);
	assert_string_equal(peer.text, "tcp:192.0.2.1");
	assert_string_equal(peer.network, "192.0.2.1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_of_one_network_are_limited),
		cmocka_unit_test(test_slot_is_free_when_both_holders_have_let_it_go),
		cmocka_unit_test(test_ipv6_peers_count_by_their_network),
		cmocka_unit_test(test_ipv4_peers_count_by_their_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
