/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets which event, also when subscribers come, go and publish while one is on its way; and the log's line. */
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
static char trace[TRACE_SIZE]; /* the names of who was called, in order */
static const struct event accepted = {.kind = EVENT_ACCEPTED, .id = "r1", .node = "n"};

static void note(const char *name)
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
	note(ctx);
}

static char a[] = "a", b[] = "b", c[] = "c";

static void subscribe(event_subscriber subscriber, void *ctx)
{
	assert_int_equal(event_bus_subscribe(bus, subscriber, ctx), 0);
}

static void every_subscriber_gets_every_event_in_order(void **state)
{
	(void)state;
	subscribe(plain, a);
	subscribe(plain, b);
	event_bus_publish(bus, &accepted);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abab");
}

static void who_unsubscribed_gets_nothing(void **state)
{
	(void)state;
	subscribe(plain, a);
	subscribe(plain, b);
	event_bus_unsubscribe(bus, plain, a);
	event_bus_unsubscribe(bus, plain, c); /* was never there */
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "b");
}

static void leaves_and_takes_b_along(void *ctx, const struct event *event, const char *json)
{
	plain(ctx, event, json);
	event_bus_unsubscribe(bus, leaves_and_takes_b_along, ctx);
	event_bus_unsubscribe(bus, plain, b);
}

static void leaving_during_an_event_holds_at_once_and_disturbs_nobody(void **state)
{
	(void)state;
	subscribe(leaves_and_takes_b_along, a);
	subscribe(plain, b);
	subscribe(plain, c);
	event_bus_publish(bus, &accepted);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "acc");
}

static void brings_b(void *ctx, const struct event *event, const char *json)
{
	plain(ctx, event, json);
	event_bus_unsubscribe(bus, brings_b, ctx);
	subscribe(plain, b);
}

static void who_comes_during_an_event_gets_the_next_one(void **state)
{
	(void)state;
	subscribe(brings_b, a);
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

static void an_event_may_be_published_from_an_event(void **state)
{
	(void)state;
	subscribe(publishes_again, a);
	subscribe(plain, b);
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abb");
	event_bus_publish(bus, &accepted);
	assert_string_equal(trace, "abbb");
}

static void subscribers_are_bounded_and_places_are_used_again(void **state)
{
	(void)state;
	for (int i = 0; i < EVENT_SUBSCRIBERS_MAX; i++)
		subscribe(plain, a);
	assert_int_equal(event_bus_subscribe(bus, plain, b), -ENOSPC);
	event_bus_unsubscribe(bus, plain, a);
	assert_int_equal(event_bus_subscribe(bus, plain, b), 0);
}

/* What the log writes to standard error while `count` such events are published. Caller frees. */
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

static void the_log_has_one_line_an_event(void **state)
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
	check_logged(&event,
		     " notice event-done request=r1 capture=c1 interface=eth0 reason=packets packets=5 bytes=300 "
		     "lost_kernel=0 "
		     "lost_evicted=0 lost_memory=0 destinations=\"cloudshark=https://cs/captures/1 local=/tmp/f\"\n");
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

static void a_storm_of_refusals_does_not_flood_the_log(void **state)
{
	const struct event event = {.kind = EVENT_REJECTED, .node = "n", .reason = "bad", .field = "bpf"};
	cleanup(cleanup_free) char *text = logged(&event, 1000);

	(void)state;
	assert_non_null(strstr(text, " warning event-rejected reason=bad field=bpf\n"));
	assert_in_range(count_lines(text), 100, 300); /* 100 a second; seconds may turn meanwhile */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_subscriber_gets_every_event_in_order, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(who_unsubscribed_gets_nothing, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(leaving_during_an_event_holds_at_once_and_disturbs_nobody, make_bus,
						free_bus),
		cmocka_unit_test_setup_teardown(who_comes_during_an_event_gets_the_next_one, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(an_event_may_be_published_from_an_event, make_bus, free_bus),
		cmocka_unit_test_setup_teardown(subscribers_are_bounded_and_places_are_used_again, make_bus, free_bus),
		cmocka_unit_test(the_log_has_one_line_an_event),
		cmocka_unit_test(a_storm_of_refusals_does_not_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
