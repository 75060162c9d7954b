/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A streamed capture: its file goes to its destinations while it runs. It is a live capture (capture_live.h) whose
 * reader is this module. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "job/capture_internal.h"

struct capture_stream;

/* limits.memory must be at least this for a streamed capture. */
#define CAPTURE_STREAM_MEMORY_MIN (16u << 20)

/* Makes the capture one whose packets go to its live output, with as much memory as limits.memory allows a stream.
 * False: out of memory. */
warn_unused bool capture_stream_attach(struct capture *capture, size_t parts);

/* The file has begun, and has its name. False: out of memory. */
warn_unused bool capture_stream_begin(struct capture *capture);

/* Every part has ended, and the live output with them: publishes the final event when the destinations have the file,
 * now or later. */
void capture_stream_end(struct capture *capture);

/* Out of time: what is not delivered is given up. The capture has ended. */
void capture_stream_abandon(struct capture *capture);

/* Bytes that every destination has taken, except those that have failed. */
uint64_t capture_stream_delivered(const struct capture_stream *stream);

void capture_stream_free(struct capture_stream *stream); /* before the capture's live output is detached */
