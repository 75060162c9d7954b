/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file's way to one destination, in as many attempts as it takes. Part of delivery; all calls on the loop's thread.
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

/* A sink, and the transfers that wait for it. */
struct destination {
	const struct delivery_options *options; /* complete: no defaults are filled in */
	struct sink *sink;
	unsigned running;
	TAILQ_HEAD(, transfer) waiting;
	struct event *start_event; /* starts attempts while there is room */
	struct log_rate retry_log_rate;
};

enum transfer_state { TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_BACKOFF, TRANSFER_ENDED };

struct transfer {
	struct destination *destination; /* NULL: none has this name */
	char *name;			 /* the destination's */
	const struct sink_file *source;
	struct sink_file file; /* for the sink: the source with counted streams */
	enum transfer_state state;
	unsigned attempts, copies;    /* copies: see DELIVERY_COPIES_MAX */
	uint64_t first_attempt_ns;    /* boot time */
	struct sink_attempt *attempt; /* while running */
	unsigned open_streams;	      /* of the attempt */
	struct event *timer;	      /* while backing off */
	struct event *deadline;	      /* while running: no more time for this or any other attempt */
	TAILQ_ENTRY(transfer) queue;  /* while waiting */
	void (*ended)(void *ctx);
	void *ctx;
	/* The result, complete once the transfer has ended. */
	bool ok;
	char url[sizeof(((struct sink_outcome *)0)->url)];
	char error[sizeof(((struct sink_outcome *)0)->error)];
	char warning[sizeof(((struct sink_outcome *)0)->warning)];
};

/* `options` are not copied. The sink stays the caller's. 0 or -ENOMEM. */
int destination_init(struct destination *destination, struct event_base *loop, const struct delivery_options *options,
		     struct sink *sink);
void destination_deinit(struct destination *destination); /* no transfer may be left */

/*
 * `destination` NULL: none has this `name`; the transfer has then ended already and must not be started. `source` must
 * outlive the transfer. 0 or -ENOMEM; call transfer_deinit either way.
 */
int transfer_init(struct transfer *transfer, struct event_base *loop, struct destination *destination, const char *name,
		  const struct sink_file *source);
void transfer_deinit(struct transfer *transfer); /* the transfer must have ended */

/* `ended` is called once, from the loop, never from within a call; not after transfer_stop. */
void transfer_start(struct transfer *transfer, void (*ended)(void *ctx), void *ctx);

/* Stops the transfer in any state. If its attempt has already ended, that outcome counts. */
void transfer_stop(struct transfer *transfer);

/* The same; then puts `reason` before the last error, unless the transfer had ended or the file was taken after all. */
void transfer_abandon(struct transfer *transfer, const char *reason);
