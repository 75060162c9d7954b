/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One customer shall not take what all others need: captures at once, and requests a second. Pure but for its memory;
 * loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct customer_limit;

#define CUSTOMER_LIMIT_CUSTOMERS_MAX \
	4096 /* with a rate of their own; those that were quiet longest are forgotten first */

struct customer_limit *customer_limit_new(const struct config *config);
void customer_limit_free(struct customer_limit *limit);

/* Within the customer's limits (NULL: none)? Takes one of the customer's requests of this second. 0, or -EDQUOT with
 * `err`. `running`: the customer's captures, `more`: those that would be started. */
warn_unused int customer_limit_admit(struct customer_limit *limit, const char *customer, uint64_t running, size_t more,
				     uint64_t now_ns, struct error *err);

CLEANUP_DEFINE(customer_limit, struct customer_limit, customer_limit_free)
