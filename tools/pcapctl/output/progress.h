/* SPDX-License-Identifier: BSD-2-Clause */
/* A line on the terminal (stderr) that is overwritten in place; nothing without a terminal. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "pcapctl/output/terminal.h"

#define PROGRESS_INTERVAL_MS 250

/* Shows the text, cut to the terminal's width; it must be printable. */
void progress_show(const struct terminal *terminal, const char *fmt, ...) printf_like(2, 3);

/* Removes the line; call it before anything else is printed. */
void progress_clear(const struct terminal *terminal);
