/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs a connection's changes of state: each once, however many attempts follow. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct redis_endpoint;

struct redis_link_log {
	const char *role;
	const char *master; /* its name; NULL: no Sentinels */
	bool tls;
	bool quiet; /* as in redis_options */

	enum { LOGGED_NOTHING, LOGGED_UP, LOGGED_DOWN } logged;
	bool was_up; /* ever */
	struct error reason;
};

void redis_link_log_up(struct redis_link_log *log, const struct redis_endpoint *endpoint, const char *address);
void redis_link_log_down(struct redis_link_log *log, const struct redis_endpoint *endpoint, const char *reason,
			 uint64_t retry_ns);
