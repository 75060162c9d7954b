/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sinks: the ways out. A sink carries out attempts, each one try to put a finished file somewhere; whether and when
 * there is another is the delivery's to decide (sink/delivery.h). All calls on the loop's thread; sinks that block work
 * on an offload pool of their own.
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

/* A member of every sink, whose implementation finds itself by container_of. */
struct sink {
	const struct sink_class *class;
	const char *name; /* "cloudshark", "local": as in events and to_destinations */
	bool on_request;  /* only for files that name it, not one of "all that are enabled" */
			  /* A destination's limits on running tries and waiting files are in transfer.c. */
};

#define SINKS_MAX 16
