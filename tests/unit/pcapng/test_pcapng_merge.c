/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "failing_memory.h"
#include "file_builder.h"
#include "pcapng/pcapng_merge.h"
#include "read_all.h"
#include "read_items.h"

#define INPUTS 3

static struct pcapng_merge_maker tester = {.application = "test"};

static struct builder files[INPUTS];
static struct pcapng_merge_input inputs[INPUTS];
static struct pcapng_merge *merge;
static struct error error;

static uint8_t *merged;
static struct piecewise source;
static struct pcapng_reader *reader;
static struct pcapng_item item;

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < INPUTS; i++)
		files[i].size = files[i].block = files[i].big = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pcapng_reader_free(take(reader));
	pcapng_merge_free(take(merge));
	free(take(merged));
	return 0;
}

static void make(size_t count)
{
	static const char *const labels[INPUTS] = {"n1", "n2", "n3"};
	size_t size;

	tear_down(NULL);
	for (size_t i = 0; i < count; i++)
		inputs[i] =
			(struct pcapng_merge_input){labels[i],
						    {.fd = -1, .bytes = files[i].bytes, .size_bytes = files[i].size}};
	assert_int_equal(pcapng_merge_new(inputs, count, &tester, &merge, &error), 0);
	struct byte_stream stream = pcapng_merge_stream(merge);
	merged = read_all(&stream, 1000, &size);
	assert_int_equal(size, stream.size_bytes);
	assert_int_equal(pcapng_merge_failed(merge, &error), 0);
	source = (struct piecewise){.bytes = merged, .size = size, .piece = SIZE_MAX};
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

static void expect_packet(uint16_t interface, uint64_t time_ns, const char *data)
{
	do
		assert_int_equal(next_item(reader, &item, &error), 1);
	while (item.kind != PCAPNG_PACKET);
	assert_int_equal(item.interface, interface);
	assert_int_equal(item.packet.time_ns, time_ns);
	assert_int_equal(item.packet.caplen, strlen(data));
	assert_memory_equal(item.packet.data, data, strlen(data));
}

static void expect_no_more_packets(void)
{
	int r;

	while ((r = next_item(reader, &item, &error)) == 1)
		assert_int_not_equal(item.kind, PCAPNG_PACKET);
	assert_int_equal(r, 0);
}

static void expect_interface(const char *name, const char *description, const char *filter, const char *os)
{
	expect(PCAPNG_INTERFACE);
	assert_string_equal(item.description.name, name);
	assert_string_equal(item.description.description, description);
	assert_string_equal(item.description.filter ? item.description.filter : "-", filter);
	assert_string_equal(item.description.os ? item.description.os : "-", os);
}

static void test_sections_interfaces_packets_and_statistics_are_merged(void **state)
{
	struct builder *one = &files[0], *two = &files[1];

	(void)state;
	begin_section(one);
	option_string(one, 3, "Linux");
	option_string(one, 4, "pcapdaemon 2");
	option_string(one, 1, "request: {}");
	option_string(one, 1, "tags: a");
	end(one);
	begin_interface(one, 1, 128);
	option_string(one, 2, "eth0");
	option(one, 11, "\0udp", 4);
	option_number(one, 9, 9, 1);
	end(one);
	begin_packet(one, 0, 1000, "first");
	option_number(one, 2, 0x80000002, 4);
	option_number(one, 4, 5, 8);
	end(one);
	begin(one, 5);
	put_u32(one, 0);
	put_words(one, 4000);
	option_words(one, 2, 900);
	option_number(one, 4, 12, 8);
	option_number(one, 5, 2, 8);
	option_string(one, 1, "truncated: 1");
	end(one);

	two->big = true;
	begin_section(two);
	option_string(two, 1, "request: {}");
	end(two);
	begin_interface(two, 101, 0);
	option_string(two, 3, "the uplink");
	option_string(two, 12, "Plan 9");
	end(two);
	packet(two, 0, 2, "second"); /* µs */

	pcap_header(&files[2], 0xa1b23c4d, 276);
	pcap_record(&files[2], 0, 1500, "third");

	make(3);
	expect(PCAPNG_SECTION);
	assert_string_equal(item.section.application, "test");
	assert_int_equal(item.comment_count, 5);
	assert_string_equal(item.comments[0], "merged: n1 (1 interface, 1 packet), n2 (1 interface, 1 packet), "
					      "n3 (1 interface, 1 packet)");
	assert_string_equal(item.comments[1], "n1: made by: pcapdaemon 2, Linux");
	assert_string_equal(item.comments[2], "n1: request: {}");
	assert_string_equal(item.comments[3], "n1: tags: a");
	assert_string_equal(item.comments[4], "n2: request: {}");
	expect_interface("n1:eth0", "interface eth0 of node n1", "udp", "Linux");
	assert_int_equal(item.description.linktype, 1);
	assert_int_equal(item.description.snaplen, 128);
	expect_interface("n2:0", "interface 0 of node n2: the uplink", "-", "Plan 9");
	assert_int_equal(item.description.linktype, 101);
	expect_interface("n3:0", "interface 0 of node n3", "-", "-");
	assert_int_equal(item.description.linktype, 276);
	expect_packet(0, 1000, "first");
	assert_int_equal(item.packet.direction, PACKET_DIR_OUTBOUND);
	assert_int_equal(item.packet.flags, 0x80000000);
	assert_int_equal(item.packet.missing, 5);
	assert_int_equal(item.packet.wirelen, 6);
	expect_packet(2, 1500, "third");
	expect_packet(1, 2000, "second");
	expect(PCAPNG_STATISTICS); /* of the only interface that has any */
	assert_int_equal(item.interface, 0);
	assert_int_equal(item.statistics.time_ns, 4000);
	assert_int_equal(item.statistics.start_ns, 900);
	assert_int_equal(item.statistics.end_ns, 4000);
	assert_int_equal(item.statistics.received, 12);
	assert_int_equal(item.statistics.dropped, 2);
	assert_int_equal(item.comment_count, 1);
	assert_string_equal(item.comments[0], "truncated: 1");
	expect_no_more_packets();
}

static void test_last_statistics_of_an_interface_count(void **state)
{
	(void)state;
	section(&files[0]);
	interface_ns(&files[0], "eth0");
	for (uint64_t i = 1; i <= 3; i++) {
		begin(&files[0], 5);
		put_u32(&files[0], 0);
		put_words(&files[0], i);
		option_number(&files[0], 4, i * 10, 8);
		end(&files[0]);
	}
	make(1);
	expect(PCAPNG_SECTION);
	expect(PCAPNG_INTERFACE);
	expect(PCAPNG_STATISTICS);
	assert_int_equal(item.statistics.received, 30);
	assert_true(item.statistics.dropped == PACKET_UNKNOWN);
	assert_int_equal(item.statistics.end_ns, 3);
	expect_no_more_packets();
}

static void test_packets_of_equal_time_keep_input_order(void **state)
{
	static const char *const names[INPUTS][3] = {{"1a", "1b", "1c"}, {"2a", "2b", "2c"}, {"3a", "3b", "3c"}};

	(void)state;
	for (size_t i = 0; i < INPUTS; i++) {
		section(&files[i]);
		interface_ns(&files[i], "eth0");
		for (int k = 0; k < 3; k++)
			packet(&files[i], 0, 5, names[i][k]);
	}
	packet(&files[1], 0, 4, "2 early"); /* this input is not in order */
	make(3);
	expect_packet(1, 4, "2 early");
	for (uint16_t i = 0; i < INPUTS; i++)
		for (int k = 0; k < 3; k++)
			expect_packet(i, 5, names[i][k]);
	expect_no_more_packets();
	assert_int_equal(pcapng_merge_late(merge), 0);
}

static void test_sections_of_one_input_are_merged(void **state)
{
	(void)state;
	section(&files[0]);
	interface_ns(&files[0], "a");
	packet(&files[0], 0, 10, "ten");
	section(&files[0]);
	interface_ns(&files[0], "b");
	packet(&files[0], 0, 5, "five");
	section(&files[1]);
	interface_ns(&files[1], "c");
	packet(&files[1], 0, 7, "seven");
	make(2);
	expect_packet(1, 5, "five");
	expect_packet(2, 7, "seven");
	expect_packet(0, 10, "ten");
	expect_no_more_packets();
}

/* Times that run backwards within every `span` packets. */
static uint64_t shuffled(uint64_t i, uint64_t span)
{
	return i / span * span + (span - 1 - i % span);
}

#define SHUFFLED 20000

static void test_disordered_inputs_come_out_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		section(&files[i]);
		interface_ns(&files[i], "eth0");
		for (uint64_t n = 0; n < SHUFFLED; n++)
			packet(&files[i], 0, shuffled(n, 1000) * 2 + i, "data");
	}
	make(2);
	for (uint64_t time = 0; time < 2 * SHUFFLED; time++)
		expect_packet(time % 2, time, "data");
	expect_no_more_packets();
	assert_int_equal(pcapng_merge_late(merge), 0);
}

static void test_packets_too_late_for_the_window_are_counted(void **state)
{
	enum { packets = PCAPNG_MERGE_WINDOW + 10, block = 40, head = 28 + 36 };
	const uint64_t size = head + (uint64_t)packets * block;
	uint8_t *bytes = malloc(size);
	struct pcapng_merge *of = NULL;

	(void)state;
	section(&files[0]);
	interface_ns(&files[0], "eth0");
	assert_int_equal(files[0].size, head);
	memcpy(bytes, files[0].bytes, head);
	for (uint32_t i = 0; i < packets; i++) {
		files[0].size = 0;
		packet(&files[0], 0, i == packets - 1 ? 0 : i + 1, "12345678");
		assert_int_equal(files[0].size, block);
		memcpy(bytes + head + (size_t)i * block, files[0].bytes, block);
	}
	const struct pcapng_merge_input input = {"n", {.bytes = bytes, .size_bytes = size}};
	assert_int_equal(pcapng_merge_new(&input, 1, &tester, &of, &error), 0);
	assert_int_equal(pcapng_merge_late(of), 1);
	assert_int_equal(pcapng_merge_report(of, 0).packets, packets);
	pcapng_merge_free(of);
	free(bytes);
}

static void test_broken_input_is_merged_up_to_the_fault_and_reported(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		section(&files[i]);
		interface_ns(&files[i], "eth0");
		packet(&files[i], 0, 1 + i, "one");
		packet(&files[i], 0, 3 + i, "two");
	}
	files[0].size -= 4;
	put(&files[2], "no capture file", 15);
	make(3);
	struct pcapng_merge_report report = pcapng_merge_report(merge, 0);
	assert_int_equal(report.error_code, -ENODATA);
	assert_string_equal(report.error, "byte 100: the file is cut short");
	assert_int_equal(report.packets, 1);
	assert_int_equal(report.interfaces, 1);
	assert_int_equal(pcapng_merge_report(merge, 1).error_code, 0);
	report = pcapng_merge_report(merge, 2);
	assert_int_equal(report.error_code, -EBADMSG);
	assert_int_equal(report.interfaces, 0);
	expect(PCAPNG_SECTION);
	assert_string_equal(item.comments[0],
			    "merged: n1 (1 interface, 1 packet, incomplete: byte 100: the file is cut short), "
			    "n2 (1 interface, 2 packets), "
			    "n3 (0 interfaces, 0 packets, incomplete: byte 0: neither pcapng nor pcap)");
	expect_packet(0, 1, "one");
	expect_packet(1, 2, "one");
	expect_packet(1, 4, "two");
	expect_no_more_packets();
}

static void test_omitted_texts_are_counted(void **state)
{
	(void)state;
	section(&files[0]);
	begin_interface(&files[0], 1, 0);
	option_string(&files[0], 1, "of an interface");
	end(&files[0]);
	begin_packet(&files[0], 0, 1, "data");
	option_string(&files[0], 1, "of a packet");
	option_string(&files[0], 1, "and another");
	end(&files[0]);
	make(1);
	assert_int_equal(pcapng_merge_report(merge, 0).texts_omitted, 3);
	expect(PCAPNG_SECTION);
	assert_string_equal(item.comments[0], "merged: n1 (1 interface, 1 packet, texts omitted: 3)");
}

static void test_texts_are_capped_without_losing_packets(void **state)
{
	static char comment[60000];

	(void)state;
	memset(comment, 'c', sizeof(comment) - 1);
	while (files[0].size + 2 * sizeof(comment) < BUILDER_ROOM) {
		begin_section(&files[0]);
		option_string(&files[0], 1, comment);
		end(&files[0]);
	}
	interface_ns(&files[0], "eth0");
	packet(&files[0], 0, 1, "data");
	/* Twelve inputs with nearly 1 MiB of texts each: together more than the cap. */
	struct pcapng_merge_input many[12];
	for (size_t i = 0; i < 12; i++)
		many[i] = (struct pcapng_merge_input){"n", {.bytes = files[0].bytes, .size_bytes = files[0].size}};
	assert_int_equal(pcapng_merge_new(many, 12, &tester, &merge, &error), 0);
	for (size_t i = 0; i < 12; i++) {
		const struct pcapng_merge_report report = pcapng_merge_report(merge, i);

		assert_int_equal(report.packets, 1);
		assert_in_range(report.texts_omitted, 1, 20);
	}
	assert_in_range(pcapng_merge_stream(merge).size_bytes, 1 << 20, PCAPNG_MERGE_TEXT_MAX);
}

static void test_merge_of_no_inputs_is_a_valid_file(void **state)
{
	(void)state;
	make(0);
	expect(PCAPNG_SECTION);
	assert_string_equal(item.comments[0], "merged: nothing");
	expect_no_more_packets();
}

static void test_what_is_missing_is_in_the_first_comment(void **state)
{
	(void)state;
	tester.missing = "n9 (never answered)";
	make(0);
	tester.missing = NULL;
	expect(PCAPNG_SECTION);
	assert_string_equal(item.comments[0], "missing: n9 (never answered); merged: nothing");
}

static void test_too_many_inputs_are_refused(void **state)
{
	(void)state;
	assert_int_equal(pcapng_merge_new(inputs, PCAPNG_MERGE_INPUTS_MAX + 1, &tester, &merge, &error), -E2BIG);
	assert_null(merge);
	assert_string_equal(error.text, "1025 files to merge; at most 1024");
}

static int fd_of(const struct builder *file)
{
	const int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_int_equal(write(fd, file->bytes, file->size), file->size);
	return fd;
}

static void test_files_and_memory_merge_the_same(void **state)
{
	size_t size;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		section(&files[i]);
		interface_ns(&files[i], "eth0");
		for (uint64_t n = 0; n < 5000; n++)
			packet(&files[i], 0, i ? shuffled(n, 10) : n, n % 2 ? "one" : "the other one");
	}
	make(2);
	cleanup(cleanup_close) int fd = memfd_create("captures", MFD_CLOEXEC);
	assert_int_equal(write(fd, files[0].bytes, files[0].size), files[0].size);
	assert_int_equal(write(fd, files[1].bytes, files[1].size), files[1].size);
	const struct pcapng_merge_input both[] = {
		{"n1", {.fd = fd, .size_bytes = files[0].size}},
		{"n2", {.fd = fd, .start = files[0].size, .size_bytes = files[1].size}},
	};
	struct pcapng_merge *of = NULL;
	assert_int_equal(pcapng_merge_new(both, 2, &tester, &of, &error), 0);
	struct byte_stream stream = pcapng_merge_stream(of);
	for (size_t step = 777; step < 100000; step *= 10) {
		uint8_t *bytes = read_all(&stream, step, &size);

		assert_int_equal(size, source.size);
		assert_memory_equal(bytes, merged, size);
		free(bytes);
	}
	pcapng_merge_free(of);
}

static void test_file_truncated_during_the_merge_is_reported(void **state)
{
	struct pcapng_merge *of = NULL;
	size_t size;

	(void)state;
	section(&files[0]);
	interface_ns(&files[0], "eth0");
	for (uint64_t n = 0; n < 5000; n++)
		packet(&files[0], 0, n, "data");
	cleanup(cleanup_close) int fd = fd_of(&files[0]);
	const struct pcapng_merge_input input = {"n1", {.fd = fd, .size_bytes = files[0].size}};
	assert_int_equal(pcapng_merge_new(&input, 1, &tester, &of, &error), 0);
	assert_int_equal(ftruncate(fd, 100000), 0);
	struct byte_stream stream = pcapng_merge_stream(of);
	free(read_all(&stream, 1000, &size));
	assert_true(size < stream.size_bytes);
	assert_int_equal(pcapng_merge_failed(of, &error), -EIO);
	assert_non_null(strstr(error.text, "n1: byte "));
	pcapng_merge_free(of);
}

static void test_failed_allocation_fails_the_merge(void **state)
{
	bool done = false;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin_section(&files[i]);
		option_string(&files[i], 4, "maker");
		for (int n = 0; n < 10; n++)
			option_string(&files[i], 1, "comment");
		end(&files[i]);
		for (int n = 0; n < 10; n++)
			interface_ns(&files[i], "eth");
		packet(&files[i], 0, 2, "data");
		packet(&files[i], 0, i, "data");
	}
	cleanup(cleanup_close) int fd = fd_of(&files[0]);
	const struct pcapng_merge_input both[] = {{"n1", {.fd = fd, .size_bytes = files[0].size}},
						  {"n2", {.bytes = files[1].bytes, .size_bytes = files[1].size}}};
	for (size_t fails_at = 1; !done; fails_at++) {
		struct pcapng_merge *of = NULL;

		memory_calls = 0;
		memory_fails_at = fails_at;
		int r = pcapng_merge_new(both, 2, &tester, &of, &error);
		done = memory_calls < fails_at;
		memory_fails_at = 0;
		assert_int_equal(r, done ? 0 : -ENOMEM);
		assert_true(done == (of != NULL));
		assert_true(!done || fails_at > 80);
		pcapng_merge_free(of);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sections_interfaces_packets_and_statistics_are_merged),
		TEST(test_last_statistics_of_an_interface_count),
		TEST(test_packets_of_equal_time_keep_input_order),
		TEST(test_sections_of_one_input_are_merged),
		TEST(test_disordered_inputs_come_out_in_order),
		TEST(test_packets_too_late_for_the_window_are_counted),
		TEST(test_broken_input_is_merged_up_to_the_fault_and_reported),
		TEST(test_omitted_texts_are_counted),
		TEST(test_texts_are_capped_without_losing_packets),
		TEST(test_merge_of_no_inputs_is_a_valid_file),
		TEST(test_what_is_missing_is_in_the_first_comment),
		TEST(test_too_many_inputs_are_refused),
		TEST(test_files_and_memory_merge_the_same),
		TEST(test_file_truncated_during_the_merge_is_reported),
		TEST(test_failed_allocation_fails_the_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
