/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A consumer: the engine's reader of one interface. It has a cursor on the interface's timeline, a filter, limits, and
 * the packets it has taken.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/cursor.h"
#include "capture/nic_counters.h"

struct budget;
struct consumer;
struct engine;
struct filter_cache;
struct store;

/* Where a consumer ended on its interface's timeline. Another consumer can continue there while the recorder is the
 * same. */
struct resume_point {
	uint64_t source;			   /* whose timeline it is */
	uint64_t number;			   /* of the next packet */
	uint64_t dropped, dropped_marked, missing; /* as in struct cursor */
};

/*
 * For a consumer whose packets are wanted while it runs. Without memory for a packet it counts the packet as lost and
 * goes on.
 */
struct consumer_feed {
	/* Its packets are charged to it; outlives them. History is read only while half of it is free: call
	 * engine_feed_has_room() when packets were freed. */
	struct budget *budget;
	/*
	 * Loop thread: packets have come, later than those of the call before, sealed. The handler moves them out of
	 * `packets` (store_move). The last call precedes `done`.
	 */
	void (*handler)(void *ctx, struct store *packets);
};

struct consumer_spec {
	const char *interface; /* any name of it, for errors if `ifindex` is given */
	int ifindex;	       /* the device; 0: the one that has this name, or whose history is kept under it */
	uint64_t source;       /* instead: the recorder of an interface that is away (engine_find_away); 0: not given */
	bool former;	       /* a past window may reach back to former devices (struct engine_target) */
	bool promiscuous;
	const char *bpf;      /* NULL: every packet */
	const char *inner;    /* what the packet in a tunnel must match; NULL: no tunnel is needed */
	const char *required; /* what every packet must match as well; NULL: nothing */
	const char *no_names; /* the rule that forbids host names in `bpf` and `inner`; NULL: none */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t before_ns; /* start this long before now, as far as the recorder reaches */
	uint64_t from_real_ns,
		to_real_ns;	/* real time: an absolute window, replaces before_ns and duration_ns; 0: not given */
	uint64_t not_before_ns; /* boot time: it has no packet from before, whatever is asked; 0: no such limit */
	uint64_t duration_ns;	/* from now, or from a from_real_ns in the future */
	uint64_t until_ns;	/* boot time, replaces duration_ns; 0: not given */
	uint64_t idle_ns;	/* 0: none */
	uint64_t part_ns;	/* it ends this long after its start at the latest; 0: no such limit */
	/* Where it ends by max_packets, max_bytes or part_ns, another one begins: see consumer_continue(). */
	bool continued;
	/* It is to have every packet since the interface appeared: not complete if some may have passed before it
	 * began. */
	bool since_appearance;
	/* Start there, if that is later than the window's start; NULL: no resume point. */
	const struct resume_point *resume;
	size_t ring_bytes; /* of the ring, if one is opened: engine_plan_rings(); 0: as for a single interface */
	struct filter_cache *filters; /* of this request, outlives the call; NULL: none */
	struct quota *quota;	      /* shared with other consumers, outlives them; NULL: none */
	/* Its handler gets the packets while it runs, with the context of `done`; outlives it. NULL: the consumer keeps
	 * them. */
	const struct consumer_feed *feed;
};

/* Loop thread, once, when the consumer has ended. The handler then owns it: read it, then free it. */
typedef void (*consumer_done)(void *ctx, struct consumer *consumer);

/*
 * Compiles the filter, opens the interface's ring if needed, and starts. Every matching packet that arrives after this
 * call returns is captured. Not on the loop thread: may block (kernel memory, name look-ups in filters). `done` may be
 * called before this returns. Returns 0, -EINVAL (filter), -ENODEV, -EPERM, -ENOMEM, -ENOSPC (a cap), or another
 * -errno; `err` holds the text and `*field` names the request field at fault.
 */
warn_unused int consumer_start(struct engine *engine, const struct consumer_spec *spec, consumer_done done, void *ctx,
			       struct error *err, const char **field, struct consumer **consumer);

/*
 * Prepares the consumer that goes on where `before`, which is to be continued, ends by its packets, bytes or part_ns:
 * every packet is in exactly one of them. It has the same limits. It may begin, and feed its packets, before the loop
 * learns that the other has ended; its `done` comes later. If that ends for another reason (report.rotated is false),
 * it never begins: free it. `last`: it is not continued itself. Until it is prepared, the packets wait in the ring.
 * Loop thread, before `before` is freed. NULL on ENOMEM.
 */
struct consumer *consumer_continue(struct consumer *before, bool last, const struct consumer_feed *feed,
				   consumer_done done, void *ctx);

/* Ends it early for this reason and keeps its packets; `done` follows. Any thread. No effect on a consumer that has
 * ended. */
void consumer_stop(struct consumer *consumer, enum end_reason reason);

/* Moves its end to `until_ns` (boot time) if it would end earlier by its duration; packet, byte and idle limits, and
 * part_ns, still apply. Returns false if it has ended, is about to, or does not end by its duration. Any thread. */
bool consumer_extend(struct consumer *consumer, uint64_t until_ns);

/* Boot time at which it ends at the latest; UINT64_MAX: not armed yet. Any thread. */
uint64_t consumer_ends_ns(const struct consumer *consumer);

/* Loop thread, after `done`, or if it never begins. */
void consumer_free(struct consumer *consumer);

enum interface_state { INTERFACE_UNKNOWN, INTERFACE_UP, INTERFACE_NO_CARRIER, INTERFACE_DOWN, INTERFACE_GONE };

struct consumer_report {
	enum end_reason reason;
	bool rotated; /* it ended where another one goes on */
	uint64_t packets, bytes;
	uint64_t first_ns, last_ns;		/* real time of the first and last packet; 0: none */
	uint64_t from_ns, to_ns, asked_from_ns; /* real time: the window covered, and the start that was requested */
	uint64_t asked_to_ns;			/* real time at which it was to end by its time limit */
	bool complete;
	int64_t clock_offset_ns;			 /* real minus boot time at the end */
	uint64_t odd_stamps;				 /* packets whose stamps do not fit their arrival */
	uint64_t lost_kernel, lost_evicted, lost_memory; /* packets */
	uint64_t truncated; /* packets of which the ring had less than the snap length wants */
	uint64_t received;  /* packets offered to the ring while it ran, including dropped ones */
	uint64_t seen;	    /* packets that passed, by the ring's count or the interface's, the larger one */
	enum interface_state interface_state; /* at its end */
	bool retention_may_hide; /* the recorder's own filter may have kept packets of the window out of the history */
	struct nic_counters nic; /* what NIC and driver lost while it ran; not of history, nor of this consumer alone */
	bool unsorted;		 /* no memory to sort the packets: they are in order of arrival */
	uint16_t linktype;
	uint32_t snaplen;
};

/* Loop thread. While it runs, only packets, bytes, snaplen, linktype, from_ns and asked_from_ns are filled. */
void consumer_report(const struct consumer *consumer, struct consumer_report *report);

/* After `done`. */
struct resume_point consumer_resume_point(const struct consumer *consumer);

/* The packets, unless a feed has got them. After `done`. */
const struct store *consumer_store(const struct consumer *consumer);

const char *end_reason_name(enum end_reason reason);
const char *interface_state_name(enum interface_state state); /* "up"; NULL: unknown */
