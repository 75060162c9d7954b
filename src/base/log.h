/*
 * The log: one line a message, `<message-id> key=value …`, to stderr and to syslog.
 * A message id is stable: people grep for it and alert on it. Values are quoted and control characters escaped here, so
 * nothing that a peer sends can forge a line. Call from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "cleanup.h"

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
 * Opens syslog with a facility (LOG_DAEMON …) and a tag, which is copied. Before it, messages go to stderr only.
 * Once, at start, before other threads.
 */
void log_open_syslog(int facility, const char *tag);

/*
 * From now on messages go to `handler` alone: for programs that are no daemon and say things in their own way. Before
 * other threads, which may call the handler too. NULL: as before.
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
