/* SPDX-License-Identifier: BSD-2-Clause */
/* What is measured here, as OpenMetrics text. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

struct node_status;

#define METRICS_INTERFACES_MAX                                                                \
	1024 /* the most important ones have metrics; a macro of digits, as the help shows it \
	      */

/* Appends the whole exposition. `connections`: of the HTTP server. 0, -EMSGSIZE (the buffer's cap), -ENOMEM, or another
 * -errno: the interfaces can't be listed. */
warn_unused int metrics_write(struct buffer *out, const struct node_status *status, size_t connections);
