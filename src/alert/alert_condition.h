/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One condition of a rule: a path and what its value must be. A test is written as text:
 *
 *     alert          equal (numbers by value: 2 equals "2" and 2.0); "= text" for a text that begins with an operator
 *     != text        different
 *     <=2 < > >=     numbers, or severities ("<= warning")
 *     ~ regex        matches (bounded_regex.h); !~ regex: does not
 *
 * With several tests one must hold. A value that is missing, or not a string, number or boolean, satisfies none.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ALERT_TESTS_MAX 64 /* in one condition */

struct alert_condition;

warn_unused int alert_condition_new(const char *path, struct error *err, struct alert_condition **condition);
/* 0, -EINVAL with the fault, or -ENOMEM. */
warn_unused int alert_condition_add(struct alert_condition *condition, const char *text, struct error *err);
void alert_condition_free(struct alert_condition *condition);

const char *alert_condition_path(const struct alert_condition *condition);

/* One thread at a time. `why` (may be NULL): why it does not hold. */
bool alert_condition_holds(const struct alert_condition *condition, const json_t *alert, struct error *why);

CLEANUP_DEFINE(alert_condition, struct alert_condition, alert_condition_free)
