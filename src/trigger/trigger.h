/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trigger is a way in: it takes bytes from somewhere and hands them on with their origin. It understands nothing of
 * them. Each way in is a file of its own in this folder.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Embedded by a trigger that has to know when all that came of a message is final. */
struct trigger_ticket {
	/* Once, from the loop, also from within `message`. */
	void (*done)(struct trigger_ticket *ticket);
};

struct trigger_message {
	const char *origin; /* for logs and events: "redis:capture" */
	const void *bytes;
	size_t size;
	const char *id;	       /* what its source knows it by, of the characters of a request's id; NULL: nothing */
	uint64_t published_ns; /* real time, of the source's clock; 0: just now */
	struct trigger_ticket *ticket; /* NULL: the source does not care what comes of it */
};

struct trigger_handler {
	/* Loop thread; must not block. The message is valid during the call, its ticket until it is done. */
	void (*message)(void *ctx, const struct trigger_message *message);
	void *ctx;
};
