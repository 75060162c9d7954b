/* SPDX-License-Identifier: BSD-2-Clause */
/* A token costs the time it takes to refill. */
#include "base/token_bucket.h"

#include "base/clock.h"

static bool take_token(struct token_bucket *bucket, uint64_t price_ns, uint64_t full_ns, uint64_t now_ns)
{
	bucket->tokens_ns += now_ns - bucket->refilled_ns;
	bucket->refilled_ns = now_ns;
	if (bucket->tokens_ns > full_ns)
		bucket->tokens_ns = full_ns;
	if (bucket->tokens_ns < price_ns)
		return false;
	bucket->tokens_ns -= price_ns;
	return true;
}

void token_bucket_init(struct token_bucket *bucket, uint64_t now_ns)
{
	*bucket = (struct token_bucket){.tokens_ns = NS_PER_S, .refilled_ns = now_ns};
}

bool token_bucket_take(struct token_bucket *bucket, uint64_t per_second, uint64_t now_ns)
{
	return take_token(bucket, NS_PER_S / per_second, NS_PER_S, now_ns);
}

void token_bucket_init_burst(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
	*bucket = (struct token_bucket){.tokens_ns = burst * (NS_PER_S / per_second), .refilled_ns = now_ns};
}

bool token_bucket_take_burst(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
	const uint64_t price_ns = NS_PER_S / per_second;

	return take_token(bucket, price_ns, burst * price_ns, now_ns);
}
