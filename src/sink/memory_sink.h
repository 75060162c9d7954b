/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: the daemon's own memory. Finished files are kept for download, bounded in bytes and in age: the oldest go
 * first. Loop thread.
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
	uint64_t max_age_ns;	 /* each */
	bool on_request;	 /* see struct sink */
	struct slab_pool *slabs; /* where files have their memory from; outlives them all */
};

/* NULL on ENOMEM. */
struct sink *memory_sink_new(struct event_base *loop, const struct memory_sink_options *options);

/* What is kept. `files` 0: nothing. */
struct memory_sink_usage {
	uint64_t files, bytes, bytes_max;
};
struct memory_sink_usage memory_sink_usage(const struct sink *memory);

/* The file of this capture, referenced; NULL: not kept (any more). */
struct memory_file *memory_sink_find(const struct sink *memory, const char *capture);

/* It goes when nobody refers to it; it may outlive the sink. */
void memory_file_unref(struct memory_file *file);

const char *memory_file_name(const struct memory_file *file);

/* Any number at a time; close what was opened. False on ENOMEM. A stream does not refer to the file. */
bool memory_file_open(const struct memory_file *file, struct byte_stream *stream);
void memory_file_close(struct byte_stream *stream);

CLEANUP_DEFINE(memory_file, struct memory_file, memory_file_unref)
