/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures that other nodes make of published requests count until their events, or the time, say that they ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "job/alert_runs.h"

#define LASTS_NS (100 * NS_PER_S)

CLEANUP_DEFINE(json, json_t, json_decref)

static json_t *request_of(const char *id, const char *node, const char *dedupe)
{
	return json_pack("{ss ss ss*}", "id", id, "node", node, "dedupe", dedupe);
}

static void publish(struct alert_runs *runs, const char *id, const char *node, const char *dedupe)
{
	cleanup(cleanup_json) json_t *request = request_of(id, node, dedupe);

	assert_true(alert_runs_publish(runs, "r", id, request, LASTS_NS));
}

static bool has(const struct alert_runs *runs, const char *rule, const char *node, const char *dedupe)
{
	cleanup(cleanup_json) json_t *request = request_of("other", node, dedupe);

	return alert_runs_has(runs, rule, request);
}

/* Tells the runs of an event; `capture`: "" if it is about the whole request. */
static void tell(struct alert_runs *runs, const char *kind, const char *id, const char *capture)
{
	cleanup(cleanup_json) json_t *event =
		json_pack("{ss ss ss*}", "event", kind, "id", id, "capture", *capture ? capture : NULL);
	cleanup(cleanup_free) char *text = json_dumps(event, 0);

	alert_runs_take_event(runs, text, strlen(text));
}

static void ignore_captures(void *ctx, const char *rule, size_t captures)
{
	(void)ctx;
	(void)rule;
	(void)captures;
}

static void ignore_refusal(void *ctx, const char *rule)
{
	(void)ctx;
	(void)rule;
}

/* The ids of the requests that no node met. */
static char unmet[64];

static void note_unmet(void *ctx, const char *alert)
{
	(void)ctx;
	snprintf(unmet + strlen(unmet), sizeof(unmet) - strlen(unmet), "%s ", alert);
}

static int clear_unmet(void **state)
{
	(void)state;
	*unmet = '\0';
	return 0;
}

static unsigned unanswered;

static void count_warnings(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	(void)ctx;
	(void)severity;
	(void)fields;
	unanswered += strcmp(id, "request-unanswered") == 0;
}

static const struct alert_runs_observer unobserved = {.admitted = ignore_captures,
						      .refused = ignore_refusal,
						      .unmet = note_unmet};

static void test_a_run_lasts_until_its_last_capture_has_ended(void **state)
{
	cleanup(cleanup_alert_runs) struct alert_runs *runs = alert_runs_new(&unobserved);

	(void)state;
	publish(runs, "a", "edge", "k");
	publish(runs, "b", "edge", NULL);
	assert_int_equal(alert_runs_count(runs, "r"), 2);
	assert_int_equal(alert_runs_count(runs, "s"), 0);
	tell(runs, "accepted", "a", "a.1");
	tell(runs, "accepted", "a", "a.2");
	tell(runs, "captured", "a", "a.1");
	tell(runs, "done", "a", "a.1");
	assert_int_equal(alert_runs_count(runs, NULL), 2);
	tell(runs, "accepted", "a", "a.2"); /* again, after a failover */
	tell(runs, "failed", "a", "a.2");
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	tell(runs, "accepted", "a", "a.2");
	tell(runs, "done", "other", "other.1");
	alert_runs_take_event(runs, "{\"id\":\"b\"", 9);
	alert_runs_take_event(runs, "{\"event\":\"done\",\"id\":1}", 23);
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	tell(runs, "rejected", "b", "");
	assert_int_equal(alert_runs_count(runs, NULL), 0);
	assert_string_equal(unmet, "b ");
}

static void test_a_refused_interface_does_not_end_the_others(void **state)
{
	cleanup(cleanup_alert_runs) struct alert_runs *runs = alert_runs_new(&unobserved);

	(void)state;
	publish(runs, "a", "edge", NULL);
	tell(runs, "accepted", "a", "a.1");
	tell(runs, "rejected", "a", "");
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	tell(runs, "done", "a", "a.1");
	assert_int_equal(alert_runs_count(runs, NULL), 0);
	assert_string_equal(unmet, "");
}

static void test_an_interface_refused_first_does_not_end_the_others(void **state)
{
	cleanup(cleanup_alert_runs) struct alert_runs *runs = alert_runs_new(&unobserved);
	static const char *const ids[] = {"a", "b"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char text[128];
		const int size = snprintf(text, sizeof(text),
					  "{\"event\":\"rejected\",\"id\":\"%s\",\"interface\":\"eth1\"}", ids[i]);

		publish(runs, ids[i], "edge", NULL);
		alert_runs_take_event(runs, text, (size_t)size);
	}
	tell(runs, "accepted", "a", "a.1");
	assert_int_equal(alert_runs_count(runs, NULL), 2);
	tell(runs, "done", "a", "a.1");
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	assert_string_equal(unmet, "");
	log_divert(count_warnings, NULL);
	unanswered = 0;
	alert_runs_expire(runs, clock_boottime_ns() + ALERT_RUNS_ANSWER_NS);
	assert_int_equal(alert_runs_count(runs, NULL), 0);
	assert_string_equal(unmet, "b ");
	assert_int_equal(unanswered, 0);
}

static void test_the_same_run_has_the_rule_the_node_and_the_key(void **state)
{
	cleanup(cleanup_alert_runs) struct alert_runs *runs = alert_runs_new(&unobserved);

	(void)state;
	publish(runs, "a", "edge", "k");
	publish(runs, "b", "edge", NULL);
	assert_true(has(runs, "r", "edge", "k"));
	assert_false(has(runs, "s", "edge", "k"));
	assert_false(has(runs, "r", "other", "k"));
	assert_false(has(runs, "r", "edge", "l"));
	assert_false(has(runs, "r", "edge", NULL));
}

static void test_time_ends_a_run_whose_events_do_not_come(void **state)
{
	cleanup(cleanup_alert_runs) struct alert_runs *runs = alert_runs_new(&unobserved);
	const uint64_t now_ns = clock_boottime_ns();

	(void)state;
	log_divert(count_warnings, NULL);
	unanswered = 0;
	publish(runs, "silent", "away", "k");
	publish(runs, "endless", "edge", "k");
	tell(runs, "accepted", "endless", "endless.1");
	alert_runs_expire(runs, now_ns + ALERT_RUNS_ANSWER_NS - 1);
	assert_int_equal(alert_runs_count(runs, NULL), 2);
	alert_runs_expire(runs, clock_boottime_ns() + ALERT_RUNS_ANSWER_NS);
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	assert_int_equal(unanswered, 1);
	alert_runs_expire(runs, now_ns + ALERT_RUNS_ANSWER_NS + LASTS_NS - 1);
	assert_int_equal(alert_runs_count(runs, NULL), 1);
	alert_runs_expire(runs, clock_boottime_ns() + ALERT_RUNS_ANSWER_NS + LASTS_NS);
	assert_int_equal(alert_runs_count(runs, NULL), 0);
	assert_int_equal(unanswered, 1);
	assert_string_equal(unmet, "silent ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_run_lasts_until_its_last_capture_has_ended, clear_unmet),
		cmocka_unit_test_setup(test_a_refused_interface_does_not_end_the_others, clear_unmet),
		cmocka_unit_test_setup(test_an_interface_refused_first_does_not_end_the_others, clear_unmet),
		cmocka_unit_test_setup(test_the_same_run_has_the_rule_the_node_and_the_key, clear_unmet),
		cmocka_unit_test_setup(test_time_ends_a_run_whose_events_do_not_come, clear_unmet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
