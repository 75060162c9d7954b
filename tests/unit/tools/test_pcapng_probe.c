/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets are counted in pieces of any size and in both byte orders; other formats do no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/local/pcapng_probe.h"

/* A section with a hardware option and a comment, a packet, a statistic, a packet. */
static const uint8_t little[] = {
	0x0A, 0x0D, 0x0D, 0x0A, 44, 0,	0,  0,	 0x4D, 0x3C, 0x2B, 0x1A, 1, 0,	0,  0,	 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF, 0xFF, 2,	0,  1,	0,  'x', 0,    0,    0,	   1,	 0, 3,	0,  'a', 'b',  'c',  0,	   44,	 0,
	0,    0,    6,	  0,	0,  0,	16, 0,	 0,    0,    9,	   9,	 9, 9,	16, 0,	 0,    0,    5,	   0,	 0,
	0,    12,   0,	  0,	0,  12, 0,  0,	 0,    3,    0,	   0,	 0, 12, 0,  0,	 0,    12,   0,	   0,	 0,
};
static const uint8_t big[] = {
	0x0A, 0x0D, 0x0D, 0x0A, 0,    0,    0,	  36,	0x1A, 0x2B, 0x3C, 0x4D, 0,   1,	  0,   0,
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0,    1,    0,	  4,	'b', 'i', 'g', '!',
	0,    0,    0,	  36,	0,    0,    0,	  6,	0,    0,    0,	  12,	0,   0,	  0,   12,
};

static void check_probe(const uint8_t *bytes, size_t size, size_t piece, uint64_t packets, const char *comment)
{
	struct pcapng_probe probe = PCAPNG_PROBE_INIT;
	char text[64];

	for (size_t at = 0; at < size; at += piece)
		pcapng_probe_feed(&probe, bytes + at, size - at < piece ? size - at : piece);
	assert_false(probe.invalid);
	assert_int_equal(probe.packets, packets);
	assert_true(pcapng_probe_comment(&probe, text, sizeof(text)));
	assert_string_equal(text, comment);
	pcapng_probe_deinit(&probe);
}

static void test_packets_are_counted_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(little); piece++)
		check_probe(little, sizeof(little), piece, 2, "abc");
}

static void test_byte_order_is_the_sections(void **state)
{
	(void)state;
	check_probe(big, sizeof(big), 5, 1, "big!");
}

static void test_other_formats_are_invalid(void **state)
{
	static const uint8_t nothing[64] = {1, 2, 3};
	struct pcapng_probe probe = PCAPNG_PROBE_INIT;
	char text[8];

	(void)state;
	pcapng_probe_feed(&probe, nothing, sizeof(nothing));
	pcapng_probe_feed(&probe, little, sizeof(little));
	assert_true(probe.invalid);
	assert_int_equal(probe.packets, 0);
	assert_false(pcapng_probe_comment(&probe, text, sizeof(text)));
	pcapng_probe_deinit(&probe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_are_counted_in_pieces_of_any_size),
		cmocka_unit_test(test_byte_order_is_the_sections),
		cmocka_unit_test(test_other_formats_are_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
