/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hot loop. For each packet it reads the kernel's header, puts a stripped VLAN tag back, and offers the packet to
 * every cursor of the group. Time limits apply to the moment at which each packet arrived (arrival.h), so load on the
 * machine does not change what a file holds, nor does the clock. A slack of a few milliseconds covers packets that
 * different CPUs stamped out of order.
 */
#include "capture/cursor.h"

#include <string.h>

#include <linux/if_packet.h>

#include "bpf/filter.h"
#include "bpf/retention_filter.h"
#include "capture/timeline.h"

#define VLAN_TAG_BYTES 4
#define MAC_BYTES 12
#define ETHERTYPE_8021Q 0x8100
#define CACHE_LINE 64
#define PREFETCH_SMALL 256
#define PREFETCH_BYTES 4096
#define PREFETCH_PACKETS 4

/* One packet as it was on the wire: up to 16 bytes in `head`, the rest in the ring. */
struct wire_packet {
	uint64_t time_ns; /* real */
	uint64_t boot_ns; /* arrival */
	bool odd_stamp;
	uint32_t caplen, wirelen;
	const uint8_t *data;	   /* in the ring, without the tag */
	const uint8_t *contiguous; /* with the tag: what filters see */
	uint32_t head_size;	   /* MAC addresses and tag; 0: untagged */
	uint8_t head[MAC_BYTES + VLAN_TAG_BYTES];
	uint8_t direction;
	uint32_t flags;
	uint8_t type; /* PACKET_HOST, PACKET_OUTGOING, … */
};

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
	packet->head_size = sizeof(packet->head);
	memcpy(scratch, packet->head, sizeof(packet->head));
	uint32_t rest = packet->caplen - MAC_BYTES;
	if (rest > SCAN_SCRATCH_BYTES - sizeof(packet->head))
		rest = SCAN_SCRATCH_BYTES - sizeof(packet->head);
	memcpy(scratch + sizeof(packet->head), packet->data + MAC_BYTES, rest);
	packet->contiguous = scratch;
	packet->caplen += VLAN_TAG_BYTES;
	packet->wirelen += VLAN_TAG_BYTES;
}

static void read_packet(struct wire_packet *packet, const uint8_t *at, const struct scan_context *context)
{
	const struct tpacket3_hdr *header = (const void *)at;

	packet->time_ns = header->tp_sec * NS_PER_S + header->tp_nsec;
	packet->caplen = header->tp_snaplen;
	packet->wirelen = header->tp_len;
	packet->data = packet->contiguous = at + header->tp_mac;
	packet->head_size = 0;
	packet->flags = header->tp_status & TP_STATUS_CSUMNOTREADY ? PACKET_FLAG_CHECKSUM_NOT_READY : 0;
	if ((header->tp_status & TP_STATUS_VLAN_VALID) && context->ethernet && packet->caplen >= MAC_BYTES)
		restore_tag(packet, header, context->scratch);
}

static unsigned char packet_type(const uint8_t *at)
{
	const struct sockaddr_ll *address = (const void *)(at + TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));

	return address->sll_pkttype;
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

static void store_packet(struct cursor *cursor, const struct wire_packet *packet, uint32_t accepted)
{
	struct packet_view view = {
		.time_ns = packet->time_ns,
		.arrived_ns = packet->boot_ns,
		.odd_stamp = packet->odd_stamp,
		.wirelen = packet->wirelen,
		.caplen = packet->caplen < cursor->snaplen ? packet->caplen : cursor->snaplen,
		.direction = packet->direction,
		.flags = packet->flags,
		.missing = cursor->missing,
	};

	if (view.caplen > accepted)
		view.caplen = accepted;
	view.data = packet->head_size ? packet->data + MAC_BYTES : packet->data;
	if (store_add(&cursor->store, &view, packet->head, packet->head_size) < 0) {
		cursor->lost_memory++;
		cursor->memory_spent_ns = packet->boot_ns;
		cursor->reason = END_MEMORY;
		return;
	}
	cursor->missing = 0;
	cursor->truncated += packet_is_truncated(&view, cursor->snaplen);
	const uint64_t real_ns =
		packet->odd_stamp ? packet->boot_ns + (uint64_t)cursor->clock_offset_ns : packet->time_ns;
	if (!cursor->first_ns || real_ns < cursor->first_ns)
		cursor->first_ns = real_ns;
	if (real_ns > cursor->last_ns)
		cursor->last_ns = real_ns;
	if (packet->boot_ns > cursor->last_arrived_ns)
		cursor->last_arrived_ns = packet->boot_ns;
	cursor->odd_stamps += packet->odd_stamp;
	const uint64_t bytes = atomic_load_explicit(&cursor->bytes, memory_order_relaxed) + view.caplen;
	atomic_store_explicit(&cursor->bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&cursor->packets, cursor->store.packets, memory_order_relaxed);
	if (packet->boot_ns > atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed))
		atomic_store_explicit(&cursor->last_match_ns, packet->boot_ns, memory_order_relaxed);
	if (cursor->quota)
		charge_quota(cursor, view.caplen);
	if (cursor->store.packets >= cursor->max_packets)
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

static void offer_packet(struct cursor *cursor, const struct wire_packet *packet, uint64_t latest_ns)
{
	if (packet->odd_stamp)
		cursor->edge_uncertain |=
			may_have_arrived_at(packet, latest_ns, cursor->from_ns) ||
			may_have_arrived_at(packet, latest_ns,
					    atomic_load_explicit(&cursor->until_ns, memory_order_relaxed));
	if (packet->boot_ns < cursor->from_ns ||
	    packet->boot_ns > atomic_load_explicit(&cursor->until_ns, memory_order_relaxed))
		return;
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
		if (until_ns < UINT64_MAX - TIMELINE_ORDER_SLACK_NS &&
		    span->begin_ns > until_ns + TIMELINE_ORDER_SLACK_NS) {
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
		const unsigned char type = packet_type(at);
		packet.boot_ns = arrival_next(&arrivals, (const void *)at, &packet.odd_stamp);
		if (!(context->loopback && type == PACKET_OUTGOING)) {
			read_packet(&packet, at, context);
			packet.flags |= reception_flag(type);
			packet.type = type;
			packet.direction = type == PACKET_OUTGOING ? PACKET_DIR_OUTBOUND : PACKET_DIR_INBOUND;
			for (unsigned c = 0; c < active_count;) {
				struct cursor *cursor = active[c];

				if (span->number + i >= cursor->next_number) {
					offer_packet(cursor, &packet, span->end_ns);
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
		cursors[c]->dropped_seen = span->dropped;
		if (cursors[c]->reason == END_NONE)
			cursors[c]->next_number = span->number + span->packets;
	}
}
