/*
 * A source: one interface's ring and timeline with the captures that stand on it. Internal to the engine: engine.c has
 * the threads, source.c what concerns one interface. All members are under the engine's lock unless marked.
 */
#pragma once

#include <pthread.h>

#include "base/mailbox.h"
#include "capture/engine.h"
#include "capture/filter.h"
#include "capture/ring.h"
#include "capture/timeline.h"

#define NUMBER_NONE UINT64_MAX

struct capture {
	struct letter letter; /* first: how its end reaches the loop */
	struct engine *engine;
	struct source *source; /* NULL once it has ended */
	struct capture *next;
	struct filter *filter;
	struct cursor cursor; /* a worker's while `busy` */
	capture_done done;
	void *ctx;
	bool armed;	       /* its filter is in the kernel: it may be scanned */
	bool busy;	       /* a worker moves it */
	uint64_t position;     /* cursor.next_number as of the last time no worker had it */
	uint64_t flush_number; /* ends when it stands here; NUMBER_NONE: not known yet */
	enum capture_reason flush_reason;
	uint64_t flush_ns;		 /* boot time at which everything was retired */
	uint64_t flush_dropped;		 /* the ring's drops by then */
	enum capture_reason stop_reason; /* asked for by capture_stop; CAPTURE_RUNNING: not */
	uint64_t stop_ns;
	uint64_t dropped_at_start, lost_evicted;
	uint64_t asked_from_ns; /* boot time */
	uint16_t linktype;
	int64_t clock_offset_ns; /* real minus boot time when it ended */
	uint64_t end_ns;	 /* boot time */
};

struct source {
	struct source *next;
	struct ring *ring; /* constant */
	struct timeline *timeline;
	struct capture *captures;
	unsigned capture_count;
	unsigned users;		/* threads that work on it without the lock: it stays open */
	uint64_t turn;		/* when workers last took something from it: the one that waits longest is next */
	bool gone;		/* the interface is no more */
	bool filtered;		/* a kernel filter is attached */
	bool refilter;		/* what is wanted has changed: a worker shall see to it */
	uint64_t idle_since_ns; /* boot time; 0: in use */
};

#define SOURCE_RETIRE_MS 10
#define SOURCE_LINGER_NS (10 * UINT64_C(1000000000)) /* a ring stays open so long after its last capture */

/* A packet that came before a moment is in a retired block so long after it: two expiries before Linux 6.18, and some
 * for the scheduler. */
#define SOURCE_FLUSH_NS ((3 * SOURCE_RETIRE_MS + 10) * UINT64_C(1000000))

/* Without the lock; blocks. `ring_bytes`: what all open rings take already. */
warn_unused int source_open(const char *interface, bool promiscuous, size_t ring_bytes, struct error *err,
			    struct source **source);
void source_close(struct source *source);
size_t source_bytes(const struct source *source);

/*
 * With the lock: writes the kernel filter for what the captures want into `program` (FILTER_UNION_MAX instructions).
 * Returns its length; 0: none needed.
 */
size_t source_union(const struct source *source, struct sock_filter *program);

/* Without the lock, one thread at a time per source: brings it into the kernel. */
warn_unused int source_apply(struct source *source, struct sock_filter *program, size_t size);

/* Ring thread, without the lock held: takes over what the kernel has retired. True if there was something. */
bool source_collect(struct source *source, pthread_mutex_t *lock);

/* With the lock: boot time at which a capture's next time limit must be looked at; UINT64_MAX: none. */
uint64_t source_deadline(const struct capture *capture);

/* With the lock, after source_collect: captures whose time is up get the place where they end. */
void source_flush_due(struct source *source, uint64_t now_ns);

/* With the lock: the interface is gone; its captures end where they are. */
void source_mark_gone(struct source *source, uint64_t now_ns);

/* With the lock: a capture can be moved by a worker (or has reached its end). */
bool source_runnable(const struct source *source, const struct capture *capture);

/* With the lock: gives back what no capture needs any more. */
void source_trim(struct source *source);

CLEANUP_DEFINE(source, struct source, source_close)
