/* SPDX-License-Identifier: BSD-2-Clause */
/* Subscriber: one log line an event (rate-limited for refusals). */
#pragma once

#include "event/event.h"

/* event_subscriber; ctx unused. */
void event_log_subscriber(void *ctx, const struct event *event, const char *json);
