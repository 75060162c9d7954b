/* SPDX-License-Identifier: BSD-2-Clause */
/* Help and manual, from the command table. */
#pragma once

#include "base/cleanup.h"

struct buffer;
struct command_row;

/* Help for one command, or the overview (NULL). 0 or the error of buffer_append. */
warn_unused int command_help_print(struct buffer *out, const struct command_row *command);

/* The sections COMMANDS and OPTIONS (the global ones) of pcapctl.1, in mdoc. 0 or negative. */
warn_unused int command_help_print_manual(struct buffer *out);
