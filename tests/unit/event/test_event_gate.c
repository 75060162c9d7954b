/* SPDX-License-Identifier: BSD-2-Clause */
/* The account: every event is published or counted, and the counts are published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_gate.h"

static struct event_base *loop;
static struct event_bus *bus;
static struct event_gate *gate;
static struct {
	unsigned published, suppressed, reports;
	uint64_t reported;
	char reason[32];
} seen;

static void on_event(void *ctx, const struct event *event, const char *json)
{
	(void)ctx;
	assert_int_equal(json == NULL, event->suppressed);
	seen.published += !event->suppressed && event->kind != EVENT_SUPPRESSED;
	seen.suppressed += event->suppressed;
	if (event->kind != EVENT_SUPPRESSED)
		return;
	seen.reports++;
	seen.reported += event->count;
	snprintf(seen.reason, sizeof(seen.reason), "%s", event->reason);
	assert_string_equal(event->node, "edge7");
	assert_non_null(strstr(json, "\"event\":\"suppressed\""));
	assert_non_null(strstr(json, "\"count\":"));
}

static int make(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	loop = event_base_new();
	bus = event_bus_new();
	gate = event_gate_new(loop, bus, "edge7");
	event_bus_set_gate(bus, gate);
	return event_bus_subscribe(bus, on_event, NULL);
}

static int destroy(void **state)
{
	(void)state;
	event_bus_free(bus);
	event_gate_free(gate);
	event_base_free(loop);
	return 0;
}

static void publish(struct event event, unsigned count)
{
	event.node = "edge7";
	for (unsigned i = 0; i < count; i++)
		event_bus_publish(bus, &event);
}

static void test_every_refusal_is_published_or_reported(void **state)
{
	(void)state;
	publish((struct event){.kind = EVENT_REJECTED, .code = -EINVAL, .broad = true}, 5000);
	assert_in_range(seen.published, 100, 200);
	assert_int_equal(seen.published + seen.suppressed, 5000);
	event_gate_report(gate);
	assert_int_equal(seen.reports, 1);
	assert_int_equal(seen.reported, seen.suppressed);
	assert_int_equal(event_gate_suppressed(gate, SUPPRESSED_INVALID), seen.suppressed);
	assert_string_equal(seen.reason, "invalid");
	event_gate_report(gate);
	assert_int_equal(seen.reports, 1);
}

static void test_message_that_names_the_node_may_cause_more(void **state)
{
	(void)state;
	publish((struct event){.kind = EVENT_REJECTED, .code = -EINVAL}, 1000);
	assert_int_equal(seen.published, 1000);
	publish((struct event){.kind = EVENT_REJECTED, .code = -EINVAL}, 10000);
	assert_true(seen.suppressed > 5000);
}

static void test_causes_are_limited_and_reported_apart(void **state)
{
	(void)state;
	publish((struct event){.kind = EVENT_REJECTED, .code = -EDQUOT, .broad = true}, 1000);
	const unsigned after_rate = seen.published;
	publish((struct event){.kind = EVENT_REJECTED, .code = -ENODEV, .broad = true}, 100);
	assert_int_equal(seen.published, after_rate + 100);
	publish((struct event){.kind = EVENT_DONE, .duplicate = true, .broad = true}, 1000);
	publish((struct event){.kind = EVENT_DONE, .folded_into = "x", .broad = true}, 1000);
	publish((struct event){.kind = EVENT_DONE, .reason = EVENT_REASON_STOP, .broad = true}, 1000);
	event_gate_report(gate);
	assert_int_equal(seen.reports, 2);
	assert_int_equal(seen.reported, seen.suppressed);
	assert_true(event_gate_suppressed(gate, SUPPRESSED_RATE) > 0);
	assert_true(event_gate_suppressed(gate, SUPPRESSED_REPEATED) > 2500);
}

static void test_events_of_captures_are_never_suppressed(void **state)
{
	(void)state;
	publish((struct event){.kind = EVENT_ACCEPTED, .broad = true}, 5000);
	publish((struct event){.kind = EVENT_DONE, .broad = true}, 5000);
	publish((struct event){.kind = EVENT_FAILED, .broad = true}, 5000);
	publish((struct event){.kind = EVENT_DONE, .reason = EVENT_REASON_STOP, .count = 1, .broad = true}, 5000);
	assert_int_equal(seen.published, 20000);
	assert_int_equal(seen.suppressed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_refusal_is_published_or_reported, make, destroy),
		cmocka_unit_test_setup_teardown(test_message_that_names_the_node_may_cause_more, make, destroy),
		cmocka_unit_test_setup_teardown(test_causes_are_limited_and_reported_apart, make, destroy),
		cmocka_unit_test_setup_teardown(test_events_of_captures_are_never_suppressed, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
