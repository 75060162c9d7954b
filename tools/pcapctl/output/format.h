/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and times as people read them. Times are RFC 3339 in UTC, as in events and file names. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#define FORMAT_SIZE 64

const char *format_bytes(uint64_t bytes, char text[static FORMAT_SIZE]); /* "12.3 kB" */
const char *format_count(uint64_t count, char text[static FORMAT_SIZE]); /* "1,234,567" */
const char *format_duration(uint64_t ns, char text[static FORMAT_SIZE]); /* "8 s", "2 min 10 s" */

/* Out of peers' JSON, where anything may be missing or of another type: "" or 0 then. */
const char *json_text(const json_t *object, const char *key);
uint64_t json_number(const json_t *object, const char *key);

/* A time of a peer's without its fraction beyond ms: "2026-11-23T08:41:00.123Z"; as it came if it is no time. */
const char *format_time(const char *rfc3339, char text[static FORMAT_SIZE]);
