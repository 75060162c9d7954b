/* SPDX-License-Identifier: BSD-2-Clause */
/* A stream is cut after whole blocks and records, whatever pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "pcapctl/local/live_units.h"

/* A section header, an enhanced packet block with 4 bytes. */
static const uint8_t pcapng[] = {
	0x0A, 0x0D, 0x0D, 0x0A, 28, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF, 28,	  0,	0,  0, 6, 0, 0,	   0,	 36,   0,    0, 0, 0, 0, 0,    0,    0,	   0,	 0,    0,
	0,    0,    0,	  0,	4,  0, 0, 0, 9,	   0,	 0,    0,    1, 2, 3, 4, 36,   0,    0,	   0,
};
/* A file header in the other byte order, a record with 3 bytes. */
static const uint8_t pcap[] = {
	0xA1, 0xB2, 0x3C, 0x4D, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0,
	0,    1,    0,	  0,	0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 1, 2, 3,
};

static void check_pieces(const uint8_t *bytes, size_t size, size_t head_size, size_t piece)
{
	struct live_units units = LIVE_UNITS_INIT;

	for (size_t at = 0; at < size; at += piece) {
		const size_t part = size - at < piece ? size - at : piece, end = at + part;

		assert_int_equal(live_units_feed(&units, bytes + at, part), 0);
		assert_int_equal(units.whole_bytes, end < head_size ? 0 : end < size ? head_size : size);
		assert_int_equal(units.packets, end == size);
	}
	assert_int_equal(units.packet_bytes, size == sizeof(pcap) ? 3 : 4);
	const uint64_t time_ns = size == sizeof(pcap) ? UINT64_C(1000000002) : 0;
	assert_int_equal(units.first_ns, time_ns);
	assert_int_equal(units.last_ns, time_ns);
	live_units_drop(&units, head_size);
	assert_int_equal(units.whole_bytes, size - head_size);
	assert_memory_equal(units.bytes.data, bytes + head_size, size - head_size);
	live_units_deinit(&units);
}

static void test_a_stream_is_cut_after_whole_units(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(pcapng); piece++)
		check_pieces(pcapng, sizeof(pcapng), 28, piece);
	for (size_t piece = 1; piece <= sizeof(pcap); piece++)
		check_pieces(pcap, sizeof(pcap), 24, piece);
}

static void test_other_bytes_are_refused(void **state)
{
	static const uint8_t text[16] = "<html>no file", short_block[] = {6, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0},
			     huge[] = {6, 0, 0, 0, 0, 0, 0, 0x70, 0, 0, 0, 0};
	struct live_units units = LIVE_UNITS_INIT;

	(void)state;
	assert_int_equal(live_units_feed(&units, text, sizeof(text)), -EBADMSG);
	live_units_deinit(&units);
	units = (struct live_units)LIVE_UNITS_INIT;
	assert_int_equal(live_units_feed(&units, pcapng, 28), 0);
	assert_int_equal(live_units_feed(&units, short_block, sizeof(short_block)), -EBADMSG);
	live_units_deinit(&units);
	units = (struct live_units)LIVE_UNITS_INIT;
	assert_int_equal(live_units_feed(&units, pcapng, 28), 0);
	assert_int_equal(live_units_feed(&units, huge, sizeof(huge)), -EMSGSIZE);
	live_units_deinit(&units);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_is_cut_after_whole_units),
		cmocka_unit_test(test_other_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
