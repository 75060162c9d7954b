/* SPDX-License-Identifier: BSD-2-Clause */
/* Formats numbers and times for people. Times are RFC 3339 in UTC, as in events and file names. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#define FORMAT_SIZE 64

const char *format_bytes(uint64_t bytes, char text[static FORMAT_SIZE]); /* "12.3 kB" */
const char *format_count(uint64_t count, char text[static FORMAT_SIZE]); /* "1,234,567" */
const char *format_duration(uint64_t ns, char text[static FORMAT_SIZE]); /* "8 s", "2 min 10 s" */

/* Read a field of untrusted JSON: "" or 0 if it is missing or has another type. */
const char *json_text(const json_t *object, const char *key);
uint64_t json_number(const json_t *object, const char *key);

/* Cuts an untrusted time to milliseconds: "2026-11-23T08:41:00.123Z". Other text is kept (40 bytes at most). */
const char *format_time(const char *rfc3339, char text[static FORMAT_SIZE]);
