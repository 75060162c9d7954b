/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of what became of requests, captures and deliveries. Loop thread. */
#pragma once

#include "api/openmetrics.h"

struct outcomes;

/* 0 or the buffer's error. */
warn_unused int metrics_write_outcomes(struct metric_writer *out, const struct outcomes *outcomes);
