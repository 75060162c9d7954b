/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/connection_slots.h"

static void test_slots_of_one_network_are_limited(void **state)
{
	cleanup(cleanup_connection_slots) struct connection_slots *slots = connection_slots_new(4, 2);
	struct connection_slot *first, *second;
	bool full;

	(void)state;
	assert_non_null(slots);
	assert_non_null(first = connection_slots_take(slots, "192.0.2.1", &full));
	assert_non_null(second = connection_slots_take(slots, "192.0.2.1", &full));
	assert_null(connection_slots_take(slots, "192.0.2.1", &full));
	assert_true(full);
	assert_non_null(connection_slots_take(slots, "192.0.2.2", &full));
	connection_slot_release(first);
	assert_non_null(connection_slots_take(slots, "192.0.2.1", &full));
	assert_non_null(connection_slots_take(slots, "192.0.2.3", &full));
	assert_null(connection_slots_take(slots, "192.0.2.4", &full));
	assert_false(full);
	connection_slot_release(second);
}

static void test_slot_is_free_when_both_holders_have_let_it_go(void **state)
{
	cleanup(cleanup_connection_slots) struct connection_slots *slots = connection_slots_new(1, 1);
	struct connection_slot *slot;
	bool full;

	(void)state;
	assert_non_null(slots);
	assert_non_null(slot = connection_slots_take(slots, "a", &full));
	connection_slot_hold(slot);
	connection_slot_release(slot);
	assert_null(connection_slots_take(slots, "b", &full));
	connection_slot_release(slot);
	assert_non_null(connection_slots_take(slots, "b", &full));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_of_one_network_are_limited),
		cmocka_unit_test(test_slot_is_free_when_both_holders_have_let_it_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
