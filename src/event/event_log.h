/* SPDX-License-Identifier: BSD-2-Clause */
/* A subscriber that logs a line for each event (rate-limited for refusals). */
#pragma once

#include "event/event.h"

/* event_subscriber; ctx unused. */
void event_log_subscriber(void *ctx, const struct event *event, const char *json);
