/* SPDX-License-Identifier: BSD-2-Clause */
/* Slabs are reused, warmed ahead, capped and released. The tests wait for the effects of the pool's threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slab_pool.h"

#define PATIENCE_NS (60 * NS_PER_S)
#define LONG_NS (3600 * NS_PER_S)
#define THREADS 4

static struct slab_pool *new_pool(size_t warm_slabs, size_t use_slabs, uint64_t idle_ns)
{
	struct slab_pool *pool = slab_pool_new(&(struct slab_pool_options){.warm_bytes = warm_slabs * SLAB_BYTES,
									   .use_bytes = use_slabs * SLAB_BYTES,
									   .idle_ns = idle_ns});

	assert_non_null(pool);
	return pool;
}

static size_t warm_slabs(struct slab_pool *pool)
{
	return slab_pool_usage(pool).warm_bytes / SLAB_BYTES;
}

/* Waits for the pool's threads. */
static void wait_for_warm(struct slab_pool *pool, size_t least, size_t most)
{
	const uint64_t begin_ns = clock_monotonic_ns();

	for (size_t warm; (warm = warm_slabs(pool)) < least || warm > most; usleep(1000)) {
		if (clock_monotonic_ns() - begin_ns > PATIENCE_NS)
			fail_msg("%zu slabs are warm instead of %zu to %zu", warm, least, most);
	}
}

/* True if all pages of the slab are resident. */
static bool is_touched(const void *slab)
{
	unsigned char resident[SLAB_BYTES / 4096];

	assert_int_equal(mincore((void *)(uintptr_t)slab, SLAB_BYTES, resident), 0);
	for (size_t i = 0; i < sizeof(resident); i++) {
		if (!resident[i])
			return false;
	}
	return true;
}

static void test_unused_pool_has_no_memory(void **state)
{
	struct slab_pool *pool = new_pool(32, 1000, LONG_NS);
	const struct slab_pool_usage usage = slab_pool_usage(pool);

	(void)state;
	assert_int_equal(usage.warm_bytes, 0);
	assert_int_equal(usage.used_bytes, 0);
	slab_pool_free(pool);
}

static void test_slab_is_touched_aligned_and_reused(void **state)
{
	struct slab_pool *pool = new_pool(1, 1, LONG_NS);
	uint8_t *slab = slab_pool_take(pool);

	(void)state;
	assert_non_null(slab);
	assert_int_equal((uintptr_t)slab % SLAB_BYTES, 0);
	assert_true(is_touched(slab));
	memset(slab, 7, SLAB_BYTES);
	assert_int_equal(slab_pool_usage(pool).used_bytes, SLAB_BYTES);
	slab_pool_give(pool, slab);
	assert_int_equal(slab_pool_usage(pool).used_bytes, 0);
	uint8_t *again = slab_pool_take(pool);
	assert_ptr_equal(again, slab);
	memset(again, 8, SLAB_BYTES);
	slab_pool_give(pool, again);
	slab_pool_free(pool);
}

static void test_slabs_are_warmed_ahead_within_both_bounds(void **state)
{
	const struct {
		size_t warm, use, taken, ahead;
	} cases[] = {
		{32, 1000, 1, 4},   /* the minimum: 8 MiB */
		{32, 1000, 12, 12}, /* as many as are in use */
		{6, 1000, 20, 6},   /* warm_bytes */
		{32, 22, 20, 2},    /* use_bytes */
		{0, 1000, 20, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct slab_pool *pool = new_pool(cases[i].warm, cases[i].use, LONG_NS);
		void *slabs[20];

		for (size_t s = 0; s < cases[i].taken; s++) {
			slabs[s] = slab_pool_take(pool);
			assert_non_null(slabs[s]);
		}
		/* The takes may have used some of the warm slabs. */
		wait_for_warm(pool, (cases[i].ahead + 1) / 2, cases[i].ahead);
		for (size_t s = 0; s < cases[i].taken; s++)
			slab_pool_give(pool, slabs[s]);
		wait_for_warm(pool, 0, cases[i].warm); /* the excess is unmapped */
		slab_pool_free(pool);
	}
}

static void test_idle_slabs_are_released(void **state)
{
	struct slab_pool *pool = new_pool(32, 1000, 50 * NS_PER_MS);

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		void *slabs[8];

		for (size_t i = 0; i < 8; i++)
			slabs[i] = slab_pool_take(pool);
		for (size_t i = 0; i < 8; i++)
			slab_pool_give(pool, slabs[i]);
		wait_for_warm(pool, 0, 0);
	}
	slab_pool_free(pool);
}

static long page_faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

/* With a slab in use, an idle pool neither keeps slabs nor maps new ones only to unmap them. */
static void test_idle_pool_rests_while_a_slab_is_in_use(void **state)
{
	struct slab_pool *pool = new_pool(32, 1000, 20 * NS_PER_MS);
	void *kept = slab_pool_take(pool);

	(void)state;
	slab_pool_give(pool, slab_pool_take(pool));
	wait_for_warm(pool, 0, 0);
	const uint64_t begin_ns = clock_monotonic_ns();
	const long begin_faults = page_faults();
	while (clock_monotonic_ns() - begin_ns < 200 * NS_PER_MS)
		usleep(1000);
	assert_in_range(page_faults() - begin_faults, 0, SLAB_BYTES / 4096); /* fewer than one slab costs */
	slab_pool_give(pool, kept);
	slab_pool_free(pool);
}

static void test_large_warm_reserve_is_ready_at_start_and_stays(void **state)
{
	const size_t warm = SLAB_POOL_CASUAL_BYTES / SLAB_BYTES + 3;
	struct slab_pool *pool = new_pool(warm, 1000, 1);

	(void)state;
	wait_for_warm(pool, warm, warm);
	void *slabs[50];
	for (size_t i = 0; i < 50; i++) {
		slabs[i] = slab_pool_take(pool);
		assert_true(is_touched(slabs[i]));
	}
	for (size_t i = 0; i < 50; i++)
		slab_pool_give(pool, slabs[i]);
	wait_for_warm(pool, warm, warm);
	slab_pool_free(pool);
}

static void test_pool_can_be_freed_while_slabs_are_being_touched(void **state)
{
	struct slab_pool *pool = new_pool(1000, 1000, LONG_NS);

	(void)state;
	slab_pool_free(pool);
}

/* Between take and give, each slab belongs to one thread. */
static void *take_and_give(void *ctx)
{
	struct slab_pool *pool = ctx;
	const uintptr_t own = (uintptr_t)&own;

	for (unsigned round = 0; round < 200; round++) {
		uintptr_t *slabs[10];

		for (size_t i = 0; i < 10; i++) {
			slabs[i] = slab_pool_take(pool);
			if (!slabs[i])
				return NULL;
			slabs[i][0] = slabs[i][SLAB_BYTES / sizeof(own) - 1] = own + i;
		}
		for (size_t i = 0; i < 10; i++) {
			if (slabs[i][0] != own + i || slabs[i][SLAB_BYTES / sizeof(own) - 1] != own + i)
				return NULL;
			slab_pool_give(pool, slabs[i]);
		}
	}
	return pool;
}

static void test_threads_share_a_pool(void **state)
{
	const size_t sizes[] = {8, SLAB_POOL_CASUAL_BYTES / SLAB_BYTES + 8};

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		struct slab_pool *pool = new_pool(sizes[s], THREADS * 10, NS_PER_MS);
		pthread_t threads[THREADS];

		for (size_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, pool), 0);
		for (size_t i = 0; i < THREADS; i++) {
			void *result;

			pthread_join(threads[i], &result);
			assert_ptr_equal(result, pool);
		}
		assert_int_equal(slab_pool_usage(pool).used_bytes, 0);
		slab_pool_free(pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unused_pool_has_no_memory),
		cmocka_unit_test(test_slab_is_touched_aligned_and_reused),
		cmocka_unit_test(test_slabs_are_warmed_ahead_within_both_bounds),
		cmocka_unit_test(test_idle_slabs_are_released),
		cmocka_unit_test(test_idle_pool_rests_while_a_slab_is_in_use),
		cmocka_unit_test(test_large_warm_reserve_is_ready_at_start_and_stays),
		cmocka_unit_test(test_pool_can_be_freed_while_slabs_are_being_touched),
		cmocka_unit_test(test_threads_share_a_pool),
	};

	return cmocka_run_group_tests_name("slab_pool", tests, NULL, NULL);
}
