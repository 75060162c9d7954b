/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine's threads share. Internal to engine.c (start and stop), ring_thread.c, worker.c, recorder.c and
 * consumer.c.
 *
 * - The ring thread takes over retired blocks and watches time limits and interfaces. It does no work per packet and
 *   makes no call that may block.
 * - Workers move cursors: pin a span, scan it for a group of consumers without `lock`, unpin it. They also do what may
 *   block for a while: renew filters, close rings, open recorders late.
 * - The counter thread reads the NIC's counters when consumers end, which may block as well.
 * - The threads that call consumer_start open rings, side by side. While the kernel allocates a large one, the other
 *   threads stay off its CPU.
 * - The loop gets the ends of consumers through the mailbox.
 *
 * `lock` covers all state that threads share; no thread holds it for longer than it takes to note one block.
 * `control_lock` is held over the slow operations, so that kernel filters are replaced in the order of the states they
 * were built from. `allocation_lock` is held while a large ring is allocated. Lock order: control_lock,
 * allocation_lock, lock. `room` has a lock of its own; no other one is taken with it held.
 */
#pragma once

#include <pthread.h>

#include <linux/filter.h>

#include "bpf/filter_union.h"
#include "capture/cpu_isolation.h"
#include "capture/ring_room.h"
#include "capture/source.h"

#define WORKERS_MAX 16

/*
 * A recorder as it was configured, by any name of its interface. Which device that is may change: then another source
 * is opened for it. Owns its strings; constant, except for the members after `options`.
 */
struct recorder_setting {
	struct recorder_setting *next;
	struct engine_recorder options;
	struct log_rate failure_rate;
	char interface[NETWORK_INTERFACE_ANY_NAME_MAX + 1];
	char bpf[];
};

/* An interface whose ring a thread is opening, on that thread's stack. */
struct opening {
	struct opening *next;
	int ifindex;
};

struct engine {
	struct budget budget;
	struct mailbox *mailbox;
	pthread_mutex_t control_lock;
	struct ring_room room;
	struct ring_allocation allocation; /* of every ring */
	pthread_mutex_t allocation_lock;
	struct cpu_isolation isolation; /* under allocation_lock: while a large ring is allocated */
	pthread_mutex_t lock;
	pthread_cond_t work_available;
	pthread_cond_t sources_changed; /* a ring was opened, is to be closed, or was closed */
	bool stop;
	struct source *sources;
	struct recorder_setting *settings; /* only added to, with `control_lock` held as well */
	bool links_changed;		   /* interfaces have changed: a worker has to check settings and names */
	uint64_t settings_retry_ns;	   /* boot time: when to check again after a failure; 0: none */
	uint64_t source_count_ever;
	struct source *closing; /* removed from `sources`; a worker closes them, or a thread that needs their memory */
	bool worker_maintains;	/* does what may block for a while */
	struct opening *openings;
	size_t rings_limit_bytes; /* of rings opened on demand */
	size_t ring_bytes;	  /* of all rings opened on demand, also those being opened or closed */
	size_t given_up_bytes;	  /* of these, the rings that close */
	/* Rings opened on demand, also those being opened or closed; of these, the ones that close. */
	unsigned ring_count, given_up_count;
	unsigned rings_max;
	uint64_t served_count; /* how often workers took work from any source */
	struct log_rate shrunk_rate, refused_rate;
	unsigned consumer_count, recorder_count, idle_workers;
	int epoll_fd, wake_fd, timer_fd, link_fd;
	struct consumer *ended, **ended_last; /* whose NIC counters are to be read */
	pthread_cond_t ended_available;
	bool ring_thread_started, counter_thread_started;
	pthread_t ring_thread, counter_thread;
	unsigned worker_count;
	struct worker_context *worker_contexts[WORKERS_MAX];
	pthread_t workers[WORKERS_MAX];
};

/* A worker's memory, allocated before it starts. */
struct worker_context {
	struct engine *engine;
	struct sock_filter program[FILTER_UNION_MAX];
	uint8_t scratch[SCAN_SCRATCH_BYTES];
};

/* Thread functions; they take the engine, or a worker's context. */
void *ring_thread_run(void *engine);
void *counter_thread_run(void *engine);
void *worker_run(void *context);

/* Makes the ring thread check time limits and sources to close. Any thread. */
void engine_wake_ring_thread(struct engine *engine);

/* There is work. Wakes one idle worker, which wakes the next if there is more. Called with `lock` held. */
void engine_wake_worker(struct engine *engine);

/* A source that nothing uses is to be closed: the ring thread removes it from the list. Called with `lock` held. */
void engine_give_up(struct engine *engine, struct source *source);

/* The ring that has been idle for longest; NULL: none is. Called with `lock` held. */
struct source *engine_longest_idle(const struct engine *engine);

/* Closes idle rings while the host lacks memory for a new one of this size. Called with `lock` held; releases and
 * reacquires it. */
void engine_make_room(struct engine *engine, size_t bytes);

/* Closes the first of `closing`. Called with `lock` held; releases and reacquires it. */
void engine_close_source(struct engine *engine);

/* Adds an opened source, whose bytes are counted already, with a pin for the caller, to the engine. Returns 0 or
 * -errno, then it has closed the source. Called without `lock`. */
warn_unused int engine_add_source(struct engine *engine, struct source *source, struct error *err);
