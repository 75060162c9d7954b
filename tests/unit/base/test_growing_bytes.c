/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers get every byte in order, and memory goes as soon as all of them have passed it, but for what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/growing_bytes.h"
#include "base/slab_pool.h"

#define LIMIT (4 * (size_t)SLAB_BYTES)

static size_t charged;

static bool charge(void *ctx, size_t bytes)
{
	(void)ctx;
	if (charged + bytes > LIMIT)
		return false;
	charged += bytes;
	return true;
}

static void give_back(void *ctx, size_t bytes)
{
	(void)ctx;
	charged -= bytes;
}

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251);
}

static struct growing_bytes *make(struct slab_pool *slabs, uint64_t keep_bytes)
{
	const struct growing_memory memory = {.slabs = slabs, .charge = charge, .give_back = give_back};
	struct growing_bytes *bytes = growing_bytes_new(&memory, keep_bytes);

	assert_non_null(bytes);
	return bytes;
}

/* Adds up to `size` bytes; returns how many there was memory for. */
static size_t add(struct growing_bytes *bytes, size_t size)
{
	size_t done = 0, room;

	while (done < size) {
		uint8_t *into = growing_bytes_room(bytes, &room);

		if (!into)
			break;
		assert_true(room > 0);
		room = room < size - done ? room : size - done;
		for (size_t i = 0; i < room; i++)
			into[i] = byte_at(growing_bytes_size(bytes) + i);
		growing_bytes_add(bytes, room);
		done += room;
	}
	return done;
}

static void read_exactly(struct growing_reader *reader, size_t size)
{
	static uint8_t into[100000];

	while (size > 0) {
		const uint64_t at = growing_reader_position(reader);
		const size_t got = growing_reader_read(reader, into, size < sizeof(into) ? size : sizeof(into));

		assert_true(got > 0);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(into[i], byte_at(at + i));
		size -= got;
	}
}

static void test_bytes_go_once_every_reader_has_passed_them(void **state)
{
	struct growing_bytes *bytes = make(*state, 0);
	struct growing_reader *fast = growing_bytes_add_reader(bytes), *slow = growing_bytes_add_reader(bytes);

	assert_int_equal(add(bytes, LIMIT + 1), LIMIT);
	assert_int_equal(charged, LIMIT);
	read_exactly(fast, LIMIT);
	assert_int_equal(charged, LIMIT);
	read_exactly(slow, SLAB_BYTES - 1);
	assert_int_equal(charged, LIMIT);
	assert_true(growing_reader_rewind(slow));
	read_exactly(slow, SLAB_BYTES);
	assert_int_equal(charged, LIMIT - SLAB_BYTES);
	assert_false(growing_reader_rewind(fast));
	assert_false(growing_bytes_has_first(bytes));
	assert_null(growing_bytes_add_reader(bytes));
	assert_int_equal(add(bytes, 10), 10);
	growing_reader_free(slow); /* what only it needed goes */
	assert_int_equal(charged, SLAB_BYTES);
	assert_int_equal(growing_reader_unread(fast), 10);
	assert_false(growing_reader_ended(fast));
	growing_bytes_end(bytes);
	assert_false(growing_reader_ended(fast));
	read_exactly(fast, 10);
	assert_true(growing_reader_ended(fast));
	growing_bytes_free(bytes);
	assert_int_equal(charged, 0);
}

static void test_the_beginning_is_kept_while_it_is_short_and_memory_is_not_wanted(void **state)
{
	struct growing_bytes *bytes = make(*state, 3 * SLAB_BYTES);
	struct growing_reader *reader = growing_bytes_add_reader(bytes);

	assert_int_equal(add(bytes, 3 * SLAB_BYTES), 3 * SLAB_BYTES);
	read_exactly(reader, 3 * SLAB_BYTES);
	assert_true(growing_reader_rewind(reader));
	read_exactly(reader, 3 * SLAB_BYTES);
	assert_int_equal(add(bytes, 1), 1); /* now there is more than is kept */
	assert_false(growing_bytes_has_first(bytes));
	assert_int_equal(charged, SLAB_BYTES);
	growing_bytes_free(bytes);

	bytes = make(*state, 2 * LIMIT);
	reader = growing_bytes_add_reader(bytes);
	assert_int_equal(add(bytes, LIMIT), LIMIT);
	read_exactly(reader, LIMIT);
	assert_true(growing_bytes_has_first(bytes));
	assert_int_equal(add(bytes, LIMIT), LIMIT); /* what is kept gives way */
	assert_false(growing_bytes_has_first(bytes));
	read_exactly(reader, LIMIT);
	growing_bytes_free(bytes);
	assert_int_equal(charged, 0);
}

static int set_up(void **state)
{
	*state = slab_pool_new(&(struct slab_pool_options){0});
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	slab_pool_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_go_once_every_reader_has_passed_them),
		cmocka_unit_test(test_the_beginning_is_kept_while_it_is_short_and_memory_is_not_wanted),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
