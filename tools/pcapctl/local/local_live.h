/* SPDX-License-Identifier: BSD-2-Clause */
/* `capture` whose packets are written as they come (GET /v1/live). */
#pragma once

#include <stdbool.h>

#include "pcapctl/cli/exit_status.h"

struct command_context;
struct command_line;

/* Whether the command line means one: the packets go to standard output, or nothing but Ctrl-C is to end it. */
bool local_live_is_meant(const struct command_line *line);

enum exit_status local_live(const struct command_context *context);
