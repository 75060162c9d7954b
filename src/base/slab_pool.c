/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying into fresh memory costs a page fault per 4 KiB, in a virtual machine twenty times the cost of the copy
 * and more (0.4 GB/s measured, against 9 to 22 into touched memory). So slabs are populated in one call and reused.
 *
 * The pool's thread works ahead: when fewer than half of goal() are unused it maps more, and it unmaps the surplus, so
 * that giving back a slab does not wait for the kernel. Only the prefill thread asks for huge pages, because it has
 * time: the kernel may have to move memory for one, and a hypervisor takes back free memory in units of that size, so
 * that its first access costs several times as much (captures then lost a tenth of a gigabyte at full rate).
 *
 * Mapped memory is at most the peak in use plus warm_bytes, since unused slabs are taken first.
 *
 * The prefill thread runs at idle priority, so it must hold no lock: its memory is mapped beforehand, it touches page
 * by page (a populating call would hold the address space's lock), and it only counts the slabs that are ready.
 *
 * Unused slabs are listed outside their memory: under some hypervisors the first access after a while costs 50 us or
 * more.
 */
#include "base/slab_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#define poison(memory, size) __asan_poison_memory_region(memory, size)
#define unpoison(memory, size) __asan_unpoison_memory_region(memory, size)
#else
#define poison(memory, size) ((void)(memory), (void)(size))
#define unpoison(memory, size) ((void)(memory), (void)(size))
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14; where it fails, pages are populated when touched */
#endif

#define AHEAD_MIN_BYTES (8u << 20)
#define AHEAD_MAX_BYTES (64u << 20)
#define PREFILL_CHECK_NS (NS_PER_S / 10)
#define PAGE_BYTES 4096
#define THREAD_STACK_BYTES (256u << 10)

struct slab_pool {
	struct slab_pool_options options;
	pthread_mutex_t lock;
	pthread_cond_t work;
	void **unused;				      /* a stack */
	size_t unused_count, unused_room, used_count; /* slabs */
	uint64_t last_use_ns;			      /* monotonic */
	bool stop, thread_started, prefill_started;
	pthread_t thread, prefill_thread;
	uint8_t *prefill;		     /* what the prefill thread touches */
	size_t prefill_count, prefill_taken; /* slabs: in total, taken from the front */
	_Atomic(size_t) prefilled;	     /* slabs touched so far */
	_Atomic(bool) prefill_stop;
};

/* --- mapping --- */

/* Aligned to SLAB_BYTES, so that one huge page can back each slab. */
static uint8_t *map_slabs(size_t count)
{
	const size_t size = count * SLAB_BYTES;
	uint8_t *memory = mmap(NULL, size + SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	const size_t before = -(uintptr_t)memory % SLAB_BYTES, after = SLAB_BYTES - before;
	if (before)
		munmap(memory, before);
	munmap(memory + before + size, after);
	memory += before;
	madvise(memory, size, MADV_DONTDUMP);
	return memory;
}

static void unmap_slab(void *memory)
{
	unpoison(memory, SLAB_BYTES);
	munmap(memory, SLAB_BYTES);
}

static void *map_warm_slab(void)
{
	void *memory = map_slabs(1);

	if (memory)
		madvise(memory, SLAB_BYTES, MADV_POPULATE_WRITE);
	return memory;
}

/* --- unused slabs --- */

/* Acquire: the prefill thread's writes to these slabs come before its count. */
static size_t prefilled_left(const struct slab_pool *pool)
{
	return atomic_load_explicit(&pool->prefilled, memory_order_acquire) - pool->prefill_taken;
}

static size_t warm_count(const struct slab_pool *pool)
{
	return pool->unused_count + prefilled_left(pool);
}

static bool push(struct slab_pool *pool, void *memory)
{
	if (pool->unused_count == pool->unused_room) {
		const size_t room = pool->unused_room ? pool->unused_room * 2 : 64;
		void **unused = reallocarray(pool->unused, room, sizeof(*unused));

		if (!unused)
			return false;
		pool->unused = unused;
		pool->unused_room = room;
	}
	pool->unused[pool->unused_count++] = memory;
	poison(memory, SLAB_BYTES);
	return true;
}

/* The most recently used one is the most likely to be in a cache. */
static void *pop(struct slab_pool *pool)
{
	if (pool->unused_count)
		return pool->unused[--pool->unused_count];
	return prefilled_left(pool) ? pool->prefill + SLAB_BYTES * pool->prefill_taken++ : NULL;
}

static bool keeps_warm(const struct slab_pool *pool)
{
	return pool->options.warm_bytes > SLAB_POOL_CASUAL_BYTES;
}

static size_t warm_limit(const struct slab_pool *pool)
{
	return pool->options.warm_bytes / SLAB_BYTES;
}

/* How many unused slabs the pool's thread tries to keep. */
static size_t goal(const struct slab_pool *pool)
{
	const size_t most = pool->options.use_bytes / SLAB_BYTES;
	const size_t room = most > pool->used_count ? most - pool->used_count : 0;
	size_t ahead = pool->used_count;

	if (ahead < AHEAD_MIN_BYTES / SLAB_BYTES)
		ahead = AHEAD_MIN_BYTES / SLAB_BYTES;
	if (ahead > AHEAD_MAX_BYTES / SLAB_BYTES)
		ahead = AHEAD_MAX_BYTES / SLAB_BYTES;
	if (ahead > warm_limit(pool))
		ahead = warm_limit(pool);
	return ahead < room ? ahead : room;
}

static bool is_low(const struct slab_pool *pool)
{
	return pool->used_count && warm_count(pool) < goal(pool) / 2;
}

/* --- the pool's thread --- */

/* Called with `lock` held; releases and reacquires it. */
static void unmap_one(struct slab_pool *pool)
{
	void *memory = pop(pool);

	pthread_mutex_unlock(&pool->lock);
	unmap_slab(memory);
	pthread_mutex_lock(&pool->lock);
}

/* Called with `lock` held; releases and reacquires it. False: out of memory. */
static bool map_one(struct slab_pool *pool)
{
	pthread_mutex_unlock(&pool->lock);
	void *memory = map_warm_slab();
	pthread_mutex_lock(&pool->lock);
	if (!memory || push(pool, memory))
		return memory;
	unmap_slab(memory);
	return false;
}

static uint64_t idle_deadline(const struct slab_pool *pool)
{
	return pool->last_use_ns + pool->options.idle_ns;
}

/* Called with `lock` held; releases and reacquires it. */
static void wait_for_work(struct slab_pool *pool)
{
	const size_t prefilled = atomic_load_explicit(&pool->prefilled, memory_order_relaxed);
	const bool is_prefilling = prefilled < pool->prefill_count;

	if (!is_prefilling && (keeps_warm(pool) || !warm_count(pool))) {
		pthread_cond_wait(&pool->work, &pool->lock);
		return;
	}
	/* The prefill thread takes no lock and wakes no other: check for a surplus now and then. */
	const uint64_t deadline_ns = is_prefilling ? clock_monotonic_ns() + PREFILL_CHECK_NS : idle_deadline(pool);
	const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
					  .tv_nsec = (long)(deadline_ns % NS_PER_S)};
	pthread_cond_clockwait(&pool->work, &pool->lock, CLOCK_MONOTONIC, &deadline);
}

static void *run(void *ctx)
{
	struct slab_pool *pool = ctx;
	bool filling = false;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		const bool idle = !keeps_warm(pool) && clock_monotonic_ns() >= idle_deadline(pool);

		filling = !idle && (filling ? warm_count(pool) < goal(pool) : is_low(pool));
		if (warm_count(pool) > (idle ? 0 : warm_limit(pool)))
			unmap_one(pool);
		else if (!filling || !map_one(pool))
			wait_for_work(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* --- prefill --- */

static void touch(uint8_t *memory)
{
	for (size_t at = 0; at < SLAB_BYTES; at += PAGE_BYTES)
		atomic_store_explicit((_Atomic(uint8_t) *)(memory + at), 0, memory_order_relaxed);
}

static void *prefill(void *ctx)
{
	struct slab_pool *pool = ctx;
	const struct sched_param none = {0};

	pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	const uint64_t begin_ns = clock_monotonic_ns();
	size_t done = 0;
	for (; done < pool->prefill_count && !atomic_load_explicit(&pool->prefill_stop, memory_order_relaxed); done++) {
		touch(pool->prefill + done * SLAB_BYTES);
		atomic_store_explicit(&pool->prefilled, done + 1, memory_order_release);
	}
	if (done == pool->prefill_count)
		log_info("warm-memory-ready", log_uint("bytes", done * SLAB_BYTES),
			 log_num("seconds", (double)(clock_monotonic_ns() - begin_ns) / NS_PER_S));
	return NULL;
}

/* --- life --- */

static int start_thread(pthread_t *thread, const char *name, void *(*body)(void *), struct slab_pool *pool)
{
	sigset_t all, before;
	pthread_attr_t attributes;

	sigfillset(&all); /* signals belong to the loop */
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int r = pthread_create(thread, &attributes, body, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (r == 0)
		pthread_setname_np(*thread, name);
	return r;
}

static int start_prefill(struct slab_pool *pool)
{
	pool->prefill = map_slabs(warm_limit(pool));
	if (!pool->prefill)
		return ENOMEM;
	pool->prefill_count = warm_limit(pool);
	madvise(pool->prefill, pool->prefill_count * SLAB_BYTES, MADV_HUGEPAGE);
	const int r = start_thread(&pool->prefill_thread, "pcapd-prefill", prefill, pool);
	pool->prefill_started = r == 0;
	return r;
}

struct slab_pool *slab_pool_new(const struct slab_pool_options *options)
{
	struct slab_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->options = *options;
	if (pool->options.warm_bytes > options->use_bytes)
		pool->options.warm_bytes = options->use_bytes;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	int r = keeps_warm(pool) ? start_prefill(pool) : 0; /* first: the pool's thread reads what it sets */
	if (r == 0) {
		r = start_thread(&pool->thread, "pcapd-slabs", run, pool);
		pool->thread_started = r == 0;
	}
	if (r) {
		slab_pool_free(pool);
		errno = r;
		return NULL;
	}
	return pool;
}

void slab_pool_free(struct slab_pool *pool)
{
	if (!pool)
		return;
	atomic_store_explicit(&pool->prefill_stop, true, memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (pool->prefill_started)
		pthread_join(pool->prefill_thread, NULL);
	if (pool->thread_started)
		pthread_join(pool->thread, NULL);
	while (pool->unused_count)
		unmap_slab(pop(pool));
	free(pool->unused);
	if (pool->prefill_count > pool->prefill_taken)
		munmap(pool->prefill + pool->prefill_taken * SLAB_BYTES,
		       (pool->prefill_count - pool->prefill_taken) * SLAB_BYTES);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* --- use --- */

void *slab_pool_take(struct slab_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	void *memory = pop(pool);
	pool->used_count++;
	pool->last_use_ns = clock_monotonic_ns();
	if (is_low(pool))
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (memory) {
		unpoison(memory, SLAB_BYTES);
		return memory;
	}
	memory = map_warm_slab();
	if (!memory) {
		pthread_mutex_lock(&pool->lock);
		pool->used_count--;
		pthread_mutex_unlock(&pool->lock);
	}
	return memory;
}

void slab_pool_give(struct slab_pool *pool, void *memory)
{
	pthread_mutex_lock(&pool->lock);
	const bool kept = push(pool, memory);
	pool->used_count--;
	pool->last_use_ns = clock_monotonic_ns();
	if (warm_count(pool) > warm_limit(pool) || pool->unused_count == 1)
		pthread_cond_signal(&pool->work); /* to unmap it, or to wait for the idle deadline */
	pthread_mutex_unlock(&pool->lock);
	if (!kept)
		unmap_slab(memory);
}

struct slab_pool_usage slab_pool_usage(struct slab_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	const struct slab_pool_usage usage = {.warm_bytes = warm_count(pool) * SLAB_BYTES,
					      .used_bytes = pool->used_count * SLAB_BYTES};
	pthread_mutex_unlock(&pool->lock);
	return usage;
}
