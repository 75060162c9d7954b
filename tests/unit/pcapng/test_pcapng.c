/* SPDX-License-Identifier: BSD-2-Clause */
/* Files byte for byte, worked out by hand from draft-ietf-opsawg-pcapng. */
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

#define TEXT_64K 65536

static uint8_t *make(const struct capture_file_info *info, const struct packet_view *packets, size_t count,
		     size_t *size)
{
	struct packet_array array = {packets, count, 0};
	cleanup(cleanup_capture_file) struct capture_file *file =
		capture_file_new(CAPTURE_FILE_PCAPNG, info, packet_array_source(&array));

	assert_non_null(file);
	struct byte_stream stream = capture_file_stream(file);
	uint8_t *bytes = read_all(&stream, 4096, size);
	assert_non_null(bytes);
	assert_true(*size == stream.size_bytes);
	return bytes;
}

static void test_small_file_matches_the_draft(void **state)
{
	static const uint8_t expected[] = {
		/* Section header: type, size 72, magic, 1.0, 232 bytes follow it. */
		0x0a, 0x0d, 0x0d, 0x0a, 72, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 232, 0, 0, 0, 0, 0, 0, 0,
		/* hardware, os, application, two comments, end; size again */
		2, 0, 2, 0, 'H', 'W', 0, 0, 3, 0, 1, 0, 'L', 0, 0, 0, 4, 0, 4, 0, 'a', 'p', 'p', '1', 1, 0, 3, 0, 'o',
		'n', 'e', 0, 1, 0, 3, 0, 0xe2, 0x82, 0xac, 0, 0, 0, 0, 0, 72, 0, 0, 0,
		/* Interface: Ethernet, snap length 0x40000, name, resolution, filter "\0ip", os, end */
		1, 0, 0, 0, 56, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 2, 0, 4, 0, 'e', 't', 'h', '0', 9, 0, 1, 0, 9, 0, 0, 0,
		11, 0, 3, 0, 0, 'i', 'p', 0, 12, 0, 1, 0, 'L', 0, 0, 0, 0, 0, 0, 0, 56, 0, 0, 0,
		/* Packet of 5 bytes of 9, inbound, time 0x0102030405060708 */
		6, 0, 0, 0, 52, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 5, 0, 0, 0, 9, 0, 0, 0, 'h', 'e', 'l', 'l',
		'o', 0, 0, 0, 2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0,
		/* Packet of 4 bytes, direction unknown: no option */
		6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 9, 7, 6, 5, 4, 0, 0, 0, 4, 0, 0, 0, 'd', 'a', 't', 'a',
		36, 0, 0, 0,
		/* Statistics at time 0x010203040506070a … */
		5, 0, 0, 0, 88, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 10, 7, 6, 5,
		/* start, end, received 7, dropped 5, delivered 2 */
		2, 0, 8, 0, 4, 3, 2, 1, 7, 7, 6, 5, 3, 0, 8, 0, 4, 3, 2, 1, 10, 7, 6, 5, 4, 0, 8, 0, 7, 0, 0, 0, 0, 0,
		0, 0, 5, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0, 0, 0};
	static const char *const comments[] = {"one", "€"};
	static const struct packet_interface interface = {.name = "eth0",
							  .filter = "ip",
							  .linktype = 1,
							  .snaplen = 262144,
							  .received = 7,
							  .dropped = 5,
							  .start_ns = UINT64_C(0x0102030405060707),
							  .end_ns = UINT64_C(0x010203040506070a)};
	static const struct capture_file_info info = {.hardware = "HW",
						      .os = "L",
						      .application = "app1",
						      .comments = comments,
						      .comment_count = 2,
						      .interfaces = &interface,
						      .interface_count = 1};
	const struct packet_view packets[] = {
		{.time_ns = UINT64_C(0x0102030405060708),
		 .data = (const uint8_t *)"hello",
		 .caplen = 5,
		 .wirelen = 9,
		 .direction = PACKET_DIR_INBOUND},
		{.time_ns = UINT64_C(0x0102030405060709), .data = (const uint8_t *)"data", .caplen = 4, .wirelen = 4}};
	size_t size;

	(void)state;
	if (__BYTE_ORDER == __BIG_ENDIAN)
		skip();
	uint8_t *bytes = make(&info, packets, 2, &size);
	assert_int_equal(size, sizeof(expected));
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != expected[i])
			fail_msg("byte %zu is %02x, not %02x", i, bytes[i], expected[i]);
	free(bytes);
}

static void test_unknown_values_are_left_out(void **state)
{
	static const struct packet_interface interface = {.name = "", .linktype = 101};
	static const char *const comments[] = {NULL, ""};
	static const struct capture_file_info info = {
		.os = "", .comments = comments, .comment_count = 2, .interfaces = &interface, .interface_count = 1};
	const struct packet_view packet = {.caplen = 0, .direction = PACKET_DIR_OUTBOUND};
	size_t size;

	(void)state;
	uint8_t *bytes = make(&info, &packet, 1, &size);
	/* Bare section header; interface with resolution only; packet without data, outbound; statistics. */
	assert_int_equal(size, 28 + 32 + (32 + 12) + 88);
	uint32_t flags;
	memcpy(&flags, bytes + 28 + 32 + 28 + 4, sizeof(flags));
	assert_int_equal(flags, 2);
	free(bytes);
}

static void test_missing_packets_are_an_option_of_the_next(void **state)
{
	static const struct packet_interface interface = {.linktype = 1};
	static const struct capture_file_info info = {.interfaces = &interface, .interface_count = 1};

	(void)state;
	for (uint32_t caplen = 0; caplen < 5; caplen++) {
		for (unsigned flags = 0; flags < 2; flags++) {
			const struct packet_view packet = {.data = (const uint8_t *)"data",
							   .caplen = caplen,
							   .flags = flags ? PACKET_FLAG_BROADCAST : 0,
							   .missing = UINT64_C(0x100000007)};
			const size_t at = 28 + 32 + 28 + ((caplen + 3) & ~3u) + (flags ? 8 : 0);
			size_t size;
			uint8_t *bytes = make(&info, &packet, 1, &size);
			uint16_t option[2];
			uint64_t count;

			assert_int_equal(size, at + 12 + 4 + 4 + 88);
			memcpy(option, bytes + at, sizeof(option));
			memcpy(&count, bytes + at + 4, sizeof(count));
			assert_int_equal(option[0], 4);
			assert_int_equal(option[1], 8);
			assert_true(count == packet.missing);
			free(bytes);
		}
	}
}

static void test_unknown_counts_make_no_statistics(void **state)
{
	struct packet_interface interface = {.received = PACKET_UNKNOWN,
					     .dropped = PACKET_UNKNOWN,
					     .start_ns = PACKET_UNKNOWN,
					     .end_ns = PACKET_UNKNOWN};
	const struct capture_file_info info = {.interfaces = &interface, .interface_count = 1};
	size_t size;

	(void)state;
	free(make(&info, NULL, 0, &size));
	assert_int_equal(size, 28 + 32);
	interface.dropped = 3;
	free(make(&info, NULL, 0, &size));
	assert_int_equal(size, 28 + 32 + 20 + 12 + 12 + 4 + 4); /* dropped, delivered */
}

static void test_interface_has_its_own_description_and_os(void **state)
{
	static const struct packet_interface interfaces[] = {{.description = "of node a", .os = "Plan 9"},
							     {.name = "b"}};
	static const struct capture_file_info info = {.os = "Linux", .interfaces = interfaces, .interface_count = 2};
	size_t size;

	(void)state;
	uint8_t *bytes = make(&info, NULL, 0, &size);
	const uint8_t *first = bytes + 44, *second = first + 60;
	assert_memory_equal(first + 16, "\3\0\11\0of node a\0\0\0", 16);
	assert_memory_equal(first + 16 + 16 + 8, "\14\0\6\0Plan 9\0\0", 12);
	assert_memory_equal(second + 16 + 8 + 8, "\14\0\5\0Linux\0\0\0", 12);
	free(bytes);
}

static void test_flags_are_kept_beside_the_direction(void **state)
{
	static const struct packet_interface interface = {0};
	static const struct capture_file_info info = {.interfaces = &interface, .interface_count = 1};
	const struct packet_view packets[] = {{.flags = 0xdead0003, .direction = PACKET_DIR_INBOUND},
					      {.flags = 0x80000000}};
	size_t size;
	uint32_t flags;

	(void)state;
	uint8_t *bytes = make(&info, packets, 2, &size);
	assert_int_equal(size, 28 + 32 + 2 * (32 + 12) + 88);
	memcpy(&flags, bytes + 28 + 32 + 28 + 4, sizeof(flags));
	assert_int_equal(flags, 0xdead0001);
	memcpy(&flags, bytes + 28 + 32 + 44 + 28 + 4, sizeof(flags));
	assert_int_equal(flags, 0x80000000);
	free(bytes);
}

static void test_file_without_interfaces_is_a_section_header(void **state)
{
	static const struct capture_file_info info = {0};
	size_t size;

	(void)state;
	uint8_t *bytes = make(&info, NULL, 0, &size);
	assert_int_equal(size, 28);
	free(bytes);
}

/* Size of the option at `at`. */
static uint16_t option_size(const uint8_t *at)
{
	uint16_t size;

	memcpy(&size, at + 2, sizeof(size));
	return size;
}

static void test_text_over_64_kib_is_cut_between_characters(void **state)
{
	static char text[TEXT_64K + 10];
	const char *const comments[] = {text, "after"};
	const struct capture_file_info info = {.comments = comments, .comment_count = 2};
	size_t size;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	uint8_t *bytes = make(&info, NULL, 0, &size);
	assert_int_equal(option_size(bytes + 24), 65535);
	assert_memory_equal(bytes + 24 + 4 + 65536 + 4, "after", 5);
	free(bytes);

	memcpy(text + 65533, "€", strlen("€"));
	bytes = make(&info, NULL, 0, &size);
	assert_int_equal(option_size(bytes + 24), 65533);
	assert_memory_equal(bytes + 24 + 4 + 65536 + 4, "after", 5);
	free(bytes);
}

static void test_filter_leaves_room_for_its_kind(void **state)
{
	static char text[TEXT_64K + 10];
	const struct packet_interface interface = {.filter = text};
	const struct capture_file_info info = {.interfaces = &interface, .interface_count = 1};
	size_t size;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	uint8_t *bytes = make(&info, NULL, 0, &size);
	const uint8_t *filter = bytes + 28 + 16 + 8;
	assert_int_equal(option_size(filter), 65535);
	assert_int_equal(filter[4], 0);
	assert_int_equal(filter[5], 'x');
	free(bytes);
}

static void test_invalid_utf8_is_replaced(void **state)
{
	static const char *const comments[] = {"a\xff\xc3(\xe2\x82€\xc0\x80"};
	static const struct capture_file_info info = {.comments = comments, .comment_count = 1};
	size_t size;

	(void)state;
	uint8_t *bytes = make(&info, NULL, 0, &size);
	assert_int_equal(option_size(bytes + 24), 11);
	assert_memory_equal(bytes + 28,
			    "a?"
			    "?(?"
			    "?€?"
			    "?",
			    11);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_file_matches_the_draft),
		cmocka_unit_test(test_unknown_values_are_left_out),
		cmocka_unit_test(test_missing_packets_are_an_option_of_the_next),
		cmocka_unit_test(test_unknown_counts_make_no_statistics),
		cmocka_unit_test(test_interface_has_its_own_description_and_os),
		cmocka_unit_test(test_flags_are_kept_beside_the_direction),
		cmocka_unit_test(test_file_without_interfaces_is_a_section_header),
		cmocka_unit_test(test_text_over_64_kib_is_cut_between_characters),
		cmocka_unit_test(test_filter_leaves_room_for_its_kind),
		cmocka_unit_test(test_invalid_utf8_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
