/* SPDX-License-Identifier: BSD-2-Clause */
/* Help and manual, from the command table. */
#pragma once

#include "base/cleanup.h"

struct buffer;
struct command_row;

/* Of all, or of one command. 0 or what buffer_append says. */
warn_unused int command_help_print(struct buffer *out, const struct command_row *command);

/* mdoc: the section of the commands, and of the options that all take; goes into pcapctl.1. */
warn_unused int command_help_print_manual(struct buffer *out);
