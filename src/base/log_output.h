/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One place that log lines are written to (stderr, syslog), which may block: a pipe that no program reads, a stuck
 * /dev/log. Until it is started, the caller writes; then a thread of its own does, from a bounded queue. A line that
 * finds no room is dropped, and the number of dropped lines is written once the output flows again. Part of the log.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define LOG_LINE_BYTES_MAX 8192
#define LOG_QUEUE_BYTES ((size_t)1 << 20) /* of one output */

struct log_line {
	uint16_t size;	     /* without the NUL */
	uint8_t severity;    /* of syslog.h */
	uint8_t stamp_bytes; /* the time at the start of the text, with the blank after it */
	char text[LOG_LINE_BYTES_MAX];
};

struct log_output {
	const char *name;
	void (*write)(struct log_line *line); /* may block, and change the line */
	/* The rest is private, zeros until the start. */
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool started, stopping, ended;
	size_t head, used; /* of the queue, in bytes */
	uint64_t dropped, dropped_reported, written;
	uint8_t queue[LOG_QUEUE_BYTES];
};

#define LOG_OUTPUT_INIT(name_, write_)                                                \
	{                                                                             \
		.name = (name_), .write = (write_), .lock = PTHREAD_MUTEX_INITIALIZER \
	}

/* 0 or -EAGAIN: the caller goes on writing. */
warn_unused int log_output_start(struct log_output *output);

/*
 * Writes what is queued, for at most this long, and ends the thread; the caller writes again. If the output is stuck,
 * all further lines are dropped, and the thread is left to end with the process. Does nothing unless started.
 */
void log_output_stop(struct log_output *output, uint64_t timeout_ns);

/* Any thread. Does not block once the output is started. */
void log_output_put(struct log_output *output, struct log_line *line);

/* Waits until half of the queue is free. False: nothing was written for `stall_ns`. */
warn_unused bool log_output_wait(struct log_output *output, uint64_t stall_ns);

uint64_t log_output_dropped(struct log_output *output); /* lines, since the start */
