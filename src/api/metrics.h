/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's metrics as OpenMetrics text. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

struct node_status;

#define METRICS_INTERFACES_MAX 1024 /* the most important ones; digits only, as the help text shows it */

/* Appends the whole exposition. `connections`: those of the HTTP server. 0, -EMSGSIZE (the buffer's cap), -ENOMEM, or
 * another -errno if the interfaces cannot be listed. */
warn_unused int metrics_write(struct buffer *out, const struct node_status *status, size_t connections);
