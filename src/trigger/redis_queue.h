/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trigger: a Redis list, or a stream without a group, as alert sources write them. A reader of a list removes what it
 * reads, so each item goes to one reader; a stream is read from now on, by all. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "trigger/trigger.h"

struct event_base;
struct redis_options;
struct redis_queue;

enum redis_queue_kind { REDIS_QUEUE_LIST, REDIS_QUEUE_STREAM };

/* Starts to connect at once; an absent server is no failure. `field`: of an entry of a stream, the message; entries
 * without it are skipped. All is copied. NULL on ENOMEM. */
struct redis_queue *redis_queue_new(struct event_base *loop, const struct redis_options *options,
				    enum redis_queue_kind kind, const char *key, const char *field,
				    struct trigger_handler handler);
void redis_queue_free(struct redis_queue *queue);

CLEANUP_DEFINE(redis_queue, struct redis_queue, redis_queue_free)
