/* SPDX-License-Identifier: BSD-2-Clause */
/* Files kept in memory: whole, within their bounds, and there as long as somebody reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/slab_pool.h"
#include "sink/memory_sink.h"

#define GUARD_S 20
#define MIB (UINT64_C(1) << 20)

static struct slab_pool *slabs;

struct source {
	struct sink_file file;
	uint64_t size, claimed, at;
	unsigned opens, closes, dones;
	char capture[16];
	struct sink_outcome outcome;
};

struct stage {
	struct event_base *loop;
	struct event *guard;
	struct sink *memory;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 13);
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
	source->opens++;
	source->at = 0;
	*stream = (struct byte_stream){.size_bytes = source->claimed, .read = source_read, .ctx = source};
	return true;
}

static void source_close(void *ctx, struct byte_stream *stream)
{
	struct source *source = ctx;
	(void)stream;
	source->closes++;
}

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

static int make_slabs(void **state)
{
	(void)state;
	slabs = slab_pool_new(&(struct slab_pool_options){.warm_bytes = 4 * SLAB_BYTES,
							  .use_bytes = SIZE_MAX,
							  .idle_ns = UINT64_C(3600000000000)});
	return slabs ? 0 : -1;
}

static int free_slabs(void **state)
{
	(void)state;
	const size_t used_bytes = slab_pool_usage(slabs).used_bytes;
	slab_pool_free(slabs);
	return used_bytes ? -1 : 0;
}

static struct stage stage_new(uint64_t bytes_max, uint64_t max_age_ns)
{
	const struct memory_sink_options options = {.bytes_max = bytes_max, .max_age_ns = max_age_ns, .slabs = slabs};
	const struct timeval guard_time = {.tv_sec = GUARD_S};
	struct stage stage = {.loop = event_base_new()};
	stage.guard = evtimer_new(stage.loop, guard, NULL);
	event_add(stage.guard, &guard_time);
	stage.memory = memory_sink_new(stage.loop, &options);
	assert_non_null(stage.memory);
	return stage;
}

static void stage_free(struct stage *stage)
{
	if (stage->memory)
		stage->memory->class->free(stage->memory);
	event_free(stage->guard);
	event_base_free(stage->loop);
}

static struct sink_attempt *begin(struct stage *stage, struct source *source, const char *capture, uint64_t size)
{
	*source = (struct source){.size = size, .claimed = size};
	snprintf(source->capture, sizeof(source->capture), "%s", capture);
	source->file = (struct sink_file){.name = "a.pcapng",
					  .tags = "",
					  .id = "test",
					  .capture = source->capture,
					  .ctx = source,
					  .open = source_open,
					  .close = source_close};
	struct sink_attempt *attempt = stage->memory->class->start(stage->memory, &source->file, on_done, source);
	assert_non_null(attempt);
	assert_int_equal(source->dones, 0);
	return attempt;
}

static void put(struct stage *stage, struct source *source, const char *capture, uint64_t size)
{
	begin(stage, source, capture, size);
	while (!source->dones)
		event_base_loop(stage->loop, EVLOOP_ONCE);
	assert_int_equal(source->dones, 1);
	assert_int_equal(source->opens, source->closes);
}

static bool is_kept(const struct stage *stage, const char *capture)
{
	cleanup(cleanup_memory_file) struct memory_file *file = memory_sink_find(stage->memory, capture);
	return file;
}

static void check_content(const struct memory_file *file, uint64_t size)
{
	struct byte_stream stream;
	uint8_t bytes[4096];
	uint64_t offset = 0;
	size_t got;
	assert_true(memory_file_open(file, &stream));
	assert_int_equal(stream.size_bytes, size);
	while ((got = stream.read(stream.ctx, bytes, sizeof(bytes))) > 0)
		for (size_t i = 0; i < got; i++)
			assert_int_equal(bytes[i], byte_at(offset++));
	assert_int_equal(offset, size);
	memory_file_close(&stream);
}

static void a_file_is_kept_as_it_was(void **state)
{
	struct stage stage = stage_new(8 * MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", 3 * MIB + 17);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	assert_string_equal(source.outcome.url, "/v1/captures/r.1/file");
	struct memory_file *file = memory_sink_find(stage.memory, "r.1");
	assert_non_null(file);
	assert_string_equal(memory_file_name(file), "a.pcapng");
	check_content(file, 3 * MIB + 17);
	memory_file_unref(file);
	assert_false(is_kept(&stage, "r.2"));
	stage_free(&stage);
}

static void slabs_end_inside_at_and_after_a_file(void **state)
{
	const uint64_t sizes[] = {0, 1, SLAB_BYTES - 1, SLAB_BYTES, SLAB_BYTES + 1, 3 * SLAB_BYTES};
	struct stage stage = stage_new(8 * SLAB_BYTES, NS_PER_S * 100);
	struct source source;
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		put(&stage, &source, "r.1", sizes[i]);
		assert_int_equal(source.outcome.verdict, SINK_OK);
		cleanup(cleanup_memory_file) struct memory_file *file = memory_sink_find(stage.memory, "r.1");
		assert_non_null(file);
		check_content(file, sizes[i]);
	}
	assert_int_equal(slab_pool_usage(slabs).used_bytes, (1 + 1 + 3) * SLAB_BYTES);
	stage_free(&stage);
	assert_int_equal(slab_pool_usage(slabs).used_bytes, 0);
}

static void the_oldest_make_room(void **state)
{
	struct stage stage = stage_new(4 * MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", MIB);
	put(&stage, &source, "r.2", MIB);
	put(&stage, &source, "r.3", 3 * MIB);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	assert_false(is_kept(&stage, "r.1"));
	assert_true(is_kept(&stage, "r.2"));
	assert_true(is_kept(&stage, "r.3"));
	assert_int_equal(memory_sink_usage(stage.memory).bytes, 4 * MIB);
	assert_int_equal(memory_sink_usage(stage.memory).files, 2);
	stage_free(&stage);
}

static void what_is_too_large_is_refused_with_the_key(void **state)
{
	struct stage stage = stage_new(MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", 10);
	put(&stage, &source, "r.2", MIB + 1);
	assert_int_equal(source.outcome.verdict, SINK_REFUSED);
	assert_string_equal(source.outcome.error,
			    "the file has 1048577 bytes, at most 1048576 are kept (memory.bytes)");
	assert_true(is_kept(&stage, "r.1"));
	stage_free(&stage);
}

static void a_file_that_is_read_takes_room_until_its_reader_is_gone(void **state)
{
	struct stage stage = stage_new(MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", MIB);
	struct memory_file *file = memory_sink_find(stage.memory, "r.1");
	put(&stage, &source, "r.2", MIB);
	assert_int_equal(source.outcome.verdict, SINK_RETRY);
	assert_false(is_kept(&stage, "r.1"));
	check_content(file, MIB);
	memory_file_unref(file);
	put(&stage, &source, "r.2", MIB);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	stage_free(&stage);
}

static void a_reader_may_outlive_the_sink(void **state)
{
	struct stage stage = stage_new(MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", 1000);
	struct memory_file *file = memory_sink_find(stage.memory, "r.1");
	stage.memory->class->free(take(stage.memory));
	check_content(file, 1000);
	memory_file_unref(file);
	stage_free(&stage);
}

static void files_go_when_they_are_too_old(void **state)
{
	struct stage stage = stage_new(MIB, NS_PER_MS * 30);
	struct source source;
	(void)state;
	put(&stage, &source, "r.1", 1000);
	const uint64_t kept_ns = clock_boottime_ns();
	while (is_kept(&stage, "r.1"))
		event_base_loop(stage.loop, EVLOOP_ONCE);
	assert_true(clock_boottime_ns() - kept_ns >= NS_PER_MS * 29);
	assert_int_equal(memory_sink_usage(stage.memory).bytes, 0);
	stage_free(&stage);
}

static void a_cancelled_try_leaves_nothing(void **state)
{
	struct stage stage = stage_new(8 * MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	struct sink_attempt *attempt = begin(&stage, &source, "r.1", 4 * MIB);
	event_base_loop(stage.loop, EVLOOP_ONCE); /* its first slice */
	assert_false(stage.memory->class->cancel(stage.memory, attempt, &(struct sink_outcome){0}));
	assert_int_equal(source.opens, source.closes);
	assert_int_equal(memory_sink_usage(stage.memory).bytes, 0);
	assert_int_equal(source.dones, 0);
	stage_free(&stage);
}

static void a_stream_that_ends_early_is_refused(void **state)
{
	struct stage stage = stage_new(8 * MIB, NS_PER_S * 100);
	struct source source;
	(void)state;
	begin(&stage, &source, "r.1", 1000);
	source.size = 10;
	while (!source.dones)
		event_base_loop(stage.loop, EVLOOP_ONCE);
	assert_int_equal(source.outcome.verdict, SINK_REFUSED);
	assert_int_equal(memory_sink_usage(stage.memory).bytes, 0);
	stage_free(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_kept_as_it_was),
		cmocka_unit_test(slabs_end_inside_at_and_after_a_file),
		cmocka_unit_test(the_oldest_make_room),
		cmocka_unit_test(what_is_too_large_is_refused_with_the_key),
		cmocka_unit_test(a_file_that_is_read_takes_room_until_its_reader_is_gone),
		cmocka_unit_test(a_reader_may_outlive_the_sink),
		cmocka_unit_test(files_go_when_they_are_too_old),
		cmocka_unit_test(a_cancelled_try_leaves_nothing),
		cmocka_unit_test(a_stream_that_ends_early_is_refused),
	};
	return cmocka_run_group_tests_name("memory", tests, make_slabs, free_slabs);
}
