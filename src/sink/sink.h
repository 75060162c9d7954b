/*
 * Sinks: the ways out. A delivery takes one finished file to every destination that was asked for, at once; each
 * destination retries by the same rules (sink/transfer.c) and ends in success or in a final refusal that is reported.
 * All calls on the loop's thread; sinks that block work on an offload pool of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"

/* What is delivered. Owned by the caller, unchanged until the delivery is over. */
struct sink_file {
	const char *name;    /* file name, safe characters only */
	const char *tags;    /* comma-separated, as in the contract */
	const char *comment; /* NULL: none */
	const char *id;	     /* the request's, for logs */
	const char *capture; /* the capture's own id */
	void *ctx;
	/* A fresh stream over the same bytes; several destinations read at the same time. False on ENOMEM. */
	bool (*open)(void *ctx, struct byte_stream *stream);
	void (*close)(void *ctx, struct byte_stream *stream);
};

enum sink_verdict {
	SINK_OK,
	SINK_RETRY,   /* a bad day: try again later */
	SINK_REFUSED, /* final */
};

struct sink_outcome {
	enum sink_verdict verdict;
	uint64_t retry_after_ns; /* SINK_RETRY: not before (Retry-After); 0: the usual back-off */
	char url[1024];		 /* where it lies now; "" if unknown */
	char error[1024];	 /* "" on success */
};

struct sink_attempt; /* one try in progress, a sink's own */

typedef void (*sink_attempt_done)(void *ctx, const struct sink_outcome *outcome);

struct sink;

/* A sink's side of it: constants and functions of its kind. */
struct sink_class {
	/*
	 * Starts one try. `done` is called exactly once, from the loop, never from within start, unless cancelled.
	 * NULL: could not even start (ENOMEM, queue full): counts as SINK_RETRY.
	 */
	struct sink_attempt *(*start)(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				      void *ctx);
	/*
	 * Ends a try; `done` is not called. On return the file is no longer read (a sink with threads waits for its
	 * thread, or keeps what it needs). True: the try had ended by itself already, or could not be held back any
	 * more, with this outcome. False: nothing came of it.
	 */
	bool (*cancel)(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome);
	void (*free)(struct sink *sink);
};

/* First member of every sink. */
struct sink {
	const struct sink_class *class;
	const char *name; /* "cloudshark", "local": as in events and to_destinations */
	bool on_request;  /* only for files that name it, not one of "all that are enabled" */
			  /* A destination's limits on running tries and waiting files are in transfer.c. */
};

#define SINKS_MAX 16

struct delivery_options {
	uint64_t first_backoff_ns; /* 0: default 1 s; doubles with jitter */
	uint64_t max_backoff_ns;   /* 0: default 60 s */
	uint64_t give_up_ns;   /* no try begins so long after the first: the last error is final; 0: no such limit */
	unsigned max_attempts; /* likewise after so many tries; 0: any number, or 8 if give_up_ns is 0 too */
	unsigned parallel;     /* 0: default 8 tries at a time per destination */
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
size_t deliveries_names(const struct deliveries *deliveries, const char *names[SINKS_MAX]);

/*
 * `destinations` NULL: all but those on request. `file` stays the caller's and must live until `done`. NULL on ENOMEM.
 * With no destination at all `done` comes with count 0.
 */
struct delivery *delivery_start(struct deliveries *deliveries, const struct sink_file *file, char *const *destinations,
				size_t destination_count, delivery_done done, void *ctx);

/* Gives up: tries in progress end, destinations that have not taken the file by then are reported with `error`; `done`
 * is called from within. */
void delivery_abandon(struct delivery *delivery, const char *error);
