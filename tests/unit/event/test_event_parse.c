/* SPDX-License-Identifier: BSD-2-Clause */
/* event_parse() reads what event_json() writes, and other input does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "event/event_copy.h"
#include "event/event_parse.h"

#define T UINT64_C(1764000000123456789)

static void round_trip(const struct event *event)
{
	cleanup(cleanup_free) char *json = event_json(event);

	assert_non_null(json);
	cleanup(cleanup_event_copy) struct event *parsed = event_parse(json, strlen(json));
	assert_non_null(parsed);
	cleanup(cleanup_free) char *again = event_json(parsed);
	assert_string_equal(json, again);
}

static void test_events_round_trip(void **state)
{
	const struct event_destination destinations[] = {
		{.name = "cloudshark", .ok = true, .url = "https://h/captures/1", .attempts = 1},
		{.name = "local", .error = "no space", .attempts = 7},
		{.name = "lab", .error = "down", .attempts = 2, .superseded = true},
		{.name = "archive", .ok = true, .url = "/srv/f", .attempts = 1},
	};
	const struct event_skipped skipped[] = {{"tun0", "bpf: no"}, {"veth1", "gone"}};
	const struct event whole = {
		.kind = EVENT_DONE,
		.id = "a",
		.capture = "a.1",
		.node = "n",
		.interface = "eth0",
		.time_ns = T,
		.reason = "packets",
		.origin = "redis:capture",
		.key = "monitoring",
		.filter = "port 53",
		.inner = "icmp",
		.limits = {.packets = 7, .bytes = 8, .snap = 96, .duration_ns = 60 * NS_PER_S, .idle_ns = 1500000000},
		.counted = true,
		.packets = 5,
		.bytes = 600,
		.first_ns = T + 1,
		.last_ns = T + 2,
		.window = {.from_ns = T + 3,
			   .to_ns = T + 4,
			   .asked_from_ns = T + 5,
			   .asked_to_ns = T + 6,
			   .complete = true},
		.lost = {.kernel = 1, .evicted = 2, .memory = 3, .at_least = true},
		.seen = 72,
		.ended_by = "timeout",
		.limit_key = "general.maxpackets",
		.limit = 50000,
		.interface_state = "no-carrier",
		.hint = "eth0 has no carrier",
		.nic = {.rx_dropped = 5, .queue_drops = 7},
		.truncated = 4,
		.duplicates = 8,
		.skipped = skipped,
		.skipped_count = 2,
		.skipped_total = 5,
		.destinations = destinations,
		.destination_count = 4,
		.file = "f.pcapng",
		.tags = "a,b",
		.customer = "ACME",
		.alertid = "9223372036854775807",
		.alertid_is_integer = true,
	};
	const struct event refused = {
		.kind = EVENT_REJECTED, .id = "a", .node = "n", .reason = "no", .field = "bpf", .alertid = "12"};
	const struct event folded = {.kind = EVENT_DONE, .id = "b", .folded_into = "a", .until_ns = T};

	(void)state;
	round_trip(&whole);
	round_trip(&refused);
	round_trip(&folded);
}

static void test_invalid_events_are_refused(void **state)
{
	static const char *const texts[] = {"",
					    "[]",
					    "{}",
					    "{\"event\":1}",
					    "{\"event\":\"other\"}",
					    "{\"event\":\"done\"",
					    "{\"event\":\"done\",\"event\":\"done\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_null(event_parse(texts[i], strlen(texts[i])));
}

static void test_fields_of_wrong_type_are_ignored(void **state)
{
	static const char text[] =
		"{\"event\":\"done\",\"id\":[],\"packets\":-1,\"first\":\"x\",\"window\":7,\"lost\":[],"
		"\"destinations\":[1,{\"name\":2,\"ok\":\"yes\"}],\"alertid\":1.5,\"more\":{}}";
	cleanup(cleanup_event_copy) struct event *event = event_parse(text, sizeof(text) - 1);

	(void)state;
	assert_non_null(event);
	assert_null(event->id);
	assert_int_equal(event->packets, 0);
	assert_int_equal(event->first_ns, 0);
	assert_int_equal(event->destination_count, 2);
	assert_string_equal(event->destinations[1].name, "");
	assert_false(event->destinations[1].ok);
	assert_null(event->alertid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_round_trip),
		cmocka_unit_test(test_invalid_events_are_refused),
		cmocka_unit_test(test_fields_of_wrong_type_are_ignored),
	};

	return cmocka_run_group_tests_name("event_parse", tests, NULL, NULL);
}
