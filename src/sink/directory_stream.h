/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that is written to a directory while it grows. Part of the directory sink. It gets its final name when it is
 * whole. If it cannot be, what was written up to the last whole block gets the name, unless the file restarts. Loop
 * thread; the disk is a pool's business.
 */
#pragma once

#include <stdbool.h>

#include "sink/sink.h"

struct directory_quota;
struct directory_stream;
struct offload;

/* These must outlive the stream's last task. */
struct directory_stream_options {
	struct offload *offload;
	struct directory_quota *quota;
	const char *path;
};

/* As sink_class.start_growing. NULL on ENOMEM. */
struct directory_stream *directory_stream_new(const struct directory_stream_options *options,
					      const struct sink_file *file, sink_attempt_done done, void *ctx);
void directory_stream_more(struct directory_stream *stream);

/* As sink_class.cancel; it frees itself. What was written is kept as after a failure, a little later. */
bool directory_stream_cancel(struct directory_stream *stream, struct sink_outcome *outcome);
