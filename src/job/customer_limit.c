/* SPDX-License-Identifier: BSD-2-Clause */
/* Each customer has a token bucket, within a cap; a customer that was forgotten starts again with a full one. */
#include "job/customer_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/lru_table.h"
#include "base/token_bucket.h"
#include "config/config.h"

struct customer {
	struct lru_entry entry; /* first: the table frees it */
	struct token_bucket rate;
};

struct customer_limit {
	const struct config *config;
	struct lru_table *customers;
};

struct customer_limit *customer_limit_new(const struct config *config)
{
	cleanup(cleanup_customer_limit) struct customer_limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	limit->config = config;
	limit->customers = lru_table_new(CUSTOMER_LIMIT_CUSTOMERS_MAX, sizeof(struct customer));
	return limit->customers ? take(limit) : NULL;
}

void customer_limit_free(struct customer_limit *limit)
{
	if (!limit)
		return;
	lru_table_free(limit->customers);
	free(limit);
}

static int take_token(struct customer_limit *limit, const char *name, uint64_t now_ns, struct error *err)
{
	const uint64_t per_second = limit->config->limits.customer_requests_per_second;
	bool is_new;

	if (!per_second)
		return 0;
	struct lru_entry *entry = lru_table_touch(limit->customers, name, &is_new);
	if (!entry)
		return error_set(err, -ENOMEM, "out of memory");
	struct customer *customer = container_of(entry, struct customer, entry);
	if (is_new)
		token_bucket_init(&customer->rate, now_ns);
	if (!token_bucket_take(&customer->rate, per_second, now_ns))
		return error_set(err, -EDQUOT,
				 "too many requests from this customer (limits.customer_requests_per_second)");
	return 0;
}

int customer_limit_admit(struct customer_limit *limit, const char *customer, uint64_t running, size_t more,
			 uint64_t now_ns, struct error *err)
{
	const uint64_t captures_max = limit->config->limits.customer_captures;

	if (!customer)
		return 0;
	const int r = take_token(limit, customer, now_ns, err);
	if (r < 0)
		return r;
	if (captures_max && running + more > captures_max)
		return error_set(err, more > captures_max ? -E2BIG : -EDQUOT,
				 "%" PRIu64 " captures of this customer are running already; the limit is %" PRIu64
				 " (limits.customer_captures)",
				 running, captures_max);
	return 0;
}
