/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_memory.h"
#include "file_builder.h"
#include "packet_array.h"
#include "pcapng/capture_file.h"
#include "read_all.h"
#include "read_items.h"

static struct builder file; /* what a test builds */
static struct piecewise source;
static struct pcapng_reader *reader;
static struct pcapng_item item;
static struct error error;

static int set_up(void **state)
{
	(void)state;
	file.big = false;
	file.size = file.block = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pcapng_reader_free(reader);
	reader = NULL;
	return 0;
}

static void open_file(void)
{
	pcapng_reader_free(reader);
	source = (struct piecewise){.bytes = file.bytes, .size = file.size, .piece = SIZE_MAX};
	reader = pcapng_reader_new(piecewise_bytes(&source));
	assert_non_null(reader);
}

static void expect(enum pcapng_item_kind kind)
{
	int r = next_item(reader, &item, &error);

	if (r != 1)
		fail_msg("%d: %s", r, r < 0 ? error.text : "the end");
	assert_int_equal(item.kind, kind);
}

static void expect_end(void)
{
	assert_int_equal(next_item(reader, &item, &error), 0);
	assert_int_equal(next_item(reader, &item, &error), 0);
}

/* Reads all items; then the reader must fail, and fail again in the same way. */
static void expect_failure(int code, const char *text)
{
	int r;

	while ((r = next_item(reader, &item, &error)) == 1)
		;
	assert_int_equal(r, code);
	assert_string_equal(error.text, text);
	memset(&error, 0, sizeof(error));
	assert_int_equal(next_item(reader, &item, &error), code);
	assert_string_equal(error.text, text);
}

static void expect_packet(uint16_t interface, uint64_t time_ns, const char *data)
{
	expect(PCAPNG_PACKET);
	assert_int_equal(item.interface, interface);
	assert_int_equal(item.packet.interface, interface);
	assert_true(item.packet.time_ns == time_ns);
	assert_int_equal(item.packet.caplen, strlen(data));
	assert_memory_equal(item.packet.data, data, strlen(data));
	assert_memory_equal(file.bytes + item.data_at, data, strlen(data));
}

/* Every kind of block, with options in several orders and lengths. */
static void build_rich_file(void)
{
	begin_section(&file);
	option_string(&file, 1, "first");
	option_string(&file, 2, "x86");
	option_string(&file, 3, "Linux");
	option_string(&file, 1, "");
	option_string(&file, 4, "pcapdaemon");
	option_string(&file, 1, "third");
	option(&file, 2988, "custom", 6);
	option(&file, 0, NULL, 0);
	end(&file);
	begin(&file, 4); /* names */
	put_u32(&file, 0);
	end(&file);
	begin_interface(&file, 101, 1500);
	option_string(&file, 2, "eth0");
	option_string(&file, 3, "uplink");
	option(&file, 11, "\0tcp port 80", 12);
	option_string(&file, 12, "Linux 6");
	option_number(&file, 9, 0x80 | 10, 1);
	option_number(&file, 14, 100, 8);
	option_string(&file, 1, "about eth0");
	option(&file, 0, NULL, 0);
	end(&file);
	interface_ns(&file, "eth1");
	begin_packet(&file, 1, 1795423260123456789, "hello");
	option_number(&file, 2, 0x80000201, 4);
	option_string(&file, 1, "odd");
	option(&file, 0, NULL, 0);
	end(&file);
	begin(&file, 2); /* an old packet block */
	put_u16(&file, 0);
	put_u16(&file, 77);
	put_words(&file, 1536);
	put_u32(&file, 4);
	put_u32(&file, 60);
	put(&file, "data", 4);
	option_number(&file, 2, 2, 4);
	end(&file);
	begin(&file, 3); /* a simple one */
	put_u32(&file, 6);
	put(&file, "simple\0\0", 8);
	end(&file);
	begin(&file, 0x40000bad);
	put_u32(&file, 32473);
	end(&file);
	begin(&file, 5);
	put_u32(&file, 1);
	put_words(&file, 3000);
	option_words(&file, 2, 1000);
	option_words(&file, 3, 2000);
	option_number(&file, 4, 7, 8);
	option_number(&file, 5, 3, 8);
	option_string(&file, 1, "counted");
	end(&file);
	begin(&file, 10); /* secrets */
	end(&file);
}

static void check_rich_file(void)
{
	expect(PCAPNG_SECTION);
	assert_string_equal(item.section.hardware, "x86");
	assert_string_equal(item.section.os, "Linux");
	assert_string_equal(item.section.application, "pcapdaemon");
	assert_int_equal(item.comment_count, 3);
	assert_string_equal(item.comments[0], "first");
	assert_string_equal(item.comments[1], "");
	assert_string_equal(item.comments[2], "third");
	expect(PCAPNG_INTERFACE);
	assert_int_equal(item.interface, 0);
	assert_string_equal(item.description.name, "eth0");
	assert_string_equal(item.description.description, "uplink");
	assert_string_equal(item.description.filter, "tcp port 80");
	assert_string_equal(item.description.os, "Linux 6");
	assert_int_equal(item.description.linktype, 101);
	assert_int_equal(item.description.snaplen, 1500);
	assert_true(item.description.received == PACKET_UNKNOWN && item.description.end_ns == PACKET_UNKNOWN);
	assert_int_equal(item.comment_count, 1);
	assert_string_equal(item.comments[0], "about eth0");
	expect(PCAPNG_INTERFACE);
	assert_int_equal(item.interface, 1);
	assert_null(item.description.filter);
	assert_int_equal(item.comment_count, 0);
	expect_packet(1, 1795423260123456789, "hello");
	assert_int_equal(item.packet.wirelen, 6);
	assert_int_equal(item.packet.direction, PACKET_DIR_INBOUND);
	assert_int_equal(item.packet.flags, 0x80000200);
	assert_int_equal(item.comment_count, 1);
	assert_string_equal(item.comments[0], "odd");
	expect_packet(0, 101500000000, "data");
	assert_int_equal(item.packet.wirelen, 60);
	assert_int_equal(item.packet.direction, PACKET_DIR_OUTBOUND);
	expect_packet(0, 101500000000, "simple");
	assert_int_equal(item.packet.direction, PACKET_DIR_UNKNOWN);
	expect(PCAPNG_STATISTICS);
	assert_int_equal(item.interface, 1);
	assert_int_equal(item.statistics.time_ns, 3000);
	assert_int_equal(item.statistics.start_ns, 1000);
	assert_int_equal(item.statistics.end_ns, 2000);
	assert_int_equal(item.statistics.received, 7);
	assert_int_equal(item.statistics.dropped, 3);
	assert_string_equal(item.comments[0], "counted");
	expect_end();
	assert_int_equal(pcapng_reader_skipped(reader), 3);
}

static void test_every_block_is_read_in_both_byte_orders_and_any_pieces(void **state)
{
	static const size_t pieces[] = {1, 2, 3, 5, 7, 8, 12, 28, 100, 4096, SIZE_MAX};

	(void)state;
	for (int big = 0; big < 2; big++) {
		file.big = big;
		file.size = 0;
		build_rich_file();
		for (size_t i = 0; i < 2 * sizeof(pieces) / sizeof(*pieces); i++) {
			open_file();
			source.piece = pieces[i / 2];
			source.stalls = i % 2;
			check_rich_file();
		}
	}
}

static void test_rewind_anywhere_starts_over(void **state)
{
	(void)state;
	build_rich_file();
	open_file();
	for (int items = 0; items <= 8; items++) {
		for (int i = 0; i < items; i++)
			assert_int_equal(next_item(reader, &item, &error), i < 7);
		source.at = 0;
		pcapng_reader_rewind(reader);
	}
	check_rich_file();
}

static void test_truncated_file_gives_its_items_and_an_error(void **state)
{
	(void)state;
	build_rich_file();
	const size_t size = file.size;
	size_t at = 0;
	for (file.size = 0; file.size < size; file.size++) {
		uint32_t block_size;
		char text[100];

		memcpy(&block_size, file.bytes + at + 4, sizeof(block_size));
		if (file.size == at + block_size)
			at += block_size;
		open_file();
		if (at == file.size && at > 0) {
			while (next_item(reader, &item, &error) == 1)
				;
			expect_end();
			continue;
		}
		snprintf(text, sizeof(text), "byte %zu: the file is %s", at, file.size == 0 ? "empty" : "cut short");
		expect_failure(-ENODATA, text);
	}
}

static void test_section_without_its_last_blocks_is_cut_short(void **state)
{
	(void)state;
	section(&file);
	interface_ns(&file, "eth0");
	const size_t before = file.size;
	packet(&file, 0, 1, "hello");
	const uint64_t length = file.size - 28;
	memcpy(file.bytes + 16, &length, sizeof(length));
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect_packet(0, 1, "hello");
	expect_end();
	file.size = before;
	open_file();
	expect_failure(-ENODATA, "byte 64: the file is cut short");
}

static void test_each_section_has_its_own_interfaces_and_byte_order(void **state)
{
	(void)state;
	section(&file);
	interface_ns(&file, "a");
	packet(&file, 0, 1, "one");
	file.big = true;
	section(&file);
	begin_interface(&file, 1, 0);
	option_string(&file, 2, "b");
	end(&file);
	packet(&file, 0, 2, "two");
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect_packet(0, 1, "one");
	expect(PCAPNG_SECTION);
	assert_null(item.section.os);
	expect(PCAPNG_INTERFACE);
	assert_int_equal(item.interface, 1);
	expect_packet(1, 2000, "two");
	expect_end();

	packet(&file, 1, 3, "three");
	open_file();
	expect_failure(-EBADMSG, "byte 192: interface 1 has no description block");
}

static void test_simple_packets_are_cut_at_the_snap_length(void **state)
{
	(void)state;
	section(&file);
	begin_interface(&file, 1, 5);
	end(&file);
	begin(&file, 3);
	put_u32(&file, 1000);
	put(&file, "bytes\0\0", 8);
	end(&file);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect_packet(0, 0, "bytes");
	assert_int_equal(item.packet.wirelen, 1000);
	expect_end();
}

static void test_simple_packet_must_fill_its_block(void **state)
{
	(void)state;
	section(&file);
	begin_interface(&file, 1, 5);
	end(&file);
	begin(&file, 3);
	put_u32(&file, 1000);
	put(&file, "bytes\0\0\0\0\0\0", 12);
	end(&file);
	open_file();
	expect_failure(-EBADMSG, "byte 48: simple packet does not fit its block");
	file.size = 28;
	begin(&file, 3);
	put_u32(&file, 0);
	end(&file);
	open_file();
	expect_failure(-EBADMSG, "byte 28: interface 0 has no description block");
}

static void check_pcap(uint32_t magic, bool big, uint64_t fraction_ns)
{
	file.big = big;
	file.size = 0;
	pcap_header(&file, magic, 0x54000000 | 101);
	pcap_record(&file, 1795423260, 123456, "hello");
	pcap_record(&file, 5, 0, "");
	for (size_t piece = 1; piece < 30; piece++) {
		open_file();
		source.piece = piece;
		source.stalls = piece % 2;
		expect(PCAPNG_INTERFACE);
		assert_int_equal(item.description.linktype, 101);
		assert_int_equal(item.description.snaplen, 65535);
		assert_null(item.description.name);
		expect_packet(0, 1795423260 * UINT64_C(1000000000) + fraction_ns, "hello");
		assert_int_equal(item.packet.wirelen, 7);
		expect_packet(0, UINT64_C(5000000000), "");
		expect_end();
	}
	file.size -= 3;
	open_file();
	expect_failure(-ENODATA, "byte 45: the file is cut short");
}

static void test_pcap_is_read_with_each_magic_number(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		check_pcap(0xa1b2c3d4, big, 123456000);
		check_pcap(0xa1b23c4d, big, 123456);
	}
}

static void check_refused(int code, const char *text)
{
	open_file();
	expect_failure(code, text);
}

static void test_other_pcap_variants_are_refused(void **state)
{
	(void)state;
	pcap_header(&file, 0xa1b2cd34, 1);
	check_refused(-EBADMSG, "byte 0: neither pcapng nor pcap");
	file.size = 0;
	pcap_header(&file, 0xa1b2c3d4, 1);
	file.bytes[4] = 3;
	check_refused(-EBADMSG, "byte 0: pcap of version 3.4");
	file.size = 0;
	pcap_header(&file, 0xa1b2c3d4, 0x10001);
	check_refused(-EBADMSG, "byte 0: link type 0x00010001");
	file.size = 0;
	pcap_header(&file, 0xa1b2c3d4, 1);
	pcap_record(&file, 1, 1000000, "x");
	check_refused(-EBADMSG, "byte 24: time whose fraction is a second or more");
	file.size = 0;
	pcap_header(&file, 0xa1b23c4d, 1);
	pcap_record(&file, 1, 0, "x");
	set_u32(&file, 24 + 8, 262145);
	check_refused(-EMSGSIZE, "byte 24: packet of 262145 bytes");
	file.size = 0;
	put(&file, "GET / HTTP/1.1", 14);
	check_refused(-EBADMSG, "byte 0: neither pcapng nor pcap");
}

static void test_broken_framing_is_refused(void **state)
{
	(void)state;
	section(&file);
	interface_ns(&file, NULL);
	file.bytes[file.size - 4]++;
	check_refused(-EBADMSG, "byte 28: block of 28 bytes has 29 as its final size");
	file.bytes[28 + 4] = 30;
	check_refused(-EBADMSG, "byte 28: block of 30 bytes");
	file.bytes[28 + 4] = 8;
	check_refused(-EBADMSG, "byte 28: block of 8 bytes");
	file.size = 28;
	begin(&file, 0xbad);
	put_u32(&file, 0);
	end(&file);
	file.bytes[file.size - 4]++;
	check_refused(-EBADMSG, "byte 28: block of 16 bytes has 17 as its final size");
	file.size = 0;
	section(&file);
	file.bytes[8] = 0;
	check_refused(-EBADMSG, "byte 0: section with byte-order magic 0x1a2b3c00");
	file.bytes[8] = 0x4d;
	file.bytes[14] = 1;
	check_refused(-EBADMSG, "byte 0: pcapng of version 1.1");
	file.bytes[14] = 2;
	open_file();
	expect(PCAPNG_SECTION);
	expect_end();
}

/* A section, then an interface with one option as given. */
static void interface_with(uint16_t code, const char *value, uint16_t size, size_t present)
{
	file.size = 0;
	section(&file);
	begin_interface(&file, 1, 0);
	put_u16(&file, code);
	put_u16(&file, size);
	put(&file, value, present);
	put_padding(&file);
	end(&file);
}

static void test_broken_options_are_refused(void **state)
{
	(void)state;
	interface_with(2, "eth0", 5, 4);
	check_refused(-EBADMSG, "byte 28: option longer than its block");
	interface_with(2, "", 65535, 0);
	check_refused(-EBADMSG, "byte 28: option longer than its block");
	interface_with(9, "\6\6", 2, 2);
	check_refused(-EBADMSG, "byte 28: option 9 of 2 bytes");
	interface_with(9, "", 0, 0);
	check_refused(-EBADMSG, "byte 28: option 9 of 0 bytes");
	interface_with(9, "\24", 1, 1);
	check_refused(-EBADMSG, "byte 28: time resolution 0x14");
	interface_with(9, "\377", 1, 1);
	check_refused(-EBADMSG, "byte 28: time resolution 0xff");
	interface_with(14, "1234", 4, 4);
	check_refused(-EBADMSG, "byte 28: option 14 of 4 bytes");
	interface_with(11, "", 0, 0);
	check_refused(-EBADMSG, "byte 28: filter without a type");
	interface_with(0, "abcd", 0, 4);
	check_refused(-EBADMSG, "byte 28: malformed end of options");
	interface_with(0, "abcd", 4, 4);
	check_refused(-EBADMSG, "byte 28: malformed end of options");
	file.size = 28;
	begin_interface(&file, 1, 0);
	option_string(&file, 2, "a");
	option_string(&file, 2, "b");
	end(&file);
	check_refused(-EBADMSG, "byte 28: option 2 twice");
}

static void test_filters_of_other_kinds_are_ignored(void **state)
{
	(void)state;
	interface_with(11, "\1\6\0\0\0", 5, 5);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	assert_null(item.description.filter);
}

static void test_text_ends_at_its_first_nul_or_at_its_size(void **state)
{
	(void)state;
	interface_with(2, "eth\0x", 5, 5);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	assert_string_equal(item.description.name, "eth");
	interface_with(2, "", 0, 0);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	assert_string_equal(item.description.name, "");
	interface_with(2, "lo12", 4, 4);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	assert_string_equal(item.description.name, "lo12");
}

static void test_broken_packets_are_refused(void **state)
{
	(void)state;
	section(&file);
	begin_interface(&file, 1, 0);
	option_number(&file, 9, 0, 1);
	option_number(&file, 14, (uint64_t)-5, 8);
	end(&file);
	const size_t at = file.size;
	packet(&file, 0, 4, "hello");
	check_refused(-EBADMSG, "byte 68: packet before 1970 or after 2554");
	file.size = at;
	packet(&file, 0, 5, "hello");
	set_u32(&file, at + 20, 9);
	check_refused(-EBADMSG, "byte 68: packet longer than its block");
	set_u32(&file, at + 20, 262145);
	check_refused(-EMSGSIZE, "byte 68: packet of 262145 bytes");
	set_u32(&file, at + 20, 0); /* the data now counts as options */
	check_refused(-EBADMSG, "byte 68: option longer than its block");
	file.size = at;
	begin(&file, 6);
	put_u32(&file, 0);
	end(&file);
	check_refused(-EBADMSG, "byte 68: packet block too short");
}

static void test_impossible_times_in_statistics_are_unknown(void **state)
{
	(void)state;
	section(&file);
	begin_interface(&file, 1, 0);
	end(&file);
	begin(&file, 5);
	put_u32(&file, 0);
	put_words(&file, UINT64_MAX);
	option_words(&file, 2, UINT64_MAX - 1);
	end(&file);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect(PCAPNG_STATISTICS);
	assert_true(item.statistics.time_ns == PACKET_UNKNOWN);
	assert_true(item.statistics.start_ns == PACKET_UNKNOWN);
	assert_true(item.statistics.received == PACKET_UNKNOWN);
	expect_end();
}

static void test_interfaces_are_capped(void **state)
{
	(void)state;
	section(&file);
	for (int i = 0; i < PCAPNG_INTERFACES_MAX; i++) {
		begin_interface(&file, 1, 0);
		end(&file);
	}
	open_file();
	for (int i = 0; i <= PCAPNG_INTERFACES_MAX; i++)
		expect(i == 0 ? PCAPNG_SECTION : PCAPNG_INTERFACE);
	assert_int_equal(item.interface, PCAPNG_INTERFACES_MAX - 1);
	expect_end();
	section(&file); /* a new section does not reset the cap */
	begin_interface(&file, 1, 0);
	end(&file);
	open_file();
	expect_failure(-EMSGSIZE, "byte 81976: more than 4096 interfaces");
}

static void test_comments_are_capped(void **state)
{
	(void)state;
	begin_section(&file);
	for (int i = 0; i < PCAPNG_COMMENTS_MAX; i++)
		option_string(&file, 1, "c");
	end(&file);
	open_file();
	expect(PCAPNG_SECTION);
	assert_int_equal(item.comment_count, PCAPNG_COMMENTS_MAX);
	file.size -= 4;
	option_string(&file, 1, "c");
	end(&file);
	open_file();
	expect_failure(-EMSGSIZE, "byte 0: more than 4096 comments");
}

static void test_claimed_block_size_allocates_no_memory(void **state)
{
	(void)state;
	section(&file);
	begin(&file, 1);
	set_u32(&file, file.block + 4, PCAPNG_BLOCK_MAX);
	file.size += 10000;
	memory_largest = 0;
	check_refused(-ENODATA, "byte 28: the file is cut short");
	assert_in_range(memory_largest, 1, 16384);
	set_u32(&file, file.block + 4, PCAPNG_BLOCK_MAX + 4);
	check_refused(-EMSGSIZE, "byte 28: block of 16777220 bytes");
}

static void test_skipped_blocks_allocate_no_memory(void **state)
{
	(void)state;
	section(&file);
	begin(&file, 4);
	file.size += 1000000;
	end(&file);
	memory_largest = 0;
	open_file();
	source.piece = 333;
	expect(PCAPNG_SECTION);
	expect_end();
	assert_int_equal(pcapng_reader_skipped(reader), 1);
	assert_in_range(memory_largest, 1, 16384);
	file.size = 28;
	begin(&file, 4);
	set_u32(&file, 32, UINT32_MAX - 3);
	check_refused(-ENODATA, "byte 28: the file is cut short");
}

static void test_largest_packet_is_read(void **state)
{
	static uint8_t data[PCAPNG_PACKET_MAX];
	const struct packet_interface interface = {.name = "eth0"};
	const struct capture_file_info info = {.interfaces = &interface, .interface_count = 1};
	const struct packet_view view = {.data = data, .caplen = sizeof(data), .wirelen = sizeof(data)};
	struct packet_array array = {&view, 1, 0};
	struct capture_file *whole = capture_file_new(CAPTURE_FILE_PCAPNG, &info, packet_array_source(&array));
	struct byte_stream stream = capture_file_stream(whole);

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	uint8_t *bytes = read_all(&stream, 65536, &file.size);
	memcpy(file.bytes, bytes, file.size);
	open_file();
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect(PCAPNG_PACKET);
	assert_int_equal(item.packet.caplen, sizeof(data));
	assert_memory_equal(item.packet.data, data, sizeof(data));
	expect(PCAPNG_STATISTICS);
	expect_end();
	free(bytes);
	capture_file_free(whole);
}

static void test_source_errors_are_returned(void **state)
{
	(void)state;
	build_rich_file();
	file.size -= 12;
	open_file();
	source.fails = -EIO;
	expect_failure(-EIO, "byte 496: reading: Input/output error");
}

static void test_failed_allocation_ends_with_an_error(void **state)
{
	bool done = false;

	(void)state;
	begin_section(&file);
	for (int i = 0; i < 20; i++)
		option_string(&file, 1, "comment");
	option_string(&file, 4, "long");
	file.size += 9000;
	memset(file.bytes + file.size - 9000, 0, 9000);
	file.bytes[file.size - 9000 - 6] = 9004 & 0xff; /* the application's size */
	file.bytes[file.size - 9000 - 5] = 9004 >> 8;
	end(&file);
	for (int i = 0; i < 20; i++)
		interface_ns(&file, "eth");
	for (size_t fails_at = 1; !done; fails_at++) {
		source = (struct piecewise){.bytes = file.bytes, .size = file.size, .piece = SIZE_MAX};
		memory_calls = 0;
		memory_fails_at = fails_at;
		reader = pcapng_reader_new(piecewise_bytes(&source));
		int r = reader ? 1 : -ENOMEM;
		while (r == 1)
			r = pcapng_reader_next(reader, &item, &error);
		done = memory_calls < fails_at;
		memory_fails_at = 0;
		assert_int_equal(r, done ? 0 : -ENOMEM);
		assert_true(!done || fails_at > 8);
		pcapng_reader_free(reader);
		reader = NULL;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_block_is_read_in_both_byte_orders_and_any_pieces),
		TEST(test_rewind_anywhere_starts_over),
		TEST(test_truncated_file_gives_its_items_and_an_error),
		TEST(test_section_without_its_last_blocks_is_cut_short),
		TEST(test_each_section_has_its_own_interfaces_and_byte_order),
		TEST(test_simple_packets_are_cut_at_the_snap_length),
		TEST(test_simple_packet_must_fill_its_block),
		TEST(test_pcap_is_read_with_each_magic_number),
		TEST(test_other_pcap_variants_are_refused),
		TEST(test_broken_framing_is_refused),
		TEST(test_broken_options_are_refused),
		TEST(test_filters_of_other_kinds_are_ignored),
		TEST(test_text_ends_at_its_first_nul_or_at_its_size),
		TEST(test_broken_packets_are_refused),
		TEST(test_impossible_times_in_statistics_are_unknown),
		TEST(test_interfaces_are_capped),
		TEST(test_comments_are_capped),
		TEST(test_claimed_block_size_allocates_no_memory),
		TEST(test_skipped_blocks_allocate_no_memory),
		TEST(test_largest_packet_is_read),
		TEST(test_source_errors_are_returned),
		TEST(test_failed_allocation_ends_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
