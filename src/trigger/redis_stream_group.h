/* SPDX-License-Identifier: BSD-2-Clause */
/* This node's consumer group of a Redis stream: found, or made. Loop thread. */
#pragma once

#include "base/cleanup.h"

struct redis_commands;
struct redis_stream_group;
struct redis_stream_options;

enum redis_stream_group_outcome {
	REDIS_STREAM_GROUP_THERE,
	REDIS_STREAM_GROUP_NOT_YET, /* call redis_stream_group_open() again at once */
	REDIS_STREAM_GROUP_FAILED,  /* the same, later */
};

/* The options and clients are not copied. `keys` asks the registry, `reader` makes the group. NULL on ENOMEM. */
struct redis_stream_group *redis_stream_group_new(const struct redis_stream_options *options,
						  struct redis_commands *keys, struct redis_commands *reader,
						  void (*done)(void *ctx, enum redis_stream_group_outcome outcome),
						  void *ctx);
void redis_stream_group_free(struct redis_stream_group *group);

/* Takes the next step; not while one is under way. 0, and `done` follows unless the clients are freed; else -errno:
 * call it later. */
warn_unused int redis_stream_group_open(struct redis_stream_group *group);

CLEANUP_DEFINE(redis_stream_group, struct redis_stream_group, redis_stream_group_free)
