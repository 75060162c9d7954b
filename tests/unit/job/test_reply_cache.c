/* SPDX-License-Identifier: BSD-2-Clause */
/* Idempotence: replies to known ids, and what the cache drops at its caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "event/event_bus.h"
#include "event/event_copy.h"
#include "job/reply_cache.h"

#define DUPLICATES_MAX (REPLY_CACHE_CAPTURES_MAX + 44)

struct fixture {
	struct reply_cache *cache;
	struct event_bus *bus;
	size_t duplicate_count;
	struct event *duplicates[DUPLICATES_MAX];
};

static struct fixture fixture;

static void record_duplicate(void *ctx, const struct event *event, const char *json)
{
	(void)ctx;
	(void)json;
	if (!event->duplicate)
		return;
	assert_true(fixture.duplicate_count < DUPLICATES_MAX);
	fixture.duplicates[fixture.duplicate_count++] = event_copy(event);
}

static void clear_duplicates(void)
{
	while (fixture.duplicate_count)
		event_copy_free(fixture.duplicates[--fixture.duplicate_count]);
}

static int set_up(void **state)
{
	(void)state;
	fixture.cache = reply_cache_new();
	fixture.bus = event_bus_new();
	return fixture.cache && fixture.bus &&
			       event_bus_subscribe(fixture.bus, reply_cache_on_event, fixture.cache) == 0 &&
			       event_bus_subscribe(fixture.bus, record_duplicate, NULL) == 0
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	(void)state;
	clear_duplicates();
	reply_cache_free(fixture.cache);
	event_bus_free(fixture.bus);
	return 0;
}

static void publish(const char *id, const char *capture, enum event_kind kind, const char *tags)
{
	const struct event event = {
		.kind = kind, .id = id, .capture = capture, .node = "alpha", .time_ns = 1, .tags = tags};

	event_bus_publish(fixture.bus, &event);
}

/* Repeats an id; true if it is known: `duplicates` then has the replies. */
static bool repeat(const char *id)
{
	clear_duplicates();
	return reply_cache_repeat(fixture.cache, id, fixture.bus);
}

static void test_unknown_id_is_not_answered(void **state)
{
	(void)state;
	assert_false(repeat("a"));
	publish("a", "1", EVENT_DONE, NULL); /* the id is not tracked */
	assert_false(repeat("a"));
	assert_int_equal(fixture.duplicate_count, 0);
}

static void test_known_id_is_recognised_before_its_first_event(void **state)
{
	(void)state;
	reply_cache_track(fixture.cache, "a");
	assert_true(repeat("a"));
	assert_int_equal(fixture.duplicate_count, 0);
	assert_false(repeat("A"));
	assert_false(repeat("a "));
}

static void test_reply_is_the_latest_event_of_every_capture(void **state)
{
	(void)state;
	reply_cache_track(fixture.cache, "a");
	reply_cache_track(fixture.cache, "b");
	publish("a", "1", EVENT_ACCEPTED, NULL);
	publish("a", "2", EVENT_ACCEPTED, "second");
	publish("b", "3", EVENT_FAILED, NULL);
	publish("a", "1", EVENT_CAPTURED, NULL);
	publish("a", "1", EVENT_DONE, "first");
	publish(NULL, "1", EVENT_FAILED, NULL);
	assert_true(repeat("a"));
	assert_int_equal(fixture.duplicate_count, 2);
	assert_string_equal(fixture.duplicates[0]->capture, "1");
	assert_int_equal(fixture.duplicates[0]->kind, EVENT_DONE);
	assert_string_equal(fixture.duplicates[0]->tags, "first");
	assert_true(fixture.duplicates[0]->time_ns > 1);
	assert_string_equal(fixture.duplicates[1]->capture, "2");
	assert_int_equal(fixture.duplicates[1]->kind, EVENT_ACCEPTED);
	assert_true(repeat("b"));
	assert_int_equal(fixture.duplicate_count, 1);
	assert_int_equal(fixture.duplicates[0]->kind, EVENT_FAILED);
}

static void test_repeated_replies_are_not_stored_again(void **state)
{
	(void)state;
	reply_cache_track(fixture.cache, "a");
	publish("a", "1", EVENT_DONE, NULL);
	const size_t bytes = reply_cache_bytes(fixture.cache);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(repeat("a"));
		assert_int_equal(fixture.duplicate_count, 1);
		assert_true(fixture.duplicates[0]->duplicate);
	}
	assert_int_equal(reply_cache_bytes(fixture.cache), bytes);
}

static void test_event_without_capture_is_one_more_reply(void **state)
{
	(void)state;
	reply_cache_track(fixture.cache, "a");
	publish("a", NULL, EVENT_REJECTED, NULL);
	publish("a", NULL, EVENT_REJECTED, "later");
	publish("a", "1", EVENT_DONE, NULL);
	assert_true(repeat("a"));
	assert_int_equal(fixture.duplicate_count, 2);
	assert_string_equal(fixture.duplicates[0]->tags, "later");
}

static void expect_numbered(unsigned from, unsigned to)
{
	char id[16];

	for (unsigned i = from; i < to; i++) {
		snprintf(id, sizeof(id), "id-%u", i);
		reply_cache_track(fixture.cache, id);
	}
}

static bool knows_numbered(unsigned number)
{
	char id[16];

	snprintf(id, sizeof(id), "id-%u", number);
	return repeat(id);
}

static void test_oldest_ids_are_forgotten_first(void **state)
{
	(void)state;
	expect_numbered(0, REPLY_CACHE_IDS_MAX);
	assert_true(knows_numbered(0));
	expect_numbered(REPLY_CACHE_IDS_MAX, REPLY_CACHE_IDS_MAX + 100);
	for (unsigned i = 0; i < REPLY_CACHE_IDS_MAX + 100; i++)
		assert_int_equal(knows_numbered(i), i >= 100);
}

static void test_captures_of_one_id_are_capped(void **state)
{
	char capture[16];

	(void)state;
	reply_cache_track(fixture.cache, "a");
	for (unsigned i = 0; i < REPLY_CACHE_CAPTURES_MAX + 10; i++) {
		snprintf(capture, sizeof(capture), "%u", i);
		publish("a", capture, EVENT_ACCEPTED, NULL);
	}
	publish("a", "7", EVENT_DONE, NULL);
	assert_true(repeat("a"));
	assert_int_equal(fixture.duplicate_count, REPLY_CACHE_CAPTURES_MAX);
	assert_int_equal(fixture.duplicates[7]->kind, EVENT_DONE);
}

static void test_events_of_all_ids_are_capped(void **state)
{
	const unsigned ids = REPLY_CACHE_EVENTS_MAX / REPLY_CACHE_CAPTURES_MAX + 3;
	char id[16], capture[16];

	(void)state;
	expect_numbered(0, ids);
	for (unsigned i = 0; i < ids; i++) {
		snprintf(id, sizeof(id), "id-%u", i);
		for (unsigned c = 0; c < REPLY_CACHE_CAPTURES_MAX; c++) {
			snprintf(capture, sizeof(capture), "%u", c);
			publish(id, capture, EVENT_DONE, NULL);
		}
	}
	for (unsigned i = 0; i < ids; i++)
		assert_int_equal(knows_numbered(i), i >= 3);
}

static void test_bytes_are_capped_and_freed(void **state)
{
	static char tags[1u << 20];
	char id[16];
	const size_t empty = reply_cache_bytes(fixture.cache);

	(void)state;
	assert_int_equal(empty, 0);
	memset(tags, 'x', sizeof(tags) - 1);
	for (unsigned i = 0; i < 40; i++) {
		expect_numbered(i, i + 1);
		snprintf(id, sizeof(id), "id-%u", i);
		publish(id, "1", EVENT_ACCEPTED, tags);
		assert_true(reply_cache_bytes(fixture.cache) <= REPLY_CACHE_BYTES_MAX);
		assert_true(knows_numbered(i));
		assert_int_equal(fixture.duplicate_count, 1);
	}
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(knows_numbered(i), i >= 40 - (REPLY_CACHE_BYTES_MAX / sizeof(tags) - 1));
	assert_true(reply_cache_bytes(fixture.cache) > REPLY_CACHE_BYTES_MAX - 2 * sizeof(tags));
	for (unsigned i = 25; i < 40; i++) { /* a small event replaces the large one */
		snprintf(id, sizeof(id), "id-%u", i);
		publish(id, "1", EVENT_DONE, NULL);
	}
	assert_true(reply_cache_bytes(fixture.cache) < 15 * 1000);
}

/* The oldest id is no exception, even if it is the one that grows. */
static void test_bytes_are_capped_while_an_old_id_grows(void **state)
{
	static char tags[1u << 20];

	(void)state;
	memset(tags, 'x', sizeof(tags) - 1);
	expect_numbered(0, 2);
	for (unsigned i = 0; i < 10; i++) {
		char capture[2] = {(char)('a' + i), 0};

		publish("id-1", capture, EVENT_DONE, tags);
		publish("id-0", capture, EVENT_DONE, tags);
		assert_true(reply_cache_bytes(fixture.cache) <= REPLY_CACHE_BYTES_MAX);
	}
	assert_false(knows_numbered(0));
	assert_true(knows_numbered(1));
	assert_int_equal(fixture.duplicate_count, 10);
}

static void test_events_beyond_the_cap_of_one_id_are_dropped(void **state)
{
	static char tags[4u << 20];

	(void)state;
	memset(tags, 'x', sizeof(tags) - 1);
	reply_cache_track(fixture.cache, "a");
	for (unsigned i = 0; i < 6; i++) {
		char capture[2] = {(char)('a' + i), 0};

		publish("a", capture, EVENT_DONE, tags);
	}
	assert_true(repeat("a"));
	assert_int_equal(fixture.duplicate_count, 3);
	assert_true(reply_cache_bytes(fixture.cache) <= REPLY_CACHE_BYTES_MAX);
}

static void test_charge_equals_the_size_of_a_copy(void **state)
{
	const struct event_destination destinations[] = {{.name = "directory", .ok = true, .url = "file:///x"},
							 {.name = "cloudshark", .error = "refused"}};
	const struct event bare = {.node = "n"};
	const struct event full = {.node = "n", .tags = "1234", .destinations = destinations, .destination_count = 2};

	(void)state;
	assert_int_equal(event_copy_bytes(&full) - event_copy_bytes(&bare),
			 5 + 2 * sizeof(*destinations) + 10 + 10 + 11 + 8);
	cleanup(cleanup_event_copy) struct event *copy = event_copy(&full);
	assert_int_equal(event_copy_bytes(copy), event_copy_bytes(&full));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_id_is_not_answered),
		TEST(test_known_id_is_recognised_before_its_first_event),
		TEST(test_reply_is_the_latest_event_of_every_capture),
		TEST(test_repeated_replies_are_not_stored_again),
		TEST(test_event_without_capture_is_one_more_reply),
		TEST(test_oldest_ids_are_forgotten_first),
		TEST(test_captures_of_one_id_are_capped),
		TEST(test_events_of_all_ids_are_capped),
		TEST(test_bytes_are_capped_and_freed),
		TEST(test_bytes_are_capped_while_an_old_id_grows),
		TEST(test_events_beyond_the_cap_of_one_id_are_dropped),
		TEST(test_charge_equals_the_size_of_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
