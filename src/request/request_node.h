/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom a request is for: this node or another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define NODE_EXPRESSION_MAX 256 /* bytes of `nodere` */

/* True if `name` is this node's, or "any". */
bool request_node_is_named(const char *name, size_t size, const char *node);

/*
 * 1 if the expression (PCRE2, UTF-8, unanchored) matches the node's name, 0 if not; -EINVAL if it is wrong or too
 * expensive to answer: decided within a bounded number of steps, well under a millisecond. Allocates at most some
 * 300 KiB, for as long as it runs; -ENOMEM.
 */
warn_unused int request_node_matches(const char *expression, size_t size, const char *node, struct error *err);
