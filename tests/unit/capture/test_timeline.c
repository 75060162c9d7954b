/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timeline against a simulated kernel: at every packet rate, each packet from the oldest up to the
 * next is found once, in order and intact, and the kernel never finds a held block in its reserve.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "capture/timeline.h"
#include "fake_kernel.h"

#define BLOCK_BYTES (16u << 10)
#define BLOCK_COUNT 64
#define TIMER_NS 10000000
#define START_NS UINT64_C(1700000000000000000)
#define PINS 4

struct pinned {
	bool used;
	struct span span;
	uint32_t size;
	uint8_t copy[BLOCK_BYTES];
};

struct world {
	struct fake_kernel kernel;
	struct timeline *timeline;
	uint64_t boot_ns; /* now */
	uint64_t timer_ns;
	uint64_t random;
	bool lag; /* the ring thread does not run */
	struct pinned pins[PINS];
};

static uint32_t pick(struct world *world, uint32_t below)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return (uint32_t)((world->random >> 16) % below);
}

static struct timeline_moment read_clocks(void *ctx)
{
	const struct world *world = ctx;

	return (struct timeline_moment){.boottime_ns = world->boot_ns,
					.clock_offset_ns = world->kernel.clock_offset_ns};
}

static void world_init(struct world *world, uint32_t block_count, bool keep_history, uint64_t seed)
{
	*world = (struct world){.boot_ns = 1000000000000, .random = seed * 0x9e3779b97f4a7c15 + 1};
	fake_init(&world->kernel, BLOCK_BYTES, block_count);
	world->kernel.clock_offset_ns = (int64_t)START_NS;
	world->timer_ns = world->boot_ns + TIMER_NS;
	world->timeline = timeline_new(&(struct timeline_options){.memory = world->kernel.memory,
								  .block_bytes = BLOCK_BYTES,
								  .block_count = block_count,
								  .keep_history = keep_history,
								  .now = read_clocks,
								  .now_ctx = world});
	assert_non_null(world->timeline);
}

static void world_deinit(struct world *world)
{
	timeline_free(world->timeline);
	fake_deinit(&world->kernel);
}

static void collect(struct world *world)
{
	if (world->lag)
		return;
	while (timeline_retire(world->timeline))
		timeline_publish(world->timeline, world->kernel.drops);
}

/* Advances the time; the retire timer expires when due. */
static void advance(struct world *world, uint64_t ns)
{
	for (world->boot_ns += ns; world->timer_ns <= world->boot_ns; world->timer_ns += TIMER_NS) {
		fake_timer(&world->kernel);
		collect(world);
	}
}

static bool receive(struct world *world, uint32_t size)
{
	const bool accepted = fake_receive(&world->kernel, size, world->boot_ns);

	collect(world);
	return accepted;
}

/* Checks the packets of a span against what the kernel was given; returns the bytes they take. */
static uint32_t check_span(const struct world *world, const struct span *span)
{
	const uint8_t *at = span->first;
	struct arrival_reader arrivals = arrival_reader(&span->bounds);
	uint64_t begin_ns = UINT64_MAX, end_ns = 0;
	bool odd;

	for (uint32_t i = 0; i < span->packets; i++) {
		const struct tpacket3_hdr *packet = (const void *)at;
		const uint64_t number = span->number + i;
		const struct fake_packet *expected = &world->kernel.packets[number];
		const uint64_t time_ns = packet->tp_sec * UINT64_C(1000000000) + packet->tp_nsec;

		assert_int_equal(packet->tp_snaplen, expected->size);
		assert_int_equal(time_ns, expected->time_ns);
		assert_memory_equal(at + packet->tp_mac, &number, sizeof(number));
		assert_memory_equal(at + packet->tp_mac + sizeof(number), fake_payload(number),
				    expected->size - sizeof(number));
		if (i + 1 < span->packets)
			assert_int_equal(packet->tp_next_offset, fake_room(expected->size));
		const uint64_t arrived_ns = arrival_next(&arrivals, packet, &odd);
		assert_false(odd);
		assert_int_equal(arrived_ns, expected->arrived_ns);
		begin_ns = arrived_ns < begin_ns ? arrived_ns : begin_ns;
		end_ns = arrived_ns > end_ns ? arrived_ns : end_ns;
		at += fake_room(expected->size);
	}
	assert_true(span->begin_ns <= begin_ns);
	assert_true(span->end_ns >= end_ns);
	return (uint32_t)(at - span->first);
}

/* Every packet between oldest and next is there exactly once; held_bytes is their size. */
static void check_all(struct world *world)
{
	uint64_t number = timeline_oldest_number(world->timeline), bytes = 0;
	const uint64_t next = timeline_next_number(world->timeline);

	assert_true(next <= world->kernel.accepted);
	while (number < next) {
		const struct span span = timeline_pin(world->timeline, number);

		assert_int_equal(span.number, number);
		assert_true(span.packets > 0);
		bytes += check_span(world, &span);
		const uint64_t inside = number + pick(world, span.packets);
		const struct span same = timeline_pin(world->timeline, inside);
		assert_int_equal(same.number, number);
		timeline_unpin(world->timeline, &same);
		timeline_unpin(world->timeline, &span);
		number += span.packets;
	}
	assert_int_equal(number, next);
	assert_int_equal(timeline_stats(world->timeline).held_bytes, bytes);
}

static void check_reserve(const struct world *world)
{
	for (uint32_t ahead = 0; ahead <= world->kernel.block_count / 4 + 8; ahead++)
		assert_int_equal(fake_status(&world->kernel, world->kernel.active + ahead), TP_STATUS_KERNEL);
}

/* After everything expires, no block is held and the kernel has them all. */
static void check_all_returned(struct world *world)
{
	timeline_expire(world->timeline, UINT64_MAX);
	timeline_trim(world->timeline, UINT64_MAX);
	assert_int_equal(timeline_oldest_number(world->timeline), timeline_next_number(world->timeline));
	const struct timeline_stats stats = timeline_stats(world->timeline);
	assert_int_equal(stats.held_blocks, 0);
	assert_int_equal(stats.held_bytes, 0);
	assert_int_equal(stats.extents, 0);
	for (uint32_t i = 0; i < world->kernel.block_count; i++)
		assert_int_equal(fake_status(&world->kernel, i), TP_STATUS_KERNEL);
}

static void unpin(struct world *world, struct pinned *pinned)
{
	assert_memory_equal(pinned->span.first, pinned->copy, pinned->size);
	assert_true(fake_status(&world->kernel, pinned->span.block) & TP_STATUS_USER);
	timeline_unpin(world->timeline, &pinned->span);
	pinned->used = false;
}

static void pin_or_unpin(struct world *world)
{
	struct pinned *pinned = &world->pins[pick(world, PINS)];

	if (pinned->used) {
		unpin(world, pinned);
		return;
	}
	const uint64_t oldest = timeline_oldest_number(world->timeline), next = timeline_next_number(world->timeline);
	if (oldest == next)
		return;
	const uint64_t number = oldest + pick(world, (uint32_t)(next - oldest));
	pinned->span = timeline_pin(world->timeline, number);
	assert_in_range(number, pinned->span.number, pinned->span.number + pinned->span.packets - 1);
	pinned->size = check_span(world, &pinned->span);
	memcpy(pinned->copy, pinned->span.first, pinned->size);
	pinned->used = true;
}

struct rate {
	const char *name;
	uint32_t gap_ns; /* mean */
	uint32_t size_max;
};

static const struct rate rates[] = {
	{"one in a while", 60000000, 1500},
	{"sparse", 5000000, 200},
	{"medium", 600000, 600},
	{"dense", 20000, 1500},
	{"small, dense", 3000, 64},
	{"just under a block per timer", 900000, 1400},
};
#define RATES (sizeof(rates) / sizeof(*rates))

static void send(struct world *world, const struct rate *rate)
{
	advance(world, pick(world, 2 * rate->gap_ns));
	receive(world, 8 + pick(world, rate->size_max - 7));
}

static void run_at_rate(const struct rate *rate, uint64_t seed)
{
	struct world world;

	world_init(&world, BLOCK_COUNT, true, seed);
	for (unsigned i = 0; i < 40000; i++) {
		send(&world, rate);
		if (i % 1500 == 0) {
			check_all(&world);
			check_reserve(&world);
		}
	}
	assert_int_equal(world.kernel.drops, 0);
	assert_int_equal(world.kernel.refused_ahead, 0);
	check_all(&world);
	check_all_returned(&world);
	world_deinit(&world);
}

static void test_recorder_keeps_packets_intact_at_any_rate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RATES; i++)
		run_at_rate(&rates[i], i + 1);
}

static void test_recorder_keeps_packets_intact_at_changing_rates(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, true, seed);
		for (unsigned phase = 0; phase < 60; phase++) {
			const struct rate *rate = &rates[pick(&world, RATES)];

			for (uint32_t left = 20 + pick(&world, 2000); left; left--)
				send(&world, rate);
			check_all(&world);
			check_reserve(&world);
		}
		assert_int_equal(world.kernel.drops, 0);
		assert_int_equal(world.kernel.refused_ahead, 0);
		check_all_returned(&world);
		world_deinit(&world);
	}
}

static void test_recorder_survives_a_late_ring_thread(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, true, seed);
		for (unsigned phase = 0; phase < 150; phase++) {
			const struct rate *rate = &rates[pick(&world, RATES)];

			world.lag = pick(&world, 3) == 0;
			for (uint32_t left = 1 + pick(&world, 800); left; left--)
				send(&world, rate);
			world.lag = false;
			collect(&world);
			if (phase % 8 == 0)
				check_all(&world);
			check_reserve(&world);
		}
		advance(&world, 2 * TIMER_NS);
		assert_int_equal(timeline_next_number(world.timeline), world.kernel.accepted);
		check_all_returned(&world);
		world_deinit(&world);
	}
}

static void run_with_pins(bool keep_history, uint64_t seed)
{
	struct world world;

	world_init(&world, BLOCK_COUNT, keep_history, seed);
	for (unsigned phase = 0; phase < 800; phase++) {
		const struct rate *rate = &rates[pick(&world, RATES)];

		for (uint32_t left = 1 + pick(&world, 300); left; left--)
			send(&world, rate);
		pin_or_unpin(&world);
		if (phase % 16 == 0)
			check_all(&world);
	}
	for (unsigned i = 0; i < PINS; i++) {
		if (world.pins[i].used)
			unpin(&world, &world.pins[i]);
	}
	advance(&world, 3 * TIMER_NS);
	assert_int_equal(timeline_next_number(world.timeline), world.kernel.accepted);
	check_all(&world);
	check_all_returned(&world);
	world_deinit(&world);
}

static void test_pinned_spans_stay_while_blocks_move(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		run_with_pins(true, seed);
		run_with_pins(false, seed);
	}
}

static void test_pinned_block_stops_the_kernel_until_unpinned(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, false, 1);
	while (timeline_next_number(world.timeline) == 0)
		receive(&world, 1000);
	const struct span span = timeline_pin(world.timeline, 0);
	while (world.kernel.drops < 100)
		receive(&world, 1000);
	assert_int_equal(world.kernel.active, span.block);
	assert_false(timeline_retire(world.timeline));
	check_span(&world, &span);
	timeline_unpin(world.timeline, &span);
	assert_int_equal(fake_status(&world.kernel, span.block), TP_STATUS_KERNEL);
	assert_false(timeline_retire(world.timeline));
	for (unsigned i = 0; i < 500; i++)
		assert_true(receive(&world, 1000));
	advance(&world, 2 * TIMER_NS);
	assert_int_equal(timeline_next_number(world.timeline), world.kernel.accepted);
	check_all(&world);
	const uint64_t newest = timeline_next_number(world.timeline) - 1;
	const struct span last = timeline_pin(world.timeline, newest);
	assert_int_equal(last.dropped, world.kernel.drops);
	timeline_unpin(world.timeline, &last);
	world_deinit(&world);
}

/* The ring thread may read the status just before a worker's unpin changes it, and the rest just after. */
static void test_block_being_unpinned_is_not_taken_for_retired(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, false, 1);
	while (timeline_next_number(world.timeline) == 0)
		receive(&world, 1000);
	const struct span span = timeline_pin(world.timeline, 0);
	while (world.kernel.drops < 1)
		receive(&world, 1000);
	timeline_unpin(world.timeline, &span);
	uint32_t *status = &fake_block(&world.kernel, span.block)->hdr.bh1.block_status;
	*status = TP_STATUS_USER; /* as it was before the unpin */
	assert_false(timeline_retire(world.timeline));
	*status = TP_STATUS_KERNEL;
	assert_true(receive(&world, 1000));
	advance(&world, 2 * TIMER_NS);
	assert_int_equal(timeline_next_number(world.timeline), world.kernel.accepted);
	world_deinit(&world);
}

struct share {
	double reachable; /* of the ring */
	double moved;	  /* of the traffic */
};

/* Sends `packets_per_timer` packets between two expiries of the timer until the ring has wrapped twice. */
static struct share share_at(uint32_t size, uint32_t packets_per_timer)
{
	struct world world;

	world_init(&world, 384, true, 1);
	const uint64_t ring_bytes = (uint64_t)BLOCK_BYTES * 384;
	const uint64_t packets = ring_bytes * 2 / fake_room(size);
	for (uint64_t i = 0; i < packets; i++) {
		advance(&world, TIMER_NS / packets_per_timer);
		receive(&world, size);
	}
	check_all(&world);
	const struct timeline_stats stats = timeline_stats(world.timeline);
	const struct share share = {
		.reachable = (double)stats.held_bytes / (double)ring_bytes,
		.moved = (double)stats.moved_bytes / (double)(packets * fake_room(size)),
	};
	assert_int_equal(world.kernel.drops, 0);
	world_deinit(&world);
	return share;
}

static void test_history_fills_most_of_the_ring_at_any_constant_rate(void **state)
{
	static const uint32_t sizes[] = {200, 1000};
	static const double blocks[] = {0.02, 0.1, 0.3, 0.5, 0.6,  0.8,	 0.86, 0.9,  0.99, 1.01, 1.1,
					1.3,  1.5, 1.8, 2.1, 3.05, 4.05, 4.5,  5.05, 7.5,  8.05, 9.05};

	(void)state;
	for (unsigned s = 0; s < 2; s++) {
		for (unsigned b = 0; b < sizeof(blocks) / sizeof(*blocks); b++) {
			const double packets = blocks[b] * BLOCK_BYTES / fake_room(sizes[s]);
			const struct share share = share_at(sizes[s], packets < 1 ? 1 : (uint32_t)packets);

			if (share.reachable < 0.6)
				fail_msg("%u byte packets, %.2f blocks per timer: %.0f %% reachable", sizes[s],
					 blocks[b], share.reachable * 100);
		}
	}
}

/* However blocks and timer coincide. */
static void test_recorder_moves_few_bytes_at_high_rates(void **state)
{
	(void)state;
	for (uint32_t packets_per_timer = 96; packets_per_timer <= 300; packets_per_timer += 4) {
		const struct share share = share_at(1000, packets_per_timer);

		if (share.moved > 0.1 || share.reachable < 0.6)
			fail_msg("%u packets per timer: %.1f %% moved, %.0f %% reachable", packets_per_timer,
				 share.moved * 100, share.reachable * 100);
	}
}

static void test_live_ring_returns_trimmed_blocks(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, false, seed);
		uint64_t position = 0;
		for (unsigned phase = 0; phase < 2000; phase++) {
			const struct rate *rate = &rates[pick(&world, RATES)];

			for (uint32_t left = 1 + pick(&world, 100); left; left--)
				send(&world, rate);
			const uint64_t oldest = timeline_oldest_number(world.timeline);
			const uint64_t next = timeline_next_number(world.timeline);
			position = position < oldest ? oldest : position;
			position += pick(&world, (uint32_t)(next - position) + 1);
			timeline_trim(world.timeline, position);
			assert_true(timeline_oldest_number(world.timeline) <= position);
			if (timeline_oldest_number(world.timeline) < position) {
				const struct span span =
					timeline_pin(world.timeline, timeline_oldest_number(world.timeline));

				assert_true(span.number + span.packets > position);
				timeline_unpin(world.timeline, &span);
			}
			if (phase % 32 == 0)
				check_all(&world);
			check_reserve(&world);
		}
		assert_int_equal(world.kernel.drops, 0);
		timeline_trim(world.timeline, timeline_next_number(world.timeline));
		assert_int_equal(timeline_stats(world.timeline).held_blocks, 0);
		check_all_returned(&world);
		world_deinit(&world);
	}
}

struct worker {
	struct world *world;
	pthread_mutex_t lock;
	bool stop;
	uint64_t position, lost;
};

/* Reads every span once, without `lock`, as the engine's workers do. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	struct timeline *timeline = worker->world->timeline;

	pthread_mutex_lock(&worker->lock);
	while (!worker->stop || worker->position < timeline_next_number(timeline)) {
		if (worker->position < timeline_next_number(timeline)) {
			const uint64_t oldest = timeline_oldest_number(timeline);

			worker->lost += oldest > worker->position ? oldest - worker->position : 0;
			worker->position = oldest > worker->position ? oldest : worker->position;
			const struct span span = timeline_pin(timeline, worker->position);
			pthread_mutex_unlock(&worker->lock);
			check_span(worker->world, &span);
			pthread_mutex_lock(&worker->lock);
			timeline_unpin(timeline, &span);
			worker->position = span.number + span.packets;
			timeline_trim(timeline, worker->position);
		} else {
			pthread_mutex_unlock(&worker->lock);
			sched_yield();
			pthread_mutex_lock(&worker->lock);
		}
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Acts as the ring thread; a recorder's retires without `lock`. */
static void retire_next_to(struct worker *worker, bool keep_history)
{
	const struct world *world = worker->world;
	bool more = true;

	while (more) {
		if (!keep_history)
			pthread_mutex_lock(&worker->lock);
		more = timeline_retire(world->timeline);
		if (keep_history && more)
			pthread_mutex_lock(&worker->lock);
		if (more)
			timeline_publish(world->timeline, world->kernel.drops);
		if (more || !keep_history)
			pthread_mutex_unlock(&worker->lock);
	}
}

/* The kernel may drop packets and overtake the worker; what the worker reads is right, and the ring runs on. */
static void test_worker_reads_while_the_ring_thread_retires(void **state)
{
	(void)state;
	for (unsigned keep_history = 0; keep_history < 2; keep_history++) {
		struct world world;
		struct worker worker = {.world = &world, .lock = PTHREAD_MUTEX_INITIALIZER};
		pthread_t thread;

		world_init(&world, BLOCK_COUNT, keep_history, 1);
		assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
		for (unsigned i = 0; i < 60000; i++) {
			world.boot_ns += 1000 + pick(&world, 1000);
			fake_receive(&world.kernel, 8 + pick(&world, 1000), world.boot_ns);
			if (i % 100 == 0 || i == 59999)
				fake_timer(&world.kernel);
			retire_next_to(&worker, keep_history);
		}
		pthread_mutex_lock(&worker.lock);
		worker.stop = true;
		pthread_mutex_unlock(&worker.lock);
		pthread_join(thread, NULL);
		assert_int_equal(worker.position, timeline_next_number(world.timeline));
		assert_int_equal(timeline_next_number(world.timeline), world.kernel.accepted);
		assert_int_equal(world.kernel.accepted + world.kernel.drops, 60000);
		check_all(&world);
		check_all_returned(&world);
		world_deinit(&world);
	}
}

static void test_recorder_is_not_trimmed(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	for (unsigned i = 0; i < 100; i++)
		send(&world, &rates[1]);
	const uint64_t bytes = timeline_stats(world.timeline).held_bytes;
	assert_true(bytes > 0);
	timeline_trim(world.timeline, UINT64_MAX);
	assert_int_equal(timeline_stats(world.timeline).held_bytes, bytes);
	world_deinit(&world);
}

static uint64_t boot_of(const struct world *world, uint64_t number)
{
	return world->kernel.packets[number].arrived_ns;
}

/* Every packet before the position found is older than `boot_ns`; the span there ends at or after it. */
static void check_find(struct world *world, uint64_t boot_ns)
{
	const uint64_t oldest = timeline_oldest_number(world->timeline), next = timeline_next_number(world->timeline);
	const uint64_t found = timeline_find(world->timeline, boot_ns).number;

	assert_in_range(found, oldest, next);
	for (uint64_t number = oldest; number < found; number++)
		assert_true(boot_of(world, number) < boot_ns);
	if (found < next) {
		const struct span span = timeline_pin(world->timeline, found);

		assert_int_equal(span.number, found);
		assert_true(span.end_ns >= boot_ns); /* a bound: its last packet may be older */
		timeline_unpin(world->timeline, &span);
	}
}

static void step_clock(struct world *world, int64_t by_ns)
{
	fake_timer(&world->kernel); /* the packets in the block have the old clock's time */
	collect(world);
	world->kernel.clock_offset_ns += by_ns;
}

static void test_find_and_expire_use_boot_time_across_clock_steps(void **state)
{
	static const int64_t steps_ns[] = {3600000000000, -3600000000000, 5000000, -5000000, -86400000000000, 1100000};

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, true, seed);
		for (unsigned phase = 0; phase < 150; phase++) {
			const struct rate *rate = &rates[pick(&world, 3)];
			const uint64_t before_ns = world.boot_ns;

			for (uint32_t left = 1 + pick(&world, 300); left; left--)
				send(&world, rate);
			if (pick(&world, 3) == 0)
				step_clock(&world, steps_ns[pick(&world, 6)]);
			const uint64_t oldest = timeline_oldest_number(world.timeline);
			const uint64_t next = timeline_next_number(world.timeline);
			if (oldest == next)
				continue;
			check_find(&world, boot_of(&world, oldest + pick(&world, (uint32_t)(next - oldest))));
			check_find(&world, boot_of(&world, oldest) - 1);
			check_find(&world, before_ns);
			check_find(&world, world.boot_ns + 1);
			const uint64_t limit_ns =
				boot_of(&world, oldest + pick(&world, (uint32_t)(next - oldest) / 2 + 1));
			timeline_expire(world.timeline, limit_ns);
			const uint64_t kept = timeline_oldest_number(world.timeline);
			for (uint64_t number = oldest; number < kept; number++)
				assert_true(boot_of(&world, number) < limit_ns);
			const struct span span = timeline_pin(world.timeline, kept);
			assert_true(span.end_ns >= limit_ns);
			timeline_unpin(world.timeline, &span);
			check_all(&world);
		}
		check_all_returned(&world);
		assert_int_equal(timeline_oldest_end(world.timeline), 0);
		world_deinit(&world);
	}
}

/* A stamp that no clock gave: a sender on the same host chose it. */
static uint64_t odd_stamp(struct world *world)
{
	const uint64_t now_ns = world->boot_ns + (uint64_t)world->kernel.clock_offset_ns;

	switch (pick(world, 6)) {
	case 0:
		return 1;
	case 1:
		return UINT64_C(4102444800000000000); /* the year 2100 */
	case 2:
		return now_ns + 3600 * NS_PER_S;
	case 3:
		return now_ns - 3600 * NS_PER_S;
	case 4:
		return now_ns + NS_PER_S;
	default:
		return now_ns - 2 * NS_PER_S;
	}
}

/* Reads what is held; arrivals must be exact but for odd stamps, which take the arrival of a neighbour. Returns how
 * many stamps were odd. */
static uint64_t check_arrivals(struct world *world, const bool *odd, uint64_t slew_ns)
{
	const uint64_t next = timeline_next_number(world->timeline);
	uint64_t number = timeline_oldest_number(world->timeline), found = 0;

	while (number < next) {
		const struct span span = timeline_pin(world->timeline, number);
		const uint8_t *at = span.first;
		struct arrival_reader arrivals = arrival_reader(&span.bounds);

		for (uint32_t i = 0; i < span.packets; i++, number++) {
			const struct fake_packet *expected = &world->kernel.packets[number];
			bool is_odd;

			const uint64_t arrived_ns = arrival_next(&arrivals, (const void *)at, &is_odd);
			assert_int_equal(is_odd, odd[number]);
			if (is_odd)
				assert_in_range(arrived_ns, span.begin_ns, expected->arrived_ns + slew_ns);
			else
				assert_in_range(arrived_ns, expected->arrived_ns - slew_ns,
						expected->arrived_ns + slew_ns);
			found += is_odd;
			at += fake_room(expected->size);
		}
		timeline_unpin(world->timeline, &span);
	}
	return found;
}

static void test_arrivals_are_exact_whatever_stamps_and_clock_do(void **state)
{
	static bool odd[FAKE_PACKETS_MAX];

	(void)state;
	for (uint64_t seed = 1; seed <= 24; seed++) {
		struct world world;
		uint64_t found = 0;
		/* Clocks are set forward and back by seconds to days amid a block, once in it, and slewed by 500 ppm.
		 */
		uint64_t stepped_block = 0;
		const bool steps = seed % 2, slews = seed % 3 == 0;
		const struct rate *rate = &rates[seed % RATES];

		world_init(&world, BLOCK_COUNT, seed % 4 != 0, seed);
		for (unsigned i = 0; i < 8000; i++) {
			advance(&world, pick(&world, 2 * rate->gap_ns));
			if (slews)
				world.kernel.clock_offset_ns += rate->gap_ns / 2000;
			if (steps && world.kernel.sequence > stepped_block + 3 && pick(&world, 100) == 0) {
				stepped_block = world.kernel.sequence;
				world.kernel.clock_offset_ns += ((int64_t)pick(&world, 172800) - 86400) *
								(int64_t)NS_PER_S * (pick(&world, 9) == 0 ? 1000 : 1);
			}
			const bool is_odd = pick(&world, 20) == 0;
			const uint64_t number = world.kernel.accepted;
			const uint64_t stamp =
				is_odd ? odd_stamp(&world) : world.boot_ns + (uint64_t)world.kernel.clock_offset_ns;
			if (fake_receive_stamped(&world.kernel, 8 + pick(&world, rate->size_max - 7), world.boot_ns,
						 stamp))
				odd[number] = is_odd;
			collect(&world);
			if (i % 500 == 499)
				found += check_arrivals(&world, odd, slews ? NS_PER_MS : 0);
			if (i % 500 == 499 && seed % 4 == 0)
				timeline_trim(world.timeline, UINT64_MAX);
		}
		assert_true(found > 0);
		world_deinit(&world);
	}
}

static void test_open_block_may_hold_packets_until_it_is_empty_or_opened_later(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	world.boot_ns += NS_PER_S;
	collect(&world);
	assert_false(timeline_open_block_may_hold(world.timeline, world.boot_ns)); /* no packet in it */
	assert_true(receive(&world, 100));
	const uint64_t arrived_ns = world.boot_ns;
	world.boot_ns += NS_PER_S; /* the retire timer is late */
	collect(&world);
	assert_true(timeline_open_block_may_hold(world.timeline, arrived_ns));
	assert_true(timeline_open_block_may_hold(world.timeline, arrived_ns - ARRIVAL_QUEUED_NS)); /* it was queued */
	assert_false(timeline_open_block_may_hold(world.timeline, arrived_ns - ARRIVAL_QUEUED_NS - NS_PER_MS));
	fake_timer(&world.kernel);
	collect(&world);
	assert_false(timeline_open_block_may_hold(world.timeline, arrived_ns));
	assert_int_equal(timeline_next_number(world.timeline), 1);
	world_deinit(&world);
}

static void test_packed_packets_more_than_merge_ns_apart_expire_separately(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	timeline_free(world.timeline);
	world.timeline = timeline_new(&(struct timeline_options){.memory = world.kernel.memory,
								 .block_bytes = BLOCK_BYTES,
								 .block_count = BLOCK_COUNT,
								 .keep_history = true,
								 .now = read_clocks,
								 .now_ctx = &world,
								 .extent_max_ns = 100 * TIMER_NS});
	for (unsigned i = 0; i < 20000; i++) {
		send(&world, &rates[1]);
		const uint64_t oldest = timeline_oldest_number(world.timeline);
		if (oldest == timeline_next_number(world.timeline))
			continue;
		timeline_expire(world.timeline, world.boot_ns - 1000 * UINT64_C(10000000));
		assert_true(boot_of(&world, timeline_oldest_number(world.timeline)) + 1101 * UINT64_C(10000000) >=
			    world.boot_ns);
	}
	const struct timeline_stats stats = timeline_stats(world.timeline);
	assert_in_range(stats.extents, 10, 40); /* by time and by block */
	check_all(&world);
	world_deinit(&world);
}

/* Sends full blocks at once, then three packets that retire with the timer. */
static void send_burst(struct world *world, unsigned full_blocks)
{
	const unsigned packets_per_block = (BLOCK_BYTES - FAKE_FIRST - 1) / fake_room(1000);

	for (unsigned i = 0; i < full_blocks * packets_per_block + 3; i++) {
		world->boot_ns += 1000;
		assert_true(receive(world, 1000));
	}
	fake_timer(&world->kernel);
	collect(world);
}

static void test_single_sparse_block_among_full_ones_is_not_moved(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	for (unsigned bursts = 1; bursts <= 3; bursts++) {
		send_burst(&world, 8);
		assert_int_equal(timeline_stats(world.timeline).held_blocks, 9 * bursts);
	}
	for (unsigned bursts = 0; bursts < 30; bursts++) {
		send_burst(&world, 8);
		check_reserve(&world);
	}
	assert_int_equal(timeline_stats(world.timeline).moved_bytes, 0);
	check_all(&world);
	check_all_returned(&world);
	world_deinit(&world);
}

static void test_alternating_sparse_blocks_are_packed(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	for (unsigned bursts = 1; bursts <= 5; bursts++) {
		send_burst(&world, 1);
		/* The sparse ones share a block. */
		assert_int_equal(timeline_stats(world.timeline).held_blocks, bursts + 1);
	}
	assert_int_equal(timeline_stats(world.timeline).moved_bytes, 4 * 3 * fake_room(1000));
	check_all(&world);
	world_deinit(&world);
}

/* A live ring whose reader is late: waiting packets take their bytes, not one block per timer expiry. */
static void test_live_ring_packs_only_while_a_reader_is_late(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, false, 1);
		for (unsigned i = 0; i < 6 * BLOCK_COUNT; i++) {
			assert_true(receive(&world, 500));
			assert_true(receive(&world, 500));
			advance(&world, TIMER_NS);
			if (!late)
				timeline_trim(world.timeline, UINT64_MAX);
		}
		const struct timeline_stats stats = timeline_stats(world.timeline);
		assert_int_equal(world.kernel.drops, 0);
		assert_int_equal(timeline_oldest_number(world.timeline),
				 late ? 0 : timeline_next_number(world.timeline));
		if (late)
			assert_true(stats.moved_bytes > 0 && stats.held_blocks <= BLOCK_COUNT * 3 / 4);
		else
			assert_int_equal(stats.moved_bytes, 0);
		check_all(&world);
		check_all_returned(&world);
		world_deinit(&world);
	}
}

static void check_complete_since(struct world *world, uint64_t since_ns)
{
	const uint64_t oldest = timeline_oldest_number(world->timeline);
	const uint64_t complete_ns = timeline_complete_since(world->timeline);
	const bool none = oldest == timeline_next_number(world->timeline);

	assert_int_equal(timeline_oldest_arrival(world->timeline), none ? UINT64_MAX : boot_of(world, oldest));
	if (!oldest) {
		assert_int_equal(complete_ns, since_ns);
		return;
	}
	assert_true(complete_ns > boot_of(world, oldest - 1)); /* a bound: later by what its block took to retire */
}

static void test_complete_since_begins_after_the_last_released_packet(void **state)
{
	(void)state;
	for (unsigned keep_history = 0; keep_history < 2; keep_history++) {
		struct world world;

		world_init(&world, BLOCK_COUNT, keep_history, 1 + keep_history);
		const uint64_t since_ns = world.boot_ns;
		check_complete_since(&world, since_ns);
		for (unsigned phase = 0; phase < 300; phase++) {
			const struct rate *rate = &rates[pick(&world, RATES)];

			for (uint32_t left = 1 + pick(&world, 200); left; left--) {
				world.boot_ns++; /* no two packets at the same time */
				send(&world, rate);
			}
			const uint64_t oldest = timeline_oldest_number(world.timeline);
			const uint64_t next = timeline_next_number(world.timeline);
			const uint64_t before_ns = timeline_complete_since(world.timeline);
			if (pick(&world, 8) == 0 && oldest < next)
				timeline_expire(world.timeline,
						boot_of(&world, oldest + pick(&world, (uint32_t)(next - oldest))));
			if (pick(&world, 8) == 0)
				timeline_trim(world.timeline, next);
			check_complete_since(&world, since_ns);
			assert_true(timeline_complete_since(world.timeline) >= before_ns);
		}
		assert_true(timeline_complete_since(world.timeline) > since_ns);
		world_deinit(&world);
	}
}

/* A window lost the difference between the ring's drops at its end and at its start. */
static void test_position_reports_the_drops_before_it(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, BLOCK_COUNT, true, 1);
	uint64_t episode_ns[4], drops[4];
	assert_int_equal(timeline_find(world.timeline, 0).number, 0);
	assert_int_equal(timeline_find(world.timeline, 0).dropped, 0);
	for (unsigned episode = 0; episode < 4; episode++) {
		for (unsigned i = 0; i < 100; i++)
			send(&world, &rates[1]);
		advance(&world, 2 * TIMER_NS);
		episode_ns[episode] = world.boot_ns;
		drops[episode] = world.kernel.drops;
		world.lag = true;
		while (world.kernel.drops < drops[episode] + 10 + episode)
			receive(&world, 1000);
		world.lag = false;
		collect(&world);
		/* The packets that came during the lag fill the ring, which continues only then. */
		for (unsigned i = 0; i < 10; i++)
			send(&world, &rates[1]);
		advance(&world, 2 * TIMER_NS);
		const struct timeline_position end = timeline_find(world.timeline, world.boot_ns + 1);
		assert_int_equal(end.number, timeline_next_number(world.timeline));
		assert_int_equal(end.dropped, world.kernel.drops);
		const struct timeline_position position = timeline_find(world.timeline, episode_ns[episode]);
		if (position.number > timeline_oldest_number(world.timeline))
			assert_int_equal(position.dropped, drops[episode]);
	}
	uint64_t before_certain = 0;
	for (uint64_t number = timeline_oldest_number(world.timeline), before = 0;
	     number < timeline_next_number(world.timeline);) {
		const struct span span = timeline_pin(world.timeline, number);
		const struct timeline_position position = timeline_find(world.timeline, boot_of(&world, number));

		assert_true(position.number <= number && position.dropped <= span.dropped);
		/* Drops after a position do not count as before it, nor the reverse. */
		assert_true(position.dropped <= world.kernel.packets[position.number].drops);
		assert_true(span.dropped >= world.kernel.packets[number + span.packets - 1].drops);
		assert_true(span.dropped_before <= world.kernel.packets[number].drops);
		assert_true(span.dropped >= before && span.dropped_before <= span.dropped);
		assert_true(span.dropped_before >= before_certain);
		before_certain = span.dropped_before;
		before = span.dropped;
		number += span.packets;
		timeline_unpin(world.timeline, &span);
	}
	/* The last packets came after the last drop. */
	assert_int_equal(before_certain, world.kernel.drops);
	/* Expired packets leave the count of drops until then. */
	const uint64_t middle_ns = world.boot_ns + 1;
	for (unsigned i = 0; i < 50; i++)
		send(&world, &rates[1]);
	advance(&world, 2 * TIMER_NS);
	timeline_expire(world.timeline, middle_ns);
	assert_true(timeline_oldest_number(world.timeline) < timeline_next_number(world.timeline));
	assert_int_equal(timeline_find(world.timeline, 0).number, timeline_oldest_number(world.timeline));
	assert_int_equal(timeline_find(world.timeline, 0).dropped, world.kernel.drops);
	world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorder_keeps_packets_intact_at_any_rate),
		cmocka_unit_test(test_recorder_keeps_packets_intact_at_changing_rates),
		cmocka_unit_test(test_recorder_survives_a_late_ring_thread),
		cmocka_unit_test(test_pinned_spans_stay_while_blocks_move),
		cmocka_unit_test(test_pinned_block_stops_the_kernel_until_unpinned),
		cmocka_unit_test(test_block_being_unpinned_is_not_taken_for_retired),
		cmocka_unit_test(test_history_fills_most_of_the_ring_at_any_constant_rate),
		cmocka_unit_test(test_recorder_moves_few_bytes_at_high_rates),
		cmocka_unit_test(test_live_ring_returns_trimmed_blocks),
		cmocka_unit_test(test_worker_reads_while_the_ring_thread_retires),
		cmocka_unit_test(test_recorder_is_not_trimmed),
		cmocka_unit_test(test_find_and_expire_use_boot_time_across_clock_steps),
		cmocka_unit_test(test_arrivals_are_exact_whatever_stamps_and_clock_do),
		cmocka_unit_test(test_open_block_may_hold_packets_until_it_is_empty_or_opened_later),
		cmocka_unit_test(test_packed_packets_more_than_merge_ns_apart_expire_separately),
		cmocka_unit_test(test_single_sparse_block_among_full_ones_is_not_moved),
		cmocka_unit_test(test_alternating_sparse_blocks_are_packed),
		cmocka_unit_test(test_live_ring_packs_only_while_a_reader_is_late),
		cmocka_unit_test(test_complete_since_begins_after_the_last_released_packet),
		cmocka_unit_test(test_position_reports_the_drops_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
