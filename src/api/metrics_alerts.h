/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of alerts: by input, and by rule. For metrics.c. */
#pragma once

#include "api/openmetrics.h"
#include "base/cleanup.h"

struct alert_runner;

#define METRICS_RULES_MAX 256 /* the first ones, in the order of the files */

/* 0 or a negative errno, as metrics_write(). */
warn_unused int metrics_write_alerts(struct metric_writer *out, const struct alert_runner *runner);
