/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a request's JSON from the options of `capture`. */
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
	const char *destination; /* "memory" or "redis", in addition to --destination; NULL: none */
	bool merge;		 /* one file for all interfaces */
};

/*
 * Validates what needs no daemon: numbers, times, contradictions. `*request` is the caller's and always has an id. 0 or
 * -errno with the text in `err`.
 */
warn_unused int request_build(const struct command_line *line, const struct request_plan *plan, json_t **request,
			      struct error *err);

/* How long a request that is sent now may capture, in ns; 0: no time left, or no limit given. */
uint64_t request_max_duration_ns(const json_t *request);

/* The window of --from, --to, --last and --around in real time; 0: not given. 0 or -EINVAL with the text in `err`. */
warn_unused int request_window(const struct command_line *line, uint64_t *from_ns, uint64_t *to_ns, struct error *err);

/* Seconds as JSON, an integer if they are whole. */
json_t *request_seconds(uint64_t ns);
