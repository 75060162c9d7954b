/* SPDX-License-Identifier: BSD-2-Clause */
/* What is compressed comes back as it was, whatever the steps; damaged input is recognised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compressor.h"
#include "base/decompressor.h"

#define SIZE_MAX_TESTED (3u << 20)

static const enum compression kinds[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

struct bytes {
	uint8_t *data;
	size_t size;
};

static void cleanup_bytes(struct bytes *bytes)
{
	free(bytes->data);
}

/* `regular`: compresses well; else not at all. */
static struct bytes make_input(size_t size, bool regular)
{
	struct bytes bytes = {.data = malloc(size + 1), .size = size};
	uint32_t state = 12345;

	assert_non_null(bytes.data);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		bytes.data[i] = regular ? (uint8_t)(i / 100) : (uint8_t)(state >> 24);
	}
	return bytes;
}

/* In steps of `in_step` bytes, into room of `out_step`. */
static struct bytes compress_bytes(enum compression kind, const struct bytes *input, size_t in_step, size_t out_step)
{
	cleanup(cleanup_compressor) struct compressor *compressor = compressor_new(kind, 0, input->size);
	const size_t bound = (size_t)compressor_bound(kind, input->size);
	struct bytes result = {.data = malloc(bound)};
	size_t at = 0;
	bool last;

	assert_true(compressor && result.data);
	do {
		last = input->size - at <= in_step;
		struct compression_step step = {.in = input->data + at, .in_size = last ? input->size - at : in_step};
		int r;

		at += step.in_size;
		do {
			const size_t left = bound - result.size, room = left < out_step ? left : out_step;

			step.out = result.data + result.size;
			step.out_room = room;
			r = compressor_run(compressor, &step, last);
			assert_true(r >= 0 && room > 0); /* the bound holds */
			result.size += room - step.out_room;
		} while (r == 0);
		assert_int_equal(step.in_size, 0);
	} while (!last);
	return result;
}

/* 1: the input is complete and gives `expected`; 0: it is cut; else the error. */
static int decompress_bytes(enum compression kind, const struct bytes *input, size_t in_step, size_t out_step,
			    const struct bytes *expected)
{
	cleanup(cleanup_decompressor) struct decompressor *decompressor = decompressor_new(kind);
	cleanup(cleanup_free) uint8_t *out = malloc(out_step);
	size_t size = 0;

	assert_true(decompressor && out);
	for (size_t at = 0; at < input->size; at += in_step) {
		const size_t left = input->size - at;
		struct compression_step step = {.in = input->data + at, .in_size = left < in_step ? left : in_step};
		int r;

		do {
			step.out = out;
			step.out_room = out_step;
			r = decompressor_run(decompressor, &step);
			if (r < 0)
				return r;
			const size_t got = out_step - step.out_room;
			assert_true(got <= expected->size - size);
			assert_memory_equal(out, expected->data + size, got);
			size += got;
		} while (r == 0);
	}
	if (decompressor_is_complete(decompressor))
		assert_int_equal(size, expected->size);
	return decompressor_is_complete(decompressor);
}

static void test_what_is_compressed_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 70000, SIZE_MAX_TESTED};
	static const size_t steps[][2] = {{1 << 18, 1 << 21}, {1 << 18, 1000}, {999, 1 << 18}};

	(void)state;
	for (size_t i = 0; i < KINDS * sizeof(sizes) / sizeof(*sizes) * 2; i++) {
		const enum compression kind = kinds[i % KINDS];
		const size_t size = sizes[i / KINDS / 2];
		cleanup(cleanup_bytes) struct bytes input = make_input(size, i / KINDS % 2);

		for (size_t j = 0; j < sizeof(steps) / sizeof(*steps); j++) {
			cleanup(cleanup_bytes) struct bytes result =
				compress_bytes(kind, &input, steps[j][0], steps[j][1]);

			assert_int_equal(compression_detect(result.data, result.size), kind);
			assert_int_equal(decompress_bytes(kind, &result, steps[j][0], steps[j][1], &input), 1);
			if (size > 1000 && i / KINDS % 2)
				assert_true(result.size < size / 10);
		}
	}
}

static void test_damage_is_recognised(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		cleanup(cleanup_bytes) struct bytes input = make_input(5000, false);
		cleanup(cleanup_bytes) struct bytes result = compress_bytes(kinds[i], &input, 1 << 18, 1 << 18);
		struct bytes cut = {.data = result.data, .size = result.size - 1};
		struct bytes longer = {.data = malloc(result.size + 1), .size = result.size + 1};

		assert_int_equal(decompress_bytes(kinds[i], &cut, 100, 100, &input), 0);
		memcpy(longer.data, result.data, result.size);
		longer.data[result.size] = 'x';
		assert_int_equal(decompress_bytes(kinds[i], &longer, 100, 100, &input), -EPROTO);
		free(longer.data);
		result.data[0] ^= 1;
		assert_int_equal(decompress_bytes(kinds[i], &result, 100, 100, &input), -EPROTO);
		result.data[0] ^= 1;
		result.data[result.size - 2] ^= 1; /* of the checksum or, with gzip, the size */
		assert_int_equal(decompress_bytes(kinds[i], &result, 100, 100, &input), -EPROTO);
	}
}

static void test_names_and_first_bytes(void **state)
{
	static const struct {
		const char *name;
		size_t plain;
	} names[] = {{"a.pcapng.zst", 8}, {"a.pcapng.gz", 8}, {"a.pcapng", 8}, {".zst", 4}, {"zst", 3}, {"", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(compression_plain_name_size(names[i].name), names[i].plain);
	assert_int_equal(compression_by_name("zstd"), COMPRESSION_ZSTD);
	assert_int_equal(compression_by_name("gzip"), COMPRESSION_GZIP);
	assert_int_equal(compression_by_name("none"), COMPRESSION_NONE);
	assert_string_equal(compression_extension(COMPRESSION_ZSTD), ".zst");
	assert_int_equal(compression_detect("\x0a\x0d\x0d\x0a", 4), COMPRESSION_NONE);
	assert_int_equal(compression_detect("\xd4\xc3\xb2\xa1", 4), COMPRESSION_NONE);
	assert_int_equal(compression_detect("\x28\xb5\x2f", 3), COMPRESSION_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_compressed_comes_back),
		cmocka_unit_test(test_damage_is_recognised),
		cmocka_unit_test(test_names_and_first_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
