/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks: real time for people and packets (the kernel stamps packets with it), boot time for durations, monotonic time
 * for waiting threads. */
#pragma once

#include <stdint.h>

#include "cleanup.h"
#include "error.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define S_PER_DAY 86400

#define CLOCK_TEXT_SIZE 32

uint64_t clock_realtime_ns(void);  /* CLOCK_REALTIME: ns since 1970 UTC */
uint64_t clock_boottime_ns(void);  /* CLOCK_BOOTTIME: never steps, advances during suspend */
uint64_t clock_monotonic_ns(void); /* CLOCK_MONOTONIC: never steps, stops during suspend */

/* Real time minus boot time, accurate to a few µs even if the thread is interrupted between the readings. */
int64_t clock_offset_ns(void);

/* "2026-11-23T08:41:00.123456789Z" (RFC 3339, UTC, always nine digits). Returns `text`. */
const char *clock_format(uint64_t realtime_ns, char text[static CLOCK_TEXT_SIZE]);

/* "20261123T084100.123Z", for file names. Returns `text`. */
const char *clock_format_compact(uint64_t realtime_ns, char text[static CLOCK_TEXT_SIZE]);

/* Parses RFC 3339 (any offset, up to nine fraction digits). 0 or -EINVAL. */
warn_unused int clock_parse(const char *text, uint64_t *realtime_ns);
