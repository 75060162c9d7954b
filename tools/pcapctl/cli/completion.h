/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion scripts for shells, from the command table. */
#pragma once

#include "base/cleanup.h"

struct buffer;

/* `shell`: bash, zsh or fish. 0, -EINVAL for another, or the error of buffer_append. */
warn_unused int completion_print(struct buffer *out, const char *shell);
