/* SPDX-License-Identifier: BSD-2-Clause */
/* The output's write function waits at a gate, so that the queue fills as far as a test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log_output.h"

#define FOREVER_NS (60 * NS_PER_S)
#define TEXT_BYTES 1000

static sem_t gate, at_gate;
static struct {
	size_t count;
	char texts[4096][48];
	bool whole;
} seen;

static void write_line(struct log_line *line)
{
	sem_post(&at_gate);
	while (sem_wait(&gate) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(seen.count < sizeof(seen.texts) / sizeof(seen.texts[0]));
	snprintf(seen.texts[seen.count++], sizeof(seen.texts[0]), "%s", line->text + line->stamp_bytes);
	seen.whole &= line->size == strlen(line->text);
}

static struct log_output output = LOG_OUTPUT_INIT("test", write_line);

static void open_gate(void)
{
	for (size_t i = 0; i < sizeof(seen.texts) / sizeof(seen.texts[0]); i++)
		sem_post(&gate);
}

static void put(unsigned number)
{
	struct log_line line = {.severity = LOG_INFO, .stamp_bytes = 1, .size = TEXT_BYTES};

	memset(line.text, '.', TEXT_BYTES);
	line.text[TEXT_BYTES] = '\0';
	line.text[snprintf(line.text, TEXT_BYTES, " line %u ", number)] = '.';
	log_output_put(&output, &line);
}

static int start(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	seen.whole = true;
	output = (struct log_output)LOG_OUTPUT_INIT("test", write_line);
	return sem_init(&gate, 0, 0) < 0 || sem_init(&at_gate, 0, 0) < 0 || log_output_start(&output) < 0;
}

static int stop(void **state)
{
	(void)state;
	open_gate();
	log_output_stop(&output, FOREVER_NS);
	return 0;
}

/* The thread is in the middle of one line, and the queue is full. Returns the number of lines put before the first
 * drop. */
static unsigned fill(void)
{
	unsigned count = 0;

	put(count++);
	sem_wait(&at_gate);
	while (!log_output_dropped(&output))
		put(count++);
	return count - 1;
}

static void test_lines_keep_their_order_around_the_end_of_the_ring(void **state)
{
	char text[48];

	(void)state;
	open_gate();
	for (unsigned i = 0; i < 3000; i++) {
		put(i);
		while (!log_output_wait(&output, FOREVER_NS))
			;
	}
	log_output_stop(&output, FOREVER_NS);
	assert_int_equal(log_output_dropped(&output), 0);
	assert_int_equal(seen.count, 3000);
	assert_true(seen.whole);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "line %u ", i);
		assert_memory_equal(seen.texts[i], text, strlen(text));
	}
}

static void test_full_queue_drops_without_waiting_and_reports_in_its_place(void **state)
{
	const unsigned queued = fill();
	char text[64];

	(void)state;
	assert_true(queued > LOG_QUEUE_BYTES / (TEXT_BYTES + 16));
	for (unsigned i = 0; i < 9; i++)
		put(9000);
	open_gate();
	while (!log_output_wait(&output, FOREVER_NS))
		;
	put(7777);
	log_output_stop(&output, FOREVER_NS);
	assert_int_equal(log_output_dropped(&output), 10);
	assert_int_equal(seen.count, queued + 2);
	assert_string_equal(seen.texts[queued], "warning log-dropped output=test lines=10");
	snprintf(text, sizeof(text), "line 7777 ");
	assert_memory_equal(seen.texts[queued + 1], text, strlen(text));
}

static void test_drops_are_reported_even_if_no_line_follows(void **state)
{
	const unsigned queued = fill();

	(void)state;
	open_gate();
	for (unsigned i = 0; i < queued; i++) /* the thread comes by for each but the first, and for the report */
		sem_wait(&at_gate);
	log_output_stop(&output, FOREVER_NS);
	assert_int_equal(seen.count, queued + 1);
	assert_string_equal(seen.texts[queued], "warning log-dropped output=test lines=1");
}

static void test_stuck_output_delays_a_stop_no_longer_than_allowed(void **state)
{
	(void)state;
	put(1);
	sem_wait(&at_gate);
	log_output_stop(&output, NS_PER_MS);
	put(2); /* neither waits nor writes */
	assert_int_equal(log_output_dropped(&output), 1);
	open_gate();
}

static void test_waiting_for_a_stuck_output_ends(void **state)
{
	(void)state;
	fill();
	assert_false(log_output_wait(&output, NS_PER_MS));
}

static void test_caller_writes_before_the_start_and_after_the_stop(void **state)
{
	(void)state;
	open_gate();
	log_output_stop(&output, FOREVER_NS);
	put(5);
	assert_int_equal(seen.count, 1);
	assert_true(log_output_wait(&output, FOREVER_NS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines_keep_their_order_around_the_end_of_the_ring, start, stop),
		cmocka_unit_test_setup_teardown(test_full_queue_drops_without_waiting_and_reports_in_its_place, start,
						stop),
		cmocka_unit_test_setup_teardown(test_drops_are_reported_even_if_no_line_follows, start, stop),
		cmocka_unit_test_setup_teardown(test_waiting_for_a_stuck_output_ends, start, stop),
		cmocka_unit_test_setup_teardown(test_caller_writes_before_the_start_and_after_the_stop, start, stop),
		cmocka_unit_test_setup(test_stuck_output_delays_a_stop_no_longer_than_allowed,
				       start), /* leaves its thread: last */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
