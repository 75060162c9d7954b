/* SPDX-License-Identifier: BSD-2-Clause */
/* The inner sink gets the file compressed, or as it is where memory is short; cancelling and failing leave nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/decompressor.h"
#include "base/slab_pool.h"
#include "sink/compressed_file.h"
#include "sink/compressed_sink.h"
#include "sink/sink.h"

#define GUARD_S 60
#define BIG (5 * SLAB_BYTES + 12345) /* it does not compress: several slabs */

static struct slab_pool *slabs;

/* The account: how much is charged, and how much may be. */
static _Atomic size_t charged, allowed = SIZE_MAX;

/* The inner sink takes an attempt and keeps it until it is told to end. */
struct sink_attempt {
	const struct sink_file *file;
	struct byte_stream stream;
	sink_attempt_done done;
	void *ctx;
};

struct inner {
	struct sink sink;
	struct sink_attempt attempt; /* the only one */
	bool running, refuses_to_start, freed;
	unsigned starts;
	char name[64];
};

struct source {
	struct sink_file file;
	uint64_t size, at;
	unsigned opens, closes, dones;
	struct sink_outcome outcome;
};

struct world {
	struct event_base *loop;
	struct event *guard;
	struct inner inner;
	struct sink *sink;
	struct source source;
};

/* --- the account --- */

static bool charge(void *ctx, size_t bytes)
{
	(void)ctx;
	if (atomic_load(&charged) + bytes > atomic_load(&allowed))
		return false;
	atomic_fetch_add(&charged, bytes);
	return true;
}

static void give_back(void *ctx, size_t bytes)
{
	(void)ctx;
	assert_true(atomic_load(&charged) >= bytes);
	atomic_fetch_sub(&charged, bytes);
}

/* --- the source --- */

/* Bytes that do not compress: splitmix64. */
static uint8_t byte_at(uint64_t offset)
{
	uint64_t bits = (offset + 1) * 0x9e3779b97f4a7c15u;

	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
	return (uint8_t)(bits ^ bits >> 31);
}

static size_t source_read(void *ctx, uint8_t *into, size_t room)
{
	struct source *source = ctx;
	size_t used = 0;

	for (; used < room && source->at < source->size; used++)
		into[used] = byte_at(source->at++);
	return used;
}

static bool source_open(void *ctx, struct byte_stream *stream)
{
	struct source *source = ctx;

	assert_int_equal(source->opens++, source->closes);
	source->at = 0;
	*stream = (struct byte_stream){.size_bytes = source->size, .read = source_read, .ctx = source};
	return true;
}

static void source_close(void *ctx, struct byte_stream *stream)
{
	struct source *source = ctx;

	(void)stream;
	source->closes++;
}

/* --- the inner sink --- */

static struct sink_attempt *inner_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					void *ctx)
{
	struct inner *inner = container_of(sink, struct inner, sink);

	inner->starts++;
	snprintf(inner->name, sizeof(inner->name), "%s", file->name);
	if (inner->refuses_to_start)
		return NULL;
	inner->attempt = (struct sink_attempt){.file = file, .done = done, .ctx = ctx};
	assert_true(file->open(file->ctx, &inner->attempt.stream));
	inner->running = true;
	return &inner->attempt;
}

static void inner_close(struct inner *inner)
{
	inner->attempt.file->close(inner->attempt.file->ctx, &inner->attempt.stream);
	inner->running = false;
}

static bool inner_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct inner *inner = container_of(sink, struct inner, sink);

	assert_ptr_equal(attempt, &inner->attempt);
	inner_close(inner);
	outcome->verdict = SINK_OK;
	return true;
}

static void inner_free(struct sink *sink)
{
	container_of(sink, struct inner, sink)->freed = true;
}

static void inner_end(struct inner *inner, enum sink_verdict verdict, const char *warning)
{
	struct sink_outcome outcome = {.verdict = verdict};

	snprintf(outcome.warning, sizeof(outcome.warning), "%s", warning);
	inner_close(inner);
	inner->attempt.done(inner->attempt.ctx, &outcome);
}

/* --- the world --- */

static void on_done(void *ctx, const struct sink_outcome *outcome)
{
	struct source *source = ctx;

	source->dones++;
	source->outcome = *outcome;
}

static void guard(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	(void)ctx;
	fail_msg("nothing happened for %d s", GUARD_S);
}

static struct world *world_new(enum compression kind)
{
	static const struct sink_class class = {.start = inner_start, .cancel = inner_cancel, .free = inner_free};
	const struct timeval guard_time = {.tv_sec = GUARD_S};
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->loop = event_base_new();
	world->guard = evtimer_new(world->loop, guard, NULL);
	event_add(world->guard, &guard_time);
	static char name[] = "inner";
	world->inner.sink = (struct sink){.class = &class, .name = name, .on_request = true};
	world->sink = compressed_sink_new(world->loop, &world->inner.sink,
					  &(struct compressed_file_options){.kind = kind,
									    .slabs = slabs,
									    .account = {charge, give_back, NULL}});
	assert_non_null(world->sink);
	return world;
}

static void world_free(struct world *world)
{
	world->sink->class->free(world->sink);
	assert_true(world->inner.freed);
	assert_int_equal(world->source.opens, world->source.closes);
	assert_int_equal(atomic_load(&charged), 0);
	assert_int_equal(slab_pool_usage(slabs).used_bytes, 0);
	event_free(world->guard);
	event_base_free(world->loop);
	free(world);
}

static struct sink_attempt *begin(struct world *world, uint64_t size)
{
	struct source *source = &world->source;

	*source = (struct source){.size = size};
	source->file = (struct sink_file){.name = "a.pcapng",
					  .tags = "",
					  .id = "test",
					  .capture = "test.1",
					  .ctx = source,
					  .open = source_open,
					  .close = source_close};
	struct sink_attempt *attempt = world->sink->class->start(world->sink, &source->file, on_done, source);
	assert_non_null(attempt);
	return attempt;
}

static void run_until_inner(struct world *world)
{
	while (!world->inner.running && !world->source.dones)
		event_base_loop(world->loop, EVLOOP_ONCE);
}

/* What the inner sink reads is the source's bytes once it is decompressed. */
static void check_content(const struct world *world, enum compression kind)
{
	cleanup(cleanup_decompressor) struct decompressor *decompressor = decompressor_new(kind);
	const struct byte_stream *stream = &world->inner.attempt.stream;
	static uint8_t in[10007], out[100003];
	uint64_t read = 0, at = 0;
	size_t got;

	assert_non_null(decompressor);
	while ((got = stream->read(stream->ctx, in, sizeof(in))) > 0) {
		struct compression_step step = {.in = in, .in_size = got};
		int r;

		read += got;
		do {
			step.out = out;
			step.out_room = sizeof(out);
			r = decompressor_run(decompressor, &step);
			assert_true(r >= 0);
			for (size_t i = 0; i < sizeof(out) - step.out_room; i++, at++)
				if (out[i] != byte_at(at))
					fail_msg("wrong at byte %lu", (unsigned long)at);
		} while (r == 0);
	}
	assert_true(decompressor_is_complete(decompressor));
	assert_int_equal(at, world->source.size);
	assert_int_equal(read, stream->size_bytes);
	stream->rewind(stream->ctx);
	assert_int_equal(stream->read(stream->ctx, in, 2), 2);
}

static void test_inner_sink_gets_the_file_compressed(void **state)
{
	static const enum compression kinds[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};
	static const uint64_t sizes[] = {1, 300, 256 * 1024, SLAB_BYTES, BIG};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *world = world_new(kinds[i]);

		assert_string_equal(world->sink->name, "inner");
		assert_true(world->sink->on_request);
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			begin(world, sizes[j]);
			run_until_inner(world);
			assert_true(world->inner.running);
			assert_int_equal(world->source.closes, 1);
			assert_string_equal(world->inner.name, i == 0 ? "a.pcapng.gz" : "a.pcapng.zst");
			check_content(world, kinds[i]);
			if (sizes[j] == 300)
				assert_int_equal(atomic_load(&charged), world->inner.attempt.stream.size_bytes);
			inner_end(&world->inner, SINK_OK, "");
			assert_int_equal(world->source.dones, 1);
			assert_int_equal(world->source.outcome.verdict, SINK_OK);
			assert_string_equal(world->source.outcome.warning, "");
			assert_int_equal(atomic_load(&charged), 0);
		}
		world_free(world);
	}
}

static void test_without_memory_the_file_goes_as_it_is(void **state)
{
	struct world *world = world_new(COMPRESSION_ZSTD);

	(void)state;
	for (size_t slab_count = 0; slab_count <= BIG / SLAB_BYTES; slab_count++) {
		atomic_store(&allowed, slab_count * SLAB_BYTES);
		begin(world, BIG);
		run_until_inner(world);
		assert_string_equal(world->inner.name, "a.pcapng");
		assert_int_equal(world->inner.attempt.stream.size_bytes, BIG);
		assert_int_equal(atomic_load(&charged), 0);
		inner_end(&world->inner, SINK_OK, slab_count == 1 ? "a graver one" : "");
		assert_int_equal(world->source.outcome.verdict, SINK_OK);
		assert_string_equal(world->source.outcome.warning,
				    slab_count == 1
					    ? "a graver one"
					    : "delivered without compression: limits.memory has no room for it");
	}
	atomic_store(&allowed, 0);
	begin(world, BIG);
	world->source.file.copies = 1; /* it may be there, compressed */
	run_until_inner(world);
	assert_int_equal(world->source.dones, 1);
	assert_int_equal(world->source.outcome.verdict, SINK_RETRY);
	assert_non_null(strstr(world->source.outcome.error, "no memory to compress the file"));
	atomic_store(&allowed, SIZE_MAX);
	world_free(world);
}

static void test_cancelling_leaves_nothing_at_any_time(void **state)
{
	struct world *world = world_new(COMPRESSION_ZSTD);
	struct sink_outcome outcome = {0};

	(void)state;
	for (unsigned i = 0; i < 20; i++) { /* while it is queued, compressed, or about to be reported */
		struct sink_attempt *attempt = begin(world, BIG);

		if (i % 2)
			event_base_loop(world->loop, EVLOOP_NONBLOCK);
		assert_false(world->sink->class->cancel(world->sink, attempt, &outcome));
		assert_int_equal(world->source.opens, world->source.closes);
	}
	assert_int_equal(world->inner.starts, 0);

	struct sink_attempt *attempt = begin(world, 1000);
	run_until_inner(world);
	assert_true(world->sink->class->cancel(world->sink, attempt, &outcome)); /* as the inner sink says */
	assert_int_equal(outcome.verdict, SINK_OK);
	assert_false(world->inner.running);
	assert_int_equal(world->source.dones, 0);
	world_free(world);
}

static void test_inner_sink_that_cannot_start_is_tried_again(void **state)
{
	struct world *world = world_new(COMPRESSION_GZIP);

	(void)state;
	world->inner.refuses_to_start = true;
	begin(world, 1000);
	run_until_inner(world);
	assert_int_equal(world->source.dones, 1);
	assert_int_equal(world->source.outcome.verdict, SINK_RETRY);
	assert_non_null(strstr(world->source.outcome.error, "cannot start the attempt"));

	world->inner.refuses_to_start = false;
	begin(world, 1000);
	run_until_inner(world);
	inner_end(&world->inner, SINK_RETRY, "");
	assert_int_equal(world->source.outcome.verdict, SINK_RETRY);
	world_free(world);
}

static void test_without_compression_it_is_the_inner_sink(void **state)
{
	struct sink inner = {0};

	(void)state;
	assert_ptr_equal(compressed_sink_new(NULL, &inner, &(struct compressed_file_options){0}), &inner);
	assert_null(compressed_sink_new(NULL, NULL, &(struct compressed_file_options){.kind = COMPRESSION_ZSTD}));
}

static int make_slabs(void **state)
{
	(void)state;
	slabs = slab_pool_new(&(struct slab_pool_options){.warm_bytes = 4 * SLAB_BYTES,
							  .use_bytes = SIZE_MAX,
							  .idle_ns = UINT64_C(3600000000000)});
	return slabs && evthread_use_pthreads() == 0 ? 0 : -1;
}

static int free_slabs(void **state)
{
	(void)state;
	slab_pool_free(slabs);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inner_sink_gets_the_file_compressed),
		cmocka_unit_test(test_without_memory_the_file_goes_as_it_is),
		cmocka_unit_test(test_cancelling_leaves_nothing_at_any_time),
		cmocka_unit_test(test_inner_sink_that_cannot_start_is_tried_again),
		cmocka_unit_test(test_without_compression_it_is_the_inner_sink),
	};

	return cmocka_run_group_tests(tests, make_slabs, free_slabs);
}
