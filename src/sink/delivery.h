/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery takes one finished file to every requested destination at once. Each destination retries by the same rules
 * (sink/transfer.c) and ends in success or in a final failure, which is reported. All calls on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/breaker.h"
#include "sink/sink.h"

/* Where a file goes: to all of `all`, and to the first of `first_of` that takes it. */
struct delivery_targets {
	char *const *all;
	size_t all_count;
	char *const *first_of;
	size_t first_of_count;
};

struct delivery_options {
	uint64_t first_backoff_ns;	/* 0: default 1 s; doubles with jitter */
	uint64_t max_backoff_ns;	/* 0: default 60 s */
	uint64_t give_up_after_ns;	/* no attempt begins, or goes on, this long after the first; 0: no such limit */
	unsigned max_attempts;		/* 0: no limit, or 8 if give_up_after_ns is 0, too */
	unsigned parallel;		/* attempts at a time per destination; 0: default 8 */
	uint64_t copy_wait_ns;		/* 0: default 60 s; see DELIVERY_COPIES_MAX */
	struct breaker_options breaker; /* of each destination */
	struct delivery_targets defaults; /* for files that ask for none; `all` is ignored. Not copied */
};

/*
 * If a whole file was sent and no answer came, the destination may have it. Such attempts are at most this many, with
 * at least copy_wait_ns after the first and five times that after the second.
 */
#define DELIVERY_COPIES_MAX 3

struct event_base;
struct destination;
struct deliveries; /* all files on their way */
struct delivery;   /* one file on its way */

struct delivery_result {
	const char *name;
	bool ok;
	const char *url;     /* NULL: none */
	const char *error;   /* NULL: none */
	const char *warning; /* of a success; NULL: none */
	unsigned attempts;
	unsigned copies;    /* of a failure: times the whole file was sent and no answer came */
	bool gave_up;	    /* of a failure: the destination has not refused the file, and may yet take it */
	bool superseded;    /* it failed, so the next of first_of was tried: the result that follows */
	bool streamed;	    /* sent while it grew */
	uint64_t delivered; /* of such a file: bytes that the destination took */
};

/* Called once, from the loop, when every destination has taken or finally refused the file. The delivery and the
 * results are freed afterwards; it may start and abandon others. */
typedef void (*delivery_done)(void *ctx, const struct delivery_result *results, size_t count);

/* Takes ownership of the sinks. NULL on ENOMEM or more than SINKS_MAX sinks: then they stay the caller's. */
struct deliveries *deliveries_new(struct event_base *loop, const struct delivery_options *options, struct sink **sinks,
				  size_t count);
void deliveries_free(struct deliveries *deliveries); /* cancels all deliveries; no callbacks */

/* The destinations' names, for request validation. */
size_t deliveries_destination_names(const struct deliveries *deliveries, const char *names[SINKS_MAX]);

/* For sink/destination_check.c. NULL: there are fewer. */
struct destination *deliveries_at(struct deliveries *deliveries, size_t index);

/* Whether files go there without being asked to. */
bool deliveries_is_enabled(const struct deliveries *deliveries, const char *name);

/* Whether a sink has work left although all deliveries are over. */
bool deliveries_are_busy(const struct deliveries *deliveries);

/* How a destination fares. Texts stay valid until the loop goes on. */
struct destination_status {
	const char *name, *type, *address; /* address: without secrets, "": none */
	bool enabled;			   /* files go there without being asked to */
	enum breaker_state breaker;
	uint64_t breaker_wait_ns;		 /* open: until an attempt is allowed */
	uint64_t breaker_openings;		 /* from closed */
	unsigned running;			 /* attempts */
	uint64_t waiting_files, waiting_bytes;	 /* not there yet, attempts under way included; bytes of packets */
	const char *last_error;			 /* "": none since the start */
	uint64_t last_error_ns, last_success_ns; /* real time; 0: none since the start */
};

/* Fills in one for each destination; returns how many there are. */
size_t deliveries_status(const struct deliveries *deliveries, struct destination_status status[SINKS_MAX]);

/* The sink of this name; NULL: there is none. For files that grow (sink/stream_delivery.h). */
struct sink *deliveries_sink(const struct deliveries *deliveries, const char *name);
const struct delivery_options *deliveries_options(const struct deliveries *deliveries); /* complete */
struct event_base *deliveries_loop(const struct deliveries *deliveries);

/*
 * `targets` NULL: the defaults, and all destinations except those on request or in the defaults. `file` stays the
 * caller's and must live until `done`, which gets count 0 if there are no destinations; those of first_of that were not
 * tried have no result. NULL on ENOMEM.
 */
struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file,
				const struct delivery_targets *targets, delivery_done done, void *ctx);

/* Each destination has one attempt. Call it right after delivery_start. */
void delivery_try_once(struct delivery *delivery);

/* Cancels running attempts. Destinations that have not taken the file by then report `error`. Calls `done` before it
 * returns. */
void delivery_abandon(struct delivery *delivery, const char *error);
