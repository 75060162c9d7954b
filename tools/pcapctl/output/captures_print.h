/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints captures and a daemon's status for people, from the control API's JSON. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"

struct terminal;

/* All: 0 or -errno. */
warn_unused int captures_print(const struct terminal *terminal, const json_t *captures);
warn_unused int capture_print(const struct terminal *terminal, const json_t *capture);
warn_unused int status_print(const struct terminal *terminal, const json_t *status);
