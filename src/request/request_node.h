/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a request is for this node. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

/* True if `name` is this node's, or "any". */
bool request_node_is_named(const char *name, size_t size, const char *node);

/*
 * 1 if the expression (PCRE2, UTF-8, unanchored) matches the node's name, 0 if not; -EINVAL if it is invalid or too
 * expensive, or -ENOMEM. Takes a bounded number of steps, well under a millisecond, and allocates at most about 300 KiB
 * while it runs.
 */
warn_unused int request_node_matches(const char *expression, size_t size, const char *node, struct error *err);
