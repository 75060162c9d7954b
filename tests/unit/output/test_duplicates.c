/* SPDX-License-Identifier: BSD-2-Clause */
/* Of identical frames that several interfaces saw within 10 ms the first stays; what one interface saw twice stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/duplicates.h"
#include "output/store_merge.h"

#define STORES 4
#define FRAMES_MAX 4000
#define FRAME_BYTES 70

static struct budget budget = {.limit_bytes = SIZE_MAX};
static struct store stores[STORES];
static const struct store *const list[STORES] = {&stores[0], &stores[1], &stores[2], &stores[3]};
static uint64_t random_state = 88172645463325252;

static uint32_t pick(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % below);
}

static int set_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STORES; i++)
		store_init(&stores[i], &budget);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STORES; i++)
		store_deinit(&stores[i]);
	return budget.used_bytes ? -1 : 0;
}

static void add(unsigned store, uint8_t content, uint64_t at_us, uint64_t missing)
{
	uint8_t data[FRAME_BYTES] = {0};

	data[FRAME_BYTES - 1] = content;
	const struct packet_view view = {.time_ns = at_us * 1000,
					 .arrived_ns = 1 + at_us * 1000,
					 .data = data,
					 .caplen = sizeof(data),
					 .wirelen = sizeof(data),
					 .missing = missing};
	assert_int_equal(store_add(&stores[store], &view, NULL, 0), 0);
}

/* What is left, as text: the interface's letter and the content of each. */
static void check(const char *expected, unsigned dropped)
{
	struct duplicates *duplicates = NULL;
	char text[256] = "";
	struct packet_view packet;

	for (unsigned i = 0; i < STORES; i++)
		assert_int_equal(store_seal(&stores[i]), 0);
	assert_int_equal(duplicates_find(list, STORES, &duplicates), 0);
	const struct store_merge_limits limits = {.packets = UINT64_MAX, .bytes = UINT64_MAX, .duplicates = duplicates};
	struct store_merge *merge = store_merge_new(list, STORES, &limits);
	const struct packet_source source = store_merge_source(merge);
	for (unsigned round = 0; round < 2; round++) {
		*text = 0;
		while (source.next(source.ctx, &packet))
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%u", *text ? " " : "",
				 'A' + packet.interface, packet.data[FRAME_BYTES - 1]);
		assert_string_equal(text, expected);
		source.rewind(source.ctx);
	}
	assert_int_equal(duplicates_count(duplicates), dropped);
	store_merge_free(merge);
	duplicates_free(duplicates);
}

static void test_the_first_of_identical_frames_stays(void **state)
{
	(void)state;
	add(1, 7, 100, 0);
	add(0, 7, 110, 0);
	add(2, 7, 120, 0);
	add(2, 8, 130, 0);
	add(0, 9, 140, 0);
	add(1, 8, 150, 0);
	check("B7 C8 A9", 3);
}

static void test_what_one_interface_sees_twice_stays(void **state)
{
	(void)state;
	add(0, 7, 100, 0);
	add(0, 7, 101, 0);
	add(1, 7, 102, 0);
	add(1, 7, 103, 0);
	add(1, 7, 104, 0); /* the third is not in A */
	add(2, 7, 105, 0);
	check("A7 A7 B7", 3);
}

static void test_frames_further_apart_stay(void **state)
{
	(void)state;
	add(0, 7, 0, 0);
	add(1, 7, 10000, 0);
	add(2, 7, 10001, 0); /* 10 ms count from the original, not from its latest duplicate */
	add(0, 8, 50000, 0);
	add(1, 8, 60001, 0);
	check("A7 C7 A8 B8", 1);
}

static void test_frames_that_differ_in_any_way_stay(void **state)
{
	uint8_t data[FRAME_BYTES] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct packet_view view = {.arrived_ns = 1,
						 .data = data,
						 .caplen = FRAME_BYTES - (i == 1),
						 .wirelen = FRAME_BYTES + (i == 2)};
		assert_int_equal(store_add(&stores[i], &view, NULL, 0), 0);
	}
	check("A0 B0 C0", 0);
}

static void test_no_packets_have_no_duplicates(void **state)
{
	(void)state;
	check("", 0);
}

static void test_missing_packets_before_a_duplicate_are_marked_at_the_next_one(void **state)
{
	struct duplicates *duplicates = NULL;
	struct packet_view packet;
	uint64_t missing[STORES] = {0};

	(void)state;
	add(0, 7, 100, 0);
	add(1, 7, 101, 5);
	add(1, 8, 102, 2);
	add(1, 9, 103, 0);
	for (unsigned i = 0; i < STORES; i++)
		assert_int_equal(store_seal(&stores[i]), 0);
	assert_int_equal(duplicates_find(list, STORES, &duplicates), 0);
	struct store_merge *merge = store_merge_new(list, STORES,
						    &(struct store_merge_limits){.packets = UINT64_MAX,
										 .bytes = UINT64_MAX,
										 .duplicates = duplicates});
	const struct packet_source source = store_merge_source(merge);
	while (source.next(source.ctx, &packet)) {
		if (packet.data[FRAME_BYTES - 1] == 8)
			assert_int_equal(packet.missing, 7);
		missing[packet.interface] += packet.missing;
	}
	assert_int_equal(missing[1], 7);
	store_merge_free(merge);
	duplicates_free(duplicates);
}

/* The rule in its plainest form: each original and the interfaces that have seen it. */
struct model_frame {
	uint8_t content;
	uint64_t at_us;
	bool original, seen[STORES];
};

static bool model_is_duplicate(struct model_frame *frames, unsigned count, unsigned store)
{
	const struct model_frame *frame = &frames[count];

	for (unsigned i = count; i-- > 0;) {
		struct model_frame *other = &frames[i];

		if (!other->original || other->content != frame->content || other->seen[store] ||
		    other->at_us + 10000 < frame->at_us)
			continue;
		other->seen[store] = true;
		return true;
	}
	return false;
}

static void test_random_traffic_agrees_with_a_model(void **state)
{
	static struct model_frame frames[FRAMES_MAX];
	uint64_t at_us = 0, expected[STORES] = {0};
	struct duplicates *duplicates = NULL;
	bool is_duplicate[FRAMES_MAX];

	(void)state;
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		const unsigned store = pick(STORES);

		at_us += 1 + pick(pick(5) ? 400 : 12000);
		frames[i] = (struct model_frame){.content = (uint8_t)pick(6), .at_us = at_us};
		is_duplicate[i] = model_is_duplicate(frames, i, store);
		frames[i].original = !is_duplicate[i];
		frames[i].seen[store] = true;
		expected[store] += is_duplicate[i];
		add(store, frames[i].content, at_us, 0);
	}
	for (unsigned i = 0; i < STORES; i++)
		assert_int_equal(store_seal(&stores[i]), 0);
	assert_int_equal(duplicates_find(list, STORES, &duplicates), 0);
	for (unsigned i = 0; i < FRAMES_MAX; i++)
		assert_int_equal(duplicates_has(duplicates, i), is_duplicate[i]);
	for (unsigned i = 0; i < STORES; i++)
		assert_int_equal(duplicates_of(duplicates, i), expected[i]);
	duplicates_free(duplicates);
}

static void test_a_flood_of_one_frame_keeps_at_least_one_of_each_pair(void **state)
{
	const uint64_t count = 2 * DUPLICATES_FRAMES_MAX;
	struct duplicates *duplicates = NULL;

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		add(i % 2, 7, i / 100, 0);
	for (unsigned i = 0; i < STORES; i++)
		assert_int_equal(store_seal(&stores[i]), 0);
	assert_int_equal(duplicates_find(list, STORES, &duplicates), 0);
	assert_in_range(duplicates_count(duplicates), 1, count / 2);
	duplicates_free(duplicates);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	budget.slabs = slab_pool_new(&(struct slab_pool_options){.warm_bytes = 16 * SLAB_BYTES,
								 .use_bytes = SIZE_MAX,
								 .idle_ns = 3600 * NS_PER_S});
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_of_identical_frames_stays),
		TEST(test_what_one_interface_sees_twice_stays),
		TEST(test_frames_further_apart_stay),
		TEST(test_frames_that_differ_in_any_way_stay),
		TEST(test_no_packets_have_no_duplicates),
		TEST(test_missing_packets_before_a_duplicate_are_marked_at_the_next_one),
		TEST(test_random_traffic_agrees_with_a_model),
		TEST(test_a_flood_of_one_frame_keeps_at_least_one_of_each_pair),
	};
	const int r = cmocka_run_group_tests(tests, NULL, NULL);
	slab_pool_free(budget.slabs);
	return r;
}
