/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client of a Redis Cluster needs: the slot of a key, and how to read redirections. Pure; any thread.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "redis/connection/redis_endpoint.h"

#define REDIS_CLUSTER_SLOTS 16384

/* The slot of the text between the first '{' and the next '}' unless that is empty, else of the whole key. */
uint16_t redis_cluster_slot(const char *key, size_t size);

enum redis_redirect_kind {
	REDIS_MOVED, /* ask there from now on */
	REDIS_ASK,   /* ask there this once, after ASKING */
};

struct redis_redirect {
	enum redis_redirect_kind kind;
	uint16_t slot;
	struct redis_endpoint endpoint; /* host "": the server that sent this */
};

/* Reads an error reply such as "MOVED 3999 127.0.0.1:6381". False if it is no redirection, or a malformed one. */
bool redis_redirect_parse(const char *error, struct redis_redirect *redirect);

/* True if the error means "not now" and nothing was executed: the command can be sent again. */
bool redis_error_is_transient(const char *error);
