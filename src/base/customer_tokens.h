/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a file of tokens by customer: a line is CUSTOMER:TOKEN, split at its last colon. A customer is any text,
 * compared byte by byte; empty lines and lines that begin with # do not count. Pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Why a token cannot be used; NULL: it can. */
typedef const char *(*customer_token_rule)(const char *token);

/* 0, or -EINVAL with `err`, which names the line and no token: a line without a customer or a token, a customer that is
 * there already, a token that the rule refuses, no line at all. -ENOMEM. */
warn_unused int customer_tokens_check(const char *text, customer_token_rule rule, struct error *err);

/* The customer's token, in the text; NULL: there is none. */
const char *customer_tokens_find(const char *text, const char *customer, size_t *token_size);
