/* SPDX-License-Identifier: BSD-2-Clause */
/* Which nodes should answer, which did, and when the tally is complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>

#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_tally.h"

#define MS UINT64_C(1000000)

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

/* n1 and n2 are present, n3 is not. */
static json_t *three_nodes(void)
{
	return load("[{\"node\":\"n1\",\"seen\":100,\"presence\":{\"started\":\"a\"}},"
		    "{\"node\":\"n2\",\"seen\":100,\"presence\":{\"started\":\"b\"}},"
		    "{\"node\":\"n3\",\"seen\":1795423260,\"presence\":null}]");
}

static struct fleet_tally *new_tally(const char *request_text, bool durable)
{
	cleanup(cleanup_json) json_t *request = load(request_text);
	cleanup(cleanup_json) json_t *nodes = three_nodes();
	struct error err;
	struct fleet_tally *tally = fleet_tally_new(request, nodes, durable, &err);

	if (!tally)
		fail_msg("%s", err.text);
	return tally;
}

static struct fleet_tally *tally_of(const char *request_text)
{
	return new_tally(request_text, false);
}

static bool feed(struct fleet_tally *tally, uint64_t now_ns, const char *text)
{
	cleanup(cleanup_json) json_t *event = load(text);
	bool changed;

	assert_int_equal(fleet_tally_event(tally, event, now_ns, &changed), 0);
	return changed;
}

static void check_silent(const struct fleet_tally *tally, const char *expected)
{
	cleanup(cleanup_json) json_t *silent = fleet_tally_silent(tally, true);
	cleanup(cleanup_free) char *text = json_dumps(silent, JSON_COMPACT);

	assert_string_equal(text, expected);
}

static void test_nodes_are_selected_by_the_daemons_rules(void **state)
{
	static const struct {
		const char *request, *silent;
	} cases[] = {
		{"{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}", "[\"n1\",\"n2\",\"n3\"]"},
		{"{\"id\":\"r\",\"node\":\"n2\",\"interface\":[\"lo\"]}", "[\"n2\"]"},
		{"{\"id\":\"r\",\"node\":\"n\",\"interface\":[\"lo\"]}", "[]"},
		{"{\"id\":\"r\",\"nodere\":\"[13]$\",\"interface\":[\"lo\"]}", "[\"n1\",\"n3\"]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup(cleanup_fleet_tally) struct fleet_tally *tally = tally_of(cases[i].request);

		check_silent(tally, cases[i].silent);
	}
}

static void test_bad_expression_is_refused_before_sending(void **state)
{
	cleanup(cleanup_json) json_t *request = load("{\"id\":\"r\",\"nodere\":\"(\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *no_nodes = json_array();
	struct error err;

	(void)state;
	assert_null(fleet_tally_new(request, no_nodes, false, &err));
	assert_non_null(strstr(err.text, "--nodere: "));
}

static void test_tally_is_complete_when_each_capture_has_ended(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"nodere\":\"n[12]\",\"interface\":[\"a\",\"b\",\"a\"]}");

	(void)state;
	assert_true(feed(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}"));
	assert_false(fleet_tally_answered(tally)); /* one more capture, and another node */
	assert_true(feed(tally, 2,
			 "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\",\"packets\":5,"
			 "\"bytes\":50}"));
	assert_false(fleet_tally_complete(tally, 3));
	assert_true(feed(tally, 3, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"failed\",\"capture\":\"r.2\"}"));
	assert_true(fleet_tally_complete(tally, 3));
	assert_false(fleet_tally_answered(tally));
	assert_true(feed(tally, 4, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"rejected\",\"reason\":\"no\"}"));
	assert_true(fleet_tally_answered(tally));
	assert_true(fleet_tally_complete(tally, 4));
	assert_int_equal(fleet_tally_counts(tally).packets, 5);
	assert_int_equal(fleet_tally_counts(tally).ended, 3);
	check_silent(tally, "[]");
}

static void test_unknown_number_of_captures_waits_for_stragglers(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"n1\",\"alias\":[\"main\"]}");

	(void)state;
	feed(tally, 10 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}");
	assert_false(fleet_tally_complete(tally, 11 * MS));
	assert_true(fleet_tally_complete(tally, 10 * MS + FLEET_SETTLE_NS));
	feed(tally, 20 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.2\"}");
	assert_false(fleet_tally_complete(tally, 20 * MS + 2 * FLEET_SETTLE_NS));
}

static void test_names_of_one_device_make_one_capture(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"n1\",\"interface\":[\"eth0\",\"uplink\"]}");

	(void)state;
	feed(tally, 10 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}");
	assert_false(fleet_tally_complete(tally, 10 * MS + FLEET_SETTLE_NS));
	assert_true(fleet_tally_complete(tally, 10 * MS + FLEET_SETTLE_NAMED_NS));
	feed(tally, 20 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.2\"}");
	assert_true(fleet_tally_complete(tally, 20 * MS));
}

static void test_repeated_and_unrelated_events_change_nothing(void **state)
{
	static const char done[] =
		"{\"id\":\"r\",\"node\":\"n9\",\"event\":\"done\",\"capture\":\"r.1\",\"packets\":5}";
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}");

	(void)state;
	assert_false(feed(tally, 1, "{\"id\":\"other\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}"));
	assert_false(feed(tally, 1, "{\"id\":5,\"node\":[],\"event\":{}}"));
	assert_true(feed(tally, 1, done)); /* a node not seen before */
	assert_false(feed(tally, 2, done));
	assert_false(feed(tally, 3, "{\"id\":\"r\",\"node\":\"n9\",\"event\":\"accepted\",\"capture\":\"r.1\"}"));
	assert_int_equal(fleet_tally_counts(tally).packets, 5);
	check_silent(tally, "[\"n1\",\"n2\",\"n3\"]");
}

static void test_node_that_leaves_or_restarts_is_not_waited_for(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *later =
		load("[{\"node\":\"n2\",\"seen\":1795423270,\"presence\":{\"started\":\"c\"}},"
		     "{\"node\":\"n1\",\"seen\":1795423271,\"presence\":null}]");
	cleanup(cleanup_json) json_t *same = three_nodes();
	char text[FLEET_SILENCE_TEXT_SIZE];

	(void)state;
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, same);
	assert_false(fleet_tally_complete(tally, 2));
	fleet_tally_presence(tally, later);
	assert_true(fleet_tally_complete(tally, 2));
	check_silent(tally, "[\"n1\",\"n2\",\"n3\"]");
	assert_string_equal(fleet_tally_describe_silence(tally, "n1", text),
			    "went away while it captured, last seen 2026-11-23T08:41:11Z");
	assert_string_equal(fleet_tally_describe_silence(tally, "n3", text),
			    "never answered, last seen 2026-11-23T08:41:00Z");
}

static void test_restarted_node_resumes_a_durable_request(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		new_tally("{\"id\":\"r\",\"nodere\":\"n[12]\",\"interface\":[\"lo\"]}", true);
	cleanup(cleanup_json) json_t *away = load("[{\"node\":\"n1\",\"seen\":100,\"presence\":null},"
						  "{\"node\":\"n2\",\"seen\":100,\"presence\":null}]");
	cleanup(cleanup_json) json_t *back = load("[{\"node\":\"n1\",\"seen\":200,\"presence\":{\"started\":\"c\"}},"
						  "{\"node\":\"n2\",\"seen\":200,\"presence\":{\"started\":\"d\"}}]");

	(void)state;
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, away); /* n1 while it captures, n2 before it answers */
	assert_false(fleet_tally_answered(tally));
	assert_true(fleet_tally_complete(tally, 2)); /* once the time for answers is over */
	fleet_tally_presence(tally, back);
	assert_false(fleet_tally_complete(tally, 3));
	feed(tally, 4, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	feed(tally, 4, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, back);
	assert_true(fleet_tally_answered(tally));
	assert_false(fleet_tally_complete(tally, 5));
	feed(tally, 6, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}");
	feed(tally, 6, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"done\",\"capture\":\"r.1\"}");
	assert_true(fleet_tally_complete(tally, 7));
	fleet_tally_presence(tally, away);
	assert_true(fleet_tally_answered(tally));
	check_silent(tally, "[]");
}

static void test_node_first_seen_after_the_request_may_leave_too(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"n9\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *there = load("[{\"node\":\"n9\",\"seen\":100,\"presence\":{\"started\":\"a\"}}]");
	cleanup(cleanup_json) json_t *away = load("[{\"node\":\"n9\",\"seen\":100,\"presence\":null}]");

	(void)state;
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n9\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, there);
	assert_false(fleet_tally_complete(tally, 2));
	fleet_tally_presence(tally, away);
	assert_true(fleet_tally_complete(tally, 3));
	check_silent(tally, "[\"n9\"]");
}

static void test_stopped_nodes_are_expected_only_by_their_name(void **state)
{
	static const struct {
		const char *request, *silent;
	} cases[] = {
		{"{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}", "[\"n1\"]"},
		{"{\"id\":\"r\",\"nodere\":\"n2\",\"interface\":[\"lo\"]}", "[]"},
		{"{\"id\":\"r\",\"node\":\"n2\",\"interface\":[\"lo\"]}", "[\"n2\"]"},
	};
	cleanup(cleanup_json) json_t *nodes =
		load("[{\"node\":\"n1\",\"seen\":100,\"presence\":{\"started\":\"a\",\"redis\":{\"requests\":false}}},"
		     "{\"node\":\"n2\",\"seen\":100,\"presence\":{\"started\":\"b\",\"stopped\":\"2026-11-23T08:41:00."
		     "5Z\"}}]");
	char text[FLEET_SILENCE_TEXT_SIZE];
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup(cleanup_json) json_t *request = load(cases[i].request);
		cleanup(cleanup_fleet_tally) struct fleet_tally *tally = fleet_tally_new(request, nodes, false, &err);

		assert_non_null(tally);
		check_silent(tally, cases[i].silent);
		if (i == 0)
			assert_string_equal(fleet_tally_describe_silence(tally, "n1", text),
					    "never answered: it is up, but receives no requests from Redis");
		else
			assert_string_equal(fleet_tally_describe_silence(tally, "n2", text),
					    "never answered: it is stopped since 2026-11-23T08:41:00.500Z");
	}
}

static void test_expected_names_replace_those_of_presence(void **state)
{
	cleanup(cleanup_json) json_t *request = load("{\"id\":\"r\",\"nodere\":\"^n\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *names = load("[\"n2\",\"n7\",\"other\"]"), *others = load("[\"other\"]");
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"nodere\":\"^n\",\"interface\":[\"lo\"]}");
	struct error err;

	(void)state;
	assert_int_equal(fleet_tally_expect(tally, request, names, &err), 0);
	check_silent(tally, "[\"n2\",\"n7\"]");
	assert_true(fleet_tally_knows(tally, "n1") && !fleet_tally_knows(tally, "n7"));
	assert_int_equal(fleet_tally_counts(tally).expected_alive, 1);
	assert_int_equal(fleet_tally_expect(tally, request, others, &err), -ENOENT);
}

static void test_unfinished_nodes_are_no_silent_ones(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}");

	(void)state;
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	feed(tally, 1, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"done\",\"capture\":\"r.1\"}");
	cleanup(cleanup_json) json_t *silent = fleet_tally_silent(tally, false);
	cleanup(cleanup_json) json_t *unfinished = fleet_tally_unfinished(tally);
	assert_true(json_array_size(silent) == 1 && json_array_size(unfinished) == 1);
	assert_string_equal(json_string_value(json_array_get(silent, 0)), "n3");
	assert_string_equal(json_string_value(json_array_get(unfinished, 0)), "n1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes_are_selected_by_the_daemons_rules),
		cmocka_unit_test(test_bad_expression_is_refused_before_sending),
		cmocka_unit_test(test_tally_is_complete_when_each_capture_has_ended),
		cmocka_unit_test(test_unknown_number_of_captures_waits_for_stragglers),
		cmocka_unit_test(test_names_of_one_device_make_one_capture),
		cmocka_unit_test(test_repeated_and_unrelated_events_change_nothing),
		cmocka_unit_test(test_node_that_leaves_or_restarts_is_not_waited_for),
		cmocka_unit_test(test_restarted_node_resumes_a_durable_request),
		cmocka_unit_test(test_node_first_seen_after_the_request_may_leave_too),
		cmocka_unit_test(test_stopped_nodes_are_expected_only_by_their_name),
		cmocka_unit_test(test_expected_names_replace_those_of_presence),
		cmocka_unit_test(test_unfinished_nodes_are_no_silent_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
