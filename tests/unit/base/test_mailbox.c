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
#define MESSAGES 20000

struct message {
	struct mailbox_message posted;
	unsigned sender, number;
};

struct receiver {
	struct event_base *loop;
	struct mailbox *mailbox;
	unsigned received, expected;
	unsigned next[THREADS]; /* next number expected per sender */
	bool in_order;
	unsigned repost; /* number of messages to post again on arrival */
};

static void on_message(void *ctx, struct mailbox_message *posted)
{
	struct receiver *receiver = ctx;
	struct message *message = container_of(posted, struct message, posted);

	if (receiver->repost > 0) {
		receiver->repost--;
		mailbox_post(receiver->mailbox, posted);
		return;
	}
	if (message->number != receiver->next[message->sender]++)
		receiver->in_order = false;
	if (++receiver->received == receiver->expected)
		event_base_loopbreak(receiver->loop);
}

static int set_up(void **state)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));

	receiver->loop = event_base_new();
	receiver->mailbox = mailbox_new(receiver->loop, on_message, receiver);
	receiver->in_order = true;
	*state = receiver;
	return receiver->mailbox ? 0 : -1;
}

static int tear_down(void **state)
{
	struct receiver *receiver = *state;

	mailbox_free(receiver->mailbox);
	event_base_free(receiver->loop);
	free(receiver);
	return 0;
}

struct sender {
	struct receiver *receiver;
	struct message *messages;
};

static void *send_all(void *ctx)
{
	struct sender *sender = ctx;

	for (unsigned i = 0; i < MESSAGES; i++)
		mailbox_post(sender->receiver->mailbox, &sender->messages[i].posted);
	return NULL;
}

static void test_all_messages_arrive_in_order_per_thread(void **state)
{
	struct receiver *receiver = *state;
	struct sender senders[THREADS];
	pthread_t threads[THREADS];

	receiver->expected = THREADS * MESSAGES;
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){receiver, calloc(MESSAGES, sizeof(struct message))};
		for (unsigned k = 0; k < MESSAGES; k++)
			senders[i].messages[k] = (struct message){.sender = i, .number = k};
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	event_base_dispatch(receiver->loop);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		free(senders[i].messages);
	}
	assert_int_equal(receiver->received, THREADS * MESSAGES);
	assert_true(receiver->in_order);
}

static void test_flood_does_not_starve_the_loop(void **state)
{
	struct receiver *receiver = *state;
	struct message *messages = calloc(1000, sizeof(*messages));

	for (unsigned i = 0; i < 1000; i++) {
		messages[i].number = i;
		mailbox_post(receiver->mailbox, &messages[i].posted);
	}
	unsigned rounds = 0;
	for (unsigned before = 0; receiver->received < 1000; before = receiver->received, rounds++) {
		event_base_loop(receiver->loop, EVLOOP_ONCE);
		assert_true(receiver->received > before);
		assert_true(receiver->received - before <= 100);
	}
	assert_true(rounds >= 10);
	assert_true(receiver->in_order);

	/* No wake-up is left over. */
	event_base_loop(receiver->loop, EVLOOP_NONBLOCK);
	assert_int_equal(receiver->received, 1000);
	free(messages);
}

static void test_handler_may_post(void **state)
{
	struct receiver *receiver = *state;
	struct message message = {.sender = 0};

	receiver->repost = 300;
	receiver->expected = 1;
	mailbox_post(receiver->mailbox, &message.posted);
	event_base_dispatch(receiver->loop);
	assert_int_equal(receiver->received, 1);
	assert_int_equal(receiver->repost, 0);
}

static void test_free_handles_pending_messages(void **state)
{
	struct receiver *receiver = *state;
	struct message messages[100] = {0};

	receiver->repost = 1;
	for (unsigned i = 0; i < 100; i++) {
		messages[i].number = i;
		mailbox_post(receiver->mailbox, &messages[i].posted);
	}
	receiver->in_order = true;
	mailbox_free(receiver->mailbox);
	receiver->mailbox = NULL;
	assert_int_equal(receiver->received, 100);
}

static void test_free_accepts_null(void **state)
{
	(void)state;
	mailbox_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_messages_arrive_in_order_per_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flood_does_not_starve_the_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_handler_may_post, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_handles_pending_messages, set_up, tear_down),
		cmocka_unit_test(test_free_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
