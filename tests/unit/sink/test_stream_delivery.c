/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing file's way to several destinations: retried only from its first byte, the slow one waited for, the failed
 * one left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/growing_bytes.h"
#include "base/slab_pool.h"
#include "sink/stream_delivery.h"

#define DESTINATIONS 2

/* A sink that takes what it is told to. */
struct fake {
	struct sink sink;
	struct sink_attempt *attempt; /* NULL: none runs */
	uint64_t taken, limit;	      /* bytes of the attempt; up to */
	unsigned starts, cancels;
};

struct sink_attempt {
	struct fake *fake;
	const struct sink_file *file;
	struct byte_stream stream;
	sink_attempt_done done;
	void *ctx;
};

static struct world {
	struct event_base *loop;
	struct slab_pool *slabs;
	struct growing_bytes *bytes;
	struct fake fakes[DESTINATIONS];
	struct deliveries *deliveries;
	struct stream_delivery *delivery;
	unsigned dones;
	struct delivery_result results[DESTINATIONS];
	char errors[DESTINATIONS][256];
} world;

static void end_attempt(struct fake *fake)
{
	fake->attempt->file->close(fake->attempt->file->ctx, &fake->attempt->stream);
	free(fake->attempt);
	fake->attempt = NULL;
}

static void report(struct fake *fake, enum sink_verdict verdict, const char *error)
{
	struct sink_outcome outcome = {.verdict = verdict, .sent_bytes = fake->taken};
	const struct sink_attempt attempt = *fake->attempt;

	snprintf(outcome.error, sizeof(outcome.error), "%s", error);
	end_attempt(fake);
	attempt.done(attempt.ctx, &outcome);
}

static void fake_more(struct sink *sink, struct sink_attempt *attempt)
{
	struct fake *fake = container_of(sink, struct fake, sink);
	uint8_t into[1000];
	size_t got = 1;

	while (got && fake->taken < fake->limit) {
		const uint64_t left = fake->limit - fake->taken;

		got = attempt->stream.read(attempt->stream.ctx, into,
					   left < sizeof(into) ? (size_t)left : sizeof(into));
		fake->taken += got;
	}
	if (attempt->stream.ended(attempt->stream.ctx))
		report(fake, SINK_OK, "");
}

static struct sink_attempt *fake_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				       void *ctx)
{
	struct fake *fake = container_of(sink, struct fake, sink);
	struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	*attempt = (struct sink_attempt){.fake = fake, .file = file, .done = done, .ctx = ctx};
	assert_true(file->open(file->ctx, &attempt->stream));
	assert_int_equal(attempt->stream.size_bytes, BYTE_STREAM_GROWS);
	fake->attempt = attempt;
	fake->taken = 0;
	fake->starts++;
	return attempt;
}

static bool fake_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct fake *fake = container_of(sink, struct fake, sink);

	(void)attempt;
	outcome->sent_bytes = fake->taken;
	fake->cancels++;
	end_attempt(fake);
	return false;
}

static void fake_free(struct sink *sink)
{
	(void)sink;
}

static const struct sink_class fake_class = {.cancel = fake_cancel,
					     .free = fake_free,
					     .start_growing = fake_start,
					     .more = fake_more};

static bool charge(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	return true;
}

static void give_back(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
}

static void on_done(void *ctx, const struct delivery_result *results, size_t count)
{
	(void)ctx;
	assert_int_equal(count, DESTINATIONS);
	world.dones++;
	world.delivery = NULL;
	for (size_t i = 0; i < count; i++) {
		world.results[i] = results[i];
		snprintf(world.errors[i], sizeof(world.errors[i]), "%s", results[i].error ? results[i].error : "");
	}
}

static int set_up(void **state)
{
	static char names[DESTINATIONS][4] = {"one", "two"};
	const struct delivery_options options = {.first_backoff_ns = NS_PER_MS,
						 .max_backoff_ns = NS_PER_MS,
						 .give_up_after_ns = 200 * NS_PER_MS};
	struct sink *sinks[DESTINATIONS];

	(void)state;
	memset(&world, 0, sizeof(world));
	world.loop = event_base_new();
	world.slabs = slab_pool_new(&(struct slab_pool_options){0});
	world.bytes = growing_bytes_new(&(struct growing_memory){.slabs = world.slabs,
								 .charge = charge,
								 .give_back = give_back},
					2 * SLAB_BYTES);
	for (size_t i = 0; i < DESTINATIONS; i++) {
		world.fakes[i].sink = (struct sink){.class = &fake_class, .name = names[i]};
		world.fakes[i].limit = UINT64_MAX;
		sinks[i] = &world.fakes[i].sink;
	}
	world.deliveries = deliveries_new(world.loop, &options, sinks, DESTINATIONS);
	const struct stream_file file = {.name = "a.pcapng", .id = "test", .bytes = world.bytes};
	world.delivery = stream_delivery_new(world.deliveries, &file, NULL, 0, on_done, NULL);
	return world.deliveries && world.delivery ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	stream_delivery_free(world.delivery);
	growing_bytes_free(world.bytes);
	deliveries_free(world.deliveries);
	slab_pool_free(world.slabs);
	event_base_free(world.loop);
	return 0;
}

static void grow(size_t size)
{
	size_t room;

	for (; size > 0; size -= room) {
		uint8_t *into = growing_bytes_room(world.bytes, &room);

		assert_non_null(into);
		room = room < size ? room : size;
		memset(into, 1, room);
		growing_bytes_add(world.bytes, room);
	}
	if (!world.fakes[0].starts)
		stream_delivery_more(world.delivery); /* starts the attempts, which begin to read later */
	stream_delivery_more(world.delivery);
}

static void end(void)
{
	growing_bytes_end(world.bytes);
	stream_delivery_more(world.delivery);
	while (!world.dones)
		event_base_loop(world.loop, EVLOOP_ONCE);
}

static void test_every_destination_gets_all_and_the_slowest_is_told(void **state)
{
	(void)state;
	world.fakes[1].limit = 500;
	grow(1000);
	assert_int_equal(world.fakes[0].taken, 1000);
	assert_int_equal(stream_delivery_delivered(world.delivery), 500);
	world.fakes[1].limit = UINT64_MAX;
	grow(10);
	assert_int_equal(stream_delivery_delivered(world.delivery), 1010);
	end();
	for (size_t i = 0; i < DESTINATIONS; i++) {
		assert_true(world.results[i].ok && world.results[i].streamed);
		assert_int_equal(world.results[i].delivered, 1010);
		assert_int_equal(world.results[i].attempts, 1);
	}
}

static void test_an_attempt_begins_again_while_the_first_byte_is_there(void **state)
{
	(void)state;
	grow(1000);
	report(&world.fakes[0], SINK_RETRY, "busy");
	while (world.fakes[0].starts < 2)
		event_base_loop(world.loop, EVLOOP_ONCE);
	end();
	assert_true(world.results[0].ok && world.results[1].ok);
	assert_int_equal(world.results[0].attempts, 2);
	assert_int_equal(world.results[0].delivered, 1000);
}

static void test_one_that_fails_later_has_failed_and_the_others_go_on(void **state)
{
	(void)state;
	grow(3 * SLAB_BYTES);
	assert_false(growing_bytes_has_first(world.bytes));
	report(&world.fakes[0], SINK_RETRY, "broken");
	grow(1000);
	assert_false(stream_delivery_is_hopeless(world.delivery));
	end();
	assert_false(world.results[0].ok);
	assert_string_equal(world.errors[0], "broken");
	assert_int_equal(world.results[0].delivered, 3 * SLAB_BYTES);
	assert_true(world.results[1].ok);
	assert_int_equal(world.results[1].delivered, 3 * SLAB_BYTES + 1000);
}

static void test_without_a_destination_left_it_is_hopeless_but_reported_at_the_end(void **state)
{
	(void)state;
	grow(10);
	report(&world.fakes[0], SINK_REFUSED, "no");
	report(&world.fakes[1], SINK_REFUSED, "no");
	event_base_loop(world.loop, EVLOOP_NONBLOCK);
	assert_true(stream_delivery_is_hopeless(world.delivery));
	assert_int_equal(world.dones, 0);
	end();
	assert_false(world.results[0].ok || world.results[1].ok);
}

static void test_one_that_takes_nothing_fails(void **state)
{
	(void)state;
	world.fakes[0].limit = 10;
	grow(3 * SLAB_BYTES);
	const uint64_t start_ns = clock_boottime_ns();
	while (!world.fakes[0].cancels) { /* limits.retry is 200 ms here */
		stream_delivery_check(world.delivery, false);
		assert_true(clock_boottime_ns() - start_ns < 20 * NS_PER_S);
	}
	assert_int_equal(world.fakes[1].cancels, 0);
	end();
	assert_false(world.results[0].ok);
	assert_non_null(strstr(world.errors[0], "took no bytes for"));
	assert_int_equal(world.results[0].delivered, 10);
	assert_true(world.results[1].ok);
}

static void test_memory_is_not_held_for_one_that_waits_to_begin_again(void **state)
{
	(void)state;
	grow(1000);
	report(&world.fakes[0], SINK_RETRY, "busy");
	stream_delivery_check(world.delivery, true);
	assert_int_equal(world.fakes[0].starts, 1);
	end();
	assert_false(world.results[0].ok);
	assert_non_null(strstr(world.errors[0], "make room"));
	assert_true(world.results[1].ok);
}

static void test_giving_up_cancels_and_reports(void **state)
{
	(void)state;
	grow(1000);
	stream_delivery_abandon(world.delivery, "the daemon was stopped");
	assert_int_equal(world.dones, 1);
	for (size_t i = 0; i < DESTINATIONS; i++) {
		assert_int_equal(world.fakes[i].cancels, 1);
		assert_string_equal(world.errors[i], "the daemon was stopped");
		assert_int_equal(world.results[i].delivered, 1000);
	}
}

int main(void)
{
#define world_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		world_test(test_every_destination_gets_all_and_the_slowest_is_told),
		world_test(test_an_attempt_begins_again_while_the_first_byte_is_there),
		world_test(test_one_that_fails_later_has_failed_and_the_others_go_on),
		world_test(test_without_a_destination_left_it_is_hopeless_but_reported_at_the_end),
		world_test(test_one_that_takes_nothing_fails),
		world_test(test_memory_is_not_held_for_one_that_waits_to_begin_again),
		world_test(test_giving_up_cancels_and_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
