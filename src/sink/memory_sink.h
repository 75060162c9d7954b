/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: the daemon's own memory. Keeps finished files for download, up to a size and an age; the oldest go first. Loop
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "sink/sink.h"

struct event_base;
struct memory_file;
struct slab_pool;

struct memory_sink_options {
	uint64_t bytes_max;	 /* of all files together */
	uint64_t max_age_ns;	 /* of each file */
	struct slab_pool *slabs; /* the files' memory; must outlive them all */
};

/* The name is copied. NULL on ENOMEM. */
struct sink *memory_sink_new(struct event_base *loop, const char *name, const struct memory_sink_options *options);

struct memory_sink_usage {
	uint64_t files, bytes, bytes_max;
};
struct memory_sink_usage memory_sink_usage(const struct sink *memory);

/* Returns the capture's file with a new reference; NULL: not kept (any more). */
struct memory_file *memory_sink_find(const struct sink *memory, const char *capture);

/* The last reference frees the file, which may outlive the sink. */
void memory_file_unref(struct memory_file *file);

const char *memory_file_name(const struct memory_file *file);

/* Opens a stream, of any number at a time; close each. It holds no reference to the file. False on ENOMEM. */
bool memory_file_open(const struct memory_file *file, struct byte_stream *stream);
void memory_file_close(struct byte_stream *stream);

CLEANUP_DEFINE(memory_file, struct memory_file, memory_file_unref)
