/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of several parts come out in time order, in batches that can be walked twice while more comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "capture/store.h"
#include "output/live_queue.h"

static struct budget budget = {.limit_bytes = SIZE_MAX};

/* A piece of packets of 100 bytes that arrived at these times, up to 0. */
static void add_piece(struct live_queue *queue, size_t part, const uint64_t *times)
{
	static const uint8_t data[100];
	struct store store;

	store_init(&store, &budget);
	for (; *times; times++) {
		const struct packet_view view = {
			.time_ns = *times, .arrived_ns = *times, .data = data, .caplen = 100, .wirelen = 100};

		assert_int_equal(store_add(&store, &view, NULL, 0), 0);
	}
	assert_int_equal(store_seal(&store), 0);
	assert_int_equal(live_queue_add(queue, part, &store), 0);
	assert_int_equal(store.packets, 0);
	assert_int_equal(store.charged_bytes, 0);
}

#define ADD(queue, part, ...) add_piece((queue), (part), (const uint64_t[]){__VA_ARGS__, 0})

static void expect_walk(struct live_queue *queue, const uint64_t *times, bool rewind)
{
	const struct packet_source source = live_queue_batch(queue);
	struct packet_view packet;

	if (rewind)
		source.rewind(source.ctx);
	for (; *times; times++) {
		assert_true(source.next(source.ctx, &packet));
		assert_int_equal(packet.arrived_ns, *times);
		assert_int_equal(packet.interface, *times % 10);
	}
	assert_false(source.next(source.ctx, &packet));
}

#define EXPECT(queue, rewind, ...) expect_walk((queue), (const uint64_t[]){__VA_ARGS__ 0}, (rewind))

static struct live_queue *new_queue(uint64_t packets, uint64_t bytes)
{
	struct live_queue *queue = live_queue_new(3, packets, bytes);

	assert_non_null(queue);
	for (size_t part = 0; part < 3; part++)
		live_queue_set_interface(queue, part, (uint16_t)(part + 1));
	return queue;
}

static void test_parts_come_out_in_time_order_and_give_their_memory_back(void **state)
{
	struct live_queue *queue = new_queue(UINT64_MAX, UINT64_MAX);

	(void)state;
	ADD(queue, 0, 11, 31, 51);
	ADD(queue, 2, 23, 43);
	ADD(queue, 0, 61);
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 11, 23, 31, 43, 51, 61, );
	assert_true(live_queue_is_empty(queue));
	assert_int_equal(live_queue_packets(queue), 6);
	assert_int_equal(live_queue_bytes(queue), 600);
	live_queue_begin_batch(queue, UINT64_MAX);
	assert_int_equal(budget.used_bytes, 0);
	EXPECT(queue, false, );
	ADD(queue, 1, 72);
	assert_false(live_queue_is_empty(queue));
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 72, );
	assert_int_equal(live_queue_packets(queue), 7);
	live_queue_free(queue);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_what_comes_meanwhile_is_in_the_next_batch(void **state)
{
	struct live_queue *queue = new_queue(UINT64_MAX, UINT64_MAX);

	(void)state;
	ADD(queue, 0, 21, 41);
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 21, 41, );
	ADD(queue, 0, 51);
	ADD(queue, 1, 32);
	EXPECT(queue, true, 21, 41, );
	assert_false(live_queue_is_empty(queue));
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 32, 51, );
	EXPECT(queue, true, 32, 51, );
	assert_true(live_queue_is_empty(queue));
	live_queue_free(queue);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_later_packets_wait_for_their_time(void **state)
{
	struct live_queue *queue = new_queue(UINT64_MAX, UINT64_MAX);

	(void)state;
	ADD(queue, 0, 11, 31);
	ADD(queue, 1, 22, 52);
	live_queue_begin_batch(queue, 30);
	EXPECT(queue, false, 11, 22, );
	EXPECT(queue, true, 11, 22, );
	ADD(queue, 2, 33);
	live_queue_begin_batch(queue, 31);
	EXPECT(queue, false, );
	assert_false(live_queue_is_empty(queue));
	live_queue_begin_batch(queue, 50);
	EXPECT(queue, false, 31, 33, );
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 52, );
	live_queue_free(queue);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_the_whole_ends_at_its_limits(void **state)
{
	struct live_queue *queue = new_queue(3, UINT64_MAX);

	(void)state;
	ADD(queue, 0, 11, 31);
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 11, 31, );
	ADD(queue, 1, 42, 52);
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 42, );
	EXPECT(queue, true, 42, );
	assert_true(live_queue_is_empty(queue));
	live_queue_free(queue);
	queue = new_queue(UINT64_MAX, 150);
	ADD(queue, 0, 11, 31, 41);
	live_queue_begin_batch(queue, UINT64_MAX);
	EXPECT(queue, false, 11, 31, );
	assert_true(live_queue_is_empty(queue));
	live_queue_free(queue);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_a_batch_has_a_largest_size(void **state)
{
	struct live_queue *queue = new_queue(UINT64_MAX, UINT64_MAX);
	const uint64_t count = LIVE_QUEUE_BATCH_PACKETS + 5;
	uint64_t times[LIVE_QUEUE_BATCH_PACKETS + 6] = {0};

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		times[i] = 1 + 10 * i;
	add_piece(queue, 0, times);
	const uint64_t next = times[LIVE_QUEUE_BATCH_PACKETS];
	times[LIVE_QUEUE_BATCH_PACKETS] = 0;
	live_queue_begin_batch(queue, UINT64_MAX);
	expect_walk(queue, times, false);
	expect_walk(queue, times, true);
	times[LIVE_QUEUE_BATCH_PACKETS] = next;
	live_queue_begin_batch(queue, UINT64_MAX);
	expect_walk(queue, times + LIVE_QUEUE_BATCH_PACKETS, false);
	assert_int_equal(live_queue_packets(queue), count);
	live_queue_free(queue);
	assert_int_equal(budget.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_come_out_in_time_order_and_give_their_memory_back),
		cmocka_unit_test(test_what_comes_meanwhile_is_in_the_next_batch),
		cmocka_unit_test(test_later_packets_wait_for_their_time),
		cmocka_unit_test(test_the_whole_ends_at_its_limits),
		cmocka_unit_test(test_a_batch_has_a_largest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
