/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel fills the ring's blocks in order and drops packets when the next block is not its own. So the blocks just
 * ahead of it must be free: a quarter of the ring and a few more, because tpacket_rcv checks for room a quarter ahead
 * before it looks at the current block. The rest holds packets.
 *
 * A block closed by the retire timer may be nearly empty. Such blocks are packed: their packets are appended to the
 * last held block with room (the tail), and the block goes back at once. timeline_relocate.c keeps the blocks ahead of
 * the kernel free.
 */
#include "capture/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "capture/timeline_internal.h"

#define EXTENT_MERGE_BYTES (64u << 10) /* packed runs merge up to this, which bounds the number of extents */
#define FULL_STREAK 8 /* a sparse block after this many full ones wastes at most a ninth of the memory */
#define BACKLOG_FRACTION 64
#define HOLD_PERCENT 61 /* of the memory: below this, move blocks rather than evict */
#define EXTENTS_PER_BLOCK 16
#define EXTENTS_MIN 4096u
#define MERGE_CLOCK_STEP_NS 1000000 /* runs whose clock offsets differ by more are not merged */
#define PACKET_ALIGN 8u		    /* V3_ALIGNMENT in af_packet.c */

static uint64_t stamp_ns(const struct tpacket3_hdr *packet)
{
	return packet->tp_sec * NS_PER_S + packet->tp_nsec;
}

static uint32_t packet_bytes(const struct tpacket3_hdr *packet)
{
	if (packet->tp_next_offset)
		return packet->tp_next_offset;
	return (packet->tp_mac + packet->tp_snaplen + PACKET_ALIGN - 1) & ~(PACKET_ALIGN - 1);
}

struct timeline *timeline_new(const struct timeline_options *options)
{
	cleanup(cleanup_timeline) struct timeline *timeline = calloc(1, sizeof(*timeline));

	if (!timeline)
		return NULL;
	timeline->memory = options->memory;
	timeline->block_bytes = options->block_bytes;
	timeline->block_count = options->block_count;
	timeline->keep_history = options->keep_history;
	timeline->extent_max_ns = options->extent_max_ns;
	timeline->now = options->now;
	timeline->now_ctx = options->now_ctx;
	timeline->opened = timeline->next_opened = options->now(options->now_ctx);
	timeline->complete_since_ns = timeline->opened.boottime_ns;
	timeline->backlog_max = 8 + options->block_count / BACKLOG_FRACTION;
	timeline->reserve = options->block_count / 4 + timeline->backlog_max;
	timeline->capacity = options->block_count - timeline->reserve - 2;
	timeline->hold_min_bytes = (uint64_t)options->block_bytes * options->block_count * HOLD_PERCENT / 100;
	timeline->tail = NO_BLOCK;
	timeline->sequence = block_at(timeline, 0)->hdr.bh1.seq_num; /* the kernel opened it with the ring */
	timeline->extent_capacity = (size_t)options->block_count * EXTENTS_PER_BLOCK;
	if (timeline->extent_capacity < EXTENTS_MIN)
		timeline->extent_capacity = EXTENTS_MIN;
	timeline->blocks = calloc(options->block_count, sizeof(*timeline->blocks));
	timeline->extents = calloc(timeline->extent_capacity, sizeof(*timeline->extents));
	if (!timeline->blocks || !timeline->extents)
		return NULL;
	return take(timeline);
}

void timeline_free(struct timeline *timeline)
{
	if (!timeline)
		return;
	free(timeline->blocks);
	free(timeline->extents);
	free(timeline);
}

void timeline_hold_block(struct timeline *timeline, uint32_t index)
{
	struct block *block = &timeline->blocks[index];

	block->extents = block->pins = block->used_bytes = 0;
	block->held = true;
	timeline->held_blocks++;
}

void timeline_release_block(struct timeline *timeline, uint32_t index)
{
	struct block *block = &timeline->blocks[index];

	if (!block->held || block->extents || block->pins)
		return;
	block->held = false;
	timeline->held_blocks--;
	set_status(timeline, index, TP_STATUS_KERNEL);
}

void timeline_evict(struct timeline *timeline)
{
	const struct extent *extent = extent_at(timeline, 0);
	const uint32_t index = extent->block;

	if (timeline->complete_since_ns <= extent->end_ns)
		timeline->complete_since_ns = extent->end_ns + 1;
	timeline->held_bytes -= extent->bytes;
	timeline->extent_first = (timeline->extent_first + 1) % timeline->extent_capacity;
	timeline->extent_count--;
	if (--timeline->blocks[index].extents)
		return;
	if (timeline->tail == index)
		timeline->tail = NO_BLOCK;
	timeline_release_block(timeline, index);
}

/* --- retiring a block --- */

/* Measures up to `packets` packets that take at most `room` bytes, and notes in each when it arrived: it may leave its
 * block. `previous_ns`: arrival of the packet before. Sets the last one's next offset, which the kernel leaves 0. */
static struct run measure_run(const struct timeline *timeline, uint8_t *first, uint32_t packets, uint32_t room,
			      uint64_t *previous_ns)
{
	struct run run = {.begin_ns = UINT64_MAX};

	while (run.packets < packets) {
		struct tpacket3_hdr *packet = (void *)(first + run.bytes);
		const uint32_t bytes = packet_bytes(packet);
		uint64_t arrived_ns;

		if (bytes > room - run.bytes)
			break;
		packet->tp_next_offset = bytes;
		const bool odd = arrival_find(&timeline->bounds, stamp_ns(packet), *previous_ns, &arrived_ns);
		arrival_note(packet, arrived_ns, odd);
		*previous_ns = arrived_ns;
		run.begin_ns = arrived_ns < run.begin_ns ? arrived_ns : run.begin_ns;
		run.end_ns = arrived_ns > run.end_ns ? arrived_ns : run.end_ns;
		run.bytes += bytes;
		run.packets++;
	}
	if (arrival_is_ambiguous(&timeline->bounds)) { /* packets may have arrived earlier or later than it seems */
		run.begin_ns = arrival_earliest(&timeline->bounds);
		run.end_ns = arrival_latest(&timeline->bounds);
	}
	return run;
}

/* A full block is not walked, and a stamp that fits may still be wrong: the block's bounds are its packets'. */
static struct run whole_run(const struct timeline *timeline, const struct tpacket_hdr_v1 *header)
{
	return (struct run){
		.bytes = header->blk_len - header->offset_to_first_pkt,
		.packets = header->num_pkts,
		.begin_ns = arrival_earliest(&timeline->bounds),
		.end_ns = arrival_latest(&timeline->bounds),
	};
}

static void add_run(struct timeline *timeline, struct run run, uint32_t block, uint32_t offset_bytes)
{
	if (!run.packets)
		return;
	run.block = block;
	run.offset_bytes = offset_bytes;
	timeline->runs[timeline->run_count++] = run;
}

/* Appends what fits to the tail. The rest moves to the front of its own block, which becomes the tail. */
static void pack_block(struct timeline *timeline, uint8_t *first, uint32_t packets)
{
	const uint32_t current = timeline->current;
	const uint32_t front = (uint32_t)(first - (uint8_t *)block_at(timeline, current));
	uint64_t previous_ns = timeline->bounds.opened_ns;

	if (timeline->tail != NO_BLOCK) {
		struct block *tail = &timeline->blocks[timeline->tail];
		const struct run moved =
			measure_run(timeline, first, packets, timeline->block_bytes - tail->used_bytes, &previous_ns);

		memcpy((uint8_t *)block_at(timeline, timeline->tail) + tail->used_bytes, first, moved.bytes);
		add_run(timeline, moved, timeline->tail, tail->used_bytes);
		tail->used_bytes += moved.bytes;
		timeline->packed_bytes += moved.bytes;
		packets -= moved.packets;
		if (!packets)
			return;
		const struct run rest =
			measure_run(timeline, first + moved.bytes, packets, timeline->block_bytes, &previous_ns);
		if (moved.bytes)
			memmove(first, first + moved.bytes, rest.bytes);
		timeline->packed_bytes += moved.bytes ? rest.bytes : 0;
		add_run(timeline, rest, current, front);
	} else {
		add_run(timeline, measure_run(timeline, first, packets, timeline->block_bytes, &previous_ns), current,
			front);
	}
	timeline->retired_in_place = true;
}

/* A block that is read and given back at once is not worth a copy, nor is the odd sparse block among many full ones. */
static bool is_worth_packing(const struct timeline *timeline)
{
	return (timeline->keep_history || timeline->held_blocks > 0) && timeline->full_streak < FULL_STREAK;
}

/* `open`: the current block is open, and the kernel's. A block without packets may as well have opened just now. */
static void note_unopened(struct timeline *timeline, struct timeline_moment moment, bool open)
{
	const uint32_t *packets = &block_at(timeline, timeline->current)->hdr.bh1.num_pkts;

	timeline->next_opened = moment;
	if (!open || __atomic_load_n(packets, __ATOMIC_RELAXED) == 0)
		timeline->opened = moment;
}

bool timeline_retire(struct timeline *timeline)
{
	const uint32_t current = timeline->current;
	const struct tpacket_hdr_v1 *header = &block_at(timeline, current)->hdr.bh1;
	const uint64_t *sequence = (const void *)&header->seq_num;

	/*
	 * A block that a pin keeps from the kernel looks retired, and may be unpinned at any moment. The sequence
	 * number that the kernel gives a block when it opens it tells them apart. It is read first: once it is the
	 * expected one, the status belongs to this round.
	 */
	const struct timeline_moment before = timeline->now(timeline->now_ctx);
	const bool open = __atomic_load_n(sequence, __ATOMIC_ACQUIRE) == timeline->sequence;
	if (!open || kernel_owns(timeline, current)) {
		note_unopened(timeline, before, open);
		return false;
	}
	const struct timeline_moment after = timeline->now(timeline->now_ctx);
	timeline->bounds = (struct arrival_bounds){
		.opened_ns = timeline->opened.boottime_ns,
		.retired_ns = after.boottime_ns,
		.clock_offset_ns = after.clock_offset_ns,
		.earlier_offset_ns = timeline->opened.clock_offset_ns,
	};
	uint8_t *first = (uint8_t *)block_at(timeline, current) + header->offset_to_first_pkt;
	timeline->run_count = 0;
	timeline->packed_bytes = 0;
	timeline->retired_in_place = false;
	const bool sparse = header->blk_len < timeline->block_bytes / 8 * 7;
	timeline->packing = sparse && is_worth_packing(timeline);
	timeline->full_streak = sparse ? 0 : timeline->full_streak + 1;
	if (!header->num_pkts)
		return true;
	if (timeline->packing) {
		pack_block(timeline, first, header->num_pkts);
		return true;
	}
	add_run(timeline, whole_run(timeline, header), current, header->offset_to_first_pkt);
	timeline->retired_in_place = true;
	return true;
}

/* Extents begin where packets are known to be missing. */
static bool can_extend(const struct timeline *timeline, const struct extent *extent, const struct run *run,
		       uint64_t dropped)
{
	const int64_t step_ns = timeline->bounds.clock_offset_ns - extent->bounds.clock_offset_ns;
	const uint64_t max_ns = timeline->extent_max_ns;

	return extent->block == run->block && extent->offset_bytes + extent->bytes == run->offset_bytes &&
	       extent->bytes + run->bytes <= EXTENT_MERGE_BYTES && extent->dropped == dropped &&
	       extent->dropped_before == timeline->dropped_before &&
	       (!max_ns || run->end_ns - extent->begin_ns <= max_ns) && step_ns < MERGE_CLOCK_STEP_NS &&
	       step_ns > -MERGE_CLOCK_STEP_NS;
}

static void append_run(struct timeline *timeline, const struct run *run, uint64_t dropped)
{
	struct extent *last = timeline->extent_count ? extent_at(timeline, timeline->extent_count - 1) : NULL;
	const bool ambiguous = arrival_is_ambiguous(&timeline->bounds);
	const uint64_t end_ns = last && last->end_ns > run->end_ns ? last->end_ns : run->end_ns;

	if (last && can_extend(timeline, last, run, dropped)) {
		last->bytes += run->bytes;
		last->packets += run->packets;
		last->begin_ns = run->begin_ns < last->begin_ns ? run->begin_ns : last->begin_ns;
		last->end_ns = end_ns;
		last->ambiguous |= ambiguous;
	} else {
		if (timeline->extent_count == timeline->extent_capacity)
			timeline_evict(timeline);
		timeline->extent_count++;
		*extent_at(timeline, timeline->extent_count - 1) = (struct extent){
			.number = timeline->next_number,
			.begin_ns = run->begin_ns,
			.end_ns = end_ns,
			.bounds = timeline->bounds,
			.ambiguous = ambiguous,
			.dropped_before = timeline->dropped_before,
			.dropped = dropped,
			.block = run->block,
			.offset_bytes = run->offset_bytes,
			.bytes = run->bytes,
			.packets = run->packets,
		};
		timeline->blocks[run->block].extents++;
	}
	timeline->next_number += run->packets;
	timeline->held_bytes += run->bytes;
}

uint32_t timeline_backlog(const struct timeline *timeline)
{
	uint32_t count = 0;

	while (count < timeline->block_count) {
		const uint32_t index = (timeline->current + count) % timeline->block_count;

		if (timeline->blocks[index].held || kernel_owns(timeline, index))
			break;
		count++;
	}
	return count;
}

/* Opening a block, the kernel numbers it. */
static bool kernel_has_opened(const struct timeline *timeline, uint32_t ahead)
{
	const uint32_t index = (timeline->current + ahead) % timeline->block_count;
	const uint64_t *sequence = (const void *)&block_at(timeline, index)->hdr.bh1.seq_num;

	return __atomic_load_n(sequence, __ATOMIC_RELAXED) == timeline->sequence + ahead;
}

/* Drops are counted for the ring as a whole and happen where the kernel writes, possibly far ahead of the block retired
 * here. They certainly lie before the first block that the kernel has not opened by now, after they were counted. */
static void note_drops(struct timeline *timeline, uint64_t dropped, uint64_t boottime_ns)
{
	const uint32_t backlog = timeline_backlog(timeline), ahead = backlog + kernel_has_opened(timeline, backlog);
	struct block *unopened = &timeline->blocks[(timeline->current + ahead) % timeline->block_count];

	unopened->dropped_before = dropped;
	unopened->sequence = timeline->sequence + ahead;
	timeline->dropped = dropped;
	timeline->dropped_noted_ns = boottime_ns;
}

/* The number of drops that certainly lie before the block to be retired next. */
static uint64_t dropped_before_next(const struct timeline *timeline)
{
	const struct block *next = &timeline->blocks[timeline->current];

	return next->sequence == timeline->sequence ? next->dropped_before : timeline->dropped_before;
}

void timeline_publish(struct timeline *timeline, uint64_t dropped)
{
	const uint32_t current = timeline->current;

	timeline->dropped_before = dropped_before_next(timeline);
	timeline_hold_block(timeline, current);
	for (unsigned i = 0; i < timeline->run_count; i++)
		append_run(timeline, &timeline->runs[i], dropped);
	if (timeline->retired_in_place) {
		const struct run *run = &timeline->runs[timeline->run_count - 1];

		timeline->blocks[current].used_bytes = run->offset_bytes + run->bytes;
		if (timeline->packing)
			timeline->tail = current;
	}
	timeline->moved_bytes += timeline->packed_bytes;
	timeline_release_block(timeline, current);
	timeline->current = (current + 1) % timeline->block_count;
	timeline->sequence++;
	timeline->opened = timeline->next_opened;
	note_drops(timeline, dropped, timeline->bounds.retired_ns);
	timeline_make_room(timeline);
}

uint32_t timeline_backlog_max(const struct timeline *timeline)
{
	return timeline->backlog_max;
}

void timeline_expire(struct timeline *timeline, uint64_t oldest_boottime_ns)
{
	while (timeline->extent_count) {
		const struct extent *oldest = extent_at(timeline, 0);

		if (oldest->end_ns >= oldest_boottime_ns)
			break;
		timeline_evict(timeline);
	}
}

void timeline_trim(struct timeline *timeline, uint64_t number)
{
	while (!timeline->keep_history && timeline->extent_count) {
		const struct extent *oldest = extent_at(timeline, 0);

		if (oldest->number + oldest->packets > number)
			break;
		timeline_evict(timeline);
	}
}

bool timeline_open_block_may_hold(const struct timeline *timeline, uint64_t boottime_ns)
{
	return timeline->opened.boottime_ns <= boottime_ns + ARRIVAL_QUEUED_NS &&
	       __atomic_load_n(&block_at(timeline, timeline->current)->hdr.bh1.num_pkts, __ATOMIC_RELAXED) > 0;
}

/* --- looking up --- */

uint64_t timeline_next_number(const struct timeline *timeline)
{
	return timeline->next_number;
}

uint64_t timeline_oldest_number(const struct timeline *timeline)
{
	return timeline->extent_count ? extent_at(timeline, 0)->number : timeline->next_number;
}

uint64_t timeline_oldest_end(const struct timeline *timeline)
{
	if (!timeline->extent_count)
		return 0;
	return extent_at(timeline, 0)->end_ns;
}

uint64_t timeline_complete_since(const struct timeline *timeline)
{
	return timeline->complete_since_ns;
}

uint64_t timeline_oldest_arrival(const struct timeline *timeline)
{
	bool odd;

	if (!timeline->extent_count)
		return UINT64_MAX;
	const struct extent *oldest = extent_at(timeline, 0);
	const uint8_t *first = (const uint8_t *)block_at(timeline, oldest->block) + oldest->offset_bytes;
	struct arrival_reader arrivals = arrival_reader(&oldest->bounds);
	return arrival_next(&arrivals, (const void *)first, &odd);
}

/* Index of the first extent whose last packet number, or last boot time, is at least `value`; extent_count: none. */
static size_t find_extent(const struct timeline *timeline, uint64_t value, bool by_time)
{
	size_t low = 0, high = timeline->extent_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct extent *extent = extent_at(timeline, middle);
		const uint64_t bound = by_time ? extent->end_ns : extent->number + extent->packets - 1;

		if (bound < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct span timeline_pin(struct timeline *timeline, uint64_t number)
{
	const struct extent *extent = extent_at(timeline, find_extent(timeline, number, false));

	timeline->blocks[extent->block].pins++;
	return (struct span){
		.first = (const uint8_t *)block_at(timeline, extent->block) + extent->offset_bytes,
		.packets = extent->packets,
		.block = extent->block,
		.number = extent->number,
		.begin_ns = extent->begin_ns,
		.end_ns = extent->end_ns,
		.bounds = extent->bounds,
		.ambiguous = extent->ambiguous,
		.dropped = extent->dropped,
		.dropped_before = extent->dropped_before,
	};
}

void timeline_unpin(struct timeline *timeline, const struct span *span)
{
	timeline->blocks[span->block].pins--;
	timeline_release_block(timeline, span->block);
}

struct timeline_position timeline_find(const struct timeline *timeline, uint64_t boottime_ns)
{
	const size_t index = find_extent(timeline, boottime_ns, true);

	if (index == timeline->extent_count)
		return (struct timeline_position){.number = timeline->next_number,
						  .dropped = boottime_ns >= timeline->dropped_noted_ns
								     ? timeline->dropped
								     : dropped_before_next(timeline)};
	return (struct timeline_position){.number = extent_at(timeline, index)->number,
					  .dropped = extent_at(timeline, index)->dropped_before};
}

struct timeline_stats timeline_stats(const struct timeline *timeline)
{
	return (struct timeline_stats){
		.held_blocks = timeline->held_blocks,
		.held_bytes = timeline->held_bytes,
		.extents = timeline->extent_count,
		.moved_bytes = timeline->moved_bytes,
	};
}
