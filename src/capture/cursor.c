/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hot loop. For each packet it reads the kernel's header, puts a stripped VLAN tag back, and offers the packet to
 * every cursor of the group. Time limits apply to the moment at which each packet arrived (arrival.h), so load on the
 * machine does not change what a file holds, nor does the clock. A slack of a few milliseconds covers packets that
 * different CPUs stamped out of order.
 */
#include "capture/cursor.h"

#include <endian.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "bpf/filter.h"
#include "bpf/retention_filter.h"
#include "capture/timeline.h"

#define VLAN_TAG_BYTES 4
#define MAC_BYTES 12
#define ETHERTYPE_8021Q 0x8100
#define HEAD_BYTES SLL2_HEADER_BYTES
#define CAN_HEAD_BYTES 12 /* up to the acceptance field of CAN XL */
#define CAN_XL_FLAG 0x80  /* CANXL_XLF and CANFD_FDF of linux/can.h */
#define CAN_FD_FLAG 0x04
#define CACHE_LINE 64
#define PREFETCH_SMALL 256
#define PREFETCH_BYTES 4096
#define PREFETCH_PACKETS 4

/* One packet as it was on the wire: up to HEAD_BYTES in `head`, the rest in the ring. */
struct wire_packet {
	uint64_t boot_ns; /* arrival */
	bool odd_stamp;
	uint32_t caplen, wirelen;
	const uint8_t *data;	   /* in the ring: what follows `head` */
	const uint8_t *contiguous; /* with the head: what filters see */
	uint32_t head_size;	   /* 0: none */
	uint8_t head[HEAD_BYTES];
	uint8_t type; /* PACKET_HOST, PACKET_OUTGOING, … */
	const struct tpacket3_hdr *header;
};

/* Puts the head into the place of the packet's first `replaced` bytes. */
static void put_head(struct wire_packet *packet, uint32_t head_size, uint32_t replaced, uint8_t *scratch)
{
	packet->head_size = head_size;
	packet->data += replaced;
	memcpy(scratch, packet->head, head_size);
	uint32_t rest = packet->caplen - replaced;
	packet->caplen = head_size + rest;
	packet->wirelen += head_size - replaced;
	if (rest > SCAN_SCRATCH_BYTES - head_size)
		rest = SCAN_SCRATCH_BYTES - head_size;
	memcpy(scratch + head_size, packet->data, rest);
	packet->contiguous = scratch;
}

/* MAC addresses and tag. */
static void restore_tag(struct wire_packet *packet, const struct tpacket3_hdr *header, uint8_t *scratch)
{
	const uint16_t tpid =
		header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETHERTYPE_8021Q;
	const uint16_t tci = (uint16_t)header->hv1.tp_vlan_tci;

	memcpy(packet->head, packet->data, MAC_BYTES);
	packet->head[12] = (uint8_t)(tpid >> 8);
	packet->head[13] = (uint8_t)tpid;
	packet->head[14] = (uint8_t)(tci >> 8);
	packet->head[15] = (uint8_t)tci;
	put_head(packet, MAC_BYTES + VLAN_TAG_BYTES, MAC_BYTES, scratch);
}

/* LINKTYPE_LINUX_SLL2. All numbers are in network byte order; the kernel has the protocol like that. */
static void add_cooked_v2(struct wire_packet *packet, const struct sockaddr_ll *address, uint8_t *scratch)
{
	const uint32_t ifindex = htobe32((uint32_t)address->sll_ifindex);
	const uint16_t hardware = htobe16(address->sll_hatype);

	memcpy(packet->head, &address->sll_protocol, 2);
	memset(packet->head + 2, 0, 2);
	memcpy(packet->head + 4, &ifindex, 4);
	memcpy(packet->head + 8, &hardware, 2);
	packet->head[10] = address->sll_pkttype;
	packet->head[11] = address->sll_halen;
	memcpy(packet->head + 12, address->sll_addr, 8);
	put_head(packet, SLL2_HEADER_BYTES, 0, scratch);
}

/* LINKTYPE_LINUX_SLL's header, which LINKTYPE_NETLINK and its like share. */
static void add_cooked_v1(struct wire_packet *packet, const struct sockaddr_ll *address, uint8_t *scratch)
{
	const uint16_t numbers[] = {htobe16(address->sll_pkttype), htobe16(address->sll_hatype),
				    htobe16(address->sll_halen)};

	memcpy(packet->head, numbers, sizeof(numbers));
	memcpy(packet->head + 6, address->sll_addr, 8);
	memcpy(packet->head + 14, &address->sll_protocol, 2);
	put_head(packet, 16, 0, scratch);
}

/*
 * LINKTYPE_CAN_SOCKETCAN has the identifier in network byte order, and the other numbers of CAN XL in little-endian.
 * What kind of frame it is shows in its flags, which old drivers do not set. Sources: linux/can.h, libpcap.
 */
static void convert_can(struct wire_packet *packet, const struct sockaddr_ll *address, uint8_t *scratch)
{
	const uint16_t protocol = be16toh(address->sll_protocol);
	uint32_t identifier, acceptance;
	uint16_t length;

	if (packet->caplen < CAN_HEAD_BYTES)
		return;
	memcpy(packet->head, packet->data, CAN_HEAD_BYTES);
	if (protocol == ETH_P_CANXL)
		packet->head[4] |= CAN_XL_FLAG;
	else if (protocol == ETH_P_CAN || protocol == ETH_P_CANFD)
		packet->head[4] &= (uint8_t)~CAN_XL_FLAG;
	if (protocol == ETH_P_CAN)
		packet->head[5] &= (uint8_t)~CAN_FD_FLAG;
	else if (protocol == ETH_P_CANFD)
		packet->head[5] |= CAN_FD_FLAG;
	memcpy(&identifier, packet->head, 4);
	identifier = htobe32(identifier);
	memcpy(packet->head, &identifier, 4);
	if (packet->head[4] & CAN_XL_FLAG) {
		memcpy(&length, packet->head + 6, 2);
		memcpy(&acceptance, packet->head + 8, 4);
		length = htole16(length);
		acceptance = htole32(acceptance);
		memcpy(packet->head + 6, &length, 2);
		memcpy(packet->head + 8, &acceptance, 4);
	}
	put_head(packet, CAN_HEAD_BYTES, CAN_HEAD_BYTES, scratch);
}

static void convert(struct wire_packet *packet, const struct sockaddr_ll *address, const struct scan_context *context)
{
	switch (context->type.form) {
	case LINK_AS_IS:
		break;
	case LINK_CAN:
		convert_can(packet, address, context->scratch);
		break;
	case LINK_COOKED_V1:
		add_cooked_v1(packet, address, context->scratch);
		break;
	case LINK_COOKED_V2:
		add_cooked_v2(packet, address, context->scratch);
		break;
	}
}

static void read_packet(struct wire_packet *packet, const uint8_t *at, const struct sockaddr_ll *address,
			const struct scan_context *context)
{
	const struct tpacket3_hdr *header = (const void *)at;

	packet->header = header;
	packet->caplen = header->tp_snaplen;
	packet->wirelen = header->tp_len;
	packet->data = packet->contiguous = at + header->tp_mac;
	packet->head_size = 0;
	if (context->type.form != LINK_AS_IS)
		convert(packet, address, context);
	else if ((header->tp_status & TP_STATUS_VLAN_VALID) && context->type.linktype == LINKTYPE_ETHERNET &&
		 packet->caplen >= MAC_BYTES)
		restore_tag(packet, header, context->scratch);
}

static const struct sockaddr_ll *packet_address(const uint8_t *at)
{
	return (const void *)(at + TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));
}

/* Ends the cursors that want a packet of another link type than the ring's. It came before the ring thread noticed the
 * change, and no filter or file is meant for it. Returns how many cursors are left. */
static unsigned end_retyped(struct cursor **active, unsigned count, uint64_t number, uint64_t boottime_ns)
{
	unsigned left = 0;

	for (unsigned c = 0; c < count; c++) {
		struct cursor *cursor = active[c];

		if (number < cursor->next_number ||
		    boottime_ns > atomic_load_explicit(&cursor->until_ns, memory_order_relaxed)) {
			active[left++] = cursor;
			continue;
		}
		cursor->reason = END_INTERFACE_GONE;
		cursor->retyped_ns = boottime_ns;
		cursor->next_number = number;
	}
	return left;
}

static bool is_retyped(const struct sockaddr_ll *address, const struct scan_context *context)
{
	return __builtin_expect(address->sll_hatype != context->hardware, false) &&
	       !link_type_is_same(address->sll_hatype, context->hardware);
}

static void charge_quota(struct cursor *cursor, uint64_t bytes)
{
	struct quota *quota = cursor->quota;
	const uint64_t packets = atomic_fetch_add_explicit(&quota->packets, 1, memory_order_relaxed) + 1;

	bytes += atomic_fetch_add_explicit(&quota->bytes, bytes, memory_order_relaxed);
	if ((packets >= quota->max_packets || bytes >= quota->max_bytes) &&
	    !atomic_exchange_explicit(&quota->announced, true, memory_order_relaxed))
		cursor->quota_spent = true;
}

static uint32_t reception_flag(unsigned char type)
{
	static const uint8_t flags[] = {
		[PACKET_HOST] = PACKET_FLAG_UNICAST,
		[PACKET_BROADCAST] = PACKET_FLAG_BROADCAST,
		[PACKET_MULTICAST] = PACKET_FLAG_MULTICAST,
		[PACKET_OTHERHOST] = PACKET_FLAG_PROMISCUOUS,
	};

	return type < sizeof(flags) ? flags[type] : 0;
}

static uint64_t packet_time(const struct wire_packet *packet)
{
	return packet->header->tp_sec * NS_PER_S + packet->header->tp_nsec;
}

static uint32_t packet_flags(const struct wire_packet *packet)
{
	const bool not_ready = packet->header->tp_status & TP_STATUS_CSUMNOTREADY;

	return reception_flag(packet->type) | (not_ready ? PACKET_FLAG_CHECKSUM_NOT_READY : 0);
}

static void note_match(struct cursor *cursor, uint64_t boottime_ns)
{
	if (boottime_ns > atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed))
		atomic_store_explicit(&cursor->last_match_ns, boottime_ns, memory_order_relaxed);
}

/* There is no memory for the packet. */
static void lose_packet(struct cursor *cursor, const struct wire_packet *packet)
{
	cursor->lost_memory++;
	if (cursor->outlasts_memory) {
		cursor->missing++;
		note_match(cursor, packet->boot_ns);
		return;
	}
	cursor->memory_spent_ns = packet->boot_ns;
	cursor->reason = END_MEMORY;
}

static void store_packet(struct cursor *cursor, const struct wire_packet *packet, uint32_t accepted)
{
	const uint64_t time_ns = packet_time(packet);
	struct packet_view view = {
		.time_ns = time_ns,
		.arrived_ns = packet->boot_ns,
		.odd_stamp = packet->odd_stamp,
		.wirelen = packet->wirelen,
		.caplen = packet->caplen < cursor->snaplen ? packet->caplen : cursor->snaplen,
		.direction = packet->type == PACKET_OUTGOING ? PACKET_DIR_OUTBOUND : PACKET_DIR_INBOUND,
		.flags = packet_flags(packet),
		.missing = cursor->missing,
	};

	if (view.caplen > accepted)
		view.caplen = accepted;
	view.data = packet->data;
	if (store_add(&cursor->store, &view, packet->head, packet->head_size) < 0) {
		lose_packet(cursor, packet);
		return;
	}
	cursor->missing = 0;
	cursor->truncated += packet_is_truncated(&view, cursor->snaplen);
	const uint64_t real_ns = packet->odd_stamp ? packet->boot_ns + (uint64_t)cursor->clock_offset_ns : time_ns;
	if (!cursor->first_ns || real_ns < cursor->first_ns)
		cursor->first_ns = real_ns;
	if (real_ns > cursor->last_ns)
		cursor->last_ns = real_ns;
	if (packet->boot_ns > cursor->last_arrived_ns)
		cursor->last_arrived_ns = packet->boot_ns;
	cursor->odd_stamps += packet->odd_stamp;
	const uint64_t bytes = atomic_load_explicit(&cursor->bytes, memory_order_relaxed) + view.caplen;
	atomic_store_explicit(&cursor->bytes, bytes, memory_order_relaxed);
	const uint64_t packets = atomic_load_explicit(&cursor->packets, memory_order_relaxed) + 1;
	atomic_store_explicit(&cursor->packets, packets, memory_order_relaxed);
	note_match(cursor, packet->boot_ns);
	if (cursor->quota)
		charge_quota(cursor, view.caplen);
	if (packets >= cursor->max_packets)
		cursor->reason = END_PACKETS;
	else if (bytes >= cursor->max_bytes)
		cursor->reason = END_BYTES;
}

static bool is_idle_too_long(const struct cursor *cursor, const struct wire_packet *packet)
{
	return cursor->idle_ns &&
	       packet->boot_ns > atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed) + cursor->idle_ns;
}

/* A packet with an odd stamp arrived between its neighbours' times, and before `latest_ns`. */
static bool may_have_arrived_at(const struct wire_packet *packet, uint64_t latest_ns, uint64_t boottime_ns)
{
	return boottime_ns >= packet->boot_ns && boottime_ns <= latest_ns;
}

/* A packet with an odd stamp makes each window uncertain that may begin or end at its arrival. */
static void note_odd_stamp(struct cursor *const *active, unsigned count, const struct wire_packet *packet,
			   uint64_t number, uint64_t latest_ns)
{
	for (unsigned c = 0; c < count; c++) {
		struct cursor *cursor = active[c];

		if (number >= cursor->next_number)
			cursor->edge_uncertain |=
				may_have_arrived_at(packet, latest_ns, cursor->from_ns) ||
				may_have_arrived_at(packet, latest_ns,
						    atomic_load_explicit(&cursor->until_ns, memory_order_relaxed));
	}
}

static void pass_outside(struct cursor *cursor, const struct wire_packet *packet, uint64_t number)
{
	cursor->outside++;
	if (packet->boot_ns >= cursor->from_ns && number < cursor->beyond_number)
		cursor->beyond_number = number;
}

static void offer_packet(struct cursor *cursor, const struct wire_packet *packet, uint64_t number)
{
	if (packet->boot_ns < cursor->from_ns ||
	    packet->boot_ns > atomic_load_explicit(&cursor->until_ns, memory_order_relaxed)) {
		pass_outside(cursor, packet, number);
		return;
	}
	uint32_t accepted = packet->caplen, allowed = packet->caplen;
	if (cursor->retention && packet->boot_ns < cursor->retention_until_ns) {
		allowed = retention_filter_kept_bytes(cursor->retention, packet->contiguous, packet->wirelen,
						      packet->caplen, packet->type);
		if (!allowed)
			return;
	}
	if (cursor->filter) {
		accepted =
			filter_run(cursor->filter, packet->contiguous, packet->wirelen, packet->caplen, packet->type);
		if (!accepted)
			return;
	}
	if (is_idle_too_long(cursor, packet))
		cursor->reason = END_IDLE;
	else
		store_packet(cursor, packet, accepted < allowed ? accepted : allowed);
}

static void check_clock_step(struct cursor *cursor, const struct span *span)
{
	const int64_t step_ns = span->bounds.clock_offset_ns - cursor->clock_offset_ns;

	if (!cursor->clock_offset_ns)
		cursor->clock_offset_ns = span->bounds.clock_offset_ns;
	else if (step_ns > TIMELINE_CLOCK_STEP_NS || step_ns < -TIMELINE_CLOCK_STEP_NS)
		cursor->clock_stepped = true;
}

static void note_missing(struct cursor *cursor, const struct span *span)
{
	if (span->dropped_before <= cursor->dropped_marked)
		return;
	cursor->missing += span->dropped_before - cursor->dropped_marked;
	cursor->dropped_marked = span->dropped_before;
}

/* Whether the span may hold packets from before and after the moment. */
static bool is_within(const struct span *span, uint64_t boottime_ns)
{
	return boottime_ns >= span->begin_ns && boottime_ns <= span->end_ns;
}

/* Passes a span that arrived before the window. The drops before it are none of the cursor's; later ones may be. */
static void skip_span(struct cursor *cursor, const struct span *span)
{
	if (span->dropped_before > cursor->dropped_at_start)
		cursor->dropped_at_start = cursor->dropped_marked = span->dropped_before;
}

/* Ends the cursors whose window closed before the span, skips those whose window opens after it, and collects the rest
 * in `active`. */
static unsigned collect_active(struct cursor *const *cursors, unsigned count, const struct span *span,
			       struct cursor **active)
{
	unsigned active_count = 0;

	for (unsigned i = 0; i < count; i++) {
		struct cursor *cursor = cursors[i];
		const uint64_t until_ns = atomic_load_explicit(&cursor->until_ns, memory_order_relaxed);

		cursor->edge_uncertain |=
			span->ambiguous && (is_within(span, cursor->from_ns) || is_within(span, until_ns));
		if (arrival_earliest(&span->bounds) > until_ns) { /* nor did later ones arrive in time */
			cursor->reason = END_UNTIL;
			continue;
		}
		check_clock_step(cursor, span);
		if (span->end_ns < cursor->from_ns) {
			skip_span(cursor, span);
			continue;
		}
		note_missing(cursor, span);
		active[active_count++] = cursor;
	}
	return active_count;
}

void cursor_scan(struct cursor *const *cursors, unsigned count, const struct span *span,
		 const struct scan_context *context)
{
	struct cursor *active[SCAN_GROUP_MAX];
	unsigned active_count = collect_active(cursors, count, span, active);
	const uint8_t *at = span->first;
	struct arrival_reader arrivals = arrival_reader(&span->bounds);
	struct wire_packet packet;
	uint32_t i = 0;

	for (; i < span->packets && active_count; i++) {
		const uint8_t *next = at + ((const struct tpacket3_hdr *)(const void *)at)->tp_next_offset;

		/*
		 * Prefetch far ahead: one packet's filter does not run long enough to hide the latency of the next, and
		 * the processor's own prefetching ends at each page. Large packets mostly come in runs of one size. A
		 * prefetch never faults.
		 */
		const ptrdiff_t size = next - at;
		const uint8_t *ahead = next + (size < PREFETCH_SMALL ? PREFETCH_BYTES : PREFETCH_PACKETS * size);
		__builtin_prefetch(next);
		__builtin_prefetch(ahead);
		__builtin_prefetch(ahead + CACHE_LINE);
		__builtin_prefetch(ahead + 2 * CACHE_LINE);
		const struct sockaddr_ll *address = packet_address(at);
		const unsigned char type = address->sll_pkttype;
		packet.boot_ns = arrival_next(&arrivals, (const void *)at, &packet.odd_stamp);
		if (is_retyped(address, context)) {
			active_count = end_retyped(active, active_count, span->number + i, packet.boot_ns);
		} else if (!(context->loopback && type == PACKET_OUTGOING)) {
			read_packet(&packet, at, address, context);
			packet.type = type;
			if (__builtin_expect(packet.odd_stamp, false))
				note_odd_stamp(active, active_count, &packet, span->number + i, span->end_ns);
			for (unsigned c = 0; c < active_count;) {
				struct cursor *cursor = active[c];

				if (span->number + i >= cursor->next_number) {
					offer_packet(cursor, &packet, span->number + i);
					cursor->examined++;
				}
				if (cursor->reason == END_NONE) {
					c++;
				} else {
					cursor->next_number = span->number + i + 1;
					active[c] = active[--active_count];
				}
			}
		}
		at = next;
	}
	for (unsigned c = 0; c < count; c++) {
		if (span->dropped > cursors[c]->dropped_seen) /* less, if it reads what another has read before it */
			cursors[c]->dropped_seen = span->dropped;
		if (cursors[c]->reason == END_NONE)
			cursors[c]->next_number = span->number + span->packets;
	}
}
