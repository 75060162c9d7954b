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
				 void (*reply)(struct redisAsyncContext *, void *, void *), void *ctx);

/* Describes the server's refusal of AUTH, without the secret. */
void redis_login_describe_refusal(const struct redis_options *options, const char *text, struct error *reason);

enum redis_role {
	REDIS_ROLE_MASTER,
	REDIS_ROLE_OTHER,   /* a replica, a Sentinel */
	REDIS_ROLE_UNKNOWN, /* the server refuses to tell (a proxy, the user's ACL) */
};

/* Reads the answer to ROLE; for any but a master with the reason. */
enum redis_role redis_login_read_role(const struct redisReply *reply, struct error *reason);

/* Reads the answer to INFO cluster. */
bool redis_login_is_cluster(const struct redisReply *reply);
