/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a packet arrived, in boot time. Its stamp is real time, which can be set while packets come in, and a sender on
 * the same host may choose it (SO_TXTIME). The block bounds the truth: no packet in it came before the kernel opened
 * the block, or after the ring thread found it retired. A stamp that fits is exact; any other is odd.
 */
#pragma once

#include <assert.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"

#define ARRIVAL_QUEUED_NS (100 * NS_PER_MS) /* a packet may be stamped this long before it reaches the ring */
#define ARRIVAL_AHEAD_NS NS_PER_MS	    /* clocks are not read at the same moment, and may be slewed */

/* What is known of a block's packets. Boot time. */
struct arrival_bounds {
	uint64_t opened_ns;	   /* the block was not open yet */
	uint64_t retired_ns;	   /* it was found retired */
	int64_t clock_offset_ns;   /* real time minus boot time at retired_ns */
	int64_t earlier_offset_ns; /* ... at opened_ns; differs only if the clock was set or slewed */
};

/* The clock was set by so little that stamps from before and after fit alike. */
static inline bool arrival_is_ambiguous(const struct arrival_bounds *bounds)
{
	const int64_t step_ns = bounds->clock_offset_ns - bounds->earlier_offset_ns;
	const uint64_t size_ns = (uint64_t)(step_ns < 0 ? -step_ns : step_ns);

	return size_ns > ARRIVAL_AHEAD_NS &&
	       size_ns <= bounds->retired_ns - bounds->opened_ns + ARRIVAL_QUEUED_NS + ARRIVAL_AHEAD_NS;
}

static inline uint64_t arrival_earliest(const struct arrival_bounds *bounds)
{
	return bounds->opened_ns > ARRIVAL_QUEUED_NS ? bounds->opened_ns - ARRIVAL_QUEUED_NS : 0;
}

static inline uint64_t arrival_latest(const struct arrival_bounds *bounds)
{
	return bounds->retired_ns + ARRIVAL_AHEAD_NS;
}

static inline bool arrival_fits(const struct arrival_bounds *bounds, uint64_t boottime_ns)
{
	return boottime_ns >= arrival_earliest(bounds) && boottime_ns <= arrival_latest(bounds);
}

/* Boot time at which a packet with this stamp arrived. False: the stamp is odd. */
static inline bool arrival_from_stamp(const struct arrival_bounds *bounds, uint64_t stamp_ns, uint64_t *boottime_ns)
{
	const uint64_t later_ns = stamp_ns - (uint64_t)bounds->clock_offset_ns;
	const uint64_t earlier_ns = stamp_ns - (uint64_t)bounds->earlier_offset_ns;

	if (arrival_fits(bounds, later_ns))
		*boottime_ns = later_ns;
	else if (arrival_fits(bounds, earlier_ns))
		*boottime_ns = earlier_ns;
	else
		return false;
	return true;
}

/* The arrival time of a packet that follows one which arrived at `previous_ns`, the block's opening for the first. Odd
 * stamps get that of the packet before. True: the stamp is odd. */
static inline bool arrival_find(const struct arrival_bounds *bounds, uint64_t stamp_ns, uint64_t previous_ns,
				uint64_t *boottime_ns)
{
	if (arrival_from_stamp(bounds, stamp_ns, boottime_ns))
		return false;
	*boottime_ns = previous_ns;
	return true;
}

/*
 * Packets that leave their block take their arrival along, in eight bytes of the header that the kernel sets to zero
 * (tpacket_rcv in net/packet/af_packet.c).
 */
#define ARRIVAL_ODD (UINT64_C(1) << 63) /* in a noted arrival: the stamp is odd */

static_assert(sizeof(((struct tpacket3_hdr *)0)->tp_padding) == sizeof(uint64_t), "an arrival fits");

/* 0: none was noted. */
static inline uint64_t arrival_noted(const struct tpacket3_hdr *packet)
{
	uint64_t noted;

	memcpy(&noted, packet->tp_padding, sizeof(noted));
	return noted;
}

static inline void arrival_note(struct tpacket3_hdr *packet, uint64_t boottime_ns, bool odd)
{
	const uint64_t noted = boottime_ns | (odd ? ARRIVAL_ODD : 0);

	memcpy(packet->tp_padding, &noted, sizeof(noted));
}

/* Reads the arrivals of a run of packets, one after the other. */
struct arrival_reader {
	const struct arrival_bounds *bounds;
	uint64_t clock_offset_ns;
	uint64_t first_stamp_ns, stamp_range_ns; /* stamps that fit with the later clock offset, at one comparison */
	uint64_t previous_ns;
};

static inline struct arrival_reader arrival_reader(const struct arrival_bounds *bounds)
{
	const uint64_t earliest_ns = arrival_earliest(bounds);

	return (struct arrival_reader){
		.bounds = bounds,
		.clock_offset_ns = (uint64_t)bounds->clock_offset_ns,
		.first_stamp_ns = earliest_ns + (uint64_t)bounds->clock_offset_ns,
		.stamp_range_ns = arrival_latest(bounds) - earliest_ns,
		.previous_ns = bounds->opened_ns,
	};
}

/* Boot time at which the next packet arrived; see arrival_find. */
static inline uint64_t arrival_next(struct arrival_reader *reader, const struct tpacket3_hdr *packet, bool *odd)
{
	const uint64_t noted = arrival_noted(packet);
	const uint64_t stamp_ns = packet->tp_sec * NS_PER_S + packet->tp_nsec;

	if (noted) {
		*odd = noted & ARRIVAL_ODD;
		reader->previous_ns = noted & ~ARRIVAL_ODD;
	} else if (stamp_ns - reader->first_stamp_ns <= reader->stamp_range_ns) {
		*odd = false;
		reader->previous_ns = stamp_ns - reader->clock_offset_ns;
	} else {
		*odd = arrival_find(reader->bounds, stamp_ns, reader->previous_ns, &reader->previous_ns);
	}
	return reader->previous_ns;
}
