/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trigger: a Redis stream, read through this node's own consumer group. A node that was away takes up what was
 * published meanwhile: an entry is acknowledged only when all that came of it is final. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "trigger/trigger.h"

struct event_base;
struct redis_clock;
struct redis_commands;
struct redis_options;
struct redis_stream;

#define REDIS_STREAM_FIELD "request"	   /* of an entry: what it asks for */
#define REDIS_STREAM_ENTRIES_MAX 256	   /* not acknowledged yet; further ones stay in the stream */
#define REDIS_STREAM_EMPTY_READS_PER_S 8   /* reads that bring nothing new; further ones wait a second */
#define REDIS_STREAM_EMPTY_READS_BURST 128 /* more than a look through all entries that are under way */

struct redis_stream_options {
	const char *key;
	const char *group;		 /* this node's own, so that every node gets every entry */
	const char *stream_consumer;	 /* the node */
	const char *registry_key;	 /* a sorted set that has the node if it was here before */
	const char *crashes_key;	 /* a hash of this node's own */
	const struct redis_clock *clock; /* the server's; not copied */
	uint64_t max_age_ns;		 /* a group that was lost begins with entries younger than this; 0: with all */
};

/*
 * The registry is asked before anything that `keys` sends once Redis is there, so that the node does not find itself.
 * Starts to read as soon as Redis is there: first entries that were delivered before and never acknowledged, then
 * entries that are new since the group exists. Options are copied. `keys` sends the acknowledgements and must outlive
 * it, or be freed just before it. NULL on ENOMEM.
 */
struct redis_stream *redis_stream_new(struct event_base *loop, const struct redis_options *redis,
				      const struct redis_stream_options *options, struct redis_commands *keys,
				      struct trigger_handler handler);

/* Takes no more entries; those taken are still acknowledged. */
void redis_stream_stop(struct redis_stream *stream);

/* No ticket may be held any more. */
void redis_stream_free(struct redis_stream *stream);

struct redis_stream_counts {
	size_t taken;	 /* entries taken and not yet acknowledged */
	size_t put_off;	 /* entries that met a limit and wait for another try */
	uint64_t pauses; /* reads put off since Redis answered at once, without anything new; since the start */
};
struct redis_stream_counts redis_stream_counts(const struct redis_stream *stream);

CLEANUP_DEFINE(redis_stream, struct redis_stream, redis_stream_free)
