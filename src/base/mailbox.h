/*
 * Messages from any thread to the thread that runs the event loop. Intrusive: a message embeds a `struct letter`, so
 * that posting never allocates and never fails. The order of posts by one thread is kept.
 */
#pragma once

#include "cleanup.h"

struct event_base;
struct mailbox;

struct letter {
	struct letter *next;
};

/* Called on the loop's thread, once per letter; the letter is the handler's again. */
typedef void (*mailbox_handler)(void *ctx, struct letter *letter);

/* NULL on ENOMEM/EMFILE. The loop must outlive the mailbox. */
struct mailbox *mailbox_new(struct event_base *loop, mailbox_handler handler, void *ctx);

/* Loop thread; letters not yet handled are handled first. No thread may post any more. */
void mailbox_free(struct mailbox *mailbox);

/* Any thread; does not block. The letter must not be in a mailbox already. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);

CLEANUP_DEFINE(mailbox, struct mailbox, mailbox_free)
