/* SPDX-License-Identifier: BSD-2-Clause */
/* Who should answer, who did, and when nothing more is to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* n1 and n2 are there, n3 is away. */
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

static bool tell(struct fleet_tally *tally, uint64_t now_ns, const char *text)
{
	cleanup(cleanup_json) json_t *event = load(text);
	bool news;

	assert_int_equal(fleet_tally_event(tally, event, now_ns, &news), 0);
	return news;
}

static void check_silent(const struct fleet_tally *tally, const char *expected)
{
	cleanup(cleanup_json) json_t *silent = fleet_tally_silent(tally);
	cleanup(cleanup_free) char *text = json_dumps(silent, JSON_COMPACT);

	assert_string_equal(text, expected);
}

static void nodes_are_meant_by_the_daemons_rules(void **state)
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

static void a_bad_expression_is_refused_before_anybody_is_asked(void **state)
{
	cleanup(cleanup_json) json_t *request = load("{\"id\":\"r\",\"nodere\":\"(\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *nobody = json_array();
	struct error err;

	(void)state;
	assert_null(fleet_tally_new(request, nobody, false, &err));
	assert_non_null(strstr(err.text, "--nodere: "));
}

static void it_is_over_when_each_capture_is(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"nodere\":\"n[12]\",\"interface\":[\"a\",\"b\",\"a\"]}");

	(void)state;
	assert_true(tell(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}"));
	assert_false(fleet_tally_answered(tally)); /* two captures, and another node */
	assert_true(tell(tally, 2,
			 "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\",\"packets\":5,"
			 "\"bytes\":50}"));
	assert_false(fleet_tally_complete(tally, 3));
	assert_true(tell(tally, 3, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"failed\",\"capture\":\"r.2\"}"));
	assert_true(fleet_tally_complete(tally, 3));
	assert_false(fleet_tally_answered(tally));
	assert_true(tell(tally, 4, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"rejected\",\"reason\":\"no\"}"));
	assert_true(fleet_tally_answered(tally));
	assert_true(fleet_tally_complete(tally, 4));
	assert_int_equal(fleet_tally_counts(tally).packets, 5);
	assert_int_equal(fleet_tally_counts(tally).ended, 3);
	check_silent(tally, "[]");
}

static void where_nobody_knows_how_many_captures_there_are_it_waits_a_little(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"n1\",\"alias\":[\"main\"]}");

	(void)state;
	tell(tally, 10 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}");
	assert_false(fleet_tally_complete(tally, 11 * MS));
	assert_true(fleet_tally_complete(tally, 10 * MS + FLEET_SETTLE_NS));
	tell(tally, 20 * MS, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.2\"}");
	assert_false(fleet_tally_complete(tally, 20 * MS + 2 * FLEET_SETTLE_NS));
}

static void what_is_told_again_or_of_others_is_no_news(void **state)
{
	static const char done[] =
		"{\"id\":\"r\",\"node\":\"n9\",\"event\":\"done\",\"capture\":\"r.1\",\"packets\":5}";
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}");

	(void)state;
	assert_false(tell(tally, 1, "{\"id\":\"other\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}"));
	assert_false(tell(tally, 1, "{\"id\":5,\"node\":[],\"event\":{}}"));
	assert_true(tell(tally, 1, done)); /* a node that nobody saw before */
	assert_false(tell(tally, 2, done));
	assert_false(tell(tally, 3, "{\"id\":\"r\",\"node\":\"n9\",\"event\":\"accepted\",\"capture\":\"r.1\"}"));
	assert_int_equal(fleet_tally_counts(tally).packets, 5);
	check_silent(tally, "[\"n1\",\"n2\",\"n3\"]");
}

static void a_node_that_goes_away_or_starts_again_is_not_waited_for(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"any\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *later =
		load("[{\"node\":\"n2\",\"seen\":1795423270,\"presence\":{\"started\":\"c\"}},"
		     "{\"node\":\"n1\",\"seen\":1795423271,\"presence\":null}]");
	cleanup(cleanup_json) json_t *same = three_nodes();
	char text[FLEET_SILENCE_TEXT_SIZE];

	(void)state;
	tell(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	tell(tally, 1, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, same);
	assert_false(fleet_tally_complete(tally, 2));
	fleet_tally_presence(tally, later);
	assert_true(fleet_tally_complete(tally, 2));
	check_silent(tally, "[\"n1\",\"n2\",\"n3\"]");
	assert_string_equal(fleet_tally_describe_silence(tally, "n1", text),
			    "gone while it captured, last seen 2026-11-23T08:41:11Z");
	assert_string_equal(fleet_tally_describe_silence(tally, "n3", text),
			    "never answered, last seen 2026-11-23T08:41:00Z");
}

static void a_durable_request_is_taken_up_by_a_node_that_starts_again(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		new_tally("{\"id\":\"r\",\"nodere\":\"n[12]\",\"interface\":[\"lo\"]}", true);
	cleanup(cleanup_json) json_t *away = load("[{\"node\":\"n1\",\"seen\":100,\"presence\":null},"
						  "{\"node\":\"n2\",\"seen\":100,\"presence\":null}]");
	cleanup(cleanup_json) json_t *back = load("[{\"node\":\"n1\",\"seen\":200,\"presence\":{\"started\":\"c\"}},"
						  "{\"node\":\"n2\",\"seen\":200,\"presence\":{\"started\":\"d\"}}]");

	(void)state;
	tell(tally, 1, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, away); /* n1 in the middle of it, n2 before it answered */
	assert_false(fleet_tally_answered(tally));
	assert_true(fleet_tally_complete(tally, 2)); /* once the time for answers is over */
	fleet_tally_presence(tally, back);
	assert_false(fleet_tally_complete(tally, 3));
	tell(tally, 4, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	tell(tally, 4, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, back);
	assert_true(fleet_tally_answered(tally));
	assert_false(fleet_tally_complete(tally, 5));
	tell(tally, 6, "{\"id\":\"r\",\"node\":\"n1\",\"event\":\"done\",\"capture\":\"r.1\"}");
	tell(tally, 6, "{\"id\":\"r\",\"node\":\"n2\",\"event\":\"done\",\"capture\":\"r.1\"}");
	assert_true(fleet_tally_complete(tally, 7));
	fleet_tally_presence(tally, away);
	assert_true(fleet_tally_answered(tally));
	check_silent(tally, "[]");
}

static void a_node_seen_only_after_the_request_may_die_too(void **state)
{
	cleanup(cleanup_fleet_tally) struct fleet_tally *tally =
		tally_of("{\"id\":\"r\",\"node\":\"n9\",\"interface\":[\"lo\"]}");
	cleanup(cleanup_json) json_t *there = load("[{\"node\":\"n9\",\"seen\":100,\"presence\":{\"started\":\"a\"}}]");
	cleanup(cleanup_json) json_t *away = load("[{\"node\":\"n9\",\"seen\":100,\"presence\":null}]");

	(void)state;
	tell(tally, 1, "{\"id\":\"r\",\"node\":\"n9\",\"event\":\"accepted\",\"capture\":\"r.1\"}");
	fleet_tally_presence(tally, there);
	assert_false(fleet_tally_complete(tally, 2));
	fleet_tally_presence(tally, away);
	assert_true(fleet_tally_complete(tally, 3));
	check_silent(tally, "[\"n9\"]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_meant_by_the_daemons_rules),
		cmocka_unit_test(a_bad_expression_is_refused_before_anybody_is_asked),
		cmocka_unit_test(it_is_over_when_each_capture_is),
		cmocka_unit_test(where_nobody_knows_how_many_captures_there_are_it_waits_a_little),
		cmocka_unit_test(what_is_told_again_or_of_others_is_no_news),
		cmocka_unit_test(a_node_that_goes_away_or_starts_again_is_not_waited_for),
		cmocka_unit_test(a_durable_request_is_taken_up_by_a_node_that_starts_again),
		cmocka_unit_test(a_node_seen_only_after_the_request_may_die_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
