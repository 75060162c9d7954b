/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery takes one finished file to every destination that was asked for, at once; each destination retries by the
 * same rules (sink/transfer.c) and ends in success or in a final refusal that is reported. All calls on the loop's
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/sink.h"

struct delivery_options {
	uint64_t first_backoff_ns; /* 0: default 1 s; doubles with jitter */
	uint64_t max_backoff_ns;   /* 0: default 60 s */
	uint64_t
		give_up_after_ns; /* no try begins so long after the first: the last error is final; 0: no such limit */
	unsigned max_attempts;	  /* likewise after so many tries; 0: any number, or 8 if give_up_after_ns is 0 too */
	unsigned parallel;	  /* 0: default 8 tries at a time per destination */
};

struct event_base;
struct deliveries; /* everything that is on its way out */
struct delivery;   /* one file on its way */

struct delivery_result {
	const char *name;
	bool ok;
	const char *url;   /* NULL: none */
	const char *error; /* NULL: none */
	unsigned attempts;
};

/* Called once, from the loop, when every destination has taken the file or finally refused it. Both the delivery and
 * the results are gone after it; it may start and abandon others. */
typedef void (*delivery_done)(void *ctx, const struct delivery_result *results, size_t count);

/* Takes ownership of the sinks (freed with it). NULL on ENOMEM: then they stay the caller's. */
struct deliveries *deliveries_new(struct event_base *loop, const struct delivery_options *options, struct sink **sinks,
				  size_t count);
void deliveries_free(struct deliveries *deliveries); /* cancels what is left; no callbacks */

/* The destinations' names, for request validation. */
size_t deliveries_destination_names(const struct deliveries *deliveries, const char *names[SINKS_MAX]);

/*
 * `destinations` NULL: all but those on request. `file` stays the caller's and must live until `done`. NULL on ENOMEM.
 * With no destination at all `done` comes with count 0.
 */
struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file, char *const *destinations,
				size_t destination_count, delivery_done done, void *ctx);

/* Gives up: tries in progress end, destinations that have not taken the file by then are reported with `error`; `done`
 * is called from within. */
void delivery_abandon(struct delivery *delivery, const char *error);
