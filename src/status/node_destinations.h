/* SPDX-License-Identifier: BSD-2-Clause */
/* How this node's destinations fare, as JSON. Loop thread. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct deliveries;
struct destination_check_result;

/*
 * An array: {"name":…,"type":…,"address":…,"enabled":…,"state":"idle"|"busy"|"failing","breaker":"closed"|"open"|
 * "half-open","breaker_wait":seconds,"breaker_openings":…,"waiting":{"files":…,"bytes":…},"last_error":{"time":…,
 * "error":…},"last_success":…}. What is not known is left out. NULL on ENOMEM.
 */
json_t *node_destinations_json(const struct deliveries *deliveries);

/* Of those whose breaker is not closed: an array of {"name":…,"error":…}. NULL: there are none, or ENOMEM. */
json_t *node_destinations_failing_json(const struct deliveries *deliveries);

/* Of a check: an array of {"name":…,"type":…,"address":…,"ok":…,"url":…,"removed":…,"error":…,"hint":…,"warning":…,
 * "seconds":…}. NULL on ENOMEM. */
json_t *node_destinations_check_json(const struct destination_check_result *results, size_t count);
