/* SPDX-License-Identifier: BSD-2-Clause */
/* One line on the terminal (stderr) that is written over and over; nothing where there is no terminal. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "pcapctl/output/terminal.h"

#define PROGRESS_INTERVAL_MS 250

/* Shows the text, cut to the terminal's width; it must be printable. */
void progress_show(const struct terminal *terminal, const char *fmt, ...) printf_like(2, 3);

/* Takes it away; before anything else is printed. */
void progress_clear(const struct terminal *terminal);
