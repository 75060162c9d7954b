/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file's way to one destination, in as many attempts as it takes. Part of delivery; all calls on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/log.h"
#include "sink/breaker.h"
#include "sink/delivery.h"

struct event;
struct event_base;
struct transfer;

TAILQ_HEAD(transfers, transfer);

/* A sink, and the transfers to it. */
struct destination {
	const struct delivery_options *options; /* complete: no defaults are filled in */
	struct sink *sink;
	unsigned running;
	struct transfers waiting, backing_off;
	struct event *start_event; /* starts attempts while there is room, and the breaker allows it */
	struct breaker breaker;
	uint64_t files, bytes; /* of all transfers that have not ended */
	char last_error[sizeof(((struct sink_outcome *)0)->error)];
	uint64_t last_error_ns, last_success_ns; /* real time; 0: none since the start */
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
	uint64_t first_attempt_ns;    /* boot time; or when the breaker first held it back; 0: neither yet */
	struct sink_attempt *attempt; /* while running */
	unsigned open_streams;	      /* of the attempt */
	struct event *timer;	      /* while backing off */
	struct event *deadline;	      /* from the first attempt on: no more time for this or any other attempt */
	TAILQ_ENTRY(transfer) queue;  /* while waiting or backing off */
	bool probe;		      /* the attempt is the one of a half-open breaker */
	struct transfer *next;	      /* starts if this one fails; NULL: none does */
	bool started;
	bool once; /* the first failure is the end */
	void (*ended)(void *ctx, struct transfer *transfer);
	void *ctx;
	/* The result, complete once the transfer has ended. */
	bool ok;
	bool gave_up; /* the destination has not refused the file, and may yet take it */
	char url[sizeof(((struct sink_outcome *)0)->url)];
	char error[sizeof(((struct sink_outcome *)0)->error)];
	char warning[sizeof(((struct sink_outcome *)0)->warning)];
};

/* `options` are not copied. The sink stays the caller's. 0 or -ENOMEM. */
int destination_init(struct destination *destination, struct event_base *loop, const struct delivery_options *options,
		     struct sink *sink);
/* An attempt outside of any transfer had this outcome: a success closes the breaker, a failure says nothing to it. */
void destination_note(struct destination *destination, const struct sink_outcome *outcome);
void destination_deinit(struct destination *destination); /* no transfer may be left */

/*
 * `destination` NULL: none has this `name`; the transfer has then ended already and must not be started. `source` must
 * outlive the transfer. 0 or -ENOMEM; call transfer_deinit either way.
 */
int transfer_init(struct transfer *transfer, struct event_base *loop, struct destination *destination, const char *name,
		  const struct sink_file *source);
void transfer_deinit(struct transfer *transfer); /* the transfer must have ended */

/*
 * `ended` is called once, from the loop, never from within a call; not after transfer_stop. With `next` set, the
 * transfer fails at once while the destination's breaker is open.
 */
void transfer_start(struct transfer *transfer, void (*ended)(void *ctx, struct transfer *transfer), void *ctx);

/* Stops the transfer in any state. If its attempt has already ended, that outcome counts. */
void transfer_stop(struct transfer *transfer);

/* The same; then puts `reason` before the last error, unless the transfer had ended or the file was taken after all. */
void transfer_abandon(struct transfer *transfer, const char *reason);
