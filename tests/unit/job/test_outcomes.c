/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of what became of requests: each event counts where alerts look for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "event/event.h"
#include "job/outcomes.h"

static void test_refusals_count_by_reason(void **state)
{
	static const struct {
		int code;
		const char *field;
		enum refusal_class counted;
	} refusals[] = {
		{-EINVAL, "bpf", REFUSAL_INVALID},  {-EINVAL, "sig", REFUSAL_SIGNATURE},
		{-EACCES, NULL, REFUSAL_FORBIDDEN}, {-ENODEV, "interface", REFUSAL_INTERFACE},
		{-EDQUOT, NULL, REFUSAL_RATE},	    {-ENOSPC, NULL, REFUSAL_CAPTURES},
		{-ENOBUFS, NULL, REFUSAL_MEMORY},   {-EALREADY, NULL, REFUSAL_REPEATED},
		{-ESTALE, NULL, REFUSAL_LATE},	    {-ESHUTDOWN, NULL, REFUSAL_STOPPING},
		{-EREMOTEIO, NULL, REFUSAL_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		struct outcomes outcomes = {0};
		struct event event = {.kind = EVENT_REJECTED, .code = refusals[i].code, .field = refusals[i].field};

		outcomes_count(&outcomes, &event);
		event.suppressed = true;
		outcomes_count(&outcomes, &event);
		event.duplicate = true;
		outcomes_count(&outcomes, &event);
		for (int k = 0; k < REFUSAL_CLASSES; k++)
			assert_int_equal(outcomes.rejected[k], (enum refusal_class)k == refusals[i].counted ? 2 : 0);
	}
}

static void test_only_final_events_count_losses_and_deliveries(void **state)
{
	const struct event_destination destinations[] = {{.name = "cloudshark", .ok = true}, {.name = "local"}};
	struct event event = {
		.kind = EVENT_CAPTURED,
		.counted = true,
		.lost = {.kernel = 1, .evicted = 2, .memory = 3},
		.nic = {.rx_dropped = 4, .queue_drops = 5},
		.destinations = destinations,
		.destination_count = 2,
	};
	struct outcomes outcomes = {0};

	(void)state;
	outcomes_expect(&outcomes, "local");
	outcomes_count(&outcomes, &event);
	assert_int_equal(outcomes.incomplete, 0);
	event.kind = EVENT_FAILED;
	outcomes_count(&outcomes, &event);
	assert_int_equal(outcomes.incomplete, 1);
	assert_int_equal(outcomes.lost[LOSS_KERNEL], 1);
	assert_int_equal(outcomes.lost[LOSS_EVICTED], 2);
	assert_int_equal(outcomes.lost[LOSS_MEMORY], 3);
	assert_int_equal(outcomes.lost[LOSS_NIC], 9);
	assert_int_equal(outcomes.destination_count, 2);
	assert_string_equal(outcomes.destinations[0].name, "local");
	assert_int_equal(outcomes.destinations[0].failed, 1);
	assert_int_equal(outcomes.destinations[1].delivered, 1);
	event = (struct event){.kind = EVENT_DONE, .folded_into = "a"};
	outcomes_count(&outcomes, &event);
	assert_int_equal(outcomes.folded, 1);
	assert_int_equal(outcomes.incomplete, 1);
}

static void test_destinations_beyond_the_slots_are_not_counted(void **state)
{
	struct outcomes outcomes = {0};
	char name[OUTCOME_NAME_SIZE + 1];

	(void)state;
	for (int i = 0; i < OUTCOME_DESTINATIONS_MAX + 2; i++) {
		snprintf(name, sizeof(name), "%d", i);
		outcomes_expect(&outcomes, name);
	}
	assert_int_equal(outcomes.destination_count, OUTCOME_DESTINATIONS_MAX);
	memset(name, 'x', OUTCOME_NAME_SIZE);
	name[OUTCOME_NAME_SIZE] = '\0';
	outcomes.destination_count = 0;
	outcomes_expect(&outcomes, name);
	assert_int_equal(outcomes.destination_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_count_by_reason),
		cmocka_unit_test(test_only_final_events_count_losses_and_deliveries),
		cmocka_unit_test(test_destinations_beyond_the_slots_are_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
