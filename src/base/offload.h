/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs work that may block (a slow disk, opening a ring, compiling a filter) on a few threads of its own and returns
 * the result on the loop. One pool per kind of work, so that a hanging disk never delays a capture's start.
 */
#pragma once

#include <stddef.h>

#include "mailbox.h"

struct event_base;
struct offload;

/* Embedded in the caller's own struct, which must live until `done` was called. */
struct offload_task {
	struct mailbox_message message;		 /* private */
	void (*run)(struct offload_task *task);	 /* on a pool thread; may block */
	void (*done)(struct offload_task *task); /* on the loop's thread, always exactly once after run */
};

/* `name` (at most 15 characters) names the threads, which start with the first tasks. NULL on failure. */
struct offload *offload_new(struct event_base *loop, const char *name, unsigned threads, size_t queue_cap);

/* Loop thread. Waits for running tasks, runs the queued ones, calls all `done`s and ends the threads. */
void offload_free(struct offload *offload);

/* Loop thread. 0, -ENOBUFS (`queue_cap` tasks are waiting) or -EAGAIN (no thread could be started). */
warn_unused int offload_submit(struct offload *offload, struct offload_task *task);

CLEANUP_DEFINE(offload, struct offload, offload_free)
