/* SPDX-License-Identifier: BSD-2-Clause */
/* AUTH, and what a server says to it. Loop thread. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redisAsyncContext;
struct redisReply;
struct redis_options;

/* Sends AUTH, if there is anything to say; `reply` is a redisCallbackFn. REDIS_OK or REDIS_ERR. */
warn_unused int redis_login_send(struct redisAsyncContext *redis, const struct redis_options *options,
				 void (*reply)(struct redisAsyncContext *, void *, void *));

/* The server's refusal of AUTH, without the secret in it. */
void redis_login_describe_refusal(const struct redis_options *options, const char *text, struct error *reason);

/* What ROLE says: true for a master, else the reason. */
bool redis_login_check_master(const struct redisReply *reply, struct error *reason);
