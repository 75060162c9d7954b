/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `headers` keeps of a packet, according to libpcap's interpreter, the kernel and the reference parser. Packets
 * are written as words, one per header; "+N" adds N 4-byte units of options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/headers.h"
#include "headers_reference.h"
#include "packets.h"

#define PAYLOAD 60
#define FRAME_MAX KERNEL_PACKET_MAX

enum shape { ETHERNET, VLAN, FIXED, IP4, IP6, OPTIONS, FRAGMENT, AH, TCP, DCCP };

struct header {
	const char *name;
	enum shape shape;
	uint16_t ethertype; /* its value in a link layer header */
	uint8_t protocol;   /* its value in an IP header */
	uint8_t bytes;	    /* without options */
	uint16_t fragment;  /* value of the fragment field */
};

static const struct header headers[] = {
	{"eth", ETHERNET, .bytes = 14},
	{"vlan", VLAN, 0x8100, .bytes = 4},
	{"qinq", VLAN, 0x88a8, .bytes = 4},
	{"9100", VLAN, 0x9100, .bytes = 4},
	{"arp", FIXED, 0x0806, .bytes = 28},
	{"lldp", FIXED, 0x88cc, .bytes = 0},
	{"llc", FIXED, 0x0040, .bytes = 0},
	{"ipv4", IP4, 0x0800, 4, 20, 0x4000},
	{"ipv4first", IP4, 0x0800, 4, 20, 0x2000},
	{"ipv4later", IP4, 0x0800, 4, 20, 0x2001},
	{"ipv4last", IP4, 0x0800, 4, 20, 0x1000},
	{"ipv6", IP6, 0x86dd, 41, 40, 0},
	{"hop", OPTIONS, .protocol = 0, .bytes = 8},
	{"rt", OPTIONS, .protocol = 43, .bytes = 8},
	{"dst", OPTIONS, .protocol = 60, .bytes = 8},
	{"mh", OPTIONS, .protocol = 135, .bytes = 8},
	{"hip", OPTIONS, .protocol = 139, .bytes = 8},
	{"shim", OPTIONS, .protocol = 140, .bytes = 8},
	{"first", FRAGMENT, .protocol = 44, .bytes = 8, .fragment = 0x0001},
	{"later", FRAGMENT, .protocol = 44, .bytes = 8, .fragment = 0x0008},
	{"last", FRAGMENT, .protocol = 44, .bytes = 8, .fragment = 0x8000},
	{"ah", AH, .protocol = 51, .bytes = 12},
	{"tcp", TCP, .protocol = 6, .bytes = 20},
	{"udp", FIXED, .protocol = 17, .bytes = 8},
	{"udplite", FIXED, .protocol = 136, .bytes = 8},
	{"icmp", FIXED, .protocol = 1, .bytes = 8},
	{"icmp6", FIXED, .protocol = 58, .bytes = 8},
	{"igmp", FIXED, .protocol = 2, .bytes = 8},
	{"sctp", FIXED, .protocol = 132, .bytes = 12},
	{"dccp", DCCP, .protocol = 33, .bytes = 16},
	{"gre", FIXED, .protocol = 47, .bytes = 4},
	{"esp", FIXED, .protocol = 50, .bytes = 8},
	{"none", FIXED, .protocol = 59, .bytes = 0},
	{"other", FIXED, .protocol = 253, .bytes = 0},
};
#define HEADERS (sizeof(headers) / sizeof(*headers))

struct frame {
	uint32_t size;
	uint8_t *type;	 /* type field of the last header; NULL: none */
	bool type_is_ip; /* one byte, not two */
	uint8_t data[FRAME_MAX];
};

static void set_type(struct frame *frame, uint8_t *at, bool is_ip)
{
	frame->type = at;
	frame->type_is_ip = is_ip;
}

static void shape_header(struct frame *frame, const struct header *header, uint8_t *at, uint32_t bytes)
{
	switch (header->shape) {
	case ETHERNET:
		set_type(frame, at + 12, false);
		break;
	case VLAN:
		put16(at, 0x2005);
		set_type(frame, at + 2, false);
		break;
	case IP4:
		at[0] = (uint8_t)(0x40 | bytes / 4);
		put16(at + 6, header->fragment);
		set_type(frame, at + 9, true);
		break;
	case IP6:
		at[0] = 0x60;
		set_type(frame, at + 6, true);
		break;
	case FRAGMENT:
		put16(at + 2, header->fragment);
		set_type(frame, at, true);
		break;
	case OPTIONS:
		at[1] = (uint8_t)(bytes / 8 - 1);
		set_type(frame, at, true);
		break;
	case AH:
		at[1] = (uint8_t)(bytes / 4 - 2);
		set_type(frame, at, true);
		break;
	case TCP:
		at[12] = (uint8_t)(bytes / 4 << 4);
		frame->type = NULL;
		break;
	case DCCP:
		at[4] = (uint8_t)(bytes / 4);
		frame->type = NULL;
		break;
	case FIXED:
		frame->type = NULL;
		break;
	}
}

static void append(struct frame *frame, const struct header *header, uint32_t options)
{
	const uint32_t bytes = header->bytes + 4 * options;
	uint8_t *at = frame->data + frame->size;

	if (frame->size + bytes > FRAME_MAX - PAYLOAD)
		return;
	if (frame->type && frame->type_is_ip)
		*frame->type = header->protocol;
	else if (frame->type)
		put16(frame->type, header->ethertype);
	shape_header(frame, header, at, bytes);
	frame->size += bytes;
}

/* Bytes that no header sets are not 0, and name a protocol in case the program reads one too far on. */
static void frame_init(struct frame *frame)
{
	frame->size = 0;
	frame->type = NULL;
	for (size_t i = 0; i < sizeof(frame->data); i++)
		frame->data[i] = i % 2 ? 6 : 17;
}

static void build(struct frame *frame, const char *words)
{
	frame_init(frame);
	while (*words) {
		const size_t length = strcspn(words, " +");
		size_t i = 0;

		while (i < HEADERS &&
		       (strlen(headers[i].name) != length || memcmp(headers[i].name, words, length) != 0))
			i++;
		if (i == HEADERS)
			fail_msg("no such header: %s", words);
		words += length;
		const uint32_t options = *words == '+' ? (uint32_t)strtoul(words + 1, NULL, 10) : 0;
		append(frame, &headers[i], options);
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	frame->size += PAYLOAD;
}

/* The program for one link type, here and in the kernel. */
struct runner {
	uint16_t linktype;
	size_t count;
	struct sock_filter program[HEADERS_PROGRAM_MAX];
	struct kernel kernel;
};

static void runner_init(struct runner *runner, uint16_t linktype, uint32_t least)
{
	runner->linktype = linktype;
	runner->count = headers_program(linktype, least, runner->program);
	assert_in_range(runner->count, 1, HEADERS_PROGRAM_MAX);
	assert_true(bpf_validate((const struct bpf_insn *)runner->program, (int)runner->count));
	kernel_init(&runner->kernel, runner->program, runner->count);
}

static uint32_t interpret(const struct runner *runner, const uint8_t *data, uint32_t size)
{
	const uint32_t length = bpf_filter((const struct bpf_insn *)runner->program, data, size, size);

	assert_true(length > 0);
	return length < size ? length : size;
}

struct words_case {
	const char *words;
	uint32_t bytes; /* of headers */
};

static const struct words_case ethernet_cases[] = {
	{"eth arp", 42},
	{"eth lldp", 14},
	{"eth llc", 14},
	{"eth ipv4 tcp", 54},
	{"eth ipv4 tcp+10", 94},
	{"eth ipv4+10 tcp+3", 106},
	{"eth ipv4+1 udp", 46},
	{"eth ipv4 udp", 42},
	{"eth ipv4 udplite", 42},
	{"eth ipv4 icmp", 42},
	{"eth ipv4 igmp", 42},
	{"eth ipv4+1 igmp", 46},
	{"eth ipv4 sctp", 46},
	{"eth ipv4 dccp", 50},
	{"eth ipv4 dccp+4", 66},
	{"eth ipv4first tcp+2", 62},
	{"eth ipv4later tcp", 34},
	{"eth ipv4last+2 udp", 42},
	{"eth ipv4 gre", 34},
	{"eth ipv4 esp", 34},
	{"eth ipv4 other", 34},
	{"eth ipv4 ipv4 tcp", 34},
	{"eth ipv4 ipv6 tcp", 34},
	{"eth ipv4 ah udp", 34},
	{"eth ipv4 hop udp", 34},
	{"eth vlan arp", 46},
	{"eth vlan lldp", 18},
	{"eth vlan ipv4 tcp", 58},
	{"eth 9100 ipv6 udp", 66},
	{"eth qinq vlan ipv4+3 tcp+5", 94},
	{"eth vlan vlan ipv6 icmp6", 70},
	{"eth qinq vlan arp", 50},
	{"eth vlan vlan vlan ipv4 tcp", 22},
	{"eth ipv6 tcp", 74},
	{"eth ipv6 tcp+10", 114},
	{"eth ipv6 udp", 62},
	{"eth ipv6 icmp6", 62},
	{"eth ipv6 sctp", 66},
	{"eth ipv6 dccp+1", 74},
	{"eth ipv6 none", 54},
	{"eth ipv6 esp", 54},
	{"eth ipv6 other", 54},
	{"eth ipv6 gre", 54},
	{"eth ipv6 ipv6 tcp", 54},
	{"eth ipv6 ipv4 tcp", 54},
	{"eth ipv6 hop tcp", 82},
	{"eth ipv6 hop+2 icmp6", 78},
	{"eth ipv6 rt+4 tcp", 98},
	{"eth ipv6 dst+40 udp", 230},
	{"eth ipv6 mh none", 62},
	{"eth ipv6 hip+2 udp", 78},
	{"eth ipv6 shim tcp", 82},
	{"eth ipv6 first udp", 70},
	{"eth ipv6 later udp", 62},
	{"eth ipv6 last tcp", 62},
	{"eth ipv6 ah+3 tcp", 98},
	{"eth ipv6 ah udp", 74},
	{"eth ipv6 hop dst rt first ah+3 tcp+1", 134},
	{"eth ipv6 hop dst rt later ah+3 tcp+1", 86},
	{"eth ipv6 hop esp", 62},
	{"eth ipv6 dst dst dst dst dst dst none", 102},
	{"eth ipv6 dst dst dst dst dst dst udp", 110},
	{"eth ipv6 hop dst rt first ah+3 dst+2 tcp+2", 154},
	{"eth ipv6 dst dst dst dst dst first tcp", 122},
	{"eth ipv6 dst dst dst dst dst later tcp", 102},
	{"eth ipv6 dst dst dst dst dst dst dst udp", 102},
	{"eth ipv6 dst dst dst dst dst dst ah tcp", 102},
	{"eth ipv6 dst dst dst dst dst dst first tcp", 102},
	{"eth qinq vlan ipv6 hop ah+3 first tcp+10", 162},
};

static const struct words_case raw_cases[] = {
	{"ipv4 tcp", 40},
	{"ipv4+10 tcp+10", 120},
	{"ipv4later udp", 20},
	{"ipv4 gre", 20},
	{"ipv4 ipv4 udp", 20},
	{"ipv6 udp", 48},
	{"ipv6 hop dst rt first ah+3 dst tcp", 124},
	{"ipv6 dst dst dst dst dst dst dst udp", 88},
	{"arp", 1}, /* not IP: unknown */
};

/* At every length, all remaining bytes of the headers are kept. */
static void check_words(const struct runner *runner, const struct words_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct frame frame;

		build(&frame, cases[i].words);
		assert_true(cases[i].bytes < frame.size);
		for (uint32_t size = 1; size <= frame.size; size++) {
			const uint32_t expected = size < cases[i].bytes ? size : cases[i].bytes;
			const uint32_t here = interpret(runner, frame.data, size);
			const uint32_t kernel = kernel_pass(&runner->kernel, frame.data, size);
			const uint32_t reference = reference_headers(runner->linktype, frame.data, size);

			if (here != expected || kernel != expected || reference != expected)
				fail_msg("%s, %u bytes: %u expected, %u here, %u by the kernel, %u by the reference",
					 cases[i].words, size, expected, here, kernel, reference);
		}
	}
}

static void test_ethernet_headers_are_kept_at_every_length(void **state)
{
	struct runner runner;

	(void)state;
	runner_init(&runner, LINKTYPE_ETHERNET, 0);
	check_words(&runner, ethernet_cases, sizeof(ethernet_cases) / sizeof(*ethernet_cases));
	kernel_deinit(&runner.kernel);
}

static void test_raw_ip_headers_are_kept_at_every_length(void **state)
{
	struct runner runner;

	(void)state;
	runner_init(&runner, LINKTYPE_RAW, 0);
	check_words(&runner, raw_cases, sizeof(raw_cases) / sizeof(*raw_cases));
	kernel_deinit(&runner.kernel);
}

static void test_minimum_is_kept(void **state)
{
	static const uint32_t least[] = {1, 2, 34, 54, 55, 100, 2000, 65536, UINT32_MAX};

	(void)state;
	for (size_t l = 0; l < sizeof(least) / sizeof(*least); l++) {
		struct runner runner;

		runner_init(&runner, LINKTYPE_ETHERNET, least[l]);
		for (size_t i = 0; i < sizeof(ethernet_cases) / sizeof(*ethernet_cases); i++) {
			struct frame frame;

			build(&frame, ethernet_cases[i].words);
			const uint32_t asked = least[l] < frame.size ? least[l] : frame.size;
			const uint32_t bytes = ethernet_cases[i].bytes;
			const uint32_t expected = bytes > asked ? bytes : asked;
			assert_int_equal(interpret(&runner, frame.data, frame.size), expected);
			assert_int_equal(kernel_pass(&runner.kernel, frame.data, frame.size), expected);
		}
		kernel_deinit(&runner.kernel);
	}
}

/* Headers in any order and number, valid or not, of any length, some bytes changed at random. */
static void make_random(struct frame *frame, uint16_t linktype)
{
	frame_init(frame);
	if (linktype == LINKTYPE_ETHERNET)
		append(frame, &headers[0], 0);
	for (uint32_t left = pick(12); left; left--) {
		const struct header *header = &headers[1 + pick(HEADERS - 1)];
		const uint32_t options = header->shape == OPTIONS ? 2 * pick(pick(8) ? 3 : 80) : pick(10);

		append(frame, header, header->shape == FIXED || header->shape == VLAN ? 0 : options);
	}
	frame->size += pick(PAYLOAD) + 1;
	for (uint32_t left = pick(2) ? 0 : pick(12); left; left--)
		frame->data[pick(pick(2) ? frame->size : 60)] = (uint8_t)pick(256);
	if (!pick(4))
		frame->size = 1 + pick(frame->size);
}

static void check_random(uint16_t linktype)
{
	struct runner runner;

	runner_init(&runner, linktype, 0);
	uint32_t cut = 0, rounds = 150000;
	for (uint32_t i = 0; i < rounds; i++) {
		struct frame frame;

		make_random(&frame, linktype);
		const uint32_t expected = reference_headers(linktype, frame.data, frame.size);
		const uint32_t here = interpret(&runner, frame.data, frame.size);
		if (here != expected)
			fail_msg("packet %u, %u bytes: %u expected, %u kept", i, frame.size, expected, here);
		if (i % 4 == 0)
			assert_int_equal(kernel_pass(&runner.kernel, frame.data, frame.size), expected);
		/* The reader repeats on the cut packet what the kernel did on the whole one. */
		const uint32_t again =
			bpf_filter((const struct bpf_insn *)runner.program, frame.data, frame.size, here);
		assert_true(again >= here || !again); /* 0: wrong lengths lead past the cut */
		cut += here < frame.size;
	}
	assert_in_range(cut, rounds / 4, rounds - rounds / 50);
	kernel_deinit(&runner.kernel);
}

static void test_random_packets_are_cut_as_by_the_reference_parser(void **state)
{
	(void)state;
	check_random(LINKTYPE_ETHERNET);
	check_random(LINKTYPE_RAW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ethernet_headers_are_kept_at_every_length),
		cmocka_unit_test(test_raw_ip_headers_are_kept_at_every_length),
		cmocka_unit_test(test_minimum_is_kept),
		cmocka_unit_test(test_random_packets_are_cut_as_by_the_reference_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
