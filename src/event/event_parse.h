/* SPDX-License-Identifier: BSD-2-Clause */
/* Back from an event's JSON to the event: for what was stored outside and comes back after a restart. */
#pragma once

#include <stddef.h>

#include "event/event.h"

/* A copy as event_copy makes it (event_copy_free), of one object as event_json writes it. NULL: it is none, or ENOMEM.
 * What it does not know is passed over. */
struct event *event_parse(const char *json, size_t size);
