/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of the webhooks. Loop thread. */
#pragma once

#include "api/openmetrics.h"

struct webhooks;

/* Nothing if there are none. 0 or the buffer's error. */
warn_unused int metrics_write_webhooks(struct metric_writer *out, const struct webhooks *webhooks);
