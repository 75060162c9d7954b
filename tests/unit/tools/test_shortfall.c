/* SPDX-License-Identifier: BSD-2-Clause */
/* Which events are less than what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/cli/request_build.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/shortfall.h"

#define DONE "{\"event\":\"done\",\"packets\":1,"

static const struct {
	const char *event;
	bool cut_short, incomplete;
	enum exit_status status;
} cases[] = {
	{DONE "\"reason\":\"packets\"}", false, false, STATUS_OK},
	{DONE "\"reason\":\"timeout\",\"window\":{\"complete\":true}}", false, false, STATUS_OK},
	{DONE "\"reason\":\"empty\",\"ended_by\":\"timeout\"}", false, false, STATUS_EMPTY},
	{DONE "\"reason\":\"memory\",\"limit\":{\"key\":\"limits.memory\",\"value\":5}}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"memory\"}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"packets\",\"limit\":{\"key\":\"general.maxpackets\",\"value\":5}}", true, false,
	 STATUS_PARTIAL},
	{DONE "\"reason\":\"interface-gone\"}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"empty\",\"ended_by\":\"interface-gone\"}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"shutdown\"}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"stopped\"}", true, false, STATUS_PARTIAL},
	{DONE "\"reason\":\"timeout\",\"window\":{\"complete\":false}}", false, true, STATUS_PARTIAL},
	{DONE "\"reason\":\"timeout\",\"skipped\":[{\"interface\":\"tun0\"}]}", false, true, STATUS_PARTIAL},
	{"{\"event\":\"done\",\"reason\":\"folded\"}", false, false, STATUS_PARTIAL},
	{"{\"event\":\"rejected\",\"reason\":\"stopped\"}", false, false, STATUS_FAILED},
};

static void test_only_what_was_asked_for_is_success(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup(cleanup_json) json_t *event = json_loads(cases[i].event, 0, NULL);
		cleanup(cleanup_json) json_t *events = json_pack("[O]", event);

		assert_non_null(events);
		assert_int_equal(event_is_cut_short(event, false), cases[i].cut_short);
		assert_int_equal(event_is_incomplete(event), cases[i].incomplete);
		assert_int_equal(results_status(events, &(struct results_view){0}), cases[i].status);
	}
}

static void test_a_capture_that_was_stopped_here_is_success(void **state)
{
	cleanup(cleanup_json) json_t *events = json_loads("[" DONE "\"reason\":\"stopped\"}]", 0, NULL);

	(void)state;
	assert_int_equal(results_status(events, &(struct results_view){.stopped_here = true}), STATUS_OK);
}

static void test_one_that_is_short_makes_all_partial(void **state)
{
	cleanup(cleanup_json) json_t *events =
		json_loads("[" DONE "\"reason\":\"packets\"}," DONE "\"reason\":\"memory\"}]", 0, NULL);

	(void)state;
	assert_int_equal(results_status(events, &(struct results_view){0}), STATUS_PARTIAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_was_asked_for_is_success),
		cmocka_unit_test(test_a_capture_that_was_stopped_here_is_success),
		cmocka_unit_test(test_one_that_is_short_makes_all_partial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
