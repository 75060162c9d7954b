/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery takes one finished file to every requested destination at once. Each destination retries by the same rules
 * (sink/transfer.c) and ends in success or in a final failure, which is reported. All calls on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/sink.h"

struct delivery_options {
	uint64_t first_backoff_ns; /* 0: default 1 s; doubles with jitter */
	uint64_t max_backoff_ns;   /* 0: default 60 s */
	uint64_t give_up_after_ns; /* no attempt begins, or goes on, this long after the first; 0: no such limit */
	unsigned max_attempts;	   /* 0: no limit, or 8 if give_up_after_ns is 0, too */
	unsigned parallel;	   /* attempts at a time per destination; 0: default 8 */
	uint64_t copy_wait_ns;	   /* 0: default 60 s; see DELIVERY_COPIES_MAX */
};

/*
 * If a whole file was sent and no answer came, the destination may have it. Such attempts are at most this many, with
 * at least copy_wait_ns after the first and five times that after the second.
 */
#define DELIVERY_COPIES_MAX 3

struct event_base;
struct deliveries; /* all files on their way */
struct delivery;   /* one file on its way */

struct delivery_result {
	const char *name;
	bool ok;
	const char *url;     /* NULL: none */
	const char *error;   /* NULL: none */
	const char *warning; /* of a success; NULL: none */
	unsigned attempts;
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

/* Whether files go there without being asked to. */
bool deliveries_is_enabled(const struct deliveries *deliveries, const char *name);

/* Whether a sink has work left although all deliveries are over. */
bool deliveries_are_busy(const struct deliveries *deliveries);

/*
 * `destinations` NULL: all except those on request. `file` stays the caller's and must live until `done`, which gets
 * count 0 if there are no destinations. NULL on ENOMEM.
 */
struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file, char *const *destinations,
				size_t destination_count, delivery_done done, void *ctx);

/* Cancels running attempts. Destinations that have not taken the file by then report `error`. Calls `done` before it
 * returns. */
void delivery_abandon(struct delivery *delivery, const char *error);
