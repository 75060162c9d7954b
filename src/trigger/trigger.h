/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trigger is a way in: it takes bytes from a source and passes them on, unread, with their origin. Each way in has
 * its own file in this folder.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Embedded by a trigger that must know when all that came of a message is final. */
struct trigger_ticket {
	/* One of these is called once, from the loop, perhaps from within `message`. */
	void (*done)(struct trigger_ticket *ticket);
	void (*later)(struct trigger_ticket *ticket); /* nothing came of it yet: pass the message on again later */
};

struct trigger_message {
	const char *origin; /* for logs and events: "redis:capture" */
	const void *bytes;
	size_t size;
	const char *id;		       /* its source's id for it, in the characters of a request id; NULL: none */
	uint64_t published_ns;	       /* real time, by this host's clock; 0: just now */
	uint64_t published_error_ns;   /* how far off that may be */
	const char *refusal;	       /* why it must be refused unread; NULL: it need not */
	struct trigger_ticket *ticket; /* NULL: the source needs no result */
};

struct trigger_handler {
	/* Loop thread; must not block. The message is valid during the call, its ticket until it is done. */
	void (*message)(void *ctx, const struct trigger_message *message);
	void *ctx;
};
