/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line per message, `<message-id> key=value …`, to stderr and syslog. Message ids are stable: operators
 * grep for them and alert on them. Values are quoted and control characters escaped here, so nothing a peer sends can
 * forge a line. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "base/error.h"

enum log_type { LOG_TYPE_END, LOG_TYPE_STRING, LOG_TYPE_INT, LOG_TYPE_UINT, LOG_TYPE_NUMBER, LOG_TYPE_BOOL };

struct log_field {
	const char *key;
	enum log_type type;
	union {
		const char *string; /* NULL: the field is omitted */
		int64_t integer;
		uint64_t natural;
		double number;
		bool boolean;
	};
};

#define log_str(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_STRING, .string = (v)})
#define log_int(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_INT, .integer = (v)})
#define log_uint(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_UINT, .natural = (v)})
#define log_num(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_NUMBER, .number = (v)})
#define log_bool(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_BOOL, .boolean = (v)})

/* Severities are those of syslog.h. Usage: log_info("redis-connected", log_str("host", host), log_int("port", port));
 */
#define log_at(severity, id, ...) \
	log_fields((severity), (id), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_TYPE_END}})
#define log_error(id, ...) log_at(LOG_ERR, id __VA_OPT__(, ) __VA_ARGS__)
#define log_warning(id, ...) log_at(LOG_WARNING, id __VA_OPT__(, ) __VA_ARGS__)
#define log_notice(id, ...) log_at(LOG_NOTICE, id __VA_OPT__(, ) __VA_ARGS__)
#define log_info(id, ...) log_at(LOG_INFO, id __VA_OPT__(, ) __VA_ARGS__)

void log_fields(int severity, const char *id, const struct log_field *fields);

/*
 * Debug messages belong to an area (a folder of src/) and are off by default: each then costs a relaxed load and a
 * branch, and its arguments are not evaluated. Usage: log_debug(redis, "redis-connecting", log_str("host", host)).
 * Never log per packet, never log a secret.
 */
#define LOG_AREAS(X) X(api) X(capture) X(event) X(job) X(redis) X(sink) X(trigger)

#define LOG_AREA_ENUM(area) LOG_AREA_##area,
enum log_area { LOG_AREAS(LOG_AREA_ENUM) LOG_AREA_COUNT };

#define log_debug(area, id, ...)                                                                  \
	do {                                                                                      \
		if (log_debug_is_on(LOG_AREA_##area))                                             \
			log_at(LOG_DEBUG, id, log_str("area", #area) __VA_OPT__(, ) __VA_ARGS__); \
	} while (0)

/* Which messages are logged. */
struct log_level {
	int severity;	/* this and more severe ones */
	uint32_t areas; /* whose debug messages are logged: bits 1 << enum log_area */
};

/*
 * Parses "error", "warning", "notice", "info", "debug" (all areas) or "debug:AREA,…" (these areas, the others as with
 * "info"). 0, or -EINVAL with `err`.
 */
warn_unused int log_level_parse(const char *text, struct log_level *level, struct error *err);

/* Until the first call the level is "info". Any thread. */
void log_set_level(const struct log_level *level);

extern _Atomic uint32_t log_debug_areas; /* set by log_set_level() */

static inline bool log_debug_is_on(enum log_area area)
{
	return atomic_load_explicit(&log_debug_areas, memory_order_relaxed) & (UINT32_C(1) << area);
}

/*
 * Opens syslog with a facility (LOG_DAEMON …) and a tag, which is copied. Until then, messages go to stderr only.
 * Call once, before other threads start.
 */
void log_open_syslog(int facility, const char *tag);

/*
 * From here on no caller waits for stderr or syslog: threads of their own write the lines, from queues of 1 MiB. Lines
 * that find no room are dropped and counted. Call after log_open_syslog. 0 or -EAGAIN.
 */
warn_unused int log_start(void);

/* Writes what is queued, for a second and output at most, and ends these threads. */
void log_stop(void);

/* For threads with a line for each packet: waits until there is room for more. False: an output is stuck for a second.
 */
warn_unused bool log_wait(void);

uint64_t log_dropped(void); /* lines that an output did not get */

/*
 * Sends messages of every level to `handler` alone, for programs that are not daemons and print in their own format.
 * Call before other threads start; these may call the handler, too. NULL: back to stderr and syslog.
 */
typedef void (*log_handler)(void *ctx, int severity, const char *id, const struct log_field *fields);
void log_divert(log_handler handler, void *ctx);

/* Allows `burst` messages a second and counts the others; the next one that is allowed reports the count. */
struct log_rate {
	uint32_t burst;
	uint32_t used;
	uint64_t suppressed;
	uint64_t second; /* boot time, s */
};

/* True: log now; `*suppressed` messages before this one were not. One thread per struct. */
bool log_rate_allow(struct log_rate *rate, uint64_t *suppressed);
