/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a rule does not match, for the author of the rule: what the alert has instead. This costs more than matching;
 * with `why` NULL it costs nothing. Pure; any thread.
 */
#pragma once

#include <jansson.h>

#include "alert/alert_value.h"
#include "base/error.h"

/* There is no value at the path, or none that is text. Returns -ENOENT. */
int alert_why_missing(const json_t *alert, const char *path, struct error *why);

/* The value at the path is of another type. Returns -EINVAL. */
int alert_why_type(const json_t *value, const char *path, enum alert_type type, struct error *why);
