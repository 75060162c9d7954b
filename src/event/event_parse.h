/* SPDX-License-Identifier: BSD-2-Clause */
/* An event from its JSON, for answers that were stored in Redis and come back after a restart. */
#pragma once

#include <stddef.h>

#include "event/event.h"

/* Parses an object that event_json() wrote; ignores unknown keys. Free with event_copy_free(). NULL if it is not an
 * event, or on ENOMEM. */
struct event *event_parse(const char *json, size_t size);
