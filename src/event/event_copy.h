/* SPDX-License-Identifier: BSD-2-Clause */
/* Events that outlive their publisher. */
#pragma once

#include "base/cleanup.h"
#include "event/event.h"

/* A deep copy; NULL on ENOMEM. */
struct event *event_copy(const struct event *event);
void event_copy_free(struct event *event); /* a copy, or NULL */

/* The bytes that a copy of the event takes, without the allocator's overhead. */
size_t event_copy_bytes(const struct event *event);

CLEANUP_DEFINE(event_copy, struct event, event_copy_free)
