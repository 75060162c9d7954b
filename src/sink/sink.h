/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sinks: the ways out. A sink carries out attempts: each tries once to put a finished file somewhere. The delivery
 * decides whether and when there is another (sink/delivery.h). All calls on the loop's thread; sinks that block work on
 * an offload pool of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"

/* What a request sets instead of the configuration; NULL: not given. For S3. */
struct sink_overrides {
	const char *bucket, *folder, *region, *endpoint, *acl;
	const char *encryption; /* "none", or as in S3's header */
};

/* The file to deliver. Owned by the caller, unchanged until the delivery ends. */
struct sink_file {
	const char *name;    /* file name, safe characters only */
	const char *tags;    /* comma-separated, as in the contract */
	const char *comment; /* NULL: none */
	const char *id;	     /* the request's id, for logs */
	const char *capture; /* the capture's id */
	struct sink_overrides overrides;
	void *ctx;
	/* Opens a new stream over the same bytes; several destinations may read at the same time. False on ENOMEM. */
	bool (*open)(void *ctx, struct byte_stream *stream);
	void (*close)(void *ctx, struct byte_stream *stream);
};

enum sink_verdict {
	SINK_OK,
	SINK_RETRY,   /* try again later */
	SINK_REFUSED, /* final */
};

struct sink_outcome {
	enum sink_verdict verdict;
	uint64_t retry_after_ns; /* SINK_RETRY: wait at least this long (Retry-After); 0: the usual back-off */
	unsigned copies;	 /* SINK_RETRY: times the whole file was sent and no answer came: it may be there */
	char url[1024];		 /* where the file is now; "" if unknown */
	char error[1024];	 /* "" on success */
	char warning[256];	 /* SINK_OK: what is amiss nevertheless; else "" */
};

struct sink_attempt; /* in progress; defined by each sink */

typedef void (*sink_attempt_done)(void *ctx, const struct sink_outcome *outcome);

struct sink;

/* The functions of one kind of sink. */
struct sink_class {
	/*
	 * Starts an attempt. `done` is called exactly once, from the loop, never from within start, unless the attempt
	 * is cancelled. NULL: it could not start (ENOMEM, queue full); counts as SINK_RETRY.
	 */
	struct sink_attempt *(*start)(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				      void *ctx);
	/*
	 * Ends an attempt; `done` is not called. On return the file is not read any more (a sink with threads waits for
	 * its thread, or keeps what it needs). True: the attempt had already ended, or could not be held back, with
	 * this outcome. False: it had no effect.
	 */
	bool (*cancel)(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome);
	void (*free)(struct sink *sink);
	/* Whether work goes on for attempts that are over, which a stopping daemon should wait for. NULL: never. */
	bool (*is_busy)(const struct sink *sink);
};

/* Embedded in every sink; implementations use container_of. */
struct sink {
	const struct sink_class *class;
	const char *name; /* "cloudshark", "local": as in events and to_destinations */
	bool on_request;  /* only for files that name it, not one of "all that are enabled" */
};

#define SINKS_MAX 16
