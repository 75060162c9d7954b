/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a value is in an alert: "alert.severity", "hosts.0.name". Keys may contain dots: at each object the longest key
 * that the rest of the path begins with is taken ("id.orig_h" in Zeek's logs). Arrays take an index, or "each": any of
 * the items. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ALERT_PATH_MAX 256 /* bytes */
#define ALERT_DEPTH_MAX 32 /* nesting levels of an alert */
#define ALERT_TEXT_SIZE 1024

/* The value, of "each" the first item that exists; NULL: there is none. Borrowed from the alert. */
const json_t *alert_path_find(const json_t *alert, const char *path);

/* Whether `test` is true for the value, of "each" for any item. False if there is none. */
bool alert_path_test(const json_t *alert, const char *path, bool (*test)(void *ctx, const json_t *value), void *ctx);

/* Whether the path has a part "each". */
bool alert_path_has_each(const char *path);

/* A string, number or boolean as text; false for anything else, for a string with a NUL, and if it does not fit. */
bool alert_value_text(const json_t *value, char text[static ALERT_TEXT_SIZE]);
