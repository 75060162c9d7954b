/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of the last whole block is found however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/whole_blocks.h"

static const uint32_t sizes[] = {28, 12, 40, 16, 12};

#define COUNT (sizeof(sizes) / sizeof(*sizes))
#define TOTAL 108

static void make_blocks(uint8_t *bytes)
{
	memset(bytes, 0xff, TOTAL);
	for (size_t i = 0; i < COUNT; i++) {
		memcpy(bytes + 4, &sizes[i], sizeof(sizes[i]));
		bytes += sizes[i];
	}
}

static uint64_t end_before(uint64_t passed)
{
	uint64_t end = 0;

	for (size_t i = 0; i < COUNT && end + sizes[i] <= passed; i++)
		end += sizes[i];
	return end;
}

static void test_the_end_is_found_for_every_size_of_piece(void **state)
{
	uint8_t bytes[TOTAL];

	(void)state;
	make_blocks(bytes);
	for (size_t piece = 1; piece <= TOTAL; piece++) {
		struct whole_blocks blocks = {0};

		for (size_t at = 0; at < TOTAL; at += piece) {
			const size_t size = piece < TOTAL - at ? piece : TOTAL - at;

			whole_blocks_pass(&blocks, bytes + at, size);
			assert_int_equal(blocks.passed_bytes, at + size);
			assert_int_equal(blocks.end_bytes, end_before(at + size));
		}
		assert_int_equal(blocks.end_bytes, TOTAL);
	}
}

static void test_a_block_of_an_impossible_size_ends_nothing(void **state)
{
	struct whole_blocks blocks = {0};
	const uint8_t zeros[40] = {0};

	(void)state;
	whole_blocks_pass(&blocks, zeros, sizeof(zeros));
	assert_int_equal(blocks.passed_bytes, sizeof(zeros));
	assert_true(blocks.end_bytes <= sizeof(zeros));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_end_is_found_for_every_size_of_piece),
		cmocka_unit_test(test_a_block_of_an_impossible_size_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
