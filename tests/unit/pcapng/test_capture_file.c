/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "packet_array.h"
#include "pcapng/capture_file.h"
#include "read_all.h"

#define PACKETS 40

static uint8_t data[PACKETS * 3];
static struct packet_view packets[PACKETS];

static const struct packet_interface interfaces[2] = {{.name = "eth0", .linktype = 1, .snaplen = 262144},
						      {.name = "eth1", .linktype = 1, .snaplen = 262144}};
static const struct capture_file_info two_interfaces = {.os = "Linux", .interfaces = interfaces, .interface_count = 2};
static const struct capture_file_info one_interface = {.interfaces = interfaces, .interface_count = 1};

/* Packets of growing sizes, in every direction. */
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

static void check_every_step_size(enum capture_file_format format, const struct capture_file_info *info)
{
	struct packet_array array = {packets, PACKETS, 0};
	struct capture_file *file = capture_file_new(format, info, packet_array_source(&array));
	size_t size, again_size;

	assert_non_null(file);
	struct byte_stream stream = capture_file_stream(file);
	uint8_t *bytes = read_all(&stream, 100000, &size);
	assert_true(size == stream.size_bytes);
	for (size_t step = 1; step <= size + 1; step += step < 100 ? 1 : 97) {
		uint8_t *again = read_all(&stream, step, &again_size);

		assert_true(again_size == size);
		assert_memory_equal(again, bytes, size);
		free(again);
	}
	free(bytes);
	capture_file_free(file);
}

static void test_pcapng_reads_the_same_in_any_step_size(void **state)
{
	(void)state;
	check_every_step_size(CAPTURE_FILE_PCAPNG, &two_interfaces);
}

static void test_pcap_reads_the_same_in_any_step_size(void **state)
{
	(void)state;
	for (int i = 0; i < PACKETS; i++)
		packets[i].interface = 0;
	check_every_step_size(CAPTURE_FILE_PCAP, &one_interface);
}

static void test_read_fills_the_room_and_ends_with_zero(void **state)
{
	struct packet_array array = {packets, PACKETS, 0};
	struct capture_file *file = capture_file_new(CAPTURE_FILE_PCAPNG, &two_interfaces, packet_array_source(&array));
	struct byte_stream stream = capture_file_stream(file);
	uint8_t bytes[1000];
	uint64_t left = stream.size_bytes;

	(void)state;
	assert_int_equal(stream.read(stream.ctx, bytes, 0), 0);
	for (; left >= sizeof(bytes); left -= sizeof(bytes))
		assert_int_equal(stream.read(stream.ctx, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(stream.read(stream.ctx, bytes, sizeof(bytes)), left);
	assert_int_equal(stream.read(stream.ctx, bytes, sizeof(bytes)), 0);
	assert_int_equal(stream.read(stream.ctx, bytes, sizeof(bytes)), 0);
	capture_file_free(file);
}

static void test_rewind_in_the_middle_starts_over(void **state)
{
	struct packet_array array = {packets, PACKETS, 0};
	struct capture_file *file = capture_file_new(CAPTURE_FILE_PCAPNG, &two_interfaces, packet_array_source(&array));
	struct byte_stream stream = capture_file_stream(file);
	size_t size, again_size;
	uint8_t part[777];
	uint8_t *bytes = read_all(&stream, 100000, &size);

	(void)state;
	stream.rewind(stream.ctx);
	stream.read(stream.ctx, part, sizeof(part));
	uint8_t *again = read_all(&stream, 100000, &again_size);
	assert_true(size == again_size);
	assert_memory_equal(bytes, again, size);
	free(bytes);
	free(again);
	capture_file_free(file);
}

static void test_info_is_copied(void **state)
{
	char name[] = "eth0", comment[] = "comment";
	const char *comments[] = {comment};
	struct packet_interface interface = {.name = name, .linktype = 1};
	struct capture_file_info info = {.comments = comments,
					 .comment_count = 1,
					 .interfaces = &interface,
					 .interface_count = 1};
	struct packet_array array = {0};
	struct capture_file *file = capture_file_new(CAPTURE_FILE_PCAPNG, &info, packet_array_source(&array));
	struct byte_stream stream = capture_file_stream(file);
	size_t size;

	(void)state;
	memset(name, 'x', sizeof(name));
	memset(comment, 'x', sizeof(comment));
	memset(&interface, 0xff, sizeof(interface));
	comments[0] = NULL;
	uint8_t *bytes = read_all(&stream, 4096, &size);
	assert_non_null(memmem(bytes, size, "eth0", 4));
	assert_non_null(memmem(bytes, size, "comment", 7));
	free(bytes);
	capture_file_free(file);
}

static void test_packet_of_an_unknown_interface_is_refused(void **state)
{
	struct packet_array array = {packets, PACKETS, 0};

	(void)state;
	assert_null(capture_file_new(CAPTURE_FILE_PCAPNG, &one_interface, packet_array_source(&array)));
}

/* A source of `count` copies of one packet. */
struct many {
	struct packet_view packet;
	uint64_t count, at;
};

static void many_rewind(void *ctx)
{
	((struct many *)ctx)->at = 0;
}

static bool many_next(void *ctx, struct packet_view *packet)
{
	struct many *many = ctx;

	*packet = many->packet;
	return many->at++ < many->count;
}

static void test_files_over_4_gib_are_counted(void **state)
{
	static uint8_t big[262144];
	struct many many = {.packet = {.data = big, .caplen = sizeof(big), .wirelen = sizeof(big)}, .count = 20000};
	struct packet_source source = {.rewind = many_rewind, .next = many_next, .ctx = &many};
	struct capture_file *file = capture_file_new(CAPTURE_FILE_PCAPNG, &one_interface, source);
	uint64_t section_size;
	uint8_t head[24];

	(void)state;
	assert_non_null(file);
	struct byte_stream stream = capture_file_stream(file);
	const uint64_t packets_size = UINT64_C(20000) * (262144 + 32);
	const uint64_t interface_size = 16 + 8 + 8 + 4 + 4, statistics_size = 88;
	assert_true(stream.size_bytes == 28 + interface_size + packets_size + statistics_size);
	assert_int_equal(stream.read(stream.ctx, head, sizeof(head)), sizeof(head));
	memcpy(&section_size, head + 16, sizeof(section_size));
	assert_true(section_size == stream.size_bytes - 28);
	capture_file_free(file);
}

static void test_free_accepts_null(void **state)
{
	(void)state;
	capture_file_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pcapng_reads_the_same_in_any_step_size, set_up),
		cmocka_unit_test_setup(test_pcap_reads_the_same_in_any_step_size, set_up),
		cmocka_unit_test_setup(test_read_fills_the_room_and_ends_with_zero, set_up),
		cmocka_unit_test_setup(test_rewind_in_the_middle_starts_over, set_up),
		cmocka_unit_test(test_info_is_copied),
		cmocka_unit_test_setup(test_packet_of_an_unknown_interface_is_refused, set_up),
		cmocka_unit_test(test_files_over_4_gib_are_counted),
		cmocka_unit_test(test_free_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
