/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of the destinations: breakers, and what waits. Loop thread. */
#pragma once

#include "api/openmetrics.h"

struct deliveries;

/* 0 or the buffer's error. */
warn_unused int metrics_write_destinations(struct metric_writer *out, const struct deliveries *deliveries);
