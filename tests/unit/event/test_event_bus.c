/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which subscriber gets which event, also if subscribers subscribe, unsubscribe and publish during one; and the log
 * line of an event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_log.h"

#define TRACE_SIZE 256

static struct event_bus *bus;
static char trace[TRACE_SIZE]; /* the names of the called subscribers, in order */
static const struct event accepted = {.kind = EVENT_ACCEPTED, .id = "r1", .node = "n"};

static void record_call(const char *name)
{
	assert_true(strlen(trace) + strlen(name) < sizeof(trace));
	memcpy(trace + strlen(trace), name, strlen(name) + 1);
}

static int make_bus(void **state)
{
	(void)state;
	trace[0] = '\0';
	bus = event_bus_new();
	return bus ? 0 : -1;
}

static int free_bus(void **state)
{
	(void)state;
	event_bus_free(bus);
	return 0;
}

static void plain(void *ctx, const struct event *event, const char *json)
{
	assert_ptr_equal(event, &accepted);
	assert_non_null(strstr(json, "\"event\":\"accepted\",\"id\":\"r1\""));
	record_call(ctx);
}

static char a[] = "a", b[] = "b", c[] = "c";

static void subscribe(event_subscriber subscriber, void *ctx)
{
	assert_int_equal(event_bus_subscribe(bus, subscriber, ctx), 0);
}

static void test_every_subscriber_gets_every_event_in_order(void **state)
{
	(void)state;
	subscribe(plain, a);
	subscribe(plain, b);
	event_bus_publish(bus, &accepted);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abab");
}

static void test_unsubscribed_callback_gets_no_events(void **state)
{
	(void)state;
	subscribe(plain, a);
	subscribe(plain, b);
	event_bus_unsubscribe(bus, plain, a);
	event_bus_unsubscribe(bus, plain, c); /* was never subscribed */
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "b");
}

static void unsubscribes_itself_and_b(void *ctx, const struct event *event, const char *json)
{
	plain(ctx, event, json);
	event_bus_unsubscribe(bus, unsubscribes_itself_and_b, ctx);
	event_bus_unsubscribe(bus, plain, b);
}

static void test_unsubscribing_during_an_event_takes_effect_at_once(void **state)
{
	(void)state;
	subscribe(unsubscribes_itself_and_b, a);
	subscribe(plain, b);
	subscribe(plain, c);
	event_bus_publish(bus, &accepted);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "acc");
}

static void subscribes_b(void *ctx, const struct event *event, const char *json)
{
	plain(ctx, event, json);
	event_bus_unsubscribe(bus, subscribes_b, ctx);
	subscribe(plain, b);
}

static void test_subscriber_added_during_an_event_gets_the_next_one(void **state)
{
	(void)state;
	subscribe(subscribes_b, a);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "a");
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "ab");
}

static void publishes_again(void *ctx, const struct event *event, const char *json)
{
	plain(ctx, event, json);
	event_bus_unsubscribe(bus, publishes_again, ctx);
	event_bus_publish(bus, event);
}

static void test_event_may_be_published_by_a_subscriber(void **state)
{
	(void)state;
	subscribe(publishes_again, a);
	subscribe(plain, b);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abb");
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abbb");
}

static void test_subscribers_are_capped_and_slots_are_reused(void **state)
{
	(void)state;
	for (int i = 0; i < EVENT_SUBSCRIBERS_MAX; i++)
		subscribe(plain, a);
	assert_int_equal(event_bus_subscribe(bus, plain, b), -ENOSPC);
	event_bus_unsubscribe(bus, plain, a);
	assert_int_equal(event_bus_subscribe(bus, plain, b), 0);
}

/* Returns what the log writes to standard error for `count` such events. The caller frees it. */
static char *logged(const struct event *event, unsigned count)
{
	int file = memfd_create("log", MFD_CLOEXEC);
	int before = dup(STDERR_FILENO);
	char *text = calloc(1, 1 << 20);

	assert_true(file >= 0 && before >= 0 && text);
	assert_true(dup2(file, STDERR_FILENO) >= 0);
	for (unsigned i = 0; i < count; i++)
		event_log_subscriber(NULL, event, "{}");
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	assert_true(pread(file, text, (1 << 20) - 1, 0) >= 0);
	close(before);
	close(file);
	return text;
}

static void check_logged(const struct event *event, const char *expected)
{
	cleanup(cleanup_free) char *text = logged(event, 1);

	if (!strstr(text, expected))
		fail_msg("%s is not in %s", expected, text);
}

static void test_log_has_one_line_per_event(void **state)
{
	const struct event_destination destinations[] = {
		{.name = "cloudshark", .ok = true, .url = "https://cs/captures/1"},
		{.name = "local", .ok = true, .url = "/tmp/f"},
		{.name = "s3", .ok = false, .error = "403 denied"},
	};
	struct event event = {.kind = EVENT_DONE,
			      .id = "r1",
			      .capture = "c1",
			      .node = "n",
			      .interface = "eth0",
			      .reason = "packets",
			      .counted = true,
			      .packets = 5,
			      .bytes = 300,
			      .window = {.complete = true},
			      .destinations = destinations,
			      .destination_count = 2};

	(void)state;
	check_logged(
		&event,
		" notice event-done request=r1 capture=c1 interface=eth0 reason=packets packets=5 bytes=300 "
		"lost_kernel=0 "
		"lost_evicted=0 lost_memory=0 seen=0 destinations=\"cloudshark=https://cs/captures/1 local=/tmp/f\"\n");
	event.destination_count = 3;
	check_logged(&event, " warning event-done ");
	check_logged(&event, " errors=\"s3=403 denied\"\n");
	event.kind = EVENT_FAILED;
	check_logged(&event, " error event-failed ");
	event = (struct event){.kind = EVENT_ACCEPTED, .id = "r2"};
	check_logged(&event, " info event-accepted request=r2\n");
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_rejected_events_do_not_flood_the_log(void **state)
{
	const struct event event = {.kind = EVENT_REJECTED, .node = "n", .reason = "bad", .field = "bpf"};
	cleanup(cleanup_free) char *text = logged(&event, 1000);

	(void)state;
	assert_non_null(strstr(text, " warning event-rejected reason=bad field=bpf\n"));
	assert_in_range(count_lines(text), 100, 300); /* 100 per second; the second may change meanwhile */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_subscriber_gets_every_event_in_order, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(test_unsubscribed_callback_gets_no_events, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(test_unsubscribing_during_an_event_takes_effect_at_once, make_bus,
						free_bus),
		cmocka_unit_test_setup_teardown(test_subscriber_added_during_an_event_gets_the_next_one, make_bus,
						free_bus),
		cmocka_unit_test_setup_teardown(test_event_may_be_published_by_a_subscriber, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(test_subscribers_are_capped_and_slots_are_reused, make_bus, free_bus),
		cmocka_unit_test(test_log_has_one_line_per_event),
		cmocka_unit_test(test_rejected_events_do_not_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
