/* SPDX-License-Identifier: BSD-2-Clause */
/* Moments as people type them. Times without an offset are in the local time zone. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

/* For messages: "must be …". */
#define WHEN_EXPECTATION "a time like 19:10, -5m, 2026-11-23T08:41:00Z or Unix seconds"

/*
 * RFC 3339, also without seconds or offset; Unix seconds; "19:10" or "19:10:05", the last one before `now_ns` or, with
 * `after_ns` (0: none), the first after that; "-5m", five minutes before `now_ns`; "now". Real time. 0 or -EINVAL.
 */
warn_unused int when_parse(const char *text, uint64_t now_ns, uint64_t after_ns, uint64_t *realtime_ns);

/* "TIME,DURATION": a window of this much on either side. 0 or -EINVAL. */
warn_unused int when_parse_around(const char *text, uint64_t now_ns, uint64_t *from_ns, uint64_t *to_ns);
