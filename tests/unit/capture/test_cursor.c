/* SPDX-License-Identifier: BSD-2-Clause */
/* Cursors over handmade spans: which packets they take, how they cut them, and where they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <linux/if_packet.h>
#include <string.h>

#include "bpf/filter.h"
#include "bpf/retention_filter.h"
#include "capture/cursor.h"
#include "capture/timeline.h"

#define MAC 82
#define OFFSET_NS INT64_C(1700000000000000000)
#define BOOT_NS UINT64_C(1000000000000)
#define MS UINT64_C(1000000)
#define QUEUED_MS (ARRIVAL_QUEUED_NS / MS)
#define SPAN_BYTES (256u << 10)

/* A span that grows packet by packet. */
struct fixture {
	struct budget budget;
	struct span span;
	uint32_t used;
	struct tpacket3_hdr *last;
	struct scan_context context;
	uint8_t bytes[SPAN_BYTES];
};

static struct fixture fixture;
static uint8_t scratch[SCAN_SCRATCH_BYTES];

static int set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	fixture.budget.limit_bytes = SIZE_MAX;
	fixture.span.first = fixture.bytes;
	fixture.span.number = 1000;
	fixture.span.bounds = (struct arrival_bounds){.opened_ns = BOOT_NS - NS_PER_S,
						      .retired_ns = BOOT_NS + 3600 * NS_PER_S,
						      .clock_offset_ns = OFFSET_NS,
						      .earlier_offset_ns = OFFSET_NS};
	fixture.span.dropped = 7;
	fixture.context = (struct scan_context){.type = {LINKTYPE_ETHERNET, LINK_AS_IS}, .scratch = scratch};
	return 0;
}

/* Appends a packet that came `at_ms` after BOOT_NS. */
static struct tpacket3_hdr *add(const void *data, uint32_t size, uint64_t at_ms)
{
	const uint64_t time_ns = BOOT_NS + at_ms * MS + (uint64_t)OFFSET_NS;
	struct tpacket3_hdr *packet = (void *)(fixture.bytes + fixture.used);

	assert_true(fixture.used + MAC + size + 8 <= SPAN_BYTES);
	if (fixture.last)
		fixture.last->tp_next_offset = (uint32_t)((uint8_t *)packet - (uint8_t *)fixture.last);
	packet->tp_sec = (uint32_t)(time_ns / 1000000000);
	packet->tp_nsec = (uint32_t)(time_ns % 1000000000);
	packet->tp_snaplen = packet->tp_len = size;
	packet->tp_mac = MAC;
	memcpy((uint8_t *)packet + MAC, data, size);
	fixture.used += (MAC + size + 7) & ~7u;
	fixture.last = packet;
	fixture.span.begin_ns = fixture.span.packets ? fixture.span.begin_ns : BOOT_NS + at_ms * MS;
	fixture.span.end_ns = BOOT_NS + at_ms * MS;
	fixture.span.packets++;
	return packet;
}

/* An Ethernet frame of 60 bytes: IPv4, UDP from 1000 to `port`. */
static struct tpacket3_hdr *add_udp(uint16_t port, uint64_t at_ms)
{
	uint8_t frame[60] = {[5] = 1,
			     [11] = 2,
			     [12] = 8,
			     [14] = 0x45,
			     [23] = 17,
			     [34] = 3,
			     [35] = 0xe8,
			     [36] = (uint8_t)(port >> 8),
			     [37] = (uint8_t)port};

	return add(frame, sizeof(frame), at_ms);
}

static void set_type(struct tpacket3_hdr *packet, unsigned char type)
{
	struct sockaddr_ll *address = (void *)((uint8_t *)packet + TPACKET_ALIGN(sizeof(*packet)));

	address->sll_pkttype = type;
}

static void cursor_init(struct cursor *cursor)
{
	*cursor = (struct cursor){
		.snaplen = 65535,
		.max_packets = UINT64_MAX,
		.max_bytes = UINT64_MAX,
		.from_ns = 0,
		.until_ns = UINT64_MAX,
		.next_number = fixture.span.number,
	};
	store_init(&cursor->store, &fixture.budget);
}

static void scan(struct cursor *cursor)
{
	cursor_scan(&cursor, 1, &fixture.span, &fixture.context);
}

static struct filter *compile(const char *expression)
{
	struct error err;
	struct filter *filter = NULL;

	assert_int_equal(filter_compile(expression, 1, &err, &filter), 0);
	return filter;
}

static struct packet_view packet_of(struct cursor *cursor, uint64_t index)
{
	struct store_reader reader;
	struct packet_view packet;

	assert_int_equal(store_seal(&cursor->store), 0);
	store_reader_init(&reader, &cursor->store);
	do
		assert_true(store_reader_next(&reader, &packet));
	while (index--);
	return packet;
}

static void test_matching_packets_are_taken_in_order(void **state)
{
	struct cursor cursor;
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");

	(void)state;
	cursor_init(&cursor);
	cursor.filter = filter;
	for (unsigned i = 0; i < 100; i++)
		add_udp(i % 5 ? 80 : 53, i);
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE);
	assert_int_equal(cursor.next_number, 1100);
	assert_int_equal(cursor.examined, 100);
	assert_int_equal(cursor.store.packets, 20);
	assert_int_equal(cursor.packets, 20);
	assert_int_equal(cursor.bytes, 20 * 60);
	assert_int_equal(cursor.dropped_seen, 7);
	assert_int_equal(cursor.first_ns, BOOT_NS + (uint64_t)OFFSET_NS);
	assert_int_equal(cursor.last_ns, BOOT_NS + 95 * MS + (uint64_t)OFFSET_NS);
	assert_int_equal(cursor.last_match_ns, BOOT_NS + 95 * MS);
	for (unsigned i = 0; i < 20; i++) {
		const struct packet_view packet = packet_of(&cursor, i);

		assert_int_equal(packet.time_ns, BOOT_NS + 5 * i * MS + (uint64_t)OFFSET_NS);
		assert_int_equal(packet.caplen, 60);
		assert_int_equal(packet.wirelen, 60);
		assert_int_equal(packet.data[37], 53);
	}
	store_deinit(&cursor.store);
}

static void test_filter_sees_the_whole_packet_despite_the_snap_length(void **state)
{
	struct cursor cursor;
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");

	(void)state;
	cursor_init(&cursor);
	cursor.filter = filter;
	cursor.snaplen = 20;
	struct tpacket3_hdr *packet = add_udp(53, 0);
	packet->tp_len = 1500; /* cut in the kernel already */
	add_udp(54, 1);
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 1);
	assert_int_equal(cursor.bytes, 20);
	assert_int_equal(packet_of(&cursor, 0).caplen, 20);
	assert_int_equal(packet_of(&cursor, 0).wirelen, 1500);
	store_deinit(&cursor.store);
}

static void test_packet_limit_is_exact(void **state)
{
	struct cursor cursor;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		add_udp(53, i);
	for (unsigned limit = 1; limit <= 50; limit++) {
		cursor_init(&cursor);
		cursor.max_packets = limit;
		scan(&cursor);
		assert_int_equal(cursor.reason, END_PACKETS);
		assert_int_equal(cursor.store.packets, limit);
		assert_int_equal(cursor.next_number, 1000 + limit);
		assert_int_equal(cursor.examined, limit);
		store_deinit(&cursor.store);
	}
	cursor_init(&cursor);
	cursor.max_packets = 51;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE);
	assert_int_equal(cursor.store.packets, 50);
	store_deinit(&cursor.store);
}

static void test_byte_limit_includes_the_packet_that_reaches_it(void **state)
{
	struct cursor cursor;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		add_udp(53, i);
	static const unsigned limits[][2] = {{1, 1}, {60, 1}, {61, 2}, {120, 2}, {121, 3}, {3000, 50}};
	for (unsigned i = 0; i < 6; i++) {
		cursor_init(&cursor);
		cursor.max_bytes = limits[i][0];
		scan(&cursor);
		assert_int_equal(cursor.reason, END_BYTES);
		assert_int_equal(cursor.store.packets, limits[i][1]);
		assert_int_equal(cursor.bytes, limits[i][1] * 60);
		store_deinit(&cursor.store);
	}
}

static void test_window_takes_exactly_the_packets_inside(void **state)
{
	struct cursor cursor;
	static const unsigned times_ms[] = {10, 30, 20, 29, 31, 50, 49, 51, 45};

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		add_udp((uint16_t)times_ms[i], times_ms[i]);
	cursor_init(&cursor);
	cursor.from_ns = BOOT_NS + 30 * MS;
	cursor.until_ns = BOOT_NS + 50 * MS;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE); /* a late packet may still come */
	assert_int_equal(cursor.store.packets, 5);
	assert_int_equal(cursor.examined, 9);
	assert_int_equal(cursor.outside, 4);
	static const unsigned expected[] = {30, 31, 45, 49, 50};
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(packet_of(&cursor, i).data[37], expected[i]);
	store_deinit(&cursor.store);
}

static void test_cursor_ends_at_a_block_that_no_packet_of_its_window_can_reach(void **state)
{
	struct cursor cursor;

	(void)state;
	for (unsigned late = QUEUED_MS - 1; late <= QUEUED_MS + 1; late++) {
		set_up(NULL);
		fixture.span.bounds.opened_ns = BOOT_NS + (100 + late) * MS;
		add_udp(1, 100 + late);
		cursor_init(&cursor);
		cursor.until_ns = BOOT_NS + 100 * MS;
		scan(&cursor);
		assert_int_equal(cursor.reason, late > QUEUED_MS ? END_UNTIL : END_NONE);
		assert_int_equal(cursor.store.packets, 0);
		store_deinit(&cursor.store);
	}
}

static void test_packet_queued_before_the_ring_is_taken_from_a_block_after_the_end(void **state)
{
	struct cursor cursor;

	(void)state;
	add_udp(1, 50);
	cursor_init(&cursor);
	cursor.until_ns = BOOT_NS + 100 * MS;
	scan(&cursor);
	set_up(NULL);
	fixture.span.number = 1001;
	fixture.span.bounds.opened_ns = BOOT_NS + 120 * MS;
	add_udp(1, 125); /* after the end, but not the last to come */
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE);
	set_up(NULL);
	fixture.span.number = 1002;
	fixture.span.bounds.opened_ns = BOOT_NS + 180 * MS;
	add_udp(1, 90); /* 90 ms queued */
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 2);
	assert_int_equal(cursor.odd_stamps, 0);
	store_deinit(&cursor.store);
}

static void test_idle_time_is_measured_by_matching_packets(void **state)
{
	struct cursor cursor;
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");

	(void)state;
	add_udp(53, 10);
	add_udp(80, 25); /* no match: does not restart the idle time */
	add_udp(53, 30); /* exactly the idle time: not exceeded */
	add_udp(80, 49);
	add_udp(53, 51);
	add_udp(53, 52);
	cursor_init(&cursor);
	cursor.filter = filter;
	cursor.idle_ns = 20 * MS;
	cursor.last_match_ns = BOOT_NS;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_IDLE);
	assert_int_equal(cursor.store.packets, 2);
	assert_int_equal(cursor.last_match_ns, BOOT_NS + 30 * MS);
	store_deinit(&cursor.store);
}

static const uint8_t plain[60] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06, 0xaa, 0xbb};

static void add_tagged(uint16_t tci, uint16_t tpid, uint32_t size)
{
	struct tpacket3_hdr *packet = add(plain, size, 0);

	packet->tp_status = TP_STATUS_VLAN_VALID | (tpid ? TP_STATUS_VLAN_TPID_VALID : 0);
	packet->hv1.tp_vlan_tci = tci;
	packet->hv1.tp_vlan_tpid = tpid;
}

static void test_stripped_tag_is_reinserted(void **state)
{
	static const uint16_t tpids[] = {0, 0x8100, 0x88a8};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct cursor cursor;
		const uint16_t tpid = tpids[i] ? tpids[i] : 0x8100;

		set_up(NULL);
		add_tagged(0xa00a, tpids[i], sizeof(plain));
		cursor_init(&cursor);
		scan(&cursor);
		const struct packet_view packet = packet_of(&cursor, 0);
		const uint8_t tag[] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, 0xa0, 0x0a};
		assert_int_equal(packet.caplen, 64);
		assert_int_equal(packet.wirelen, 64);
		assert_memory_equal(packet.data, plain, 12);
		assert_memory_equal(packet.data + 12, tag, 4);
		assert_memory_equal(packet.data + 16, plain + 12, 48);
		store_deinit(&cursor.store);
	}
}

static void test_filters_see_the_tag_and_the_bytes_after_it(void **state)
{
	static const struct {
		const char *expression;
		unsigned taken;
	} cases[] = {{"vlan 10", 1}, {"vlan 11", 0},  {"vlan and arp", 1},  {"arp", 1},
		     {"vlan", 1},    {"len = 64", 1}, {"ether[63] = 0", 1}, {"ether[64] = 0", 0}};

	(void)state;
	add_tagged(10, 0x8100, sizeof(plain));
	add(plain, sizeof(plain), 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cursor cursor;
		cleanup(cleanup_filter) struct filter *filter = compile(cases[i].expression);

		cursor_init(&cursor);
		cursor.filter = filter;
		scan(&cursor);
		if (cursor.store.packets != cases[i].taken)
			fail_msg("%s: %u packets", cases[i].expression, (unsigned)cursor.store.packets);
		store_deinit(&cursor.store);
	}
}

static void test_snap_length_may_cut_inside_the_tag(void **state)
{
	static const uint8_t contiguous[20] = {1,  2,  3,    4,	   5,	 6, 7,	  8,	9,    10,
					       11, 12, 0x81, 0x00, 0x20, 7, 0x08, 0x06, 0xaa, 0xbb};

	(void)state;
	add_tagged(0x2007, 0x8100, sizeof(plain));
	for (uint32_t snaplen = 1; snaplen <= sizeof(contiguous); snaplen++) {
		struct cursor cursor;

		cursor_init(&cursor);
		cursor.snaplen = snaplen;
		scan(&cursor);
		const struct packet_view packet = packet_of(&cursor, 0);
		assert_int_equal(packet.caplen, snaplen);
		assert_int_equal(packet.wirelen, 64);
		assert_memory_equal(packet.data, contiguous, snaplen);
		store_deinit(&cursor.store);
	}
}

static void test_tag_is_left_out_where_it_does_not_fit(void **state)
{
	struct cursor cursor;

	(void)state;
	add_tagged(10, 0x8100, 60);
	fixture.context.type.linktype = LINKTYPE_RAW;
	cursor_init(&cursor);
	scan(&cursor);
	assert_int_equal(packet_of(&cursor, 0).caplen, 60);
	assert_memory_equal(packet_of(&cursor, 0).data, plain, 60);
	store_deinit(&cursor.store);
	for (uint32_t size = 8; size < 14; size++) {
		set_up(NULL);
		add_tagged(10, 0x8100, size);
		cursor_init(&cursor);
		scan(&cursor);
		assert_int_equal(packet_of(&cursor, 0).caplen, size < 12 ? size : size + 4);
		store_deinit(&cursor.store);
	}
}

/* --- other link types --- */

static struct sockaddr_ll *address_of(struct tpacket3_hdr *packet)
{
	return (void *)((uint8_t *)packet + TPACKET_ALIGN(sizeof(*packet)));
}

static void test_cooked_packets_get_their_header(void **state)
{
	static const uint8_t network[] = {0x45, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	static const uint8_t v2[] = {8, 0, 0, 0, 0, 1, 2, 3, 2, 0, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0};
	static const uint8_t v1[] = {0, 4, 2, 0, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0};
	static const struct {
		struct link_type type;
		const uint8_t *header;
		uint32_t size;
	} cases[] = {{{LINKTYPE_LINUX_SLL2, LINK_COOKED_V2}, v2, sizeof(v2)},
		     {{LINKTYPE_NETLINK, LINK_COOKED_V1}, v1, sizeof(v1)}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (uint32_t snaplen = 1; snaplen <= cases[i].size + sizeof(network); snaplen++) {
			struct cursor cursor;
			uint8_t whole[40];

			set_up(NULL);
			fixture.context.type = cases[i].type;
			fixture.context.hardware = 512;
			*address_of(add(network, sizeof(network), 10)) =
				(struct sockaddr_ll){.sll_protocol = htobe16(0x0800),
						     .sll_ifindex = 0x010203,
						     .sll_hatype = 512,
						     .sll_pkttype = PACKET_OUTGOING,
						     .sll_halen = 6,
						     .sll_addr = {1, 2, 3, 4, 5, 6}};
			cursor_init(&cursor);
			cursor.snaplen = snaplen;
			scan(&cursor);
			memcpy(whole, cases[i].header, cases[i].size);
			memcpy(whole + cases[i].size, network, sizeof(network));
			const struct packet_view packet = packet_of(&cursor, 0);
			assert_int_equal(packet.wirelen, cases[i].size + sizeof(network));
			assert_int_equal(packet.caplen, snaplen);
			assert_memory_equal(packet.data, whole, snaplen);
			store_deinit(&cursor.store);
		}
	}
}

static void test_short_can_frames_are_left_as_they_are(void **state)
{
	static const uint8_t frame[] = {0x23, 1, 0, 0, 3, 4, 0, 0, 'a', 'b', 'c', 'd'};
	struct cursor cursor;

	(void)state;
	fixture.context.type = (struct link_type){LINKTYPE_CAN_SOCKETCAN, LINK_CAN};
	for (uint32_t size = 0; size <= sizeof(frame); size++)
		add(frame, size, 10 + size);
	cursor_init(&cursor);
	scan(&cursor);
	for (uint32_t size = 0; size < sizeof(frame); size++) {
		assert_int_equal(packet_of(&cursor, size).caplen, size);
		assert_memory_equal(packet_of(&cursor, size).data, frame, size);
	}
	assert_int_equal(packet_of(&cursor, sizeof(frame)).data[3], htobe32(1) == 1 ? 0 : 0x23);
	store_deinit(&cursor.store);
}

static void test_packet_of_another_link_type_ends_the_cursor_before_it(void **state)
{
	struct cursor cursor, over;

	(void)state;
	fixture.context.hardware = 1;
	address_of(add_udp(53, 10))->sll_hatype = 1;
	address_of(add_udp(53, 20))->sll_hatype = 772; /* loopback's is Ethernet, too */
	address_of(add_udp(53, 30))->sll_hatype = 512;
	address_of(add_udp(53, 40))->sll_hatype = 1;
	cursor_init(&cursor);
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 2);
	assert_int_equal(cursor.reason, END_INTERFACE_GONE);
	assert_int_equal(cursor.retyped_ns, BOOT_NS + 30 * MS);
	assert_int_equal(cursor.next_number, fixture.span.number + 2);
	store_deinit(&cursor.store);
	cursor_init(&over); /* its window was over */
	over.until_ns = BOOT_NS + 25 * MS;
	scan(&over);
	assert_int_equal(over.store.packets, 2);
	assert_int_not_equal(over.reason, END_INTERFACE_GONE);
	store_deinit(&over.store);
}

/* Counted is what the ring had too little of, not what the request did not want. */
static void test_packets_cut_by_the_ring_are_counted(void **state)
{
	static const uint8_t data[200];
	static const struct {
		uint32_t caplen, wirelen, snaplen;
		bool tagged;
		uint64_t truncated;
	} cases[] = {
		{200, 200, 262144, false, 0},	 {200, 200, 100, false, 0},   {100, 200, 262144, false, 1},
		{100, 200, 100, false, 0},	 {100, 200, 101, false, 1},   {100, 200, 65535, false, 1},
		{200, 300000, 262144, false, 1}, {200, 200, 262144, true, 0}, {100, 200, 262144, true, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cursor cursor;

		set_up(NULL);
		struct tpacket3_hdr *packet = add(data, cases[i].caplen, 1);
		packet->tp_len = cases[i].wirelen;
		if (cases[i].tagged)
			packet->tp_status |= TP_STATUS_VLAN_VALID;
		cursor_init(&cursor);
		cursor.snaplen = cases[i].snaplen;
		scan(&cursor);
		assert_int_equal(cursor.packets, 1);
		assert_int_equal(cursor.truncated, cases[i].truncated);
		store_deinit(&cursor.store);
	}
}

static void test_flags_tell_how_a_packet_was_received(void **state)
{
	static const struct {
		unsigned char type;
		uint32_t flags;
	} cases[] = {
		{PACKET_HOST, PACKET_FLAG_UNICAST},	     {PACKET_OUTGOING, 0},
		{PACKET_BROADCAST, PACKET_FLAG_BROADCAST},   {PACKET_MULTICAST, PACKET_FLAG_MULTICAST},
		{PACKET_OTHERHOST, PACKET_FLAG_PROMISCUOUS}, {UINT8_MAX, 0},
	};
	const size_t count = sizeof(cases) / sizeof(*cases);
	struct cursor cursor;

	(void)state;
	for (size_t i = 0; i < 2 * count; i++) {
		struct tpacket3_hdr *packet = add_udp(53, i);

		set_type(packet, cases[i % count].type);
		packet->tp_status |= i < count ? 0 : TP_STATUS_CSUMNOTREADY;
	}
	cursor_init(&cursor);
	scan(&cursor);
	for (size_t i = 0; i < 2 * count; i++)
		assert_int_equal(packet_of(&cursor, i).flags,
				 cases[i % count].flags | (i < count ? 0 : PACKET_FLAG_CHECKSUM_NOT_READY));
	store_deinit(&cursor.store);
}

/* Counted once, on the first packet taken after the gap, even if that comes spans later. */
static void test_missing_packets_are_counted_where_they_are_missing(void **state)
{
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");
	struct cursor all, some;

	(void)state;
	cursor_init(&all);
	cursor_init(&some);
	all.dropped_marked = some.dropped_marked = 5;
	some.filter = filter;
	fixture.span.dropped_before = 4; /* the ring's count when they began is newer */
	add_udp(53, 1);
	add_udp(80, 2);
	scan(&all);
	scan(&some);
	struct span first = fixture.span;
	fixture.span = (struct span){.first = fixture.bytes + fixture.used,
				     .number = first.number + first.packets,
				     .bounds = first.bounds,
				     .dropped_before = 8};
	fixture.last = NULL;
	add_udp(80, 3);
	scan(&all);
	scan(&some);
	all.missing += 20; /* evicted */
	const uint64_t number = fixture.span.number + 1;
	fixture.span.first = fixture.bytes + fixture.used;
	fixture.span.number = number;
	fixture.span.packets = 0;
	fixture.span.dropped_before = 10;
	fixture.last = NULL;
	add_udp(53, 4);
	add_udp(53, 5);
	scan(&all);
	scan(&some);
	static const uint64_t missing_of_all[] = {0, 0, 3, 22, 0}, missing_of_some[] = {0, 5, 0};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(packet_of(&all, i).missing, missing_of_all[i]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(packet_of(&some, i).missing, missing_of_some[i]);
	store_deinit(&all.store);
	store_deinit(&some.store);
}

static void test_loopback_takes_each_packet_once(void **state)
{
	(void)state;
	for (unsigned loopback = 0; loopback < 2; loopback++) {
		struct cursor cursor;

		set_up(NULL);
		fixture.context.loopback = loopback;
		for (unsigned i = 0; i < 10; i++) {
			set_type(add_udp(53, i), PACKET_OUTGOING);
			set_type(add_udp(53, i), PACKET_HOST);
		}
		cursor_init(&cursor);
		scan(&cursor);
		assert_int_equal(cursor.store.packets, loopback ? 10 : 20);
		assert_int_equal(cursor.examined, loopback ? 10 : 20);
		assert_int_equal(cursor.next_number, 1020);
		store_deinit(&cursor.store);
	}
}

static void test_direction_comes_from_the_kernel(void **state)
{
	static const unsigned char types[] = {PACKET_HOST, PACKET_OUTGOING, PACKET_BROADCAST, PACKET_MULTICAST,
					      PACKET_OTHERHOST};
	struct cursor cursor;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		set_type(add_udp(53, i), types[i]);
	cursor_init(&cursor);
	scan(&cursor);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(packet_of(&cursor, i).direction,
				 types[i] == PACKET_OUTGOING ? PACKET_DIR_OUTBOUND : PACKET_DIR_INBOUND);
	store_deinit(&cursor.store);
}

static void test_filter_sees_the_direction(void **state)
{
	struct cursor cursor;
	cleanup(cleanup_filter) struct filter *filter = compile("outbound");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		set_type(add_udp(53, i), i == 2 ? PACKET_OUTGOING : PACKET_BROADCAST);
	cursor_init(&cursor);
	cursor.filter = filter;
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 1);
	assert_int_equal(packet_of(&cursor, 0).direction, PACKET_DIR_OUTBOUND);
	store_deinit(&cursor.store);
}

static void test_exhausted_memory_ends_the_cursor_and_is_counted(void **state)
{
	struct cursor cursor;
	static uint8_t big[30000];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add(big, sizeof(big), i);
	fixture.budget.limit_bytes = 32 << 10;
	cursor_init(&cursor);
	scan(&cursor);
	assert_int_equal(cursor.reason, END_MEMORY);
	assert_int_equal(cursor.store.packets, 1);
	assert_int_equal(cursor.packets, 1);
	assert_int_equal(cursor.lost_memory, 1);
	assert_int_equal(cursor.memory_spent_ns, BOOT_NS + MS);
	assert_int_equal(cursor.next_number, 1002);
	store_deinit(&cursor.store);
}

static void test_a_cursor_that_outlasts_memory_marks_what_is_missing(void **state)
{
	struct cursor cursor = {0};
	struct store taken;
	struct store_reader reader;
	struct packet_view packet;
	static uint8_t big[30000];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add(big, sizeof(big), i);
	fixture.budget.limit_bytes = 32 << 10;
	cursor_init(&cursor);
	cursor.outlasts_memory = true;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE);
	assert_int_equal(cursor.packets, 1);
	assert_int_equal(cursor.lost_memory, 2);
	assert_int_equal(cursor.missing, 2);
	store_move(&taken, &cursor.store);
	assert_int_equal(taken.packets, 1);
	assert_int_equal(cursor.store.packets, 0);
	store_deinit(&taken);
	cursor.next_number = 1002;
	scan(&cursor);
	assert_int_equal(cursor.packets, 2);
	store_reader_init(&reader, &cursor.store);
	assert_true(store_reader_next(&reader, &packet));
	assert_int_equal(packet.missing, 2);
	store_deinit(&cursor.store);
	assert_int_equal(fixture.budget.used_bytes, 0);
}

static void test_cursors_of_a_group_are_independent(void **state)
{
	struct cursor cursors[SCAN_GROUP_MAX], *group[SCAN_GROUP_MAX];
	cleanup(cleanup_filter) struct filter *filter = compile("udp port 53");

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		add_udp(i % 2 ? 53 : 80, i);
	for (unsigned i = 0; i < SCAN_GROUP_MAX; i++) {
		group[i] = &cursors[i];
		cursor_init(group[i]);
		group[i]->next_number = 1000 + 10 * i; /* already taken up to there */
		group[i]->filter = i % 2 ? filter : NULL;
		group[i]->max_packets = i % 3 ? UINT64_MAX : 5 + i;
		if (i == 4)
			group[i]->until_ns = arrival_earliest(&fixture.span.bounds) - 1;
	}
	cursor_scan(group, SCAN_GROUP_MAX, &fixture.span, &fixture.context);
	for (unsigned i = 0; i < SCAN_GROUP_MAX; i++) {
		const unsigned left = 200 - 10 * i, matching = i % 2 ? left / 2 : left;
		const unsigned taken = i == 4 ? 0 : i % 3 ? matching : 5 + i;

		assert_int_equal(cursors[i].reason, i == 4 ? END_UNTIL : i % 3 ? END_NONE : END_PACKETS);
		assert_int_equal(cursors[i].store.packets, taken);
		if (i != 4 && i % 3)
			assert_int_equal(cursors[i].next_number, 1200);
		if (taken) {
			const uint64_t first = 10 * i + i % 2;

			assert_int_equal(packet_of(&cursors[i], 0).time_ns, BOOT_NS + first * MS + (uint64_t)OFFSET_NS);
			const uint64_t last = first + (taken - 1) * (i % 2 ? 2 : 1);
			assert_int_equal(cursors[i].last_ns, BOOT_NS + last * MS + (uint64_t)OFFSET_NS);
		}
		store_deinit(&cursors[i].store);
	}
	assert_int_equal(fixture.budget.used_bytes, 0);
}

static struct retention_filter *retention_of(const char *bpf, uint32_t snaplen, bool headers)
{
	struct error err;
	struct retention_filter *retention = NULL;
	const struct retention_filter_options options = {.bpf = bpf, .snaplen = snaplen, .headers = headers};

	assert_int_equal(retention_filter_new(&options, 1, &err, &retention), 0);
	assert_non_null(retention);
	return retention;
}

/* The ring also holds packets that only live captures wanted; history is what the retention filter keeps. */
static void test_history_is_limited_by_the_retention_filter(void **state)
{
	struct cursor cursor;
	cleanup(cleanup_retention_filter) struct retention_filter *retention = retention_of("udp port 53", 40, false);
	cleanup(cleanup_filter) struct filter *filter = compile("udp");

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		add_udp(i % 2 ? 53 : 80, i);
	cursor_init(&cursor);
	cursor.filter = filter;
	cursor.retention = retention;
	cursor.retention_until_ns = BOOT_NS + 10 * MS;
	scan(&cursor);
	assert_int_equal(cursor.examined, 20);
	assert_int_equal(cursor.store.packets, 5 + 10);
	assert_int_equal(cursor.bytes, 5 * 40 + 10 * 60);
	for (unsigned i = 0; i < 15; i++) {
		const struct packet_view packet = packet_of(&cursor, i);
		const unsigned ms = i < 5 ? 2 * i + 1 : i + 5;

		assert_int_equal(packet.time_ns, BOOT_NS + ms * MS + (uint64_t)OFFSET_NS);
		assert_int_equal(packet.caplen, i < 5 ? 40 : 60);
		assert_int_equal(packet.wirelen, 60);
	}
	store_deinit(&cursor.store);
}

static void test_shorter_of_snap_length_and_kept_bytes_applies(void **state)
{
	cleanup(cleanup_retention_filter) struct retention_filter *retention = retention_of(NULL, 0, true);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		add_udp(53, i);
	for (uint32_t snaplen = 41; snaplen <= 43; snaplen++) {
		struct cursor cursor;

		cursor_init(&cursor);
		cursor.snaplen = snaplen;
		cursor.retention = retention;
		cursor.retention_until_ns = BOOT_NS + 1 * MS;
		scan(&cursor);
		assert_int_equal(packet_of(&cursor, 0).caplen, snaplen < 42 ? snaplen : 42);
		assert_int_equal(packet_of(&cursor, 1).caplen, snaplen);
		store_deinit(&cursor.store);
	}
}

static void test_retention_filter_sees_the_stripped_tag(void **state)
{
	static const char *const filters[] = {"vlan 10", "vlan 11", "arp"};

	(void)state;
	add_tagged(10, 0x8100, sizeof(plain));
	for (unsigned i = 0; i < 3; i++) {
		struct cursor cursor;
		cleanup(cleanup_retention_filter) struct retention_filter *retention =
			retention_of(filters[i], 0, true);

		cursor_init(&cursor);
		cursor.retention = retention;
		cursor.retention_until_ns = UINT64_MAX;
		scan(&cursor);
		assert_int_equal(cursor.store.packets, i == 0);
		if (i == 0) {
			assert_int_equal(packet_of(&cursor, 0).caplen, 18 + 28);
			assert_int_equal(packet_of(&cursor, 0).wirelen, 64);
		}
		store_deinit(&cursor.store);
	}
}

static void test_shared_limit_is_announced_once_by_one_cursor(void **state)
{
	static const struct quota limits[] = {{.max_packets = 70, .max_bytes = UINT64_MAX},
					      {.max_packets = UINT64_MAX, .max_bytes = 70 * 60 - 59},
					      {.max_packets = 151, .max_bytes = UINT64_MAX}};

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		add_udp(53, i);
	for (unsigned l = 0; l < 3; l++) {
		struct cursor cursors[3], *group[3];
		struct quota quota = limits[l];

		for (unsigned c = 0; c < 3; c++) {
			group[c] = &cursors[c];
			cursor_init(group[c]);
			group[c]->quota = &quota;
		}
		cursor_scan(group, 3, &fixture.span, &fixture.context);
		unsigned announced = 0;
		for (unsigned c = 0; c < 3; c++)
			announced += cursors[c].quota_spent;
		assert_int_equal(announced, l < 2);
		assert_int_equal(quota.announced, l < 2);
		/* A worker would post it now; later packets announce nothing. */
		for (unsigned c = 0; c < 3; c++) {
			cursors[c].quota_spent = false;
			cursors[c].next_number = 1000;
		}
		cursor_scan(group, 3, &fixture.span, &fixture.context);
		for (unsigned c = 0; c < 3; c++)
			assert_int_equal(cursors[c].quota_spent, l == 2 && c == 0);
		assert_int_equal(quota.packets, 300);
		assert_int_equal(quota.bytes, 300 * 60);
		for (unsigned c = 0; c < 3; c++) {
			assert_int_equal(cursors[c].reason, END_NONE); /* its owner cuts and stops */
			store_deinit(&cursors[c].store);
		}
	}
}

static void test_clock_step_is_noted_and_slow_drift_is_not(void **state)
{
	static const int64_t steps_ms[] = {0, 50, 100, 101, -100, -101, 3600000};

	(void)state;
	for (unsigned i = 0; i < sizeof(steps_ms) / sizeof(*steps_ms); i++) {
		struct cursor cursor;

		set_up(NULL);
		add_udp(53, 0);
		cursor_init(&cursor);
		scan(&cursor);
		assert_int_equal(cursor.clock_offset_ns, OFFSET_NS);
		assert_false(cursor.clock_stepped);
		fixture.span.bounds.clock_offset_ns += steps_ms[i] * (int64_t)MS;
		scan(&cursor);
		assert_int_equal(cursor.clock_stepped, steps_ms[i] > 100 || steps_ms[i] < -100);
		assert_int_equal(cursor.clock_offset_ns, OFFSET_NS);
		store_deinit(&cursor.store);
	}
}

static void test_spans_before_the_window_count_neither_packets_nor_drops(void **state)
{
	struct cursor cursor;

	(void)state;
	add_udp(53, 0);
	cursor_init(&cursor);
	cursor.from_ns = BOOT_NS + 500 * MS;
	cursor.dropped_at_start = cursor.dropped_seen = 3;
	fixture.span.dropped_before = 5; /* of 7; the other two may be drops in the window, in a backlog */
	scan(&cursor);
	assert_int_equal(cursor.examined, 0);
	assert_int_equal(cursor.next_number, 1001);
	assert_int_equal(cursor.dropped_seen - cursor.dropped_at_start, 2);
	set_up(NULL);
	fixture.span.number = 1001;
	fixture.span.dropped = 12;
	add_udp(53, 600);
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 1);
	assert_int_equal(cursor.examined, 1);
	assert_int_equal(cursor.dropped_seen - cursor.dropped_at_start, 7);
	store_deinit(&cursor.store);
}

static void test_odd_stamp_takes_its_neighbours_time_and_moves_no_end(void **state)
{
	struct cursor cursor;
	struct store_reader reader;
	struct packet_view packet;

	(void)state;
	add_udp(53, 100);
	struct tpacket3_hdr *odd = add_udp(53, 200);
	add_udp(53, 300);
	odd->tp_sec = 0;
	odd->tp_nsec = 1;
	cursor_init(&cursor);
	cursor.from_ns = BOOT_NS + 50 * MS;
	cursor.until_ns = BOOT_NS + 400 * MS;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_NONE);
	assert_int_equal(cursor.store.packets, 3);
	assert_int_equal(cursor.odd_stamps, 1);
	assert_int_equal(cursor.first_ns, BOOT_NS + 100 * MS + (uint64_t)OFFSET_NS);
	assert_int_equal(cursor.last_ns, BOOT_NS + 300 * MS + (uint64_t)OFFSET_NS);
	assert_int_equal(cursor.last_arrived_ns, BOOT_NS + 300 * MS);
	assert_int_equal(store_seal(&cursor.store), 0);
	store_reader_init(&reader, &cursor.store);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(store_reader_next(&reader, &packet));
		assert_int_equal(packet.odd_stamp, i == 1);
		assert_int_equal(packet.arrived_ns, BOOT_NS + (i == 2 ? 300 : 100) * MS);
		if (i == 1)
			assert_int_equal(packet.time_ns, 1);
	}
	store_deinit(&cursor.store);
}

static void test_small_clock_step_at_the_windows_end_makes_it_uncertain(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct cursor cursor;

		set_up(NULL);
		add_udp(53, 0);
		fixture.span.ambiguous = true;
		fixture.span.begin_ns = BOOT_NS - 100 * MS; /* its bounds */
		fixture.span.end_ns = BOOT_NS + 100 * MS;
		cursor_init(&cursor);
		cursor.from_ns = BOOT_NS - (i == 0 ? 50 : 5000) * MS;
		cursor.until_ns = BOOT_NS + (i == 1 ? 50 : 5000) * MS;
		scan(&cursor);
		assert_int_equal(cursor.edge_uncertain, i < 2);
		store_deinit(&cursor.store);
	}
}

static void test_span_after_the_end_does_not_count_as_a_clock_step(void **state)
{
	struct cursor cursor;

	(void)state;
	add_udp(53, 0);
	cursor_init(&cursor);
	scan(&cursor);
	set_up(NULL);
	fixture.span.number = 1001;
	fixture.span.bounds.clock_offset_ns -= 1000 * (int64_t)MS;
	fixture.span.bounds.opened_ns = BOOT_NS + 400 * MS;
	add_udp(53, 500);
	cursor.until_ns = BOOT_NS + 100 * MS;
	scan(&cursor);
	assert_int_equal(cursor.reason, END_UNTIL);
	assert_false(cursor.clock_stepped);
	store_deinit(&cursor.store);
}

static void test_end_may_be_brought_forward(void **state)
{
	struct cursor cursor;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		add_udp(53, i);
	cursor_init(&cursor);
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 10);
	fixture.span.number = cursor.next_number;
	cursor.until_ns = BOOT_NS + 4 * MS;
	scan(&cursor);
	assert_int_equal(cursor.store.packets, 15);
	assert_int_equal(cursor.reason, END_NONE);
	store_deinit(&cursor.store);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_matching_packets_are_taken_in_order),
		TEST(test_filter_sees_the_whole_packet_despite_the_snap_length),
		TEST(test_packet_limit_is_exact),
		TEST(test_byte_limit_includes_the_packet_that_reaches_it),
		TEST(test_window_takes_exactly_the_packets_inside),
		TEST(test_cursor_ends_at_a_block_that_no_packet_of_its_window_can_reach),
		TEST(test_packet_queued_before_the_ring_is_taken_from_a_block_after_the_end),
		TEST(test_idle_time_is_measured_by_matching_packets),
		TEST(test_stripped_tag_is_reinserted),
		TEST(test_filters_see_the_tag_and_the_bytes_after_it),
		TEST(test_snap_length_may_cut_inside_the_tag),
		TEST(test_tag_is_left_out_where_it_does_not_fit),
		TEST(test_cooked_packets_get_their_header),
		TEST(test_short_can_frames_are_left_as_they_are),
		TEST(test_packet_of_another_link_type_ends_the_cursor_before_it),
		TEST(test_packets_cut_by_the_ring_are_counted),
		TEST(test_flags_tell_how_a_packet_was_received),
		TEST(test_missing_packets_are_counted_where_they_are_missing),
		TEST(test_loopback_takes_each_packet_once),
		TEST(test_direction_comes_from_the_kernel),
		TEST(test_filter_sees_the_direction),
		TEST(test_exhausted_memory_ends_the_cursor_and_is_counted),
		TEST(test_a_cursor_that_outlasts_memory_marks_what_is_missing),
		TEST(test_cursors_of_a_group_are_independent),
		TEST(test_history_is_limited_by_the_retention_filter),
		TEST(test_shorter_of_snap_length_and_kept_bytes_applies),
		TEST(test_retention_filter_sees_the_stripped_tag),
		TEST(test_shared_limit_is_announced_once_by_one_cursor),
		TEST(test_clock_step_is_noted_and_slow_drift_is_not),
		TEST(test_small_clock_step_at_the_windows_end_makes_it_uncertain),
		TEST(test_odd_stamp_takes_its_neighbours_time_and_moves_no_end),
		TEST(test_spans_before_the_window_count_neither_packets_nor_drops),
		TEST(test_span_after_the_end_does_not_count_as_a_clock_step),
		TEST(test_end_may_be_brought_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
