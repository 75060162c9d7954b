/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's host and port, as people and servers write them. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define REDIS_HOST_SIZE 256
#define REDIS_ENDPOINTS_MAX 17 /* a host and 16 more nodes, or the Sentinels */

struct redis_endpoint {
	char host[REDIS_HOST_SIZE]; /* a name or an address without brackets; "": none */
	uint16_t port;
};

/* "host:port", "[::1]:port" or "::1:port": split at the last colon. 0 or -EINVAL. */
warn_unused int redis_endpoint_parse(const char *text, struct redis_endpoint *endpoint);

/* The same in two parts; `port` in digits. 0 or -EINVAL. */
warn_unused int redis_endpoint_set(const char *host, const char *port, struct redis_endpoint *endpoint);

bool redis_endpoint_equal(const struct redis_endpoint *first, const struct redis_endpoint *second);
