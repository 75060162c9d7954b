/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits what one customer can take from the others: captures at once and requests per second. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct customer_limit;

/* Customers with a rate of their own; the least recently active ones are forgotten first. */
#define CUSTOMER_LIMIT_CUSTOMERS_MAX 4096

struct customer_limit *customer_limit_new(const struct config *config);
void customer_limit_free(struct customer_limit *limit);

/* Checks a request against its customer's limits (NULL: no customer) and counts it. `running`: the customer's running
 * captures; `more`: those the request would start. 0, or with `err` -EDQUOT, -E2BIG (`more` alone is
 * too much) or -ENOMEM. */
warn_unused int customer_limit_admit(struct customer_limit *limit, const char *customer, uint64_t running, size_t more,
				     uint64_t now_ns, struct error *err);

CLEANUP_DEFINE(customer_limit, struct customer_limit, customer_limit_free)
