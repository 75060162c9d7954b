/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine knows of a consumer. Internal to the engine. All members are under the engine's lock unless marked.
 */
#pragma once

#include "base/mailbox.h"
#include "capture/consumer.h"

struct filter;
struct source;

#define NUMBER_NONE UINT64_MAX

/* What a worker tells the loop about a consumer. */
struct consumer_message {
	struct mailbox_message message;
	struct consumer *consumer;
};

struct consumer {
	struct consumer_message ended;
	struct consumer_message quota_spent; /* posted before `ended`, to the same mailbox */
	struct engine *engine;
	struct source *source; /* NULL once it has ended */
	struct consumer *next;
	struct filter *filter;
	struct cursor cursor; /* a worker's while `busy` */
	consumer_done done;
	void *ctx;
	bool armed;	     /* its filter is in the kernel: it may be scanned */
	bool busy;	     /* a worker moves it */
	uint64_t position;   /* cursor.next_number as of the last time no worker had it */
	uint64_t end_number; /* ends when it stands here; NUMBER_NONE: not known yet */
	enum end_reason end_reason;
	uint64_t end_set_ns;	      /* boot time at which everything was retired */
	uint64_t end_dropped;	      /* the ring's drops by then */
	enum end_reason until_reason; /* why cursor.until_ns is the end */
	uint64_t dropped_at_start, lost_evicted;
	uint64_t before_ns;		   /* asked for: so long before it is armed */
	uint64_t from_real_ns, to_real_ns; /* or this window; 0: not given */
	uint64_t duration_ns;
	struct resume_point resume; /* number 0: none */
	int64_t asked_from_ns;	    /* boot time; negative: before the machine was started */
	bool interface_was_away;    /* the interface was away for a part of the window */
	bool retention_may_hide;    /* the recorder may not keep all that was asked for */
	bool unsorted;		    /* there was no memory to sort its packets */
	uint16_t linktype;
	uint32_t snaplen;
	int64_t clock_offset_ns; /* real minus boot time when it ended */
	uint64_t end_ns;	 /* boot time */
};

/* With the lock: no packet after this moment, if the end is not nearer already. */
void consumer_end_at(struct consumer *consumer, uint64_t boottime_ns, enum end_reason reason);

/* By who settles it, or after its end: where the window that its packets cover ends, in boot time. */
uint64_t consumer_window_end(const struct consumer *consumer);

/* With the lock: takes the consumer off its source. */
void consumer_unlink(struct consumer *consumer);
