/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's metrics as OpenMetrics text. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

struct node_status;

/* Appends the whole exposition. `connections`: those of the HTTP server. 0, -EMSGSIZE (the buffer's cap) or -ENOMEM. */
warn_unused int metrics_write(struct buffer *out, const struct node_status *status, size_t connections);
