/* SPDX-License-Identifier: BSD-2-Clause */
/* Several stores read as one: in time order, cut at the limits of the whole, any number of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "output/store_merge.h"

#define STORES 19
#define NO_LIMITS (&(struct store_merge_limits){.packets = UINT64_MAX, .bytes = UINT64_MAX})

static struct budget budget = {.limit_bytes = SIZE_MAX};
static uint64_t random_state = 88172645463325252;

static uint32_t pick(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % below);
}

/* Adds a packet whose bytes hold store and position. */
static void add(struct store *store, uint8_t number, uint64_t time_ns, uint32_t size)
{
	uint8_t data[2000];
	const uint64_t position = store->packets;

	memset(data, number, sizeof(data));
	memcpy(data + 1, &position, sizeof(position));
	const struct packet_view view = {
		.time_ns = time_ns, .arrived_ns = time_ns, .data = data, .caplen = size, .wirelen = size + 1};
	assert_int_equal(store_add(store, &view, NULL, 0), 0);
}

static void make_stores(struct store *stores, const struct store **list)
{
	for (uint8_t i = 0; i < STORES; i++) {
		uint64_t time_ns = 1000;

		store_init(&stores[i], &budget);
		list[i] = &stores[i];
		for (unsigned left = i == 2 ? 0 : 200 + pick(800); left; left--) {
			add(&stores[i], i, time_ns, 20 + pick(100));
			time_ns += pick(4);
		}
		assert_int_equal(store_seal(&stores[i]), 0);
	}
}

static void free_stores(struct store *stores)
{
	for (unsigned i = 0; i < STORES; i++)
		store_deinit(&stores[i]);
	assert_int_equal(budget.used_bytes, 0);
}

/* Reads all packets; each must be the next of its store. */
static void read_all(const struct packet_source *source, uint64_t positions[STORES], uint64_t *count, uint64_t *bytes)
{
	struct packet_view packet, last = {.time_ns = 0};

	*count = *bytes = 0;
	memset(positions, 0, STORES * sizeof(*positions));
	while (source->next(source->ctx, &packet)) {
		assert_true(packet.interface < STORES && packet.caplen >= 20);
		assert_int_equal(packet.wirelen, packet.caplen + 1);
		assert_int_equal(packet.data[0], packet.interface);
		assert_memory_equal(packet.data + 1, &positions[packet.interface], sizeof(uint64_t));
		positions[packet.interface]++;
		assert_true(packet.time_ns >= last.time_ns);
		if (packet.time_ns == last.time_ns)
			assert_true(packet.interface >= last.interface);
		last = packet;
		*bytes += packet.caplen;
		++*count;
	}
	assert_false(source->next(source->ctx, &packet));
}

static void test_every_packet_comes_once_in_time_order(void **state)
{
	struct store stores[STORES];
	const struct store *list[STORES];
	uint64_t positions[STORES], count, bytes;

	(void)state;
	make_stores(stores, list);
	cleanup(cleanup_store_merge) struct store_merge *merge = store_merge_new(list, STORES, NO_LIMITS);
	struct packet_source source = store_merge_source(merge);
	for (unsigned round = 0; round < 3; round++) {
		read_all(&source, positions, &count, &bytes);
		for (unsigned i = 0; i < STORES; i++)
			assert_int_equal(positions[i], stores[i].packets);
		source.rewind(source.ctx);
	}
	free_stores(stores);
}

static void test_limits_of_the_merge_are_exact(void **state)
{
	struct store stores[STORES];
	const struct store *list[STORES];
	uint64_t positions[STORES], total, total_bytes, count, bytes;

	(void)state;
	make_stores(stores, list);
	struct store_merge *merge = store_merge_new(list, STORES, NO_LIMITS);
	struct packet_source source = store_merge_source(merge);
	read_all(&source, positions, &total, &total_bytes);
	store_merge_free(merge);
	for (uint64_t limit = 1; limit < total + 10; limit += 1 + limit / 3) {
		merge = store_merge_new(list, STORES,
					&(struct store_merge_limits){.packets = limit, .bytes = UINT64_MAX});
		source = store_merge_source(merge);
		for (unsigned round = 0; round < 2; round++) { /* a rewind restarts the limits */
			read_all(&source, positions, &count, &bytes);
			assert_int_equal(count, limit < total ? limit : total);
			source.rewind(source.ctx);
		}
		store_merge_free(merge);
	}
	for (uint64_t limit = 1; limit < total_bytes + 200; limit += 1 + limit / 3) {
		merge = store_merge_new(list, STORES,
					&(struct store_merge_limits){.packets = UINT64_MAX, .bytes = limit});
		source = store_merge_source(merge);
		for (unsigned round = 0; round < 2; round++) {
			read_all(&source, positions, &count, &bytes);
			if (limit > total_bytes)
				assert_int_equal(bytes, total_bytes);
			else
				assert_in_range(bytes, limit, limit + 119); /* includes the packet that reaches it */
			source.rewind(source.ctx);
		}
		store_merge_free(merge);
	}
	free_stores(stores);
}

static void test_rewind_in_the_middle_starts_over(void **state)
{
	struct store stores[STORES];
	const struct store *list[STORES];
	uint64_t positions[STORES], count, bytes;

	(void)state;
	make_stores(stores, list);
	cleanup(cleanup_store_merge) struct store_merge *merge =
		store_merge_new(list, STORES, &(struct store_merge_limits){.packets = 100, .bytes = UINT64_MAX});
	struct packet_source source = store_merge_source(merge);
	for (unsigned read = 0; read < 120; read += 7) {
		struct packet_view packet;

		for (unsigned i = 0; i < read; i++)
			assert_int_equal(source.next(source.ctx, &packet), i < 100);
		source.rewind(source.ctx);
	}
	read_all(&source, positions, &count, &bytes);
	assert_int_equal(count, 100);
	free_stores(stores);
}

static void test_disordered_stores_come_out_in_order(void **state)
{
	struct store stores[2];
	const struct store *list[] = {&stores[0], &stores[1]};

	(void)state;
	for (uint8_t i = 0; i < 2; i++) {
		store_init(&stores[i], &budget);
		for (unsigned n = 0; n < 500; n++)
			add(&stores[i], i, 1000 + pick(5000), 60);
		assert_int_equal(store_seal(&stores[i]), 0);
	}
	cleanup(cleanup_store_merge) struct store_merge *merge = store_merge_new(list, 2, NO_LIMITS);
	struct packet_source source = store_merge_source(merge);
	struct packet_view packet;
	uint64_t last_ns = 0;
	unsigned count = 0;
	for (; source.next(source.ctx, &packet); count++) {
		assert_true(packet.time_ns >= last_ns);
		last_ns = packet.time_ns;
	}
	assert_int_equal(count, 1000);
	store_deinit(&stores[0]);
	store_deinit(&stores[1]);
}

static void test_merge_of_no_packets_is_empty(void **state)
{
	struct store empty;
	const struct store *list[] = {&empty};
	struct packet_view packet;

	(void)state;
	store_init(&empty, &budget);
	for (size_t count = 0; count < 2; count++) {
		cleanup(cleanup_store_merge) struct store_merge *merge = store_merge_new(list, count, NO_LIMITS);
		struct packet_source source = store_merge_source(merge);

		assert_false(source.next(source.ctx, &packet));
		source.rewind(source.ctx);
		assert_false(source.next(source.ctx, &packet));
	}
	store_merge_free(NULL);
	store_deinit(&empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_packet_comes_once_in_time_order),
		cmocka_unit_test(test_limits_of_the_merge_are_exact),
		cmocka_unit_test(test_rewind_in_the_middle_starts_over),
		cmocka_unit_test(test_disordered_stores_come_out_in_order),
		cmocka_unit_test(test_merge_of_no_packets_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
