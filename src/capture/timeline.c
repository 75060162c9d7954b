/*
 * The kernel fills the ring's blocks in order and stops (drops) at the first one that is not its own. So the blocks
 * just ahead of it must be free: a quarter of the ring and a few more, because tpacket_rcv asks for room a quarter
 * ahead before it looks at the current block. The rest holds packets.
 *
 * A block closed by the retire timer may be nearly empty. Such blocks are packed: their packets are appended to the
 * last held block that has room (the tail), and the block goes back at once. When the kernel comes near a block that
 * holds packed packets which are not the oldest, its contents move to a free block far from the kernel. At high
 * rates most blocks are full, few are packed, and the block that the kernel comes near is let go of: nothing moves.
 *
 * Taking a free block back from the kernel's side is safe as long as it is not near: the kernel touches only its
 * current block, and cannot pass the block it retired that was not yet processed here.
 */
#include "capture/timeline.h"

#include <linux/if_packet.h>
#include <stdatomic.h>
#include <string.h>

#define EXTENT_MERGE_BYTES (64u << 10) /* packed runs grow together up to this, which bounds the number of extents */
#define FULL_RUN 8 /* a sparse block behind so many full ones wastes a ninth of the memory at most */
#define LAG_SHARE 64
#define KEEP_PERCENT 61 /* of the memory: blocks are moved rather than hold less */
#define EXTENTS_PER_BLOCK 16
#define EXTENTS_MIN 4096u
#define CLOCK_SLACK_NS UINT64_C(100000000) /* packets are never that far out of order */
#define CLOCK_STEP_NS 1000000		   /* runs whose clocks differ by more are kept apart */
#define NO_BLOCK UINT32_MAX
#define PACKET_ALIGN 8u /* V3_ALIGNMENT in af_packet.c */
#define STATUS_TAKEN \
	(TP_STATUS_USER | 1u << 24) /* ours; the kernel looks only at TP_STATUS_USER and sets no such bit */

struct extent {
	uint64_t number;
	uint64_t first_ns, last_ns;
	int64_t clock_offset_ns;
	uint64_t dropped;
	uint32_t block;
	uint32_t offset; /* of the first packet in the block */
	uint32_t bytes;
	uint32_t packets;
};

struct block {
	bool held;	  /* not the kernel's */
	uint32_t extents; /* that lie in it */
	uint32_t pins;
	uint32_t used; /* bytes up to the end of its last packet */
};

/* A run of packets found in the retired block, where it lies after packing. */
struct run {
	uint32_t block, offset, bytes, packets;
	uint64_t first_ns, last_ns;
};

struct timeline {
	uint8_t *memory;
	uint32_t block_size, block_count;
	uint32_t lag;	     /* blocks of them that the kernel may fill before they are seen to */
	uint32_t reserve;    /* blocks ahead of the kernel that must be its own */
	uint32_t capacity;   /* blocks that may be held */
	uint64_t keep_bytes; /* packets are given up without need only down to so much */
	bool retain;
	uint64_t merge_ns;
	uint32_t current;  /* the block that the kernel fills, or has filled and not been seen to */
	uint64_t sequence; /* that block's number by the kernel's count */
	uint32_t tail;	   /* held block that packed packets are appended to */
	uint32_t held;	   /* blocks */
	struct block *blocks;
	struct extent *extents; /* ring buffer */
	size_t extent_room, extent_first, extent_count;
	uint64_t next_number;
	uint64_t held_bytes, moved_bytes;
	uint64_t complete_since_ns; /* boot time */
	uint64_t evicted_dropped;   /* the drops by the last extent that was given up */
	uint64_t packed_bytes;	    /* moved by the block being retired */
	struct run runs[2];	    /* of that block: appended to the tail, left in place */
	unsigned run_count;
	bool retired_in_place; /* the retired block stays held */
	uint32_t full_run;     /* full blocks since the last sparse one */
	bool packing;	       /* it is sparse and was packed: others may be appended to it */
};

static struct tpacket_block_desc *block_at(const struct timeline *timeline, uint32_t index)
{
	return (void *)(timeline->memory + (size_t)index * timeline->block_size);
}

static bool kernel_owns(const struct timeline *timeline, uint32_t index)
{
	const uint32_t *status = &block_at(timeline, index)->hdr.bh1.block_status;
	/* Acquires the block; sequentially consistent for take_block, which looks only after it has taken. */
	return !(__atomic_load_n(status, __ATOMIC_SEQ_CST) & TP_STATUS_USER);
}

static void set_status(struct timeline *timeline, uint32_t index, uint32_t status)
{
	__atomic_store_n(&block_at(timeline, index)->hdr.bh1.block_status, status, __ATOMIC_RELEASE);
}

static uint64_t packet_time_ns(const struct tpacket3_hdr *packet)
{
	return packet->tp_sec * UINT64_C(1000000000) + packet->tp_nsec;
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
	timeline->block_size = options->block_size;
	timeline->block_count = options->block_count;
	timeline->retain = options->retain;
	timeline->merge_ns = options->merge_ns;
	timeline->complete_since_ns = options->since_boottime_ns;
	timeline->lag = 8 + options->block_count / LAG_SHARE;
	timeline->reserve = options->block_count / 4 + timeline->lag;
	timeline->capacity = options->block_count - timeline->reserve - 2;
	timeline->keep_bytes = (uint64_t)options->block_size * options->block_count * KEEP_PERCENT / 100;
	timeline->tail = NO_BLOCK;
	timeline->sequence = block_at(timeline, 0)->hdr.bh1.seq_num; /* the kernel opened it with the ring */
	timeline->extent_room = (size_t)options->block_count * EXTENTS_PER_BLOCK;
	if (timeline->extent_room < EXTENTS_MIN)
		timeline->extent_room = EXTENTS_MIN;
	timeline->blocks = calloc(options->block_count, sizeof(*timeline->blocks));
	timeline->extents = calloc(timeline->extent_room, sizeof(*timeline->extents));
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

static struct extent *extent_at(const struct timeline *timeline, size_t index)
{
	return &timeline->extents[(timeline->extent_first + index) % timeline->extent_room];
}

static void hold_block(struct timeline *timeline, uint32_t index)
{
	struct block *block = &timeline->blocks[index];
	block->extents = block->pins = block->used = 0;
	block->held = true;
	timeline->held++;
}

static void release_if_idle(struct timeline *timeline, uint32_t index)
{
	struct block *block = &timeline->blocks[index];
	if (!block->held || block->extents || block->pins)
		return;
	block->held = false;
	timeline->held--;
	set_status(timeline, index, TP_STATUS_KERNEL);
}

/* Forgets the oldest extent. Returns the block it lay in if that holds nothing any more, otherwise NO_BLOCK. */
static uint32_t evict_extent(struct timeline *timeline)
{
	const struct extent *extent = extent_at(timeline, 0);
	const uint32_t index = extent->block;
	const uint64_t last_ns = extent->last_ns - (uint64_t)extent->clock_offset_ns;
	if (timeline->complete_since_ns <= last_ns)
		timeline->complete_since_ns = last_ns + 1;
	timeline->evicted_dropped = extent->dropped;
	timeline->held_bytes -= extent->bytes;
	timeline->extent_first = (timeline->extent_first + 1) % timeline->extent_room;
	timeline->extent_count--;
	if (--timeline->blocks[index].extents)
		return NO_BLOCK;
	if (timeline->tail == index)
		timeline->tail = NO_BLOCK;
	release_if_idle(timeline, index);
	return index;
}

/* --- retiring a block --- */

/* Walks up to `packets` packets that take at most `room` bytes. The last one's next offset is set: the kernel leaves it
 * 0. */
static struct run walk(uint8_t *first, uint32_t packets, uint32_t room)
{
	struct run run = {.first_ns = UINT64_MAX};
	while (run.packets < packets) {
		struct tpacket3_hdr *packet = (void *)(first + run.bytes);
		const uint32_t bytes = packet_bytes(packet);
		if (bytes > room - run.bytes)
			break;
		packet->tp_next_offset = bytes;
		const uint64_t time_ns = packet_time_ns(packet);
		run.first_ns = time_ns < run.first_ns ? time_ns : run.first_ns;
		run.last_ns = time_ns > run.last_ns ? time_ns : run.last_ns;
		run.bytes += bytes;
		run.packets++;
	}
	return run;
}

static void add_run(struct timeline *timeline, struct run run, uint32_t block, uint32_t offset)
{
	if (!run.packets)
		return;
	run.block = block;
	run.offset = offset;
	timeline->runs[timeline->run_count++] = run;
}

/* Appends what fits to the tail; what is left moves to the front of its own block, which becomes the tail. */
static void pack(struct timeline *timeline, uint8_t *first, uint32_t packets)
{
	const uint32_t current = timeline->current;
	const uint32_t front = (uint32_t)(first - (uint8_t *)block_at(timeline, current));
	if (timeline->tail != NO_BLOCK) {
		struct block *tail = &timeline->blocks[timeline->tail];
		const struct run moved = walk(first, packets, timeline->block_size - tail->used);
		memcpy((uint8_t *)block_at(timeline, timeline->tail) + tail->used, first, moved.bytes);
		add_run(timeline, moved, timeline->tail, tail->used);
		tail->used += moved.bytes;
		timeline->packed_bytes += moved.bytes;
		packets -= moved.packets;
		if (!packets)
			return;
		const struct run rest = walk(first + moved.bytes, packets, timeline->block_size);
		if (moved.bytes)
			memmove(first, first + moved.bytes, rest.bytes);
		timeline->packed_bytes += moved.bytes ? rest.bytes : 0;
		add_run(timeline, rest, current, front);
	} else {
		add_run(timeline, walk(first, packets, timeline->block_size), current, front);
	}
	timeline->retired_in_place = true;
}

/* What is read and given back at once is not worth a copy; nor is the odd sparse block among many full ones. */
static bool packs(const struct timeline *timeline)
{
	return (timeline->retain || timeline->held > 0) && timeline->full_run < FULL_RUN;
}

bool timeline_retire(struct timeline *timeline)
{
	const uint32_t current = timeline->current;
	const struct tpacket_hdr_v1 *header = &block_at(timeline, current)->hdr.bh1;
	const uint64_t *sequence = (const void *)&header->seq_num;
	/* A block that a pin keeps from the kernel looks like a retired one, and may be unpinned this very moment. What
	 * tells them apart is the number that the kernel gives a block when it opens it. It is read first: once it is
	 * the expected one, the status is that of this turn. */
	if (__atomic_load_n(sequence, __ATOMIC_ACQUIRE) != timeline->sequence || kernel_owns(timeline, current))
		return false;
	uint8_t *first = (uint8_t *)block_at(timeline, current) + header->offset_to_first_pkt;
	timeline->run_count = 0;
	timeline->packed_bytes = 0;
	timeline->retired_in_place = false;
	const bool sparse = header->blk_len < timeline->block_size / 8 * 7;
	timeline->packing = sparse && packs(timeline);
	timeline->full_run = sparse ? 0 : timeline->full_run + 1;
	if (!header->num_pkts)
		return true;
	if (timeline->packing) {
		pack(timeline, first, header->num_pkts);
		return true;
	}
	const struct run whole = {
		.bytes = header->blk_len - header->offset_to_first_pkt,
		.packets = header->num_pkts,
		.first_ns = packet_time_ns((const void *)first),
		.last_ns = header->ts_last_pkt.ts_sec * UINT64_C(1000000000) + header->ts_last_pkt.ts_nsec,
	};
	add_run(timeline, whole, current, header->offset_to_first_pkt);
	timeline->retired_in_place = true;
	return true;
}

static bool continues(const struct extent *extent, const struct run *run, uint64_t dropped, int64_t clock_offset_ns,
		      uint64_t merge_ns)
{
	const int64_t step_ns = clock_offset_ns - extent->clock_offset_ns;
	return extent->block == run->block && extent->offset + extent->bytes == run->offset &&
	       extent->bytes + run->bytes <= EXTENT_MERGE_BYTES && extent->dropped == dropped &&
	       (!merge_ns || run->last_ns - extent->first_ns <= merge_ns) && step_ns < CLOCK_STEP_NS &&
	       step_ns > -CLOCK_STEP_NS;
}

static void append_run(struct timeline *timeline, const struct run *run, uint64_t dropped, int64_t clock_offset_ns)
{
	struct extent *last = timeline->extent_count ? extent_at(timeline, timeline->extent_count - 1) : NULL;
	if (last && continues(last, run, dropped, clock_offset_ns, timeline->merge_ns)) {
		last->bytes += run->bytes;
		last->packets += run->packets;
		last->first_ns = run->first_ns < last->first_ns ? run->first_ns : last->first_ns;
		last->last_ns = run->last_ns > last->last_ns ? run->last_ns : last->last_ns;
	} else {
		if (timeline->extent_count == timeline->extent_room)
			evict_extent(timeline);
		timeline->extent_count++;
		*extent_at(timeline, timeline->extent_count - 1) = (struct extent){
			.number = timeline->next_number,
			.first_ns = run->first_ns,
			.last_ns = run->last_ns,
			.clock_offset_ns = clock_offset_ns,
			.dropped = dropped,
			.block = run->block,
			.offset = run->offset,
			.bytes = run->bytes,
			.packets = run->packets,
		};
		timeline->blocks[run->block].extents++;
	}
	timeline->next_number += run->packets;
	timeline->held_bytes += run->bytes;
}

/* --- keeping the way ahead of the kernel free --- */

/* The held block nearest ahead of the kernel within the reserve, or NO_BLOCK. */
static uint32_t find_in_the_way(const struct timeline *timeline)
{
	for (uint32_t ahead = 0; ahead <= timeline->reserve; ahead++) {
		const uint32_t index = (timeline->current + ahead) % timeline->block_count;
		if (timeline->blocks[index].held && timeline->blocks[index].extents)
			return index;
	}
	return NO_BLOCK;
}

/* Blocks that the kernel has retired and that were not seen to yet. */
static uint32_t backlog(const struct timeline *timeline)
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

/* A free block as far ahead of the kernel as can be. */
static uint32_t find_far_block(const struct timeline *timeline)
{
	for (uint32_t behind = 1; behind < timeline->block_count - timeline->reserve; behind++) {
		const uint32_t index = (timeline->current + timeline->block_count - behind) % timeline->block_count;
		if (!timeline->blocks[index].held)
			return index;
	}
	return NO_BLOCK;
}

/*
 * Takes a free block that lies beyond the reserve from the kernel. False: the kernel may have come near meanwhile (this
 * thread did not run for long), and the block is its own. Asked after the block was taken, the backlog answers for
 * certain: a kernel that is still far has not opened the block, and finds it taken from now on.
 */
static bool take_block(struct timeline *timeline, uint32_t index)
{
	uint32_t *status = &block_at(timeline, index)->hdr.bh1.block_status;
	uint32_t expected = TP_STATUS_KERNEL;
	const uint32_t ahead = (index + timeline->block_count - timeline->current) % timeline->block_count;
	if (!__atomic_compare_exchange_n(status, &expected, STATUS_TAKEN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
#ifndef __SANITIZE_THREAD__ /* gcc's does not know fences; the order of the two accesses is SEQ_CST without it */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
	if (backlog(timeline) + timeline->reserve / 2 < ahead)
		return true;
	expected = STATUS_TAKEN; /* anything else: the kernel has filled and retired it */
	__atomic_compare_exchange_n(status, &expected, TP_STATUS_KERNEL, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return false;
}

/* Copies a block's packets elsewhere and points its extents there; whoever has it pinned goes on reading the old copy.
 */
static void relocate(struct timeline *timeline, uint32_t from, uint32_t to)
{
	hold_block(timeline, to);
	struct block *source = &timeline->blocks[from], *target = &timeline->blocks[to];
	const uint32_t front = sizeof(struct tpacket_block_desc);
	memcpy((uint8_t *)block_at(timeline, to) + front, (uint8_t *)block_at(timeline, from) + front,
	       source->used - front);
	timeline->moved_bytes += source->used - front;
	target->used = source->used;
	for (size_t i = 0; target->extents < source->extents; i++) {
		struct extent *extent = extent_at(timeline, i);
		if (extent->block == from) {
			extent->block = to;
			target->extents++;
		}
	}
	source->extents = 0;
	if (timeline->tail == from)
		timeline->tail = to;
	release_if_idle(timeline, from);
}

/*
 * Whether so much would be left without a block's packets and all older ones that letting go of them beats moving the
 * block. Above a few full blocks between two expiries of the timer this is always so: blocks given back by packing then
 * leave gaps that are not worth a copy of everything that passes by.
 */
static bool can_spare(const struct timeline *timeline, uint32_t index)
{
	const uint32_t wanted = timeline->blocks[index].extents;
	uint64_t left = timeline->held_bytes;
	uint32_t found = 0;
	for (size_t i = 0; found < wanted && left >= timeline->keep_bytes; i++) {
		const struct extent *extent = extent_at(timeline, i);
		left -= extent->bytes;
		found += extent->block == index;
	}
	return left >= timeline->keep_bytes;
}

static void clear_the_way(struct timeline *timeline)
{
	while (timeline->held > timeline->capacity && timeline->extent_count)
		evict_extent(timeline);
	uint32_t index;
	while ((index = find_in_the_way(timeline)) != NO_BLOCK) {
		const uint32_t far = find_far_block(timeline);
		if (far != NO_BLOCK && !can_spare(timeline, index) && take_block(timeline, far))
			relocate(timeline, index, far);
		else
			evict_extent(timeline);
	}
}

/*
 * The clock offset of a run whose block may have been retired after a step of the clock. No packet is from the future,
 * nor older than the one before it: if it looks so, the clock was set after the packets came.
 */
static int64_t fit_offset(const struct timeline *timeline, const struct run *run, int64_t clock_offset_ns,
			  uint64_t boottime_ns)
{
	const int64_t least_ns = (int64_t)(run->last_ns - boottime_ns);
	if (least_ns > clock_offset_ns)
		return least_ns;
	const struct extent *last = timeline->extent_count ? extent_at(timeline, timeline->extent_count - 1) : NULL;
	if (last &&
	    run->last_ns - (uint64_t)clock_offset_ns + CLOCK_SLACK_NS < last->last_ns - (uint64_t)last->clock_offset_ns)
		return last->clock_offset_ns;
	return clock_offset_ns;
}

void timeline_publish(struct timeline *timeline, uint64_t dropped, int64_t clock_offset_ns, uint64_t boottime_ns)
{
	const uint32_t current = timeline->current;
	hold_block(timeline, current);
	for (unsigned i = 0; i < timeline->run_count; i++) {
		append_run(timeline, &timeline->runs[i], dropped,
			   fit_offset(timeline, &timeline->runs[i], clock_offset_ns, boottime_ns));
	}
	if (timeline->retired_in_place) {
		const struct run *run = &timeline->runs[timeline->run_count - 1];
		timeline->blocks[current].used = run->offset + run->bytes;
		if (timeline->packing)
			timeline->tail = current;
	}
	timeline->moved_bytes += timeline->packed_bytes;
	release_if_idle(timeline, current);
	timeline->current = (current + 1) % timeline->block_count;
	timeline->sequence++;
	clear_the_way(timeline);
}

uint32_t timeline_lag(const struct timeline *timeline)
{
	return timeline->lag;
}

void timeline_expire(struct timeline *timeline, uint64_t oldest_boottime_ns)
{
	while (timeline->extent_count) {
		const struct extent *oldest = extent_at(timeline, 0);
		if (oldest->last_ns - (uint64_t)oldest->clock_offset_ns >= oldest_boottime_ns)
			break;
		evict_extent(timeline);
	}
}

void timeline_trim(struct timeline *timeline, uint64_t number)
{
	while (!timeline->retain && timeline->extent_count) {
		const struct extent *oldest = extent_at(timeline, 0);
		if (oldest->number + oldest->packets > number)
			break;
		evict_extent(timeline);
	}
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
	const struct extent *oldest = extent_at(timeline, 0);
	return oldest->last_ns - (uint64_t)oldest->clock_offset_ns;
}

uint64_t timeline_complete_since(const struct timeline *timeline)
{
	return timeline->complete_since_ns;
}

/* Index of the first extent for which the bound (its end number, or its last boot time) is at least `value`;
 * extent_count if none. */
static size_t search(const struct timeline *timeline, uint64_t value, bool by_time)
{
	size_t low = 0, high = timeline->extent_count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct extent *extent = extent_at(timeline, middle);
		const uint64_t bound = by_time ? extent->last_ns - (uint64_t)extent->clock_offset_ns
					       : extent->number + extent->packets - 1;
		if (bound < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct span timeline_pin(struct timeline *timeline, uint64_t number)
{
	const struct extent *extent = extent_at(timeline, search(timeline, number, false));
	timeline->blocks[extent->block].pins++;
	return (struct span){
		.first = (const uint8_t *)block_at(timeline, extent->block) + extent->offset,
		.packets = extent->packets,
		.block = extent->block,
		.number = extent->number,
		.first_ns = extent->first_ns,
		.last_ns = extent->last_ns,
		.clock_offset_ns = extent->clock_offset_ns,
		.dropped = extent->dropped,
	};
}

void timeline_unpin(struct timeline *timeline, const struct span *span)
{
	timeline->blocks[span->block].pins--;
	release_if_idle(timeline, span->block);
}

struct place timeline_find(const struct timeline *timeline, uint64_t boottime_ns, uint64_t dropped)
{
	const size_t index = search(timeline, boottime_ns, true);
	if (index == timeline->extent_count)
		return (struct place){.number = timeline->next_number, .dropped = dropped};
	return (struct place){
		.number = extent_at(timeline, index)->number,
		.dropped = index ? extent_at(timeline, index - 1)->dropped : timeline->evicted_dropped,
	};
}

struct timeline_stats timeline_stats(const struct timeline *timeline)
{
	return (struct timeline_stats){
		.held_blocks = timeline->held,
		.held_bytes = timeline->held_bytes,
		.extents = timeline->extent_count,
		.moved_bytes = timeline->moved_bytes,
	};
}
