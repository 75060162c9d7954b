/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spool: captures that could not be delivered before the daemon stopped, or within limits.retry, wait in a
 * directory ([spool] dir) until their destinations take them, also across restarts. Each publishes `spooled` when it
 * comes in, and its one final event when it goes. Loop thread; a thread of its own reads and writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "event/event.h"
#include "sink/delivery.h"
#include "sink/spool_directory.h"

struct event_base;
struct event_bus;
struct spool;

struct spool_options {
	struct event_base *loop;
	struct deliveries *deliveries;
	struct event_bus *bus;
	const char *path;
	uint64_t max_bytes;   /* of all files; 0: no limit */
	uint64_t max_age_ns;  /* an older file is given up; 0: never */
	uint64_t interval_ns; /* between two attempts, at first; 0: 10 s. It doubles up to thirty times that */
};

/* Opens the directory and takes up what is there. What `options` point to must outlive it. 0, or -errno with `err`. */
warn_unused int spool_new(const struct spool_options *options, struct spool **spool, struct error *err);

/* No file may be coming in. */
void spool_free(struct spool *spool);

/* Takes nothing up any more, as the daemon stops; files may still come in. NULL is fine. */
void spool_stop(struct spool *spool);

/* Whether files are coming in, or one that is delivered is being removed; and giving up those that come in: their
 * captures are `failed`, for they are not kept. NULL is fine. */
bool spool_is_writing(const struct spool *spool);
void spool_abandon(struct spool *spool);

/* Whether some destination may yet take the file. */
bool spool_wants(const struct delivery_result *results, size_t count);

/*
 * Writes a file for the destinations that may yet take it. `event`, which is copied, is the capture's final one. It is
 * published as `spooled` once the file is on the disk, or else as `failed`, with the reason; then `done` is called,
 * never within this call. The file must live until then. 0 or -errno: nothing follows.
 */
warn_unused int spool_put(struct spool *spool, const struct sink_file *file, const struct event *event,
			  const struct delivery_result *results, size_t count, void (*done)(void *ctx), void *ctx);

/* Zeros for NULL. */
struct spool_usage spool_usage(const struct spool *spool);

CLEANUP_DEFINE(spool, struct spool, spool_free)
