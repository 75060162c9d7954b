/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rate limit: a bucket that holds one second's worth of tokens and refills all the time. Tokens are kept as time, so
 * that no fraction is lost. The caller locks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
	uint64_t tokens_ns;
	uint64_t refilled_ns; /* boot time */
};

/* Full as of now. */
void token_bucket_init(struct token_bucket *bucket, uint64_t now_ns);

/* Takes a token, of which there are `per_second` (not 0). False: there is none left. */
bool token_bucket_take(struct token_bucket *bucket, uint64_t per_second, uint64_t now_ns);
