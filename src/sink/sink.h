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
	const char *name;     /* file name, safe characters only */
	const char *tags;     /* comma-separated, as in the contract */
	const char *comment;  /* NULL: none */
	const char *customer; /* NULL: none */
	const char *filter; /* a capture filter that all packets match; NULL: none, or they are cut too short to tell */
	const char *id;	    /* the request's id, for logs */
	const char *capture; /* the capture's id */
	unsigned copies;     /* earlier attempts that sent the whole file to this destination and got no answer */
	uint64_t held_bytes; /* of packets that wait for the delivery, for accounts */
	struct sink_overrides overrides;

	/* For names (base/name_template.h); NULL: none. */
	const char *node, *interface;
	uint64_t time_ns; /* real time at which the capture begins */

	void *ctx;
	/* Opens a new stream over the same bytes; several destinations may read at the same time. False on ENOMEM. */
	bool (*open)(void *ctx, struct byte_stream *stream);
	void (*close)(void *ctx, struct byte_stream *stream);
	/* Of a file that grows, when an attempt fails: whether another one begins with the first byte, so that what
	 * this one has left must go. NULL for other files. */
	bool (*restarts)(void *ctx);
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
	char url[1024];		 /* where the file is now, or what there is of it; "" if unknown */
	char error[1024];	 /* "" on success */
	char warning[256];	 /* SINK_OK: what is amiss nevertheless; else "" */
	uint64_t sent_bytes;	 /* of a file that grows, unless SINK_OK: bytes that the destination took */
};

struct sink_attempt; /* in progress; defined by each sink */

typedef void (*sink_attempt_done)(void *ctx, const struct sink_outcome *outcome);

struct sink;

typedef void (*sink_remove_done)(void *ctx, bool removed);

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
	 * this outcome. False: it had no effect, but for `sent_bytes` of a file that grows,
	 * and `copies`.
	 */
	bool (*cancel)(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome);
	void (*free)(struct sink *sink);
	/* Where files go, for people, without secrets. NULL: it has no address. */
	const char *(*address)(const struct sink *sink);
	/*
	 * Removes what an attempt has put to `url`. `done` is always called once, perhaps from within, at the latest
	 * from within free. NULL: this type cannot.
	 */
	void (*remove)(struct sink *sink, const struct sink_file *file, const char *url, sink_remove_done done,
		       void *ctx);
	/*
	 * For files that grow while they are sent; both NULL: this kind cannot take them. `start_growing` is as
	 * `start`. The stream that the file opens grows, and the attempt reads from it what it can send. When there was
	 * nothing left to read it waits for `more`: bytes have come, or the end; never called from within a call of the
	 * attempt's, but perhaps while it still sends. The attempt ends well once everything is sent. An attempt
	 * that fails, or is cancelled, leaves what was sent unless the file restarts; then the outcome has a url, and
	 * is final.
	 */
	struct sink_attempt *(*start_growing)(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					      void *ctx);
	void (*more)(struct sink *sink, struct sink_attempt *attempt);
	/* Whether work goes on for attempts that are over, which a stopping daemon should wait for. NULL: never. */
	bool (*is_busy)(const struct sink *sink);
};

/* Embedded in every sink; implementations use container_of. */
struct sink {
	const struct sink_class *class;
	char *name;	  /* the destination's, as in events and to_destinations; the sink's own */
	const char *type; /* "cloudshark", "local"; a constant. This and the next: set by the sink's maker */
	bool on_request;  /* only for files that name it, not one of "all that are enabled" */
	bool whole_only;  /* it takes no file that grows, although its kind can: it is set up so */
};

static inline bool sink_can_grow(const struct sink *sink)
{
	return sink->class->more && !sink->whole_only;
}

#define SINKS_MAX 24 /* [[destination]] and those of the sections */
