/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: Redis. A file becomes the list {CHANNEL}:file:NODE:CAPTURE (CHANNEL is a hash tag, so that in a Cluster all
 * keys of a channel are in one slot): first a header in JSON, {"v":1,"name":…,"size":bytes,"chunks":n}, then n chunks
 * of 256 KiB, the last one shorter. It expires, even if unfinished. Its url is "redis:" and the key.
 *
 * Of a file that grows, chunks may be shorter, and the header is {"v":1,"name":…,"growing":true} until the file is
 * whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct redis_options;
struct sink;

#define REDIS_SINK_CHUNK_BYTES (256u << 10)

struct redis_sink_options {
	const char *channel, *node;
	uint64_t bytes_max;	 /* a larger file is refused */
	uint64_t held_bytes_max; /* all of this node's files at a time; 0: no limit */
	uint64_t ttl_ns;	 /* at least a second */
};

/* Name and options are copied. NULL on ENOMEM. */
struct sink *redis_sink_new(struct event_base *loop, const char *name, const struct redis_options *redis,
			    const struct redis_sink_options *options);
