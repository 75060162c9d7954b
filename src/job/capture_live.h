/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A live capture: its packets go to a client while it runs (GET /v1/live), and no destination gets a file. It ends
 * when it has reached its limits and the client has read the end of the file, or when the client goes. A streamed
 * capture (capture_stream.h) is the same, but its destinations are the client. Loop thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "job/capture_internal.h"

/* References `output`, for which `budget_bytes` of packets may wait. False: out of memory. */
warn_unused bool capture_live_attach(struct capture *capture, struct live_output *output, size_t budget_bytes,
				     size_t parts);

/* What its consumers need. */
void capture_live_fill_spec(struct capture_part *part, struct consumer_spec *spec);

/* All its interfaces are armed: the file begins. */
void capture_live_begin(struct capture *capture);

/* Every part has ended, and the capture's report is made. Calls capture_finish_live() now or later. */
void capture_live_end(struct capture *capture);

/* Out of time: what the client has not read is given up. */
void capture_live_abandon(struct capture *capture);
