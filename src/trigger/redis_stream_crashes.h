/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of a Redis stream that may crash the daemon: how often it ended while it had one is counted at the server.
 * After the third time the entry is moved to the stream "<key>:dead". Loop thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct redis_commands;
struct redis_stream_crashes;
struct redis_stream_options;

enum redis_stream_verdict {
	REDIS_STREAM_ENTRY_RUNS,
	REDIS_STREAM_ENTRY_DEAD,  /* it must not run */
	REDIS_STREAM_ENTRY_LATER, /* it must not run, and could not be moved now: ask again later */
};

struct redis_stream_suspect {
	const char *id;
	const char *value; /* of the entry's request */
	size_t size;	   /* of that, bytes */
	/* `value` is valid during the call. */
	void (*judged)(void *ctx, enum redis_stream_verdict verdict, const char *value, size_t size);
	void *ctx;
};

/* The options and the client are not copied. NULL on ENOMEM. */
struct redis_stream_crashes *redis_stream_crashes_new(const struct redis_stream_options *options,
						      struct redis_commands *keys);
/* The client must be freed before, if verdicts are due. */
void redis_stream_crashes_free(struct redis_stream_crashes *crashes);

/*
 * Counts one more end of the daemon with this entry. The verdict follows, unless this is stopped or the client freed
 * before. If the server does not count, the entry runs. Copies id and value. 0, or -errno: it cannot be asked.
 */
warn_unused int redis_stream_crashes_judge(struct redis_stream_crashes *crashes,
					   const struct redis_stream_suspect *suspect);

/* Nothing is under way, so no count is needed. */
void redis_stream_crashes_forget(struct redis_stream_crashes *crashes);
/* The same, for a clean stop; it judges no more. */
void redis_stream_crashes_stop(struct redis_stream_crashes *crashes);

CLEANUP_DEFINE(redis_stream_crashes, struct redis_stream_crashes, redis_stream_crashes_free)
