/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine's threads share. Internal to engine.c (their life), ring_thread.c, worker.c, recorder.c and
 * consumer.c.
 *
 * - The ring thread takes over retired blocks, watches time limits and interfaces; nothing per packet, no call that may
 *   block.
 * - Workers move cursors: pin a span, scan it for a group of consumers without the lock, unpin. They also see to what
 *   may block for a while: renewing filters, closing rings, recorders that come late.
 * - The caller's thread of consumer_start opens rings; while the kernel allocates one, the others keep off its CPU.
 * - The loop gets the ends of consumers by mailbox.
 *
 * One lock covers all state that threads share; nobody holds it for longer than a block takes to be noted.
 * `control_lock` is held over the slow things so that kernel filters are replaced in the order of the states they were
 * made from. Order: control_lock, then lock.
 */
#pragma once

#include <pthread.h>

#include <linux/filter.h>

#include "bpf/filter_union.h"
#include "capture/cpu_isolation.h"
#include "capture/source.h"

#define WORKERS_MAX 16

/* A recorder that waits for its interface to appear. Strings are its own. */
struct pending_recorder {
	struct pending_recorder *next;
	struct engine_recorder options;
	bool due; /* the interface may be there: a worker shall try */
	char interface[16];
	char bpf[];
};

struct engine {
	struct budget budget;
	struct mailbox *mailbox;
	pthread_mutex_t control_lock;
	struct ring_guard ring_guard;	/* of all rings that are opened */
	struct cpu_isolation isolation; /* with control_lock: around the ring that is being allocated */
	pthread_mutex_t lock;
	pthread_cond_t work_available;
	bool stop;
	struct source *sources;
	struct pending_recorder *pending;
	struct source *closing; /* taken off the ring thread's list; a worker closes them */
	size_t ring_bytes;
	uint64_t served_count; /* how often workers took something from any source */
	unsigned source_count, consumer_count, recorder_count, idle_workers;
	int epoll_fd, wake_fd, timer_fd, link_fd;
	bool ring_thread_started;
	pthread_t ring_thread;
	unsigned worker_count;
	struct worker_context *worker_contexts[WORKERS_MAX];
	pthread_t workers[WORKERS_MAX];
};

/* What a worker needs for its work, made before it starts. */
struct worker_context {
	struct engine *engine;
	struct sock_filter program[FILTER_UNION_MAX];
	uint8_t scratch[SCAN_SCRATCH_BYTES];
};

/* Thread bodies; args: the engine, a worker's context. */
void *ring_thread_run(void *engine);
void *worker_run(void *context);

/* Any thread: the ring thread looks at time limits and at what is to be closed. */
void engine_wake_ring_thread(struct engine *engine);

/* With the lock: something can be done. One sleeper is enough: it wakes the next if there is more. */
void engine_wake_worker(struct engine *engine);

/* With control_lock, without the lock: puts an opened source where the ring thread sees it. 0 or -errno (it is closed
 * then).
 */
warn_unused int engine_add_source(struct engine *engine, struct source *source, struct error *err);
