/* SPDX-License-Identifier: BSD-2-Clause */
/* Events that outlive their publisher. */
#pragma once

#include "base/cleanup.h"
#include "event/event.h"

/* A deep copy; NULL on ENOMEM. */
struct event *event_copy(const struct event *event);
void event_copy_free(struct event *event); /* one made by event_copy, or NULL */

/* What a copy of the event takes, but for the allocator's own needs. */
size_t event_copy_bytes(const struct event *event);

CLEANUP_DEFINE(event_copy, struct event, event_copy_free)
