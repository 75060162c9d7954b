/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A source: one interface's ring and timeline with the consumers that stand on it. Internal to the engine: engine.c has
 * the threads, source.c what concerns one interface. All members are under the engine's lock unless marked.
 */
#pragma once

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "bpf/filter.h"
#include "bpf/retention_filter.h"
#include "capture/consumer_internal.h"
#include "capture/engine.h"
#include "capture/ring.h"
#include "capture/timeline.h"

#define SOURCE_ABSENCES_MAX                                                                           \
	8 /* remembered; older ones lie before what the timeline holds, or are merged into the oldest \
	   */

struct absence {
	uint64_t from_ns, to_ns; /* boot time; to_ns 0: it goes on */
};

/* What a recorder is to do; constant. */
struct recorder {
	bool on;
	bool promiscuous;
	bool exclude_own;
	uint64_t max_age_ns; /* never keep a packet longer; 0: no limit */
	struct retention_filter *retention;
};

struct source {
	struct source *next;
	struct ring *ring; /* constant but for its ifindex, which changes when a recorder's interface comes back */
	char name[16];	   /* of the interface now */
	struct timeline *timeline;
	struct recorder recorder;
	struct consumer *consumers;
	unsigned consumer_count;
	unsigned batch;	       /* blocks taken over the last time; the ring thread's own */
	unsigned pins;	       /* threads that work on it without the lock: it stays open */
	uint64_t served_count; /* how often workers took something from it */
	uint64_t last_served; /* served_count of the engine when workers last took something from it: the one that waits
				 longest is next */
	bool gone;	      /* the interface is no more; a recorder waits for it to come back */
	bool came_back;	      /* ... and it has: a worker shall bind the ring to it */
	bool filtered;	      /* a kernel filter is attached */
	bool filter_outdated; /* what is wanted has changed: a worker shall see to it */
	bool own_traffic_changed;   /* the own traffic has changed: likewise */
	struct filter *own_traffic; /* own traffic to be left out; NULL: none */
	uint64_t retire_delay_ns; /* constant: a packet that came before a moment is in a retired block so long after it
				   */
	uint64_t idle_since_ns;	  /* boot time; 0: in use */
	uint64_t retry_ns;	  /* boot time: the interface is back but could not be bound; 0: no */
	struct log_rate filter_rate, bind_rate;
	struct absence absences[SOURCE_ABSENCES_MAX];
	unsigned absence_count;
};

#define SOURCE_LINGER_NS (10 * NS_PER_S) /* a ring stays open so long after its last consumer */

/* Without the lock; blocks. `ring_bytes`: what all rings opened on demand take already. */
warn_unused int source_open(const char *interface, bool promiscuous, size_t ring_bytes, const struct ring_guard *guard,
			    struct error *err, struct source **source);

/* The same with a recorder, and receiving already. The ring is smaller than asked for if the kernel has no memory. */
warn_unused int source_open_recorder(const struct engine_recorder *options, const struct ring_guard *guard,
				     struct error *err, struct source **source);

void source_close(struct source *source);
size_t source_ring_bytes(const struct source *source);

/*
 * With the lock: writes the kernel filter for what the consumers and the recorder want into `program` (FILTER_UNION_MAX
 * instructions). Returns its length; 0: none needed.
 */
size_t source_build_filter(const struct source *source, struct sock_filter *program);

/* Without the lock, one thread at a time per source: brings it into the kernel. */
warn_unused int source_attach_filter(struct source *source, struct sock_filter *program, size_t size);

/* Ring thread, without the lock held: takes over what the kernel has retired. True if there was something. */
bool source_collect(struct source *source, pthread_mutex_t *lock);

/* The ring may be full before the ring thread is back from a pause. */
bool source_is_small(const struct source *source);

/* With the lock: boot time at which a consumer's next time limit must be looked at; UINT64_MAX: none. */
uint64_t source_deadline(const struct source *source, const struct consumer *consumer);

/* With the lock: likewise for what is kept too long, or idle; UINT64_MAX: never. */
uint64_t source_next_deadline(const struct source *source);

/* With the lock, after source_collect: consumers whose time is up get the place where they end; what is too old goes.
 */
void source_check_deadlines(struct source *source, uint64_t now_ns);

/* With the lock: the interface is gone; its consumers end where they are. */
void source_mark_gone(struct source *source, uint64_t now_ns);

/* With the lock: it is back. */
void source_mark_back(struct source *source, uint64_t now_ns);

/* With the lock, by who has the consumer: from where to where it goes on this source, as of now. */
void source_start_consumer(struct source *source, struct consumer *consumer, uint64_t now_ns, int64_t clock_offset_ns);

/* With the lock: boot time from which on nothing is missing, as far as this source can tell. */
uint64_t source_reachable_since(const struct source *source, uint64_t now_ns);

/* With the lock: the interface was away between the two. */
bool source_was_away(const struct source *source, uint64_t from_ns, uint64_t to_ns);

/* With the lock: a consumer can be moved by a worker (or has reached its end). */
bool source_runnable(const struct source *source, const struct consumer *consumer);

/* With the lock: gives back what no consumer needs any more. */
void source_trim(struct source *source);

CLEANUP_DEFINE(source, struct source, source_close)
