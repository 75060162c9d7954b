/* SPDX-License-Identifier: BSD-2-Clause */
/* A check of fake sinks: what they get, what is reported and removed, and that a cancelled one leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "sink/delivery.h"
#include "sink/destination_check.h"

#define GUARD_S 20
#define SINKS 3

struct sink_attempt {
	struct fake *fake;
	const struct sink_file *file;
	struct byte_stream stream;
	struct event *event;
	sink_attempt_done done;
	void *ctx;
};

enum answer { TAKES, REFUSES, HANGS, CANNOT_START };

struct fake {
	struct sink sink;
	struct event_base *loop;
	enum answer answer;
	unsigned cancels, removals;
	struct sink_attempt *open;
	char name[256], bytes[4096];
	size_t size;
	/* A removal that the test ends. */
	sink_remove_done removed;
	void *removed_ctx;
	bool holds_removal;
};

struct world {
	struct event_base *loop;
	struct event *guard;
	struct fake *fakes[SINKS];
	struct deliveries *deliveries;
	unsigned dones;
	bool ok[SINKS], removed[SINKS];
	char errors[SINKS][128], hints[SINKS][128], urls[SINKS][64];
};

static void end_attempt(struct sink_attempt *attempt)
{
	attempt->fake->open = NULL;
	attempt->file->close(attempt->file->ctx, &attempt->stream);
	event_free(attempt->event);
}

static void answer(evutil_socket_t fd, short what, void *ctx)
{
	struct sink_attempt *attempt = ctx;
	struct fake *fake = attempt->fake;
	struct sink_outcome outcome = {.verdict = fake->answer == TAKES ? SINK_OK : SINK_REFUSED};

	(void)fd;
	(void)what;
	snprintf(fake->name, sizeof(fake->name), "%s", attempt->file->name);
	fake->size = attempt->stream.read(attempt->stream.ctx, (uint8_t *)fake->bytes, sizeof(fake->bytes));
	assert_int_equal(fake->size, attempt->stream.size_bytes);
	snprintf(outcome.url, sizeof(outcome.url), "%s", fake->answer == TAKES ? "there" : "");
	snprintf(outcome.error, sizeof(outcome.error), "%s", fake->answer == TAKES ? "" : "HTTP 401");
	end_attempt(attempt);
	attempt->done(attempt->ctx, &outcome);
	free(attempt);
}

static struct sink_attempt *fake_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				       void *ctx)
{
	struct fake *fake = container_of(sink, struct fake, sink);
	struct sink_attempt *attempt;

	if (fake->answer == CANNOT_START)
		return NULL;
	attempt = calloc(1, sizeof(*attempt));
	*attempt = (struct sink_attempt){.fake = fake, .file = file, .done = done, .ctx = ctx};
	attempt->event = event_new(fake->loop, -1, 0, answer, attempt);
	assert_true(file->open(file->ctx, &attempt->stream));
	fake->open = attempt;
	if (fake->answer != HANGS)
		event_active(attempt->event, EV_TIMEOUT, 0);
	return attempt;
}

static bool fake_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	(void)outcome;
	container_of(sink, struct fake, sink)->cancels++;
	end_attempt(attempt);
	free(attempt);
	return false;
}

static void fake_remove(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
			void *ctx)
{
	struct fake *fake = container_of(sink, struct fake, sink);

	assert_string_equal(url, "there");
	assert_string_equal(file->name, fake->name);
	fake->removals++;
	fake->removed = done;
	fake->removed_ctx = ctx;
	if (!fake->holds_removal)
		done(ctx, true);
}

static void fake_free(struct sink *sink)
{
	struct fake *fake = container_of(sink, struct fake, sink);

	assert_null(fake->open);
	free(sink->name);
	free(fake);
}

static const struct sink_class removing = {.start = fake_start,
					   .cancel = fake_cancel,
					   .free = fake_free,
					   .remove = fake_remove};
static const struct sink_class keeping = {.start = fake_start, .cancel = fake_cancel, .free = fake_free};

static void guard(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("nothing happened for %d s", GUARD_S);
}

static void on_done(void *ctx, const struct destination_check_result *results, size_t count)
{
	struct world *world = ctx;

	world->dones++;
	assert_int_equal(count, SINKS);
	for (size_t i = 0; i < count; i++) {
		world->ok[i] = results[i].ok;
		world->removed[i] = results[i].removed;
		snprintf(world->errors[i], sizeof(world->errors[i]), "%s", results[i].error ? results[i].error : "");
		snprintf(world->hints[i], sizeof(world->hints[i]), "%s", results[i].hint ? results[i].hint : "");
		snprintf(world->urls[i], sizeof(world->urls[i]), "%s", results[i].url ? results[i].url : "");
	}
}

static struct world *world_new(enum answer first, enum answer second, enum answer third)
{
	const enum answer answers[] = {first, second, third};
	const struct timeval guard_time = {.tv_sec = GUARD_S};
	const struct delivery_options options = {.breaker = {.failures = 1}};
	struct world *world = calloc(1, sizeof(*world));
	struct sink *list[SINKS];

	world->loop = event_base_new();
	world->guard = evtimer_new(world->loop, guard, NULL);
	event_add(world->guard, &guard_time);
	for (size_t i = 0; i < SINKS; i++) {
		world->fakes[i] = calloc(1, sizeof(struct fake));
		world->fakes[i]->sink = (struct sink){.class = i ? &keeping : &removing, .name = strdup("sink")};
		world->fakes[i]->loop = world->loop;
		world->fakes[i]->answer = answers[i];
		list[i] = &world->fakes[i]->sink;
	}
	world->deliveries = deliveries_new(world->loop, &options, list, SINKS);
	assert_non_null(world->deliveries);
	return world;
}

static void world_free(struct world *world)
{
	deliveries_free(world->deliveries);
	event_free(world->guard);
	event_base_free(world->loop);
	free(world);
}

static struct destination_check *start(struct world *world, uint64_t timeout_ns)
{
	const struct destination_check_options options = {.node = "edge/7", .timeout_ns = timeout_ns};
	struct destination_check *check =
		destination_check_start(world->loop, world->deliveries, &options, on_done, world);

	assert_non_null(check);
	assert_int_equal(world->dones, 0);
	return check;
}

static void wait_done(struct world *world)
{
	while (!world->dones)
		assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
	assert_int_equal(world->dones, 1);
}

static void settle(struct world *world)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(world->loop, EVLOOP_NONBLOCK);
}

static void test_each_is_tried_and_reported(void **state)
{
	struct world *world = world_new(TAKES, REFUSES, CANNOT_START);
	struct destination_status status[SINKS_MAX];

	(void)state;
	start(world, 0);
	wait_done(world);
	assert_true(world->ok[0]);
	assert_true(world->removed[0]);
	assert_string_equal(world->urls[0], "there");
	assert_string_equal(world->errors[0], "");
	assert_string_equal(world->hints[0], "");
	assert_false(world->ok[1]);
	assert_string_equal(world->errors[1], "HTTP 401");
	assert_non_null(strstr(world->hints[1], "token"));
	assert_false(world->ok[2]);
	assert_string_equal(world->errors[2], "cannot start: out of memory");
	deliveries_status(world->deliveries, status);
	assert_int_not_equal(status[0].last_success_ns, 0);
	assert_string_equal(status[1].last_error, "HTTP 401");
	assert_int_equal(status[2].breaker, BREAKER_CLOSED);
	world_free(world);
}

static void test_file_is_a_pcapng_file_with_a_name_that_people_recognise(void **state)
{
	struct world *world = world_new(TAKES, TAKES, TAKES);
	uint32_t words[24];

	(void)state;
	start(world, 0);
	wait_done(world);
	assert_false(world->removed[1]); /* its type cannot */
	assert_memory_equal(world->fakes[0]->name, "edge_7-destination-check-", 25);
	assert_non_null(strstr(world->fakes[0]->name, "Z-check.pcapng"));
	assert_int_equal(world->fakes[0]->size, sizeof(words));
	memcpy(words, world->fakes[0]->bytes, sizeof(words));
	assert_int_equal(words[0], 0x0a0d0d0a);
	assert_int_equal(words[1], 76);
	assert_int_equal(words[2], 0x1a2b3c4d);
	assert_int_equal(words[18], 76);
	assert_int_equal(words[19], 1);
	assert_int_equal(words[20], 20);
	assert_int_equal(words[23], 20);
	world_free(world);
}

static void test_one_that_hangs_is_cut_off(void **state)
{
	struct world *world = world_new(HANGS, TAKES, TAKES);

	(void)state;
	start(world, 20 * NS_PER_MS);
	wait_done(world);
	assert_false(world->ok[0]);
	assert_string_equal(world->errors[0], "no answer within 0.02 s");
	assert_int_equal(world->fakes[0]->cancels, 1);
	assert_true(world->ok[1]);
	world_free(world);
}

static void test_cancelled_check_reports_nothing(void **state)
{
	struct world *world = world_new(HANGS, TAKES, CANNOT_START);
	struct destination_check *check = start(world, 0);

	(void)state;
	destination_check_cancel(check);
	settle(world);
	assert_int_equal(world->dones, 0);
	assert_int_equal(world->fakes[0]->cancels, 1);
	world_free(world);
}

static void test_check_cancelled_during_a_removal_ends_with_it(void **state)
{
	struct world *world = world_new(TAKES, HANGS, HANGS);
	struct destination_check *check;

	(void)state;
	world->fakes[0]->holds_removal = true;
	check = start(world, 0);
	settle(world);
	assert_int_equal(world->fakes[0]->removals, 1);
	destination_check_cancel(check);
	world->fakes[0]->removed(world->fakes[0]->removed_ctx, true);
	settle(world);
	assert_int_equal(world->dones, 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_tried_and_reported),
		cmocka_unit_test(test_file_is_a_pcapng_file_with_a_name_that_people_recognise),
		cmocka_unit_test(test_one_that_hangs_is_cut_off),
		cmocka_unit_test(test_cancelled_check_reports_nothing),
		cmocka_unit_test(test_check_cancelled_during_a_removal_ends_with_it),
	};

	return cmocka_run_group_tests_name("destination_check", tests, NULL, NULL);
}
