/* SPDX-License-Identifier: BSD-2-Clause */
/* Which captures are streamed: delivered while they run (capture_stream.h). Loop thread. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct deliveries;
struct request;

/*
 * Whether a request that does not say so is streamed all the same: its `bytes` are more than limits.memory, each of its
 * destinations can take a file that grows, and it asks for nothing that streamed files cannot have.
 */
bool stream_rules_want(const struct config *config, const struct deliveries *deliveries, const struct request *request);

/* Whether a streamed request is possible. 0, or -EINVAL with `err` ("<field>: …") and `*field`. */
warn_unused int stream_rules_check(const struct config *config, const struct deliveries *deliveries,
				   const struct request *request, const char **field, struct error *err);
