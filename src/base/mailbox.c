/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock-free stack that any thread pushes to, and an eventfd that wakes the loop. The loop takes the whole stack at
 * once, reverses it into a queue of its own, and handles MESSAGES_PER_WAKE messages before other events get their turn.
 * Only a push to an empty stack writes to the eventfd, so a flood costs one wake-up per batch.
 *
 * Memory order: a push releases what the sender wrote into the message, taking the stack acquires it. The loop empties
 * the eventfd *before* it takes the stack, so a later push finds the stack empty and writes again: no message is
 * overlooked.
 */
#include "base/mailbox.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#define MESSAGES_PER_WAKE 64

struct mailbox {
	_Atomic(struct mailbox_message *) posted; /* newest first */
	struct mailbox_message *first, *last;	  /* loop thread only: taken, not handled, oldest first */
	mailbox_handler handler;
	void *ctx;
	struct event *event;
	int wake_fd;
};

/* Cannot block or fail: the counter stays near zero. */
static void wake(struct mailbox *mailbox)
{
	eventfd_write(mailbox->wake_fd, 1);
}

void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message)
{
	struct mailbox_message *head = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);

	do
		message->next = head;
	while (!atomic_compare_exchange_weak_explicit(&mailbox->posted, &head, message, memory_order_release,
						      memory_order_relaxed));
	if (!head)
		wake(mailbox);
}

/* Moves posted messages to the end of the loop's queue. */
static void collect(struct mailbox *mailbox)
{
	struct mailbox_message *newest = atomic_exchange_explicit(&mailbox->posted, NULL, memory_order_acquire);
	struct mailbox_message *oldest = NULL;

	if (!newest)
		return;
	for (struct mailbox_message *message = newest; message;) {
		struct mailbox_message *next = message->next;

		message->next = oldest;
		oldest = message;
		message = next;
	}
	if (mailbox->first)
		mailbox->last->next = oldest;
	else
		mailbox->first = oldest;
	mailbox->last = newest;
}

static bool handle_one(struct mailbox *mailbox)
{
	struct mailbox_message *message = mailbox->first;

	if (!message)
		return false;
	mailbox->first = message->next;
	mailbox->handler(mailbox->ctx, message);
	return true;
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct mailbox *mailbox = ctx;
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	collect(mailbox);
	for (int i = 0; i < MESSAGES_PER_WAKE && handle_one(mailbox); i++)
		;
	if (mailbox->first)
		wake(mailbox);
}

struct mailbox *mailbox_new(struct event_base *loop, mailbox_handler handler, void *ctx)
{
	cleanup(cleanup_mailbox) struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return NULL;
	mailbox->handler = handler;
	mailbox->ctx = ctx;
	mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->wake_fd < 0)
		return NULL;
	mailbox->event = event_new(loop, mailbox->wake_fd, EV_READ | EV_PERSIST, on_wake, mailbox);
	if (!mailbox->event || event_add(mailbox->event, NULL) < 0)
		return NULL;
	return take(mailbox);
}

void mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return;

	do
		collect(mailbox);
	while (handle_one(mailbox));
	if (mailbox->event)
		event_free(mailbox->event);
	cleanup_close(&mailbox->wake_fd);
	free(mailbox);
}
