/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `capture` → the request's JSON. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct command_line;

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

struct request_plan {
	const char *destination; /* "memory" or "redis", asked for besides those named; NULL: none */
	bool merge;		 /* one file with all interfaces */
};

/*
 * Everything that can be judged without a daemon is: numbers, times, contradictions. `*request` is the caller's, with
 * an id in any case. 0, -EINVAL or -ENOMEM.
 */
warn_unused int request_build(const struct command_line *line, const struct request_plan *plan, json_t **request,
			      struct error *err);

/* When a request that is sent now is over at the latest, in ns from now; 0: it names no such time. */
uint64_t request_max_duration_ns(const json_t *request);

/* A time as options give it, RFC 3339 or Unix seconds. 0 or -EINVAL. */
warn_unused int request_parse_time(const char *text, json_t **value);

/* Seconds as JSON: an integer where they are whole. */
json_t *request_seconds(uint64_t ns);
