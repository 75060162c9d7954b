/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A source: one interface with its ring, timeline and consumers. Internal to the engine. `lock` protects all members
 * unless marked.
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

#define SOURCE_ABSENCES_MAX 8 /* per source; when full, the two oldest are merged */

/* A time during which the interface was away. */
struct absence {
	uint64_t from_ns, to_ns; /* boot time; to_ns 0: still away */
};

/* A recorder's settings; constant. */
struct recorder {
	bool on;
	bool promiscuous;
	bool exclude_own;
	uint64_t max_age_ns; /* never keep a packet longer; 0: no limit */
	struct retention_filter *retention;
};

struct recorder_setting;

struct source {
	struct source *next;
	uint64_t id;	   /* unlike that of any other source */
	struct ring *ring; /* constant, except for ifindex, which changes when a recorder's interface comes back */
	char name[NETWORK_INTERFACE_NAME_SIZE]; /* the current name of the interface, or the last it had */
	const struct recorder_setting *setting; /* the configured recorder that opened it; NULL: none. Constant */
	bool by_alternative;			/* the setting has an alternative name of the interface. Constant */
	struct timeline *timeline;
	struct recorder recorder;
	struct consumer *consumers;
	unsigned consumer_count;
	unsigned batch;	       /* blocks taken over by the last source_collect; the ring thread's own */
	unsigned pins;	       /* threads that use it without `lock`: it stays open */
	uint64_t served_count; /* how often workers took work from it */
	/* The engine's served_count when workers last took work from it; the lowest is served next. */
	uint64_t last_served;
	bool given_up;		    /* its memory is wanted for other rings, or it was idle too long: it closes */
	bool gone;		    /* the interface no longer exists; a recorder waits for it to come back */
	bool came_back;		    /* ... and it may be back: a worker has to bind the ring to it */
	bool retyped;		    /* gone because its link type has changed: no packet belongs into the ring */
	bool displaced;		    /* a recorder whose setting means another device now: when it is gone, it is gone */
	bool surplus;		    /* a displaced recorder to close once nothing reads it */
	bool filtered;		    /* a kernel filter is attached */
	bool filter_outdated;	    /* wanted packets have changed: a worker has to renew the kernel filter */
	bool own_traffic_changed;   /* own traffic has changed: a worker has to compile `own_traffic` again */
	struct filter *own_traffic; /* own traffic to exclude; NULL: none */
	uint64_t retire_delay_ns;   /* constant; this long after a packet's stamp, its block has retired */
	uint64_t idle_since_ns;	    /* boot time; 0: in use */
	uint64_t retry_ns;	    /* boot time: when to bind again after a failure; 0: none */
	struct log_rate filter_rate, bind_rate;
	struct absence absences[SOURCE_ABSENCES_MAX];
	unsigned absence_count;
};

#define SOURCE_LINGER_NS (10 * NS_PER_S) /* a ring stays open this long after its last consumer */

struct source_options {
	const struct network_interface *interface;
	bool promiscuous;
	size_t ring_bytes; /* of its ring, which is smaller if there is not memory for all of it */
};

/* Opens an interface's source; blocks. `allocation` outlives it. -ENOMEM: there is not even memory for RING_SIZE_MIN.
 * Called without `lock`. */
warn_unused int source_open(const struct source_options *options, const struct ring_allocation *allocation,
			    struct error *err, struct source **source);

/* The same for a recorder's source, which receives at once; the least is RING_SIZE_RECORDER_MIN. */
warn_unused int source_open_recorder(const struct engine_recorder *options, const struct network_interface *interface,
				     const struct ring_allocation *allocation, struct error *err,
				     struct source **source);

void source_close(struct source *source);
/* Closes a list of sources on several threads: the kernel takes 20 to 40 ms for each. */
void source_close_all(struct source *sources);

/* Whether it is open only for the case that someone wants it again. Called with `lock` held. */
bool source_is_idle(const struct source *source);

size_t source_ring_bytes(const struct source *source);

/* Writes into `program` (FILTER_UNION_MAX instructions) the kernel filter for what consumers and recorder want. Returns
 * its length; 0: none needed. Called with `lock` held. */
size_t source_build_filter(const struct source *source, struct sock_filter *program);

/* Attaches the filter to the ring. One thread at a time per source. Called without `lock`. */
warn_unused int source_attach_filter(struct source *source, struct sock_filter *program, size_t size);

/* Takes over the blocks that the kernel has retired. True: there were some. Ring thread; called without `lock`. */
bool source_collect(struct source *source, pthread_mutex_t *lock);

/* Whether the ring may fill up during a pause of the ring thread. */
bool source_is_small(const struct source *source);

/* Boot time at which the consumer's next time limit has to be checked; UINT64_MAX: never. Called with `lock` held. */
uint64_t source_deadline(const struct source *source, const struct consumer *consumer);

/* Likewise for the whole source, including history to expire, a bind to retry and an idle ring. Called with `lock`
 * held. */
uint64_t source_next_deadline(const struct source *source);

/* After source_collect: sets the end of consumers whose time is up, and expires history. Called with `lock` held. */
void source_check_deadlines(struct source *source, uint64_t now_ns);

/* The interface is gone, or (`retyped`) has another link type: its consumers end now. Called with `lock` held. */
void source_mark_gone(struct source *source, bool retyped, uint64_t now_ns);

/* The interface is back. Called with `lock` held. */
void source_mark_back(struct source *source, uint64_t now_ns);

/* Arms a consumer that no worker uses: sets its position, window and retention limits as of now. Called with `lock`
 * held. */
void source_start_consumer(struct source *source, struct consumer *consumer, uint64_t now_ns, int64_t clock_offset_ns);

/* Boot time since when nothing is missing, as far as this source knows. Called with `lock` held. */
uint64_t source_reachable_since(const struct source *source, uint64_t now_ns);

/* Whether it is the source of this device, with its link type. Called with `lock` held. */
bool source_is_of(const struct source *source, const struct network_interface *device);

/* Boot time since when the interface is away; 0: it is not. Called with `lock` held. */
uint64_t source_gone_since(const struct source *source);

/* Whether the interface was away for any part of that time. Called with `lock` held. */
bool source_was_away(const struct source *source, uint64_t from_ns, uint64_t to_ns);

/* Whether a worker can move the consumer, or end it. Called with `lock` held. */
bool source_runnable(const struct source *source, const struct consumer *consumer);

/* Gives back the blocks that no consumer needs any more. Called with `lock` held. */
void source_trim(struct source *source);

CLEANUP_DEFINE(source, struct source, source_close)
