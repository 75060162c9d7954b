/* SPDX-License-Identifier: BSD-2-Clause */
/* A consumer as the engine sees it. Internal to the engine. `lock` protects all members unless marked. */
#pragma once

#include <stdatomic.h>

#include "base/mailbox.h"
#include "capture/consumer.h"

struct filter;
struct source;

#define NUMBER_NONE UINT64_MAX

/* A message from a worker to the loop. */
struct consumer_message {
	struct mailbox_message message;
	struct consumer *consumer;
};

struct consumer {
	struct consumer_message ended;
	struct consumer_message quota_spent; /* posted before `ended`, to the same mailbox */
	const struct consumer_feed *feed;    /* constant; NULL: none */
	struct consumer_message fed;	     /* posted before `ended`, to the same mailbox */
	struct store handed_over;	     /* for the feed's handler: the loop's while `handing_over` */
	atomic_bool handing_over;	     /* a worker sets it and releases the store, the loop clears it */
	bool must_post_fed;
	uint64_t live_number; /* of the first packet that came after it was armed */
	struct engine *engine;
	struct source *source; /* NULL once it has ended */
	uint64_t source_id;
	struct consumer *next;	     /* of its source's */
	struct consumer *ended_next; /* in the queue of the counter thread */
	struct filter *filter;
	struct cursor cursor; /* owned by a worker while `busy` */
	consumer_done done;
	void *ctx;
	bool armed;	     /* its filter is in the kernel; it may be scanned */
	bool settled;	     /* it has ended, and all that the report tells is known */
	bool busy;	     /* a worker is moving it */
	uint64_t position;   /* cursor.next_number when a worker last released it */
	uint64_t needed;     /* likewise: the first packet that it, or one that follows it, still needs */
	uint64_t end_number; /* ends when `position` gets here; NUMBER_NONE: not set yet */
	enum end_reason end_reason;
	/* Boot time at which end_number was set: everything before the end was retired. */
	uint64_t end_set_ns;
	uint64_t end_dropped;	      /* the ring's drops at end_set_ns */
	enum end_reason until_reason; /* why it ends at cursor.until_ns */
	uint64_t lost_evicted;
	bool begin_uncertain;		   /* packets of its window may have been evicted before it started */
	bool end_uncertain;		   /* its end did not wait for the kernel's open block */
	uint64_t before_ns;		   /* requested: start this long before it is armed */
	uint64_t from_real_ns, to_real_ns; /* requested window; 0: not given */
	uint64_t not_before_ns;		   /* boot time; 0: no limit */
	uint64_t duration_ns, until_ns;
	/* A series of consumers: each ends after part_ns, all by `series_until_ns` (boot time) for `series_reason`. */
	uint64_t part_ns, series_until_ns, series_to_real_ns;
	enum end_reason series_reason;
	/* Boot and real time at which the one before it ended; 0: it is the first. */
	uint64_t begin_ns, begin_real_ns;
	bool continued;		      /* another one follows if it ends by its packets, bytes or part_ns */
	bool rotated;		      /* it has ended so */
	bool holds_place;	      /* it has, and stays in the source's list until another one follows */
	bool passes_on;		      /* ... which may begin */
	struct consumer *successor;   /* NULL: none yet */
	struct consumer *predecessor; /* NULL: it has begun, or needs none */
	bool own_only;		      /* nothing of former devices */
	struct resume_point resume;   /* number 0: none */
	int64_t asked_from_ns;	      /* boot time; negative: before the machine booted */
	uint64_t planned_end_ns;      /* boot time: when its time is up */
	bool interface_was_away;      /* for part of the window */
	bool retention_may_hide;      /* the retention filter may hide packets of the window */
	_Atomic bool began_late;      /* packets may have passed since the interface appeared; set by consumer_start */
	bool unsorted;		      /* no memory to sort its packets */
	uint16_t linktype;
	uint32_t snaplen;
	int nic_ifindex; /* the interface when it began; constant */
	/* When it began (constant; not known: not wanted), and how much they had grown when it ended. */
	struct nic_counters nic_begin, nic_growth;
	struct nic_counters nic_end; /* known once it has ended; where the next one of a series begins */
	int64_t clock_offset_ns;     /* real time minus boot time when it ended */
	uint64_t end_ns;	     /* boot time */
};

/* Sets its end to this time unless it ends earlier. Called with `lock` held. */
void consumer_end_at(struct consumer *consumer, uint64_t boottime_ns, enum end_reason reason);

/* Boot time at which the window that its packets cover ends. After its end, or by the worker that settles it. */
uint64_t consumer_window_end(const struct consumer *consumer);

/* Whether it has packets for the feed, and the loop has taken those before. */
static inline bool consumer_may_hand_over(const struct consumer *consumer)
{
	return consumer->feed && consumer->cursor.store.packets &&
	       !atomic_load_explicit(&consumer->handing_over, memory_order_acquire);
}

/* Whether it reads history faster than its feed's packets are taken. Live packets would be overwritten meanwhile. */
static inline bool consumer_must_wait(const struct consumer *consumer)
{
	const struct budget *budget = consumer->feed ? consumer->feed->budget : NULL;

	return budget && consumer->position < consumer->live_number && consumer->end_number == NUMBER_NONE &&
	       atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) > budget->limit_bytes / 2;
}

/* Gives the packets that were handed over to the feed, and lets a worker hand over the next. Loop thread, without
 * `lock`. */
void consumer_feed_packets(struct consumer *consumer);

/* Removes the consumer from its source. Called with `lock` held. */
void consumer_unlink(struct consumer *consumer);

/* Sets its end: by part_ns after `begin_ns` (boot time), or by that of its series if that is earlier. */
void consumer_set_part_end(struct consumer *consumer, uint64_t begin_ns);

/* A consumer has ended: it leaves its source, or keeps its place there for one that follows. Called with `lock` held.
 */
void consumer_leave(struct consumer *consumer);

/* The next step: its end is about to be posted, before any end of one that follows. That one begins once it is there.
 * Called with `lock` held. */
void consumer_pass_on(struct consumer *consumer);
