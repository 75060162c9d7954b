/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file's way to one destination, with as many tries as it takes. A part of delivery; all calls on the loop's
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/log.h"
#include "sink/delivery.h"

struct event;
struct event_base;
struct transfer;

/* A sink, and the transfers that want a try of it. */
struct destination {
	const struct delivery_options *options; /* complete: no defaults are put in */
	struct sink *sink;
	unsigned running;
	TAILQ_HEAD(, transfer) waiting;
	struct event *start_event; /* starts tries while there is room */
	struct log_rate retry_log_rate;
};

enum transfer_state { TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_BACKOFF, TRANSFER_ENDED };

struct transfer {
	struct destination *destination; /* NULL: there is none of this name */
	char *name;			 /* the destination's */
	const struct sink_file *source;
	struct sink_file file; /* what the sink sees: the source with counted streams */
	enum transfer_state state;
	unsigned attempts;
	uint64_t first_attempt_ns;    /* boot time */
	struct sink_attempt *attempt; /* while running */
	unsigned open_streams;	      /* the try's open streams */
	struct event *timer;	      /* while backing off */
	TAILQ_ENTRY(transfer) queue;  /* while waiting */
	void (*ended)(void *ctx);
	void *ctx;
	/* What came of it, complete once it has ended. */
	bool ok;
	char url[sizeof(((struct sink_outcome *)0)->url)];
	char error[sizeof(((struct sink_outcome *)0)->error)];
};

/* `options` are not copied. The sink stays the caller's. 0 or -ENOMEM. */
int destination_init(struct destination *destination, struct event_base *loop, const struct delivery_options *options,
		     struct sink *sink);
void destination_deinit(struct destination *destination); /* no transfer may be left */

/*
 * `destination` NULL: there is none of this `name`; so it has ended already, and is not to be started. `source` must
 * live as long as the transfer. 0 or -ENOMEM; to be deinitialised either way.
 */
int transfer_init(struct transfer *transfer, struct event_base *loop, struct destination *destination, const char *name,
		  const struct sink_file *source);
void transfer_deinit(struct transfer *transfer); /* it must have ended */

/* `ended` is called once, from the loop, never from within a caller's call; not after transfer_stop. */
void transfer_start(struct transfer *transfer, void (*ended)(void *ctx), void *ctx);

/* Whatever it is doing, it does it no more. What its try has come to meanwhile counts. */
void transfer_stop(struct transfer *transfer);

/* Likewise; unless it has ended, or was taken after all, the reason is put before its last error. */
void transfer_abandon(struct transfer *transfer, const char *reason);
