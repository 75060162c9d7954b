/* SPDX-License-Identifier: BSD-2-Clause */
/* Files byte for byte, worked out by hand from draft-ietf-opsawg-pcap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <string.h>

#include "packet_array.h"
#include "pcapng/capture_file.h"
#include "read_all.h"

static const struct packet_interface interfaces[2] = {{.linktype = 101, .snaplen = 65535}, {.linktype = 101}};

static void test_small_file_matches_the_draft(void **state)
{
	static const uint8_t expected[] = {/* nanosecond magic, 2.4, zone 0, 0, snap length, link type */
					   0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0,
					   101, 0, 0, 0,
					   /* 0x12345678.999999999, 5 bytes of 9 */
					   0x78, 0x56, 0x34, 0x12, 0xff, 0xc9, 0x9a, 0x3b, 5, 0, 0, 0, 9, 0, 0, 0, 'h',
					   'e', 'l', 'l', 'o',
					   /* 0.000000001, nothing of 0 */
					   0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const char *const comments[] = {"no place for it"};
	const struct capture_file_info info = {.comments = comments,
					       .comment_count = 1,
					       .interfaces = interfaces,
					       .interface_count = 1};
	const struct packet_view packets[] = {{.time_ns = UINT64_C(0x12345678) * 1000000000 + 999999999,
					       .data = (const uint8_t *)"hello",
					       .caplen = 5,
					       .wirelen = 9,
					       .direction = PACKET_DIR_INBOUND},
					      {.time_ns = 1}};
	struct packet_array array = {packets, 2, 0};
	size_t size;

	(void)state;
	if (__BYTE_ORDER == __BIG_ENDIAN)
		skip();
	struct capture_file *file = capture_file_new(CAPTURE_FILE_PCAP, &info, packet_array_source(&array));
	assert_non_null(file);
	struct byte_stream stream = capture_file_stream(file);
	assert_int_equal(stream.size_bytes, sizeof(expected));
	uint8_t *bytes = read_all(&stream, 4096, &size);
	assert_int_equal(size, sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	free(bytes);
	capture_file_free(file);
}

static void test_pcap_has_exactly_one_interface(void **state)
{
	struct packet_array array = {0};
	struct capture_file_info info = {.interfaces = interfaces, .interface_count = 2};

	(void)state;
	assert_null(capture_file_new(CAPTURE_FILE_PCAP, &info, packet_array_source(&array)));
	info.interface_count = 0;
	assert_null(capture_file_new(CAPTURE_FILE_PCAP, &info, packet_array_source(&array)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_file_matches_the_draft),
		cmocka_unit_test(test_pcap_has_exactly_one_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
