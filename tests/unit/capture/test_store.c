/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "capture/store.h"

#define PACKETS 5000

static uint8_t bytes[4u << 20];
static struct slab_pool *slabs;

static int set_up(void **state)
{
	(void)state;
	slabs = slab_pool_new(&(struct slab_pool_options){.warm_bytes = 16 * SLAB_BYTES,
							  .use_bytes = SIZE_MAX,
							  .idle_ns = UINT64_C(3600000000000)});
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	return slabs ? 0 : -1;
}

/* Fails if the pool still has slabs in use; LeakSanitizer finds other leaks. */
static int tear_down(void **state)
{
	const size_t used_bytes = slab_pool_usage(slabs).used_bytes;

	(void)state;
	slab_pool_free(slabs);
	return used_bytes ? -1 : 0;
}

static struct packet_view make_packet(uint64_t number, uint64_t time_ns)
{
	return (struct packet_view){
		.time_ns = time_ns,
		.arrived_ns = time_ns,
		.data = bytes + number % 1000,
		.caplen = (uint32_t)(number * 37 % 1515),
		.wirelen = (uint32_t)number,
		.interface = (uint16_t)(number % 3),
		.direction = (uint8_t)(number % 3),
		.flags = (uint32_t)(number % 5 << 2 | (number % 7 ? 0 : PACKET_FLAG_CHECKSUM_NOT_READY)),
		.missing = number % 11 ? 0 : number * UINT64_C(0x100000001),
	};
}

static void check_packet(const struct packet_view *packet, uint64_t number, uint64_t time_ns)
{
	const struct packet_view expected = make_packet(number, time_ns);

	assert_int_equal(packet->time_ns, expected.time_ns);
	assert_int_equal(packet->caplen, expected.caplen);
	assert_int_equal(packet->wirelen, expected.wirelen);
	assert_int_equal(packet->interface, expected.interface);
	assert_int_equal(packet->direction, expected.direction);
	assert_int_equal(packet->flags, expected.flags);
	assert_int_equal(packet->missing, expected.missing);
	assert_memory_equal(packet->data, expected.data, expected.caplen);
}

/* Fills a store; `times` has the packets' times, NULL: one per second. */
static void fill(struct store *store, struct budget *budget, const uint64_t *times)
{
	store_init(store, budget);
	for (uint64_t i = 0; i < PACKETS; i++) {
		const struct packet_view packet = make_packet(i, times ? times[i] : i * 1000000000);

		assert_int_equal(store_add(store, &packet, NULL, 0), 0);
	}
	assert_int_equal(store->packets, PACKETS);
}

static void test_packets_come_out_as_they_went_in(void **state)
{
	struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;

	(void)state;
	fill(&store, &budget, NULL);
	assert_int_equal(store_seal(&store), 0);
	store_reader_init(&reader, &store);
	for (uint64_t i = 0; i < PACKETS; i++) {
		assert_true(store_reader_next(&reader, &packet));
		check_packet(&packet, i, i * 1000000000);
	}
	assert_false(store_reader_next(&reader, &packet));
	assert_false(store_reader_next(&reader, &packet));
	store_deinit(&store);
}

static void test_empty_store_has_no_packets_and_no_memory(void **state)
{
	struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;

	(void)state;
	store_init(&store, &budget);
	assert_int_equal(store_seal(&store), 0);
	store_reader_init(&reader, &store);
	assert_false(store_reader_next(&reader, &packet));
	assert_int_equal(budget.used_bytes, 0);
	store_deinit(&store);
	store_deinit(&store);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_slabs_double_up_to_their_maximum_and_are_charged(void **state)
{
	struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
	struct store store;

	(void)state;
	store_init(&store, &budget);
	size_t charged = 0, largest = 0, added = 0;
	while (added < 10 * SLAB_BYTES) {
		const struct packet_view packet = {.data = bytes, .caplen = 1000};

		assert_int_equal(store_add(&store, &packet, NULL, 0), 0);
		added += 1000;
		assert_int_equal(store.charged_bytes, budget.used_bytes);
		assert_true(budget.used_bytes >= added);
		if (store.charged_bytes > charged) {
			const size_t slab = store.charged_bytes - charged;

			assert_true(!charged || slab == 2 * largest || slab == SLAB_BYTES);
			assert_true(slab <= SLAB_BYTES && (charged || slab <= 64u << 10));
			charged = store.charged_bytes;
			largest = slab;
		}
	}
	assert_int_equal(largest, SLAB_BYTES);
	assert_true(budget.used_bytes <= added + added / 10 + SLAB_BYTES);
	store_deinit(&store);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_exhausted_budget_leaves_the_store_unchanged(void **state)
{
	struct budget budget = {.limit_bytes = 300 << 10, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;
	uint64_t added = 0;
	int r = 0;

	(void)state;
	store_init(&store, &budget);
	while (r == 0) {
		packet = make_packet(added, added);
		r = store_add(&store, &packet, NULL, 0);
		added += r == 0;
		assert_true(budget.used_bytes <= budget.limit_bytes);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(store_add(&store, &packet, NULL, 0), -ENOBUFS);
	assert_int_equal(store.packets, added);
	assert_int_equal(store_seal(&store), 0);
	store_reader_init(&reader, &store);
	for (uint64_t i = 0; i < added; i++) {
		assert_true(store_reader_next(&reader, &packet));
		check_packet(&packet, i, i);
	}
	assert_false(store_reader_next(&reader, &packet));
	store_deinit(&store);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_budget_is_shared_and_returned_memory_is_reusable(void **state)
{
	struct budget budget = {.limit_bytes = 64 << 10, .slabs = slabs};
	const struct packet_view packet = {.data = bytes, .caplen = 20000};
	struct store first, second, third;

	(void)state;
	store_init(&first, &budget);
	store_init(&second, &budget);
	store_init(&third, &budget);
	assert_int_equal(store_add(&first, &packet, NULL, 0), 0);
	assert_int_equal(store_add(&second, &packet, NULL, 0), 0);
	assert_int_equal(store_add(&third, &packet, NULL, 0), -ENOBUFS);
	store_deinit(&first);
	assert_int_equal(store_add(&third, &packet, NULL, 0), 0);
	store_deinit(&second);
	store_deinit(&third);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_big_packets_get_slabs_of_their_size(void **state)
{
	static const uint32_t sizes[] = {65535, 10, 262144, 1u << 20, 3u << 20, 1, 0, 100000};
	struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;

	(void)state;
	store_init(&store, &budget);
	for (unsigned i = 0; i < 8; i++) {
		packet = (struct packet_view){.data = bytes + i, .caplen = sizes[i], .time_ns = i};
		assert_int_equal(store_add(&store, &packet, NULL, 0), 0);
	}
	assert_int_equal(store_seal(&store), 0);
	store_reader_init(&reader, &store);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(store_reader_next(&reader, &packet));
		assert_int_equal(packet.caplen, sizes[i]);
		assert_memory_equal(packet.data, bytes + i, sizes[i]);
	}
	store_deinit(&store);
	assert_int_equal(budget.used_bytes, 0);
}

static void test_head_precedes_the_data_even_if_cut(void **state)
{
	static const uint8_t head[16] = "0123456789abcdef";
	struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;

	(void)state;
	store_init(&store, &budget);
	for (uint32_t caplen = 0; caplen < 40; caplen++) {
		packet = (struct packet_view){.data = bytes, .caplen = caplen};
		assert_int_equal(store_add(&store, &packet, head, sizeof(head)), 0);
	}
	assert_int_equal(store_seal(&store), 0);
	store_reader_init(&reader, &store);
	for (uint32_t caplen = 0; caplen < 40; caplen++) {
		assert_true(store_reader_next(&reader, &packet));
		assert_int_equal(packet.caplen, caplen);
		assert_memory_equal(packet.data, head, caplen < 16 ? caplen : 16);
		if (caplen > 16)
			assert_memory_equal(packet.data + 16, bytes, caplen - 16);
	}
	store_deinit(&store);
}

/* Times out of order in several ways, many of them equal. */
static void make_times(uint64_t *times, unsigned kind)
{
	uint64_t random = 12345 + kind;

	for (uint64_t i = 0; i < PACKETS; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		const uint64_t step = random >> 40;
		switch (kind) {
		case 0: /* one straggler at the end */
			times[i] = i == PACKETS - 1 ? 100 : i * 10;
			break;
		case 1: /* two CPUs */
			times[i] = i * 10 + (i % 2 ? 0 : 35);
			break;
		case 2: /* backwards */
			times[i] = PACKETS - i;
			break;
		case 3: /* anything, many equal */
			times[i] = step % 50;
			break;
		default: /* locally out of order */
			times[i] = i * 100 + step % 1000;
		}
	}
}

static void test_sealed_store_is_sorted_by_time_and_stable(void **state)
{
	static uint64_t times[PACKETS];
	static bool seen[PACKETS];

	(void)state;
	for (unsigned kind = 0; kind < 5; kind++) {
		struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
		struct store store;
		struct store_reader reader;
		struct packet_view packet;
		uint64_t last_ns = 0, last_number = 0;

		make_times(times, kind);
		memset(seen, 0, sizeof(seen));
		fill(&store, &budget, times);
		assert_true(store.out_of_order);
		assert_int_equal(store_seal(&store), 0);
		assert_int_equal(store_seal(&store), 0);
		store_reader_init(&reader, &store);
		for (uint64_t i = 0; i < PACKETS; i++) {
			assert_true(store_reader_next(&reader, &packet));
			const uint64_t number = packet.wirelen;
			assert_in_range(number, 0, PACKETS - 1);
			assert_false(seen[number]);
			seen[number] = true;
			check_packet(&packet, number, times[number]);
			assert_true(i == 0 || packet.time_ns > last_ns ||
				    (packet.time_ns == last_ns && number > last_number));
			last_ns = packet.time_ns;
			last_number = number;
		}
		assert_false(store_reader_next(&reader, &packet));
		store_deinit(&store);
		assert_int_equal(budget.used_bytes, 0);
	}
}

/* What sorting takes is charged while packets are added, and returned but for the order. */
static void test_sorting_is_charged_and_possible_with_a_spent_budget(void **state)
{
	struct budget budget = {.limit_bytes = 3 << 20, .slabs = slabs};
	struct store store;
	struct store_reader reader;
	struct packet_view packet;
	uint64_t added = 0, last_ns = 0, seen = 0;
	int r = 0;

	(void)state;
	store_init(&store, &budget);
	while (r == 0) {
		packet = (struct packet_view){.data = bytes, .caplen = 10, .time_ns = 1000 + (added ^ 1)};
		packet.arrived_ns = packet.time_ns;
		r = store_add(&store, &packet, NULL, 0);
		added += r == 0;
		assert_true(budget.used_bytes <= budget.limit_bytes);
		assert_int_equal(budget.used_bytes, store.charged_bytes);
	}
	assert_int_equal(r, -ENOBUFS);
	const size_t before = budget.used_bytes;
	assert_int_equal(store_seal(&store), 0);
	assert_in_range(before - budget.used_bytes, added * 4, added * 4 + 1024 * 12 + 8);
	store_reader_init(&reader, &store);
	for (; store_reader_next(&reader, &packet); seen++) {
		assert_true(packet.time_ns >= last_ns);
		last_ns = packet.time_ns;
	}
	assert_int_equal(seen, added);
	store_deinit(&store);
	assert_int_equal(budget.used_bytes, 0);
}

static void *read_all(void *arg)
{
	struct store_reader reader;
	struct packet_view packet;
	uint64_t sum = 0;

	store_reader_init(&reader, arg);
	const struct packet_source source = store_reader_source(&reader);
	for (unsigned round = 0; round < 3; round++) {
		source.rewind(source.ctx);
		while (source.next(source.ctx, &packet))
			sum += packet.wirelen + packet.caplen;
	}
	return (void *)(uintptr_t)sum;
}

static void test_a_budget_within_another_charges_both(void **state)
{
	struct budget whole = {.limit_bytes = 100, .slabs = slabs};
	struct budget first = {.limit_bytes = 60, .slabs = slabs, .parent = &whole}, second = first;

	(void)state;
	assert_true(budget_charge(&first, 50));
	assert_false(budget_charge(&first, 11));
	assert_true(budget_charge(&second, 50));
	assert_false(budget_charge(&second, 1));
	assert_int_equal(second.used_bytes, 50);
	assert_int_equal(whole.used_bytes, 100);
	budget_return(&first, 50);
	budget_return(&second, 50);
	assert_int_equal(first.used_bytes + second.used_bytes + whole.used_bytes, 0);
}

static void test_concurrent_readers_see_the_same_packets(void **state)
{
	static uint64_t times[PACKETS];
	uint64_t expected = 0;

	(void)state;
	for (uint64_t i = 0; i < PACKETS; i++)
		expected += 3 * (i + i * 37 % 1515);
	for (unsigned out_of_order = 0; out_of_order < 2; out_of_order++) {
		struct budget budget = {.limit_bytes = SIZE_MAX, .slabs = slabs};
		struct store store;
		pthread_t threads[4];

		make_times(times, 1);
		fill(&store, &budget, out_of_order ? times : NULL);
		assert_int_equal(store_seal(&store), 0);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, read_all, &store), 0);
		for (unsigned i = 0; i < 4; i++) {
			void *sum;

			pthread_join(threads[i], &sum);
			assert_int_equal((uintptr_t)sum, expected);
		}
		store_deinit(&store);
	}
}

struct filler {
	struct budget *budget;
	bool full;
};

static void *fill_up(void *arg)
{
	struct filler *filler = arg;
	const struct packet_view packet = {.data = bytes, .caplen = 30000};

	for (unsigned round = 0; round < 200; round++) {
		struct store store;

		store_init(&store, filler->budget);
		for (unsigned i = 0; i < 20; i++) {
			filler->full |= store_add(&store, &packet, NULL, 0) == -ENOBUFS;
			if (filler->budget->used_bytes > filler->budget->limit_bytes)
				return NULL;
		}
		store_deinit(&store);
	}
	return filler;
}

static void test_concurrent_threads_never_exceed_the_budget(void **state)
{
	struct budget budget = {.limit_bytes = 1 << 20, .slabs = slabs};
	struct filler fillers[4];
	pthread_t threads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fillers[i] = (struct filler){.budget = &budget};
		assert_int_equal(pthread_create(&threads[i], NULL, fill_up, &fillers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		void *within;

		pthread_join(threads[i], &within);
		assert_non_null(within);
	}
	assert_int_equal(budget.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_come_out_as_they_went_in),
		cmocka_unit_test(test_empty_store_has_no_packets_and_no_memory),
		cmocka_unit_test(test_slabs_double_up_to_their_maximum_and_are_charged),
		cmocka_unit_test(test_exhausted_budget_leaves_the_store_unchanged),
		cmocka_unit_test(test_budget_is_shared_and_returned_memory_is_reusable),
		cmocka_unit_test(test_big_packets_get_slabs_of_their_size),
		cmocka_unit_test(test_head_precedes_the_data_even_if_cut),
		cmocka_unit_test(test_sealed_store_is_sorted_by_time_and_stable),
		cmocka_unit_test(test_sorting_is_charged_and_possible_with_a_spent_budget),
		cmocka_unit_test(test_a_budget_within_another_charges_both),
		cmocka_unit_test(test_concurrent_readers_see_the_same_packets),
		cmocka_unit_test(test_concurrent_threads_never_exceed_the_budget),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
