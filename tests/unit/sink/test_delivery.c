/* SPDX-License-Identifier: BSD-2-Clause */
/* Deliveries to fake sinks on a real loop: attempts, their times and order, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "sink/delivery.h"

#define FILES_MAX 8
#define STARTS_MAX 64
#define GUARD_S 20

/* --- fake sink --- */

struct fake;

struct sink_attempt {
	struct fake *fake;
	const struct sink_file *file;
	struct byte_stream stream;
	struct event *event;
	struct sink_outcome outcome;
	sink_attempt_done done;
	void *ctx;
};

struct fake {
	struct sink sink;
	struct event_base *loop;
	struct sink_outcome script[STARTS_MAX]; /* the attempts' outcomes, in order; then success */
	bool cannot_start[STARTS_MAX];
	bool hold; /* attempts stay open until the test ends them */
	bool ends_when_cancelled;
	size_t starts, running, most_running, cancels;
	char started[STARTS_MAX][16]; /* file names */
	unsigned copies[STARTS_MAX];  /* as the file said */
	struct sink_attempt *open[STARTS_MAX];
	bool *freed;
};

static void fake_close(struct sink_attempt *attempt)
{
	struct fake *fake = attempt->fake;

	for (size_t i = 0; i < STARTS_MAX; i++)
		if (fake->open[i] == attempt)
			fake->open[i] = NULL;
	fake->running--;
	attempt->file->close(attempt->file->ctx, &attempt->stream);
	event_free(attempt->event);
}

static void fake_answer(evutil_socket_t fd, short events, void *ctx)
{
	struct sink_attempt *attempt = ctx;

	(void)fd;
	(void)events;
	fake_close(attempt);
	attempt->done(attempt->ctx, &attempt->outcome);
	free(attempt);
}

static struct sink_attempt *fake_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				       void *ctx)
{
	struct fake *fake = container_of(sink, struct fake, sink);
	size_t number = fake->starts++;
	struct sink_attempt *attempt;

	assert_true(number < STARTS_MAX);
	snprintf(fake->started[number], sizeof(fake->started[number]), "%s", file->name);
	fake->copies[number] = file->copies;
	if (fake->cannot_start[number])
		return NULL;
	attempt = calloc(1, sizeof(*attempt));
	assert_non_null(attempt);
	attempt->fake = fake;
	attempt->file = file;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->outcome = fake->script[number];
	attempt->event = event_new(fake->loop, -1, 0, fake_answer, attempt);
	assert_non_null(attempt->event);
	assert_true(file->open(file->ctx, &attempt->stream));
	fake->open[number] = attempt;
	if (++fake->running > fake->most_running)
		fake->most_running = fake->running;
	if (!fake->hold)
		event_active(attempt->event, EV_TIMEOUT, 0);
	return attempt;
}

static bool fake_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct fake *fake = container_of(sink, struct fake, sink);

	fake->cancels++;
	fake_close(attempt);
	*outcome = attempt->outcome;
	free(attempt);
	return fake->ends_when_cancelled;
}

static void fake_free(struct sink *sink)
{
	struct fake *fake = container_of(sink, struct fake, sink);

	if (fake->freed)
		*fake->freed = true;
	assert_int_equal(fake->running, 0);
	free(fake->sink.name);
	free(fake);
}

static const struct sink_class fake_class = {.start = fake_start, .cancel = fake_cancel, .free = fake_free};

/* Ends attempt number `start` of this sink. */
static void fake_end(struct fake *fake, size_t start)
{
	assert_non_null(fake->open[start]);
	event_active(fake->open[start]->event, EV_TIMEOUT, 0);
}

/* --- files and results --- */

struct world;

struct file {
	struct sink_file file;
	struct world *world;
	struct delivery *delivery;
	char name[16];
	size_t opens, closes;
	bool starting; /* inside delivery_start */
	unsigned dones;
	size_t count;
	struct {
		char name[16], url[64], error[256];
		bool ok, superseded;
		unsigned attempts;
	} results[SINKS_MAX];
};

struct world {
	struct event_base *loop;
	struct event *guard;
	struct deliveries *deliveries;
	struct fake *sinks[3];
	struct file files[FILES_MAX];
	bool start_another, free_all; /* in the next `done` */
};

static bool file_open(void *ctx, struct byte_stream *stream)
{
	struct file *file = ctx;

	file->opens++;
	*stream = (struct byte_stream){.ctx = file};
	return true;
}

static void file_close(void *ctx, struct byte_stream *stream)
{
	struct file *file = ctx;

	assert_ptr_equal(stream->ctx, file);
	file->closes++;
}

static void start(struct world *world, size_t number, char *const *destinations, size_t count);
static void start_targets(struct world *world, size_t number, const struct delivery_targets *targets);

static void on_done(void *ctx, const struct delivery_result *results, size_t count)
{
	struct file *file = ctx;
	struct world *world = file->world;

	assert_false(file->starting);
	assert_int_equal(file->opens, file->closes);
	file->dones++;
	file->delivery = NULL;
	file->count = count;
	for (size_t i = 0; i < count; i++) {
		snprintf(file->results[i].name, sizeof(file->results[i].name), "%s", results[i].name);
		snprintf(file->results[i].url, sizeof(file->results[i].url), "%s",
			 results[i].url ? results[i].url : "");
		snprintf(file->results[i].error, sizeof(file->results[i].error), "%s",
			 results[i].error ? results[i].error : "");
		file->results[i].ok = results[i].ok;
		file->results[i].attempts = results[i].attempts;
		file->results[i].superseded = results[i].superseded;
	}
	if (world->start_another) {
		world->start_another = false;
		start(world, 7, NULL, 0);
	}
	if (world->free_all) {
		deliveries_free(world->deliveries);
		world->deliveries = NULL;
	}
}

static void start(struct world *world, size_t number, char *const *destinations, size_t count)
{
	const struct delivery_targets targets = {.all = destinations, .all_count = count};

	start_targets(world, number, destinations ? &targets : NULL);
}

static void start_targets(struct world *world, size_t number, const struct delivery_targets *targets)
{
	struct file *file = &world->files[number];

	file->world = world;
	snprintf(file->name, sizeof(file->name), "file%zu", number);
	file->file = (struct sink_file){
		.name = file->name, .tags = "", .id = "test", .ctx = file, .open = file_open, .close = file_close};
	file->starting = true;
	file->delivery = delivery_start(world->deliveries, &file->file, targets, on_done, file);
	file->starting = false;
	assert_non_null(file->delivery);
	assert_int_equal(file->dones, 0);
}

static void guard(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	(void)ctx;
	fail_msg("nothing happened for %d s", GUARD_S);
}

static void step(struct world *world)
{
	assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
}

static void wait_done(struct world *world, size_t number)
{
	while (!world->files[number].dones)
		step(world);
	assert_int_equal(world->files[number].dones, 1);
}

static void wait_starts(struct world *world, size_t sink, size_t starts)
{
	while (world->sinks[sink]->starts < starts)
		step(world);
}

/* Handles what is ready now, but no later timers. */
static void settle(struct world *world)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(world->loop, EVLOOP_NONBLOCK);
}

static struct world *world_new(size_t sinks, struct delivery_options options)
{
	static const char *const names[] = {"first", "second", "third"};
	struct world *world = calloc(1, sizeof(*world));
	struct timeval guard_time = {.tv_sec = GUARD_S};
	struct sink *list[3];

	assert_non_null(world);
	world->loop = event_base_new();
	world->guard = evtimer_new(world->loop, guard, NULL);
	event_add(world->guard, &guard_time);
	for (size_t i = 0; i < sinks; i++) {
		world->sinks[i] = calloc(1, sizeof(struct fake));
		assert_non_null(world->sinks[i]);
		world->sinks[i]->sink = (struct sink){.class = &fake_class, .name = strdup(names[i])};
		world->sinks[i]->loop = world->loop;
		list[i] = &world->sinks[i]->sink;
	}
	if (!options.first_backoff_ns)
		options.first_backoff_ns = 1000;
	world->deliveries = deliveries_new(world->loop, &options, list, sinks);
	assert_non_null(world->deliveries);
	return world;
}

static void world_free(struct world *world)
{
	deliveries_free(world->deliveries);
	for (size_t i = 0; i < FILES_MAX; i++)
		assert_int_equal(world->files[i].opens, world->files[i].closes);
	event_free(world->guard);
	event_base_free(world->loop);
	free(world);
}

static struct sink_outcome retry(const char *error)
{
	struct sink_outcome outcome = {.verdict = SINK_RETRY};

	snprintf(outcome.error, sizeof(outcome.error), "%s", error);
	return outcome;
}

static struct sink_outcome refused(const char *error)
{
	struct sink_outcome outcome = retry(error);

	outcome.verdict = SINK_REFUSED;
	return outcome;
}

static struct sink_outcome taken(const char *url)
{
	struct sink_outcome outcome = {.verdict = SINK_OK};

	snprintf(outcome.url, sizeof(outcome.url), "%s", url);
	return outcome;
}

#define TEN_SECONDS (10 * NS_PER_S)

/* --- tests --- */

static void test_sinks_on_request_are_used_only_by_name(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){0});
	char second[] = "second";
	char *const named[] = {second};

	(void)state;
	world->sinks[1]->sink.on_request = true;
	world->sinks[0]->script[0] = taken("https://x/1");
	world->sinks[1]->script[0] = taken("https://y/1");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_int_equal(world->files[0].count, 1);
	assert_string_equal(world->files[0].results[0].name, "first");
	start(world, 1, named, 1);
	wait_done(world, 1);
	assert_int_equal(world->files[1].count, 1);
	assert_string_equal(world->files[1].results[0].url, "https://y/1");
	world_free(world);
}

static void test_delivered_file_is_reported_with_its_url(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->script[0] = taken("https://x/1");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_int_equal(world->files[0].count, 1);
	assert_string_equal(world->files[0].results[0].name, "first");
	assert_true(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].url, "https://x/1");
	assert_string_equal(world->files[0].results[0].error, "");
	assert_int_equal(world->files[0].results[0].attempts, 1);
	assert_int_equal(world->files[0].opens, 1);
	world_free(world);
}

static void test_failed_attempts_are_retried_until_one_succeeds(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->script[0] = retry("down");
	world->sinks[0]->script[1] = retry("still down");
	world->sinks[0]->script[2] = taken("u");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_true(world->files[0].results[0].ok);
	assert_int_equal(world->files[0].results[0].attempts, 3);
	assert_string_equal(world->files[0].results[0].error, "");
	assert_int_equal(world->files[0].opens, 3);
	world_free(world);
}

static void test_refusal_is_final_and_keeps_its_text(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->script[0] = refused("no such token");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	settle(world);
	assert_false(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].error, "no such token");
	assert_int_equal(world->sinks[0]->starts, 1);
	world_free(world);
}

static void test_last_error_is_final_after_max_attempts(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.max_attempts = 3});

	(void)state;
	world->sinks[0]->script[0] = retry("one");
	world->sinks[0]->script[1] = retry("two");
	world->sinks[0]->script[2] = retry("three");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_false(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].error, "three");
	assert_int_equal(world->files[0].results[0].attempts, 3);
	assert_int_equal(world->sinks[0]->starts, 3);
	world_free(world);
}

static void test_last_error_is_final_when_time_is_up(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.give_up_after_ns = 30 * NS_PER_MS});

	(void)state;
	for (size_t i = 0; i < sizeof(world->sinks[0]->script) / sizeof(*world->sinks[0]->script); i++) {
		world->sinks[0]->script[i] = retry("busy");
		world->sinks[0]->script[i].retry_after_ns = 20 * NS_PER_MS;
	}
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_false(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].error, "busy");
	assert_in_range(world->files[0].results[0].attempts, 1, 2);
	world_free(world);
}

static void test_file_sent_whole_without_an_answer_is_sent_three_times_at_most(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.copy_wait_ns = NS_PER_MS});

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		world->sinks[0]->script[i] = retry("cut");
		world->sinks[0]->script[i].copies = i == 1 ? 0 : 1; /* the second did not send it whole */
	}
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_false(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].error,
			    "the whole file was sent 3 times and no answer came; it may be there (last error: cut)");
	assert_int_equal(world->files[0].results[0].attempts, 4);
	assert_memory_equal(world->sinks[0]->copies, ((unsigned[]){0, 1, 1, 2}),
			    4 * sizeof(unsigned)); /* so sinks can ask */
	world_free(world);
}

static void test_attempt_ends_with_the_time_to_retry(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.give_up_after_ns = 20 * NS_PER_MS});

	(void)state;
	world->sinks[0]->hold = true; /* it would go on for ever */
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_false(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].error, "the time to retry (limits.retry) is over");
	assert_int_equal(world->files[0].results[0].attempts, 1);
	assert_int_equal(world->sinks[0]->cancels, 1);
	assert_int_equal(world->files[0].opens, world->files[0].closes);
	world_free(world);
}

static void test_retry_after_is_respected(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});
	uint64_t before;

	(void)state;
	world->sinks[0]->script[0] = retry("busy");
	world->sinks[0]->script[0].retry_after_ns = 50 * NS_PER_MS;
	before = clock_boottime_ns();
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	/* libevent's clock is coarse: a tick may be missing */
	assert_true(clock_boottime_ns() - before >= 40 * NS_PER_MS);
	assert_int_equal(world->files[0].results[0].attempts, 2);
	world_free(world);
}

static void test_attempt_that_cannot_start_counts(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->cannot_start[0] = true;
	world->sinks[0]->script[1] = taken("u");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_true(world->files[0].results[0].ok);
	assert_int_equal(world->files[0].results[0].attempts, 2);
	world_free(world);
}

static void test_sink_that_never_starts_is_reported_after_start_returns(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.max_attempts = 1});

	(void)state;
	world->sinks[0]->cannot_start[0] = true;
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_false(world->files[0].results[0].ok);
	assert_non_null(strstr(world->files[0].results[0].error, "cannot start the attempt"));
	world_free(world);
}

static void test_attempts_are_capped_at_parallel_in_fifo_order(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.parallel = 2});
	struct fake *fake = world->sinks[0];

	(void)state;
	fake->hold = true;
	for (size_t i = 0; i < 5; i++)
		start(world, i, NULL, 0);
	settle(world);
	assert_int_equal(fake->starts, 2);
	for (size_t i = 0; i < 5; i++) {
		fake_end(fake, i);
		wait_done(world, i);
		settle(world);
		assert_int_equal(fake->starts, i + 3 < 5 ? i + 3 : 5);
	}
	assert_int_equal(fake->most_running, 2);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(fake->started[i], world->files[i].name);
	world_free(world);
}

static void test_waiting_delivery_holds_no_stream(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.parallel = 1});

	(void)state;
	world->sinks[0]->hold = true;
	world->sinks[0]->script[0] = retry("busy");
	world->sinks[0]->script[0].retry_after_ns = TEN_SECONDS;
	start(world, 0, NULL, 0);
	start(world, 1, NULL, 0);
	wait_starts(world, 0, 1);
	assert_int_equal(world->files[0].opens, 1);
	assert_int_equal(world->files[1].opens, 0);
	fake_end(world->sinks[0], 0);
	wait_starts(world, 0, 2);
	assert_int_equal(world->files[0].closes, 1);
	assert_int_equal(world->files[1].opens, 1);
	world_free(world);
}

static void test_backoff_does_not_occupy_the_destination(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.parallel = 1});

	(void)state;
	world->sinks[0]->script[0] = retry("busy");
	world->sinks[0]->script[0].retry_after_ns = TEN_SECONDS;
	start(world, 0, NULL, 0);
	start(world, 1, NULL, 0);
	wait_done(world, 1);
	assert_true(world->files[1].results[0].ok);
	assert_int_equal(world->files[0].dones, 0);
	world_free(world);
}

static void test_destinations_succeed_or_fail_independently(void **state)
{
	struct world *world = world_new(3, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->script[0] = retry("later");
	world->sinks[0]->script[1] = taken("u0");
	world->sinks[1]->script[0] = refused("never");
	world->sinks[2]->hold = true;
	world->sinks[2]->script[0] = taken("u2");
	start(world, 0, NULL, 0);
	wait_starts(world, 0, 2);
	settle(world);
	assert_int_equal(world->files[0].dones, 0); /* the third is not done */
	fake_end(world->sinks[2], 0);
	wait_done(world, 0);
	assert_int_equal(world->files[0].count, 3);
	assert_true(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].url, "u0");
	assert_int_equal(world->files[0].results[0].attempts, 2);
	assert_false(world->files[0].results[1].ok);
	assert_string_equal(world->files[0].results[1].error, "never");
	assert_true(world->files[0].results[2].ok);
	assert_string_equal(world->files[0].results[2].url, "u2");
	world_free(world);
}

static void test_destinations_run_in_parallel(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){.parallel = 1});

	(void)state;
	world->sinks[0]->hold = world->sinks[1]->hold = true;
	start(world, 0, NULL, 0);
	settle(world);
	assert_int_equal(world->sinks[0]->running, 1);
	assert_int_equal(world->sinks[1]->running, 1);
	assert_int_equal(world->files[0].opens, 2);
	world_free(world);
}

static void test_named_destinations_are_served_once_each(void **state)
{
	char second[] = "second", nowhere[] = "nowhere";
	char *const names[] = {second, nowhere, second};
	struct world *world = world_new(3, (struct delivery_options){0});

	(void)state;
	start(world, 0, names, 3);
	wait_done(world, 0);
	assert_int_equal(world->files[0].count, 2);
	assert_string_equal(world->files[0].results[0].name, "second");
	assert_true(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[1].name, "nowhere");
	assert_false(world->files[0].results[1].ok);
	assert_non_null(strstr(world->files[0].results[1].error, "no destination"));
	assert_int_equal(world->sinks[0]->starts + world->sinks[2]->starts, 0);
	world_free(world);
}

static void test_delivery_without_destinations_completes_empty(void **state)
{
	char *const none[] = {NULL};
	struct world *world = world_new(0, (struct delivery_options){0});
	struct world *chosen = world_new(1, (struct delivery_options){0});

	(void)state;
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_int_equal(world->files[0].count, 0);
	start(chosen, 0, none, 0);
	wait_done(chosen, 0);
	assert_int_equal(chosen->files[0].count, 0);
	assert_int_equal(chosen->sinks[0]->starts, 0);
	world_free(world);
	world_free(chosen);
}

static void test_abandoned_delivery_is_reported_at_once_in_any_state(void **state)
{
	struct world *world = world_new(3, (struct delivery_options){.parallel = 1});

	(void)state;
	world->sinks[0]->hold = true;			   /* runs */
	world->sinks[1]->script[0] = taken("u");	   /* is done */
	world->sinks[2]->script[0] = retry("server busy"); /* backs off */
	world->sinks[2]->script[0].retry_after_ns = TEN_SECONDS;
	start(world, 0, NULL, 0);
	start(world, 1, (char *[]){(char[]){"first"}}, 1); /* waits */
	wait_starts(world, 2, 1);
	settle(world);

	delivery_abandon(world->files[0].delivery, "shutting down");
	assert_int_equal(world->files[0].dones, 1);
	assert_int_equal(world->sinks[0]->cancels, 1);
	assert_string_equal(world->files[0].results[0].error, "shutting down");
	assert_int_equal(world->files[0].results[0].attempts, 1);
	assert_true(world->files[0].results[1].ok);
	assert_string_equal(world->files[0].results[1].url, "u");
	assert_string_equal(world->files[0].results[2].error, "shutting down (last error: server busy)");

	delivery_abandon(world->files[1].delivery, "shutting down");
	assert_int_equal(world->files[1].dones, 1);
	assert_int_equal(world->files[1].results[0].attempts, 0);
	assert_int_equal(world->files[1].opens, 0);
	settle(world);
	assert_int_equal(world->sinks[0]->starts, 1);
	assert_int_equal(world->files[0].dones, 1);
	world_free(world);
}

static void test_outcome_reached_before_cancelling_counts(void **state)
{
	struct world *world = world_new(3, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->script[0] = taken("there");
	world->sinks[1]->script[0] = retry("disk full");
	world->sinks[2]->script[0] = taken("not there yet");
	for (size_t i = 0; i < 3; i++)
		world->sinks[i]->hold = true;
	world->sinks[0]->ends_when_cancelled = world->sinks[1]->ends_when_cancelled = true;
	start(world, 0, NULL, 0);
	wait_starts(world, 2, 1);

	delivery_abandon(world->files[0].delivery, "shutting down");
	assert_int_equal(world->files[0].dones, 1);
	assert_true(world->files[0].results[0].ok);
	assert_string_equal(world->files[0].results[0].url, "there");
	assert_false(world->files[0].results[1].ok);
	assert_string_equal(world->files[0].results[1].error, "shutting down (last error: disk full)");
	assert_false(world->files[0].results[2].ok);
	assert_string_equal(world->files[0].results[2].error, "shutting down");
	world_free(world);
}

static void test_abandoning_before_done_reports_once(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	start(world, 0, (char *[]){(char[]){"elsewhere"}}, 1);
	delivery_abandon(world->files[0].delivery, "too late");
	settle(world);
	assert_int_equal(world->files[0].dones, 1);
	assert_non_null(strstr(world->files[0].results[0].error, "no destination"));
	world_free(world);
}

static void test_abandoning_starts_the_next_file(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.parallel = 1});

	(void)state;
	world->sinks[0]->hold = true;
	start(world, 0, NULL, 0);
	start(world, 1, NULL, 0);
	wait_starts(world, 0, 1);
	delivery_abandon(world->files[0].delivery, "enough");
	wait_starts(world, 0, 2);
	assert_string_equal(world->sinks[0]->started[1], "file1");
	world_free(world);
}

static void test_freeing_cancels_everything_without_callbacks(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){.parallel = 1});
	bool freed[2] = {false, false};

	(void)state;
	world->sinks[0]->hold = true;
	world->sinks[1]->script[0] = retry("busy");
	world->sinks[1]->script[0].retry_after_ns = TEN_SECONDS;
	world->sinks[0]->freed = &freed[0];
	world->sinks[1]->freed = &freed[1];
	for (size_t i = 0; i < 3; i++)
		start(world, i, NULL, 0);
	wait_starts(world, 1, 3);
	settle(world);
	deliveries_free(world->deliveries);
	world->deliveries = NULL;
	assert_true(freed[0] && freed[1]);
	settle(world);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(world->files[i].dones, 0);
		assert_int_equal(world->files[i].opens, world->files[i].closes);
	}
	world_free(world);
}

static void test_done_may_start_another_delivery(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.parallel = 1});

	(void)state;
	world->start_another = true;
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	wait_done(world, 7);
	assert_true(world->files[7].results[0].ok);
	world_free(world);
}

static void test_done_may_free_everything(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){0});

	(void)state;
	world->free_all = true;
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	settle(world);
	world_free(world);
}

static void test_destination_names_are_those_of_the_sinks(void **state)
{
	struct world *world = world_new(3, (struct delivery_options){0});
	const char *names[SINKS_MAX];

	(void)state;
	assert_int_equal(deliveries_destination_names(world->deliveries, names), 3);
	assert_string_equal(names[0], "first");
	assert_string_equal(names[2], "third");
	world_free(world);
}

/* --- first_of --- */

/* Starts a file that goes to the first of these that takes it. */
static void start_first_of(struct world *world, size_t number, char *const *first_of, size_t count)
{
	start_targets(world, number, &(struct delivery_targets){.first_of = first_of, .first_of_count = count});
}

static char first[] = "first", second[] = "second", third[] = "third";
static char *const all_three[] = {first, second, third};

static void test_the_next_of_first_of_is_tried_after_a_final_failure_only(void **state)
{
	struct world *world = world_new(3, (struct delivery_options){.max_attempts = 2});
	const struct file *file = &world->files[0];

	(void)state;
	world->sinks[0]->script[0] = retry("down");
	world->sinks[0]->script[1] = retry("still down");
	world->sinks[1]->script[0] = retry("busy");
	world->sinks[1]->script[1] = taken("https://y/1");
	start_first_of(world, 0, all_three, 3);
	wait_done(world, 0);
	assert_int_equal(file->count, 2);
	assert_string_equal(file->results[0].name, "first");
	assert_string_equal(file->results[0].error, "still down");
	assert_int_equal(file->results[0].attempts, 2);
	assert_true(file->results[0].superseded);
	assert_string_equal(file->results[1].name, "second");
	assert_true(file->results[1].ok);
	assert_string_equal(file->results[1].url, "https://y/1");
	assert_false(file->results[1].superseded);
	assert_int_equal(world->sinks[2]->starts, 0);
	world_free(world);
}

static void test_the_last_of_first_of_is_the_failure_if_all_fail(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){0});
	const struct file *file = &world->files[0];

	(void)state;
	world->sinks[0]->script[0] = refused("no");
	world->sinks[1]->script[0] = refused("no either");
	start_first_of(world, 0, all_three, 2);
	wait_done(world, 0);
	assert_int_equal(file->count, 2);
	assert_true(file->results[0].superseded);
	assert_false(file->results[1].ok);
	assert_false(file->results[1].superseded);
	assert_string_equal(file->results[1].error, "no either");
	world_free(world);
}

static void test_default_first_of_goes_with_the_others_that_are_enabled(void **state)
{
	static char *const chain[] = {third, first};
	struct world *world =
		world_new(3, (struct delivery_options){.defaults = {.first_of = chain, .first_of_count = 2}});
	const struct file *file = &world->files[0];

	(void)state;
	world->sinks[2]->sink.on_request = true;
	assert_true(deliveries_is_enabled(world->deliveries, "third"));
	world->sinks[2]->script[0] = refused("full");
	start(world, 0, NULL, 0);
	wait_done(world, 0);
	assert_int_equal(file->count, 3);
	assert_string_equal(file->results[0].name, "second");
	assert_string_equal(file->results[1].name, "third");
	assert_true(file->results[1].superseded);
	assert_string_equal(file->results[2].name, "first");
	assert_true(file->results[2].ok);
	start(world, 1, &all_three[1], 1); /* one that names destinations goes to these only */
	wait_done(world, 1);
	assert_int_equal(world->files[1].count, 1);
	world_free(world);
}

static void test_abandoned_delivery_does_not_go_on_to_the_next_of_first_of(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){0});

	(void)state;
	world->sinks[0]->hold = true;
	start_first_of(world, 0, all_three, 2);
	wait_starts(world, 0, 1);
	delivery_abandon(world->files[0].delivery, "stopped");
	settle(world);
	assert_int_equal(world->files[0].count, 1);
	assert_string_equal(world->files[0].results[0].error, "stopped");
	assert_false(world->files[0].results[0].superseded);
	assert_int_equal(world->sinks[1]->starts, 0);
	world_free(world);
}

/* --- the breaker --- */

#define AN_HOUR (3600 * NS_PER_S)

/* Opens the breaker of the first sink, which opens after one failure, with a file that then backs off. */
static void open_first(struct world *world, size_t number)
{
	world->sinks[0]->script[0] = retry("down");
	start(world, number, all_three, 1);
	wait_starts(world, 0, 1);
	settle(world);
}

static void test_open_breaker_holds_files_back_and_the_first_success_lets_all_go(void **state)
{
	struct world *world =
		world_new(2, (struct delivery_options){.give_up_after_ns = AN_HOUR,
						       .breaker = {.failures = 1, .first_wait_ns = 100 * NS_PER_MS}});
	struct destination_status status[SINKS_MAX];

	(void)state;
	open_first(world, 0);
	world->sinks[0]->hold = true;
	for (size_t i = 1; i < 4; i++)
		start(world, i, NULL, 0);
	for (size_t i = 1; i < 4; i++)
		wait_starts(world, 1, i); /* others go on */
	assert_int_equal(deliveries_status(world->deliveries, status), 2);
	assert_string_equal(status[0].name, "first");
	assert_int_equal(status[0].waiting_files, 4);
	assert_string_equal(status[0].last_error, "down");
	assert_int_equal(status[0].breaker_openings, 1);
	wait_starts(world, 0, 2); /* the one attempt of the half-open breaker */
	settle(world);
	assert_int_equal(world->sinks[0]->starts, 2);
	fake_end(world->sinks[0], 1);
	world->sinks[0]->hold = false;
	for (size_t i = 0; i < 4; i++) {
		wait_done(world, i);
		assert_true(world->files[i].results[0].ok);
	}
	deliveries_status(world->deliveries, status);
	assert_int_equal(status[0].breaker, BREAKER_CLOSED);
	assert_int_equal(status[0].waiting_files, 0);
	assert_int_not_equal(status[0].last_success_ns, 0);
	world_free(world);
}

static void test_file_held_back_fails_when_its_time_is_over(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.give_up_after_ns = 50 * NS_PER_MS,
								     .breaker = {.failures = 1,
										 .first_wait_ns = AN_HOUR,
										 .max_wait_ns = AN_HOUR}});
	const uint64_t begin_ns = clock_boottime_ns();

	(void)state;
	open_first(world, 0);
	start(world, 1, NULL, 0);
	wait_done(world, 1);
	assert_in_range(clock_boottime_ns() - begin_ns, 50 * NS_PER_MS, 10 * NS_PER_S);
	assert_int_equal(world->sinks[0]->starts, 1);
	assert_int_equal(world->files[1].results[0].attempts, 0);
	assert_string_equal(world->files[1].results[0].error,
			    "the time to retry (limits.retry) is over (last error: down)");
	world_free(world);
}

static void test_open_breaker_sends_files_on_to_the_next_of_first_of(void **state)
{
	struct world *world = world_new(2, (struct delivery_options){.give_up_after_ns = 2 * AN_HOUR,
								     .first_backoff_ns = AN_HOUR,
								     .max_backoff_ns = AN_HOUR,
								     .breaker = {.failures = 2,
										 .first_wait_ns = AN_HOUR,
										 .max_wait_ns = AN_HOUR}});
	const struct file *file = &world->files[1];

	(void)state;
	world->sinks[0]->script[0] = retry("down");
	world->sinks[0]->script[1] = retry("down again");
	start_first_of(world, 0, all_three, 2);
	wait_starts(world, 0, 1);
	settle(world);
	assert_int_equal(world->files[0].dones, 0); /* backs off: not finally failed */
	start_first_of(world, 1, all_three, 2);	    /* opens the breaker: both go on */
	wait_done(world, 0);
	wait_done(world, 1);
	start_first_of(world, 2, all_three, 2); /* without an attempt */
	wait_done(world, 2);
	assert_int_equal(world->sinks[0]->starts, 2);
	assert_string_equal(file->results[0].error, "down again");
	assert_true(file->results[0].superseded);
	assert_true(file->results[1].ok);
	assert_string_equal(world->files[0].results[0].error, "the destination has been failing (last error: down)");
	assert_string_equal(world->files[2].results[0].error,
			    "the destination has been failing (last error: down again)");
	assert_int_equal(world->files[2].results[0].attempts, 0);
	assert_true(world->files[2].results[1].ok);
	world_free(world);
}

static void test_refusals_do_not_open_the_breaker(void **state)
{
	struct world *world = world_new(1, (struct delivery_options){.breaker = {.failures = 1}});
	struct destination_status status[SINKS_MAX];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		world->sinks[0]->script[i] = refused("too large");
		start(world, i, NULL, 0);
		wait_done(world, i);
	}
	deliveries_status(world->deliveries, status);
	assert_int_equal(status[0].breaker, BREAKER_CLOSED);
	assert_string_equal(status[0].last_error, "too large");
	world_free(world);
}

static void test_cancelled_probe_is_followed_by_another(void **state)
{
	struct world *world =
		world_new(1, (struct delivery_options){.give_up_after_ns = AN_HOUR,
						       .breaker = {.failures = 1, .first_wait_ns = NS_PER_MS}});

	(void)state;
	open_first(world, 0);
	world->sinks[0]->hold = true;
	start(world, 1, NULL, 0);
	wait_starts(world, 0, 2);
	start(world, 2, NULL, 0);
	world->sinks[0]->hold = false;
	for (size_t i = 0; i < 2; i++) /* one of them is the probe */
		delivery_abandon(world->files[i].delivery, "stopped");
	wait_done(world, 2);
	assert_true(world->files[2].results[0].ok);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sinks_on_request_are_used_only_by_name),
		cmocka_unit_test(test_delivered_file_is_reported_with_its_url),
		cmocka_unit_test(test_failed_attempts_are_retried_until_one_succeeds),
		cmocka_unit_test(test_refusal_is_final_and_keeps_its_text),
		cmocka_unit_test(test_last_error_is_final_after_max_attempts),
		cmocka_unit_test(test_last_error_is_final_when_time_is_up),
		cmocka_unit_test(test_file_sent_whole_without_an_answer_is_sent_three_times_at_most),
		cmocka_unit_test(test_attempt_ends_with_the_time_to_retry),
		cmocka_unit_test(test_retry_after_is_respected),
		cmocka_unit_test(test_attempt_that_cannot_start_counts),
		cmocka_unit_test(test_sink_that_never_starts_is_reported_after_start_returns),
		cmocka_unit_test(test_attempts_are_capped_at_parallel_in_fifo_order),
		cmocka_unit_test(test_waiting_delivery_holds_no_stream),
		cmocka_unit_test(test_backoff_does_not_occupy_the_destination),
		cmocka_unit_test(test_destinations_succeed_or_fail_independently),
		cmocka_unit_test(test_destinations_run_in_parallel),
		cmocka_unit_test(test_named_destinations_are_served_once_each),
		cmocka_unit_test(test_delivery_without_destinations_completes_empty),
		cmocka_unit_test(test_abandoned_delivery_is_reported_at_once_in_any_state),
		cmocka_unit_test(test_outcome_reached_before_cancelling_counts),
		cmocka_unit_test(test_abandoning_before_done_reports_once),
		cmocka_unit_test(test_abandoning_starts_the_next_file),
		cmocka_unit_test(test_freeing_cancels_everything_without_callbacks),
		cmocka_unit_test(test_done_may_start_another_delivery),
		cmocka_unit_test(test_done_may_free_everything),
		cmocka_unit_test(test_destination_names_are_those_of_the_sinks),
		cmocka_unit_test(test_the_next_of_first_of_is_tried_after_a_final_failure_only),
		cmocka_unit_test(test_the_last_of_first_of_is_the_failure_if_all_fail),
		cmocka_unit_test(test_default_first_of_goes_with_the_others_that_are_enabled),
		cmocka_unit_test(test_abandoned_delivery_does_not_go_on_to_the_next_of_first_of),
		cmocka_unit_test(test_open_breaker_holds_files_back_and_the_first_success_lets_all_go),
		cmocka_unit_test(test_file_held_back_fails_when_its_time_is_over),
		cmocka_unit_test(test_open_breaker_sends_files_on_to_the_next_of_first_of),
		cmocka_unit_test(test_refusals_do_not_open_the_breaker),
		cmocka_unit_test(test_cancelled_probe_is_followed_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
