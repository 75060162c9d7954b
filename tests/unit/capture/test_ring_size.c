/* SPDX-License-Identifier: BSD-2-Clause */
/* The sizes of rings: whatever is asked for, the budget is never exceeded, and little of it is kept from others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/quantity.h"
#include "capture/ring.h"
#include "capture/ring_size.h"

#define LIMIT (1024 * (size_t)MIB)

static size_t open_all(size_t limit, size_t used, size_t count, size_t *opened)
{
	const size_t planned = ring_size_plan(limit, used, count);

	*opened = 0;
	for (size_t i = 0; i < count; i++) {
		const size_t size = ring_size_fit(limit, used, planned);

		used += size;
		*opened += size > 0;
	}
	return used;
}

static void test_few_interfaces_get_large_rings(void **state)
{
	(void)state;
	assert_int_equal(ring_size_plan(LIMIT, 0, 1), 64 * MIB);
	assert_int_equal(ring_size_plan(LIMIT, 0, 8), 64 * MIB);
	assert_int_equal(ring_size_plan(LIMIT, 0, 16), 32 * MIB);
	assert_int_equal(ring_size_plan(LIMIT, 7 * 64 * (size_t)MIB, 1), 64 * MIB);
	assert_int_equal(ring_size_plan(LIMIT, LIMIT / 2, 1), 8 * MIB);
}

static void test_many_interfaces_all_get_rings_and_leave_some(void **state)
{
	(void)state;
	for (size_t count = 1; count <= 2048; count += count < 64 ? 1 : 61) {
		size_t opened;
		const size_t used = open_all(LIMIT, 0, count, &opened);

		assert_int_equal(opened, count);
		assert_true(used <= LIMIT / 2 + LIMIT / 4);
		assert_true(open_all(LIMIT, used, 1, &opened) <= LIMIT);
		assert_int_equal(opened, 1);
	}
}

static void test_the_budget_is_never_exceeded(void **state)
{
	static const size_t limits[] = {0, RING_SIZE_MIN - 1, RING_SIZE_MIN, MIB, 3 * MIB, 100 * MIB, LIMIT};

	(void)state;
	for (size_t l = 0; l < sizeof(limits) / sizeof(*limits); l++) {
		for (size_t used = 0; used <= limits[l]; used += limits[l] / 7 + 1) {
			for (size_t count = 1; count <= 8192; count *= 2) {
				size_t opened;

				assert_true(open_all(limits[l], used, count, &opened) <= limits[l]);
				assert_true(opened == count || limits[l] - used < count * RING_SIZE_MIN);
			}
		}
	}
}

static void test_hundreds_of_single_requests_find_room(void **state)
{
	size_t used = 0, opened = 1, count = 0;

	(void)state;
	while (opened) {
		used = open_all(LIMIT, used, 1, &opened);
		count += opened;
	}
	assert_in_range(count, 256, 4096);
}

static void test_blocks_suit_the_size(void **state)
{
	(void)state;
	for (size_t size = RING_SIZE_MIN; size <= RING_SIZE_MAX; size *= 2) {
		const struct ring_blocks blocks = ring_size_blocks(size);

		assert_int_equal((size_t)blocks.bytes * blocks.count, size);
		assert_true(blocks.count >= RING_BLOCKS_MIN);
		assert_true(blocks.bytes >= 16u << 10);
		assert_true(blocks.bytes >= RING_BLOCK_BYTES_MIN || size < 4 * MIB);
	}
}

static void test_blocks_of_odd_sizes_fit(void **state)
{
	(void)state;
	for (size_t size = RING_SIZE_MIN + 1; size < 300 * (size_t)MIB; size += size / 7) {
		const struct ring_blocks blocks = ring_size_blocks(size), kept = ring_size_recorder_blocks(size);

		assert_in_range((size_t)blocks.bytes * blocks.count, size - blocks.bytes + 1, size);
		assert_true(blocks.count >= RING_BLOCKS_MIN);
		if (size < RING_SIZE_RECORDER_MIN)
			continue;
		assert_in_range((size_t)kept.bytes * kept.count, size - kept.bytes + 1, size);
		assert_true(kept.count >= RING_BLOCKS_MIN && kept.bytes >= RING_BLOCK_BYTES_MIN);
	}
}

static void test_recorder_has_many_blocks(void **state)
{
	(void)state;
	const struct ring_blocks small = ring_size_recorder_blocks(32 * (size_t)MIB);
	const struct ring_blocks usual = ring_size_recorder_blocks(256 * (size_t)MIB);
	const struct ring_blocks large = ring_size_recorder_blocks(256 * 1024 * (size_t)MIB);

	assert_true(small.bytes == RING_BLOCK_BYTES_MIN && small.count == 128);
	assert_true(usual.bytes == MIB && usual.count == 256);
	assert_true(large.bytes == 8 * MIB && large.count == 32768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_interfaces_get_large_rings),
		cmocka_unit_test(test_many_interfaces_all_get_rings_and_leave_some),
		cmocka_unit_test(test_the_budget_is_never_exceeded),
		cmocka_unit_test(test_hundreds_of_single_requests_find_room),
		cmocka_unit_test(test_blocks_suit_the_size),
		cmocka_unit_test(test_blocks_of_odd_sizes_fit),
		cmocka_unit_test(test_recorder_has_many_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
