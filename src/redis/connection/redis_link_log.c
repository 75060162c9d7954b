/* SPDX-License-Identifier: BSD-2-Clause */
/* "Down" is logged when the connection was not down before, or is down for another reason; with `quiet`, before the
 * first connection, only once. */
#include "redis/connection/redis_link_log.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/connection/redis_endpoint.h"

void redis_link_log_up(struct redis_link_log *log, const struct redis_endpoint *endpoint, const char *address)
{
	if (log->logged == LOGGED_UP)
		return;
	log->logged = LOGGED_UP;
	log_notice("redis-up", log_str("role", log->role), log_str("host", endpoint->host),
		   log_int("port", endpoint->port), log_str("address", address), log_str("master", log->master),
		   log_bool("tls", log->tls));
}

void redis_link_log_down(struct redis_link_log *log, const struct redis_endpoint *endpoint, const char *reason,
			 uint64_t retry_ns)
{
	bool quiet = log->quiet && !log->was_up;

	if (log->logged == LOGGED_DOWN && (quiet || strcmp(log->reason.text, reason) == 0))
		return;
	log->logged = LOGGED_DOWN;
	error_set(&log->reason, 0, "%s", reason);
	log_at(quiet ? LOG_INFO : LOG_WARNING, "redis-down", log_str("role", log->role),
	       log_str("host", endpoint->host), log_int("port", endpoint->port), log_str("master", log->master),
	       log_str("reason", reason), log_uint("retry_ms", retry_ns / NS_PER_MS));
}
