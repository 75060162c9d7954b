/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line a message, `<message-id> key=value …`, to stderr and to syslog.
 * A message id is stable: people grep for it and alert on it. Values are quoted and control characters escaped here, so
 * nothing that a peer sends can forge a line. Call from any thread.
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
		const char *string; /* NULL: the field is left out */
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
 * Debug messages belong to an area, a folder of src/, and are off by default: then one costs a relaxed load and a
 * branch, and its arguments are not evaluated. Usage: log_debug(redis, "redis-connecting", log_str("host", host)).
 * Never one a packet, never a secret.
 */
#define LOG_AREAS(X) X(api) X(capture) X(event) X(job) X(redis) X(sink) X(trigger)

#define LOG_AREA_ENUM(area) LOG_AREA_##area,
enum log_area { LOG_AREAS(LOG_AREA_ENUM) LOG_AREA_COUNT };

#define log_debug(area, id, ...)                                                                  \
	do {                                                                                      \
		if (log_debug_is_on(LOG_AREA_##area))                                             \
			log_at(LOG_DEBUG, id, log_str("area", #area) __VA_OPT__(, ) __VA_ARGS__); \
	} while (0)

/* What is logged. */
struct log_level {
	int severity;	/* and anything more severe */
	uint32_t areas; /* of which debug messages are logged: 1 << enum log_area */
};

/*
 * "error", "warning", "notice", "info", "debug" (all areas) or "debug:AREA,…" (these areas, the rest as with "info").
 * 0, or -EINVAL with what is wrong in `err`.
 */
warn_unused int log_level_parse(const char *text, struct log_level *level, struct error *err);

/* Until it is called, the level is "info". Any thread. */
void log_set_level(const struct log_level *level);

extern _Atomic uint32_t log_debug_areas; /* log_set_level() writes it */

static inline bool log_debug_is_on(enum log_area area)
{
	return atomic_load_explicit(&log_debug_areas, memory_order_relaxed) & (UINT32_C(1) << area);
}

/*
 * Opens syslog with a facility (LOG_DAEMON …) and a tag, which is copied. Before it, messages go to stderr only.
 * Once, at start, before other threads.
 */
void log_open_syslog(int facility, const char *tag);

/*
 * From now on messages go to `handler` alone: for programs that are no daemon and say things in their own way. Before
 * other threads, which may call the handler too. It sees messages of every level. NULL: as before.
 */
typedef void (*log_handler)(void *ctx, int severity, const char *id, const struct log_field *fields);
void log_divert(log_handler handler, void *ctx);

/* Lets through `burst` messages a second, then counts; the first message after a quiet second carries what was held
 * back. */
struct log_rate {
	uint32_t burst;
	uint32_t used;
	uint64_t suppressed;
	uint64_t second; /* boot time, s */
};

/* True: log now, and `*suppressed` messages were held back before this one. One thread per struct. */
bool log_rate_allow(struct log_rate *rate, uint64_t *suppressed);
