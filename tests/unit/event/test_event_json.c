/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON of events, byte for byte: other programs parse it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "event/event.h"

#define TIME_NS UINT64_C(1795423260123456789) /* 2026-11-23T08:41:00.123456789Z */
#define TIME_TEXT "2026-11-23T08:41:00.123456789Z"

static void check(const struct event *event, const char *expected)
{
	cleanup(cleanup_free) char *json = event_json(event);

	assert_non_null(json);
	assert_string_equal(json, expected);
}

static void test_full_event_has_all_keys_in_contract_order(void **state)
{
	const struct event_destination destinations[] = {
		{.name = "cloudshark", .ok = true, .url = "https://cs.example/captures/ab12", .attempts = 1},
		{.name = "local", .ok = false, .error = "disk full", .attempts = 3},
	};
	const struct event_skipped skipped[] = {{"wlan0", "memory"}, {"tun0", "bpf: \xff"}};
	const struct event event = {
		.kind = EVENT_DONE,
		.id = "req-1",
		.capture = "cap-1",
		.node = "n1",
		.interface = "eth0",
		.time_ns = TIME_NS,
		.reason = "packets",
		.origin = "redis:capture",
		.key = "monitoring",
		.counted = true,
		.packets = 50,
		.bytes = 61234,
		.first_ns = TIME_NS,
		.last_ns = TIME_NS + 1,
		.window = {.from_ns = TIME_NS,
			   .to_ns = TIME_NS,
			   .asked_from_ns = TIME_NS - 9,
			   .asked_to_ns = TIME_NS + 1,
			   .complete = true},
		.lost = {.kernel = 1, .evicted = 2, .memory = 3, .at_least = true},
		.seen = 72,
		.ended_by = "timeout",
		.limit_key = "limits.memory",
		.limit = 1048576,
		.interface_state = "up",
		.hint = "no packet matched",
		.nic = {.rx_dropped = 5, .rx_missed_errors = 6, .queue_drops = 7},
		.truncated = 4,
		.duplicates = 8,
		.skipped = skipped,
		.skipped_count = 2,
		.skipped_total = 3,
		.destinations = destinations,
		.destination_count = 2,
		.file = "n1-eth0.pcapng",
		.tags = "node:n1",
		.customer = "ACME",
		.alertid = "655443",
		.alertid_is_integer = true,
	};

	(void)state;
	check(&event,
	      "{\"v\":1,\"event\":\"done\",\"id\":\"req-1\",\"capture\":\"cap-1\",\"node\":\"n1\","
	      "\"interface\":\"eth0\","
	      "\"time\":\"" TIME_TEXT "\",\"origin\":\"redis:capture\",\"key\":\"monitoring\",\"reason\":\"packets\","
	      "\"packets\":50,\"bytes\":61234,"
	      "\"first\":\"" TIME_TEXT "\",\"last\":\"2026-11-23T08:41:00.123456790Z\","
	      "\"window\":{\"from\":\"" TIME_TEXT "\",\"to\":\"" TIME_TEXT
	      "\",\"asked_from\":\"2026-11-23T08:41:00.123456780Z\","
	      "\"asked_to\":\"2026-11-23T08:41:00.123456790Z\",\"complete\":true},"
	      "\"lost\":{\"kernel\":1,\"evicted\":2,\"memory\":3,\"at_least\":true},\"seen\":72,"
	      "\"ended_by\":\"timeout\",\"limit\":{\"key\":\"limits.memory\",\"value\":1048576},"
	      "\"interface_state\":\"up\",\"hint\":\"no packet matched\","
	      "\"nic\":{\"rx_dropped\":5,\"rx_missed_errors\":6,\"queue_drops\":7},\"truncated\":4,\"duplicates\":8,"
	      "\"skipped\":[{\"interface\":\"wlan0\",\"reason\":\"memory\"},"
	      "{\"interface\":\"tun0\",\"reason\":\"bpf: \xEF\xBF\xBD\"}],\"skipped_total\":3,"
	      "\"destinations\":[{\"name\":\"cloudshark\",\"ok\":true,\"url\":\"https://cs.example/captures/"
	      "ab12\",\"attempts\":1},"
	      "{\"name\":\"local\",\"ok\":false,\"error\":\"disk full\",\"attempts\":3}],"
	      "\"file\":\"n1-eth0.pcapng\",\"tags\":\"node:n1\",\"customer\":\"ACME\",\"alertid\":655443}");
}

static void test_destinations_that_failed_before_are_in_the_one_that_followed(void **state)
{
	const struct event_destination destinations[] = {
		{.name = "local", .ok = true, .attempts = 1},
		{.name = "a", .error = "down", .attempts = 2, .superseded = true},
		{.name = "b", .error = "down, too", .superseded = true},
		{.name = "c", .ok = true, .url = "u", .attempts = 1},
	};
	const struct event event = {.kind = EVENT_DONE,
				    .node = "n1",
				    .time_ns = TIME_NS,
				    .destinations = destinations,
				    .destination_count = 4};

	(void)state;
	check(&event, "{\"v\":1,\"event\":\"done\",\"node\":\"n1\",\"time\":\"" TIME_TEXT
		      "\",\"destinations\":[{\"name\":\"local\",\"ok\":true,\"attempts\":1},"
		      "{\"name\":\"c\",\"ok\":true,\"url\":\"u\",\"attempts\":1,\"instead_of\":["
		      "{\"name\":\"a\",\"ok\":false,\"error\":\"down\",\"attempts\":2},"
		      "{\"name\":\"b\",\"ok\":false,\"error\":\"down, too\",\"attempts\":0}]}]}");
}

static void test_unset_fields_are_left_out(void **state)
{
	const struct event event = {.kind = EVENT_REJECTED,
				    .node = "n1",
				    .time_ns = TIME_NS,
				    .reason = "unknown field \"pakets\"",
				    .field = "pakets"};

	(void)state;
	check(&event, "{\"v\":1,\"event\":\"rejected\",\"node\":\"n1\",\"time\":\"" TIME_TEXT
		      "\",\"reason\":\"unknown field \\\"pakets\\\"\",\"field\":\"pakets\"}");
}

static void test_zero_counts_are_shown_if_counted(void **state)
{
	const struct event event = {
		.kind = EVENT_DONE, .node = "n1", .time_ns = TIME_NS, .reason = "empty", .counted = true};

	(void)state;
	check(&event, "{\"v\":1,\"event\":\"done\",\"node\":\"n1\",\"time\":\"" TIME_TEXT
		      "\",\"reason\":\"empty\",\"packets\":0,\"bytes\":0,\"window\":{\"complete\":false},"
		      "\"lost\":{\"kernel\":0,\"evicted\":0,\"memory\":0},\"seen\":0}");
}

static void test_large_counts_are_exact(void **state)
{
	const struct event event = {.kind = EVENT_CAPTURED,
				    .node = "n",
				    .time_ns = TIME_NS,
				    .counted = true,
				    .packets = UINT64_C(9007199254740993), /* 2^53 + 1: no double */
				    .bytes = INT64_MAX,
				    .lost = {.kernel = UINT64_MAX}};

	(void)state;
	check(&event, "{\"v\":1,\"event\":\"captured\",\"node\":\"n\",\"time\":\"" TIME_TEXT
		      "\",\"packets\":9007199254740993,\"bytes\":9223372036854775807,\"window\":{\"complete\":false},"
		      "\"lost\":{\"kernel\":9223372036854775807,\"evicted\":0,\"memory\":0},\"seen\":0}");
}

static void test_repeated_answer_is_marked_duplicate(void **state)
{
	const struct event event = {
		.kind = EVENT_ACCEPTED, .id = "a", .node = "n", .time_ns = TIME_NS, .duplicate = true};

	(void)state;
	check(&event, "{\"v\":1,\"event\":\"accepted\",\"id\":\"a\",\"node\":\"n\",\"time\":\"" TIME_TEXT
		      "\",\"duplicate\":true}");
}

static void check_alertid(const char *alertid, bool is_integer, const char *expected)
{
	const struct event event = {.kind = EVENT_FAILED,
				    .node = "n",
				    .time_ns = TIME_NS,
				    .alertid = alertid,
				    .alertid_is_integer = is_integer};
	cleanup(cleanup_free) char *json = event_json(&event);

	assert_non_null(json);
	assert_string_equal(strstr(json, "\"alertid\":"), expected);
}

static void test_alertid_keeps_its_type(void **state)
{
	(void)state;
	check_alertid("655443", true, "\"alertid\":655443}");
	check_alertid("655443", false, "\"alertid\":\"655443\"}");
	check_alertid("-9223372036854775808", true, "\"alertid\":-9223372036854775808}");
	check_alertid("99999999999999999999", true, "\"alertid\":\"99999999999999999999\"}");
	check_alertid("1.5", true, "\"alertid\":\"1.5\"}");
	check_alertid("[1]", true, "\"alertid\":\"[1]\"}");
}

static void check_customer(const char *customer, const char *expected)
{
	const struct event event = {.kind = EVENT_FAILED, .node = "n", .time_ns = TIME_NS, .customer = customer};
	cleanup(cleanup_free) char *json = event_json(&event);

	assert_non_null(json);
	assert_string_equal(strstr(json, "\"customer\":"), expected);
}

static void test_any_bytes_become_valid_json(void **state)
{
	(void)state;
	check_customer("Gr\xC3\xBC\xC3\x9F"
		       "e \xF0\x9F\x90\x9F",
		       "\"customer\":\"Gr\xC3\xBC\xC3\x9F"
		       "e \xF0\x9F\x90\x9F\"}");
	check_customer("line\nquote\"back\\slash\x01\x7F",
		       "\"customer\":\"line\\nquote\\\"back\\\\slash\\u0001\x7F\"}");
	check_customer("a\xFFz", "\"customer\":\"a\xEF\xBF\xBDz\"}");
	check_customer("cut \xE2\x82", "\"customer\":\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"}");
	check_customer("\xC0\x80", "\"customer\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}");		  /* overlong NUL */
	check_customer("\xED\xA0\x80", "\"customer\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}"); /* surrogate */
	check_customer("", "\"customer\":\"\"}");
}

static void test_every_kind_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(event_kind_name(EVENT_ACCEPTED), "accepted");
	assert_string_equal(event_kind_name(EVENT_REJECTED), "rejected");
	assert_string_equal(event_kind_name(EVENT_CAPTURED), "captured");
	assert_string_equal(event_kind_name(EVENT_DONE), "done");
	assert_string_equal(event_kind_name(EVENT_WARNING), "warning");
	assert_string_equal(event_kind_name(EVENT_FAILED), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_event_has_all_keys_in_contract_order),
		cmocka_unit_test(test_destinations_that_failed_before_are_in_the_one_that_followed),
		cmocka_unit_test(test_unset_fields_are_left_out),
		cmocka_unit_test(test_zero_counts_are_shown_if_counted),
		cmocka_unit_test(test_large_counts_are_exact),
		cmocka_unit_test(test_repeated_answer_is_marked_duplicate),
		cmocka_unit_test(test_alertid_keeps_its_type),
		cmocka_unit_test(test_any_bytes_become_valid_json),
		cmocka_unit_test(test_every_kind_has_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
