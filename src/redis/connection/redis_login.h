/* SPDX-License-Identifier: BSD-2-Clause */
/* AUTH and ROLE: what is sent, and what the answers mean. Loop thread. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redisAsyncContext;
struct redisReply;
struct redis_options;

/* Sends AUTH if a user or password is set; `reply` is a redisCallbackFn. REDIS_OK or REDIS_ERR. */
warn_unused int redis_login_send(struct redisAsyncContext *redis, const struct redis_options *options,
				 void (*reply)(struct redisAsyncContext *, void *, void *));

/* Describes the server's refusal of AUTH, without the secret. */
void redis_login_describe_refusal(const struct redis_options *options, const char *text, struct error *reason);

/* Reads the answer to ROLE. True for a master; else false, with the reason. */
bool redis_login_check_master(const struct redisReply *reply, struct error *reason);
