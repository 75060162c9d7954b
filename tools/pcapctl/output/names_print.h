/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that commands take, one a line: what the completion of shells offers. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"

/*
 * From the statuses of nodes, or a list of captures: "nodes", "interfaces", "aliases", "destinations" or "captures".
 * Each name once. A shell expands what it is offered, so names with other characters than A-Z a-z 0-9 . _ - : @ + are
 * left out. 0 or -ENOMEM.
 */
warn_unused int names_print(FILE *out, const char *what, const json_t *objects);

/* Whether the word is one of these. */
bool names_are_known(const char *what);
