/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/container_of.h"
#include "base/mailbox.h"

#define THREADS 4
#define LETTERS 20000

struct message {
	struct mailbox_message posted;
	unsigned sender, number;
};

struct post_office {
	struct event_base *loop;
	struct mailbox *mailbox;
	unsigned received, expected;
	unsigned next[THREADS]; /* number expected of each sender */
	bool in_order;
	unsigned repost; /* so many messages are put back when they arrive */
};

static void on_message(void *ctx, struct mailbox_message *posted)
{
	struct post_office *office = ctx;
	struct message *message = container_of(posted, struct message, posted);

	if (office->repost > 0) {
		office->repost--;
		mailbox_post(office->mailbox, posted);
		return;
	}
	if (message->number != office->next[message->sender]++)
		office->in_order = false;
	if (++office->received == office->expected)
		event_base_loopbreak(office->loop);
}

static int set_up(void **state)
{
	struct post_office *office = calloc(1, sizeof(*office));

	office->loop = event_base_new();
	office->mailbox = mailbox_new(office->loop, on_message, office);
	office->in_order = true;
	*state = office;
	return office->mailbox ? 0 : -1;
}

static int tear_down(void **state)
{
	struct post_office *office = *state;

	mailbox_free(office->mailbox);
	event_base_free(office->loop);
	free(office);
	return 0;
}

struct sender {
	struct post_office *office;
	struct message *messages;
};

static void *send_all(void *ctx)
{
	struct sender *sender = ctx;

	for (unsigned i = 0; i < LETTERS; i++)
		mailbox_post(sender->office->mailbox, &sender->messages[i].posted);
	return NULL;
}

static void letters_of_many_threads_all_arrive_in_each_ones_order(void **state)
{
	struct post_office *office = *state;
	struct sender senders[THREADS];
	pthread_t threads[THREADS];

	office->expected = THREADS * LETTERS;
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){office, calloc(LETTERS, sizeof(struct message))};
		for (unsigned k = 0; k < LETTERS; k++)
			senders[i].messages[k] = (struct message){.sender = i, .number = k};
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	event_base_dispatch(office->loop);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		free(senders[i].messages);
	}
	assert_int_equal(office->received, THREADS * LETTERS);
	assert_true(office->in_order);
}

static void a_flood_does_not_starve_the_loop(void **state)
{
	struct post_office *office = *state;
	struct message *messages = calloc(1000, sizeof(*messages));

	for (unsigned i = 0; i < 1000; i++) {
		messages[i].number = i;
		mailbox_post(office->mailbox, &messages[i].posted);
	}
	unsigned turns = 0;
	for (unsigned before = 0; office->received < 1000; before = office->received, turns++) {
		event_base_loop(office->loop, EVLOOP_ONCE);
		assert_true(office->received > before);
		assert_true(office->received - before <= 100);
	}
	assert_true(turns >= 10);
	assert_true(office->in_order);

	/* Nothing is left that would wake the loop for nothing. */
	event_base_loop(office->loop, EVLOOP_NONBLOCK);
	assert_int_equal(office->received, 1000);
	free(messages);
}

static void a_handler_may_post(void **state)
{
	struct post_office *office = *state;
	struct message message = {.sender = 0};

	office->repost = 300;
	office->expected = 1;
	mailbox_post(office->mailbox, &message.posted);
	event_base_dispatch(office->loop);
	assert_int_equal(office->received, 1);
	assert_int_equal(office->repost, 0);
}

static void free_handles_what_is_left(void **state)
{
	struct post_office *office = *state;
	struct message messages[100] = {0};

	office->repost = 1;
	for (unsigned i = 0; i < 100; i++) {
		messages[i].number = i;
		mailbox_post(office->mailbox, &messages[i].posted);
	}
	office->in_order = true;
	mailbox_free(office->mailbox);
	office->mailbox = NULL;
	assert_int_equal(office->received, 100);
}

static void free_takes_nothing(void **state)
{
	(void)state;
	mailbox_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(letters_of_many_threads_all_arrive_in_each_ones_order, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_flood_does_not_starve_the_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_handler_may_post, set_up, tear_down),
		cmocka_unit_test_setup_teardown(free_handles_what_is_left, set_up, tear_down),
		cmocka_unit_test(free_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
