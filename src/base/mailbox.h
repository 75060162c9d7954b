/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages from any thread to the thread that runs the event loop. Intrusive: a message embeds a `struct
 * mailbox_message`, so that posting never allocates and never fails. Messages of one thread keep their order.
 */
#pragma once

#include "cleanup.h"

struct event_base;
struct mailbox;

struct mailbox_message {
	struct mailbox_message *next;
};

/* Called on the loop's thread, once per message, which the mailbox no longer touches. */
typedef void (*mailbox_handler)(void *ctx, struct mailbox_message *message);

/* NULL on ENOMEM/EMFILE. The loop must outlive the mailbox. */
struct mailbox *mailbox_new(struct event_base *loop, mailbox_handler handler, void *ctx);

/* Loop thread. Handles all posted messages first. No thread may post any more. */
void mailbox_free(struct mailbox *mailbox);

/* Any thread; does not block. The message must not be in a mailbox already. */
void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message);

CLEANUP_DEFINE(mailbox, struct mailbox, mailbox_free)
