/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rate limit: a bucket that holds one second's worth of tokens, or `burst` of them, and refills continuously. Tokens
 * are kept as time, so that no fraction is lost. The caller locks.
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

/* Takes one token of `per_second` (not 0). False: none is left. */
bool token_bucket_take(struct token_bucket *bucket, uint64_t per_second, uint64_t now_ns);

/* The same for a bucket that holds `burst` tokens. */
void token_bucket_init_burst(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns);
bool token_bucket_take_burst(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ns);
