/* SPDX-License-Identifier: BSD-2-Clause */
/* Files kept in memory: whole, within the cap, and available as long as a reader has them. */
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

struct fixture {
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
	const size_t used_bytes = slab_pool_usage(slabs).used_bytes;

	(void)state;
	slab_pool_free(slabs);
	return used_bytes ? -1 : 0;
}

static struct fixture fixture_new(uint64_t bytes_max, uint64_t max_age_ns)
{
	const struct memory_sink_options options = {.bytes_max = bytes_max, .max_age_ns = max_age_ns, .slabs = slabs};
	const struct timeval guard_time = {.tv_sec = GUARD_S};
	struct fixture fixture = {.loop = event_base_new()};

	fixture.guard = evtimer_new(fixture.loop, guard, NULL);
	event_add(fixture.guard, &guard_time);
	fixture.memory = memory_sink_new(fixture.loop, "memory", &options);
	assert_non_null(fixture.memory);
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	if (fixture->memory)
		fixture->memory->class->free(fixture->memory);
	event_free(fixture->guard);
	event_base_free(fixture->loop);
}

static struct sink_attempt *begin(struct fixture *fixture, struct source *source, const char *capture, uint64_t size)
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
	struct sink_attempt *attempt = fixture->memory->class->start(fixture->memory, &source->file, on_done, source);
	assert_non_null(attempt);
	assert_int_equal(source->dones, 0);
	return attempt;
}

static void put(struct fixture *fixture, struct source *source, const char *capture, uint64_t size)
{
	begin(fixture, source, capture, size);
	while (!source->dones)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_int_equal(source->dones, 1);
	assert_int_equal(source->opens, source->closes);
}

static bool is_kept(const struct fixture *fixture, const char *capture)
{
	cleanup(cleanup_memory_file) struct memory_file *file = memory_sink_find(fixture->memory, capture);

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

static void test_file_is_kept_unchanged(void **state)
{
	struct fixture fixture = fixture_new(8 * MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", 3 * MIB + 17);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	assert_string_equal(source.outcome.url, "/v1/captures/r.1/file");
	struct memory_file *file = memory_sink_find(fixture.memory, "r.1");
	assert_non_null(file);
	assert_string_equal(memory_file_name(file), "a.pcapng");
	check_content(file, 3 * MIB + 17);
	memory_file_unref(file);
	assert_false(is_kept(&fixture, "r.2"));
	fixture_free(&fixture);
}

static void test_files_of_any_size_fit_their_slabs(void **state)
{
	const uint64_t sizes[] = {0, 1, SLAB_BYTES - 1, SLAB_BYTES, SLAB_BYTES + 1, 3 * SLAB_BYTES};
	struct fixture fixture = fixture_new(8 * SLAB_BYTES, NS_PER_S * 100);
	struct source source;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		put(&fixture, &source, "r.1", sizes[i]);
		assert_int_equal(source.outcome.verdict, SINK_OK);
		cleanup(cleanup_memory_file) struct memory_file *file = memory_sink_find(fixture.memory, "r.1");
		assert_non_null(file);
		check_content(file, sizes[i]);
	}
	assert_int_equal(slab_pool_usage(slabs).used_bytes, (1 + 1 + 3) * SLAB_BYTES);
	fixture_free(&fixture);
	assert_int_equal(slab_pool_usage(slabs).used_bytes, 0);
}

static void test_oldest_files_make_room(void **state)
{
	struct fixture fixture = fixture_new(4 * MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", MIB);
	put(&fixture, &source, "r.2", MIB);
	put(&fixture, &source, "r.3", 3 * MIB);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	assert_false(is_kept(&fixture, "r.1"));
	assert_true(is_kept(&fixture, "r.2"));
	assert_true(is_kept(&fixture, "r.3"));
	assert_int_equal(memory_sink_usage(fixture.memory).bytes, 4 * MIB);
	assert_int_equal(memory_sink_usage(fixture.memory).files, 2);
	fixture_free(&fixture);
}

static void test_oversized_file_is_refused_with_the_key(void **state)
{
	struct fixture fixture = fixture_new(MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", 10);
	put(&fixture, &source, "r.2", MIB + 1);
	assert_int_equal(source.outcome.verdict, SINK_REFUSED);
	assert_string_equal(source.outcome.error,
			    "the file has 1048577 bytes, at most 1048576 are kept (memory.bytes)");
	assert_true(is_kept(&fixture, "r.1"));
	fixture_free(&fixture);
}

static void test_file_being_read_takes_room_until_its_reader_is_gone(void **state)
{
	struct fixture fixture = fixture_new(MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", MIB);
	struct memory_file *file = memory_sink_find(fixture.memory, "r.1");
	put(&fixture, &source, "r.2", MIB);
	assert_int_equal(source.outcome.verdict, SINK_RETRY);
	assert_false(is_kept(&fixture, "r.1"));
	check_content(file, MIB);
	memory_file_unref(file);
	put(&fixture, &source, "r.2", MIB);
	assert_int_equal(source.outcome.verdict, SINK_OK);
	fixture_free(&fixture);
}

static void test_reader_may_outlive_the_sink(void **state)
{
	struct fixture fixture = fixture_new(MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", 1000);
	struct memory_file *file = memory_sink_find(fixture.memory, "r.1");
	fixture.memory->class->free(take(fixture.memory));
	check_content(file, 1000);
	memory_file_unref(file);
	fixture_free(&fixture);
}

static void test_files_expire(void **state)
{
	struct fixture fixture = fixture_new(MIB, NS_PER_MS * 30);
	struct source source;

	(void)state;
	put(&fixture, &source, "r.1", 1000);
	const uint64_t kept_ns = clock_boottime_ns();
	while (is_kept(&fixture, "r.1"))
		event_base_loop(fixture.loop, EVLOOP_ONCE);
	assert_true(clock_boottime_ns() - kept_ns >= NS_PER_MS * 29);
	assert_int_equal(memory_sink_usage(fixture.memory).bytes, 0);
	fixture_free(&fixture);
}

static void test_cancelled_attempt_leaves_nothing(void **state)
{
	struct fixture fixture = fixture_new(8 * MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	struct sink_attempt *attempt = begin(&fixture, &source, "r.1", 4 * MIB);
	event_base_loop(fixture.loop, EVLOOP_ONCE); /* its first slice */
	assert_false(fixture.memory->class->cancel(fixture.memory, attempt, &(struct sink_outcome){0}));
	assert_int_equal(source.opens, source.closes);
	assert_int_equal(memory_sink_usage(fixture.memory).bytes, 0);
	assert_int_equal(source.dones, 0);
	fixture_free(&fixture);
}

static void test_stream_that_ends_early_is_refused(void **state)
{
	struct fixture fixture = fixture_new(8 * MIB, NS_PER_S * 100);
	struct source source;

	(void)state;
	begin(&fixture, &source, "r.1", 1000);
	source.size = 10;
	while (!source.dones)
		event_base_loop(fixture.loop, EVLOOP_ONCE);
	assert_int_equal(source.outcome.verdict, SINK_REFUSED);
	assert_int_equal(memory_sink_usage(fixture.memory).bytes, 0);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_kept_unchanged),
		cmocka_unit_test(test_files_of_any_size_fit_their_slabs),
		cmocka_unit_test(test_oldest_files_make_room),
		cmocka_unit_test(test_oversized_file_is_refused_with_the_key),
		cmocka_unit_test(test_file_being_read_takes_room_until_its_reader_is_gone),
		cmocka_unit_test(test_reader_may_outlive_the_sink),
		cmocka_unit_test(test_files_expire),
		cmocka_unit_test(test_cancelled_attempt_leaves_nothing),
		cmocka_unit_test(test_stream_that_ends_early_is_refused),
	};

	return cmocka_run_group_tests_name("memory", tests, make_slabs, free_slabs);
}
