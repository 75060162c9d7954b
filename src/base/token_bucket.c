/* SPDX-License-Identifier: BSD-2-Clause */
/* A token costs the time it takes to refill. */
#include "base/token_bucket.h"

#include "base/clock.h"

void token_bucket_init(struct token_bucket *bucket, uint64_t now_ns)
{
	*bucket = (struct token_bucket){.tokens_ns = NS_PER_S, .refilled_ns = now_ns};
}

bool token_bucket_take(struct token_bucket *bucket, uint64_t per_second, uint64_t now_ns)
{
	const uint64_t price_ns = NS_PER_S / per_second;

	bucket->tokens_ns += now_ns - bucket->refilled_ns;
	bucket->refilled_ns = now_ns;
	if (bucket->tokens_ns > NS_PER_S)
		bucket->tokens_ns = NS_PER_S;
	if (bucket->tokens_ns < price_ns)
		return false;
	bucket->tokens_ns -= price_ns;
	return true;
}
