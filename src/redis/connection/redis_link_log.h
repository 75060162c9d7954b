/* A connection's changes of state in the log: each once, however often it is tried. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct redis_endpoint;

struct redis_announcer {
	const char *role;
	const char *master; /* NULL: no Sentinels */
	bool tls;
	bool quiet; /* as in redis_options */

	enum { ANNOUNCED_NOTHING, ANNOUNCED_UP, ANNOUNCED_DOWN } announced;
	bool was_up; /* ever */
	struct error reason;
};

void redis_announce_up(struct redis_announcer *announcer, const struct redis_endpoint *endpoint, const char *address);
void redis_announce_down(struct redis_announcer *announcer, const struct redis_endpoint *endpoint, const char *reason,
			 uint64_t retry_ns);
