/* SPDX-License-Identifier: BSD-2-Clause */
/* What a capture's final event says is missing: that it ended before its time, packets that were lost, or all of them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"

struct terminal;

/*
 * Ended by something that the request did not ask for. `stopped_here`: this pcapctl has stopped it, so that "stopped"
 * is what was asked for.
 */
bool event_is_cut_short(const json_t *event, bool stopped_here);

/* A packet of the window may be missing, or an interface of the request. */
bool event_is_incomplete(const json_t *event);

/* Prints errors for what makes the exit status that of a partial success, notes for the rest. */
void shortfall_print(const struct terminal *terminal, const json_t *event, bool stopped_here);
