/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "packet_array.h"
#include "pcapng/capture_pieces.h"
#include "read_all.h"

#define PACKETS 40
#define FILE_ROOM 8192

static uint8_t data[PACKETS * 3];
static struct packet_view packets[PACKETS];

static const struct packet_interface interfaces[2] = {
	{.name = "eth0", .linktype = 1, .snaplen = 262144, .received = 30, .dropped = 10, .start_ns = 1, .end_ns = 99},
	{.name = "eth1", .linktype = 1, .snaplen = 262144, .received = 20, .start_ns = 2, .end_ns = 98}};
static const char *const comments[] = {"comment"};
static const struct capture_file_info info = {
	.os = "Linux", .comments = comments, .comment_count = 1, .interfaces = interfaces, .interface_count = 2};

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (uint32_t i = 0; i < PACKETS; i++)
		packets[i] = (struct packet_view){.time_ns = i,
						  .data = data + i,
						  .caplen = i,
						  .wirelen = i + 1,
						  .interface = (uint16_t)(i % 2),
						  .direction = (uint8_t)(i % 3)};
	return 0;
}

/* Reads in steps until nothing is left. */
static size_t read_on(struct capture_pieces *pieces, uint8_t *into, size_t step)
{
	uint64_t left = capture_pieces_left(pieces);
	size_t size = 0, got;

	do {
		got = capture_pieces_read(pieces, into + size, step);
		size += got;
		assert_true(left - size == capture_pieces_left(pieces));
	} while (got == step);
	assert_int_equal(capture_pieces_left(pieces), 0);
	assert_int_equal(capture_pieces_read(pieces, into + size, step), 0);
	return size;
}

/* Writes the file with a piece for every `piece` packets; returns its size. */
static size_t make(enum capture_file_format format, const struct capture_file_info *what, size_t piece, size_t step,
		   uint8_t *into)
{
	struct capture_pieces *pieces = capture_pieces_new(format, what);
	size_t size = 0;

	assert_non_null(pieces);
	size += read_on(pieces, into, step);
	for (size_t i = 0; i < PACKETS; i += piece) {
		struct packet_array array = {packets + i, piece < PACKETS - i ? piece : PACKETS - i, 0};

		assert_int_equal(capture_pieces_add(pieces, packet_array_source(&array)), 0);
		size += read_on(pieces, into + size, step);
	}
	assert_int_equal(capture_pieces_end(pieces, what->interfaces), 0);
	size += read_on(pieces, into + size, step);
	assert_true(size + step <= FILE_ROOM);
	capture_pieces_free(pieces);
	return size;
}

static void check_same_as_whole(enum capture_file_format format, const struct capture_file_info *what, size_t differs)
{
	static const size_t piece_sizes[] = {1, 7, 39, PACKETS};
	static const size_t steps[] = {1, 3, 28, 100, 1000};
	struct packet_array array = {packets, PACKETS, 0};
	struct capture_file *file = capture_file_new(format, what, packet_array_source(&array));
	struct byte_stream stream = capture_file_stream(file);
	static uint8_t bytes[FILE_ROOM];
	size_t whole_size;
	uint8_t *whole = read_all(&stream, 4096, &whole_size);

	if (differs)
		memset(whole + differs, 0xff, sizeof(uint64_t));
	for (size_t p = 0; p < sizeof(piece_sizes) / sizeof(*piece_sizes); p++)
		for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
			size_t size = make(format, what, piece_sizes[p], steps[s], bytes);

			assert_int_equal(size, whole_size);
			assert_memory_equal(bytes, whole, size);
		}
	free(whole);
	capture_file_free(file);
}

static void test_pcapng_in_pieces_equals_the_whole_file_except_section_length(void **state)
{
	(void)state;
	check_same_as_whole(CAPTURE_FILE_PCAPNG, &info, 16);
}

static void test_pcap_in_pieces_equals_the_whole_file(void **state)
{
	struct capture_file_info one = info;

	(void)state;
	one.interface_count = 1;
	for (int i = 0; i < PACKETS; i++)
		packets[i].interface = 0;
	check_same_as_whole(CAPTURE_FILE_PCAP, &one, 0);
}

static void test_file_without_packets_has_head_and_tail(void **state)
{
	struct capture_pieces *pieces = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	struct packet_array array = {0};
	uint8_t bytes[FILE_ROOM];

	(void)state;
	assert_true(read_on(pieces, bytes, 4096) > 0);
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&array)), 0);
	assert_int_equal(read_on(pieces, bytes, 4096), 0);
	assert_int_equal(capture_pieces_end(pieces, interfaces), 0);
	assert_int_equal(read_on(pieces, bytes, 4096), 2 * 88);
	capture_pieces_free(pieces);
}

static void test_counts_are_those_given_at_the_end(void **state)
{
	struct packet_interface now[2] = {interfaces[0], interfaces[1]};
	struct capture_pieces *pieces = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	uint8_t bytes[FILE_ROOM];
	uint64_t received;

	(void)state;
	read_on(pieces, bytes, 4096);
	now[0].received = 123456789;
	assert_int_equal(capture_pieces_end(pieces, now), 0);
	read_on(pieces, bytes, 4096);
	memcpy(&received, bytes + 20 + 12 + 12 + 4, sizeof(received));
	assert_int_equal(received, 123456789);
	capture_pieces_free(pieces);
}

static void test_invalid_piece_is_refused_and_leaves_no_trace(void **state)
{
	struct capture_pieces *pieces = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	struct packet_array good = {packets, 3, 0}, bad = {packets, 3, 0};
	uint8_t bytes[FILE_ROOM];
	uint64_t delivered;

	(void)state;
	read_on(pieces, bytes, 4096);
	packets[2].interface = 2;
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&bad)), -EINVAL);
	assert_int_equal(capture_pieces_left(pieces), 0);
	packets[2].interface = 0;
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&good)), 0);
	read_on(pieces, bytes, 4096);
	assert_int_equal(capture_pieces_end(pieces, interfaces), 0);
	read_on(pieces, bytes, 4096);
	memcpy(&delivered, bytes + 88 - 4 - 4 - 8, sizeof(delivered));
	assert_int_equal(delivered, 2);
	capture_pieces_free(pieces);
}

static void test_no_piece_is_accepted_before_the_last_one_is_read(void **state)
{
	struct capture_pieces *pieces = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	struct packet_array first = {packets, 3, 0}, second = {packets, 3, 0};
	uint8_t bytes[FILE_ROOM];

	(void)state;
	assert_int_equal(capture_pieces_end(pieces, interfaces), -EBUSY); /* the head is unread */
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&first)), 0);
	size_t head_and_packets = capture_pieces_left(pieces);
	assert_int_equal(capture_pieces_read(pieces, bytes, head_and_packets - 1), head_and_packets - 1);
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&second)), -EBUSY);
	assert_int_equal(capture_pieces_end(pieces, interfaces), -EBUSY);
	assert_int_equal(capture_pieces_read(pieces, bytes, 1), 1);
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&second)), 0);
	capture_pieces_free(pieces);
}

static void test_counts_in_the_middle_change_nothing_else(void **state)
{
	static uint8_t plain[FILE_ROOM], noted[FILE_ROOM];
	struct packet_array array = {packets, PACKETS, 0};
	struct capture_pieces *pieces = capture_pieces_new(CAPTURE_FILE_PCAPNG, &info);
	size_t size = read_on(pieces, noted, 100);
	const size_t head_size = size;

	(void)state;
	assert_int_equal(capture_pieces_add(pieces, packet_array_source(&array)), 0);
	assert_int_equal(capture_pieces_note(pieces, interfaces, 7), -EBUSY);
	size += read_on(pieces, noted + size, 100);
	const size_t before = size;
	assert_int_equal(capture_pieces_note(pieces, interfaces, 7), 0);
	size += read_on(pieces, noted + size, 100);
	const size_t after = size;
	assert_int_equal(after - before, 2 * (24 + 4 + 8 + 4)); /* a block for each: usrdeliv only */
	assert_int_equal(capture_pieces_end(pieces, interfaces), 0);
	size += read_on(pieces, noted + size, 100);
	capture_pieces_free(pieces);
	memmove(noted + before, noted + after, size - after);
	assert_int_equal(make(CAPTURE_FILE_PCAPNG, &info, PACKETS, 100, plain), size - (after - before));
	assert_memory_equal(plain, noted, size - (after - before));
	assert_true(head_size < before);
}

static void test_pcap_has_exactly_one_interface(void **state)
{
	(void)state;
	assert_null(capture_pieces_new(CAPTURE_FILE_PCAP, &info));
	capture_pieces_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pcapng_in_pieces_equals_the_whole_file_except_section_length, set_up),
		cmocka_unit_test_setup(test_pcap_in_pieces_equals_the_whole_file, set_up),
		cmocka_unit_test_setup(test_file_without_packets_has_head_and_tail, set_up),
		cmocka_unit_test_setup(test_counts_are_those_given_at_the_end, set_up),
		cmocka_unit_test_setup(test_invalid_piece_is_refused_and_leaves_no_trace, set_up),
		cmocka_unit_test_setup(test_no_piece_is_accepted_before_the_last_one_is_read, set_up),
		cmocka_unit_test_setup(test_counts_in_the_middle_change_nothing_else, set_up),
		cmocka_unit_test_setup(test_pcap_has_exactly_one_interface, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
