/* SPDX-License-Identifier: BSD-2-Clause */
/* Ctrl-C (SIGINT) and SIGTERM for commands that have something to finish first. One per process. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* From now on they are counted. The file descriptor is readable while one was not taken. -errno on failure. */
warn_unused int interrupts_begin(void);

/* How many came since the last call. */
unsigned interrupts_take(void);
bool interrupts_pending(void); /* whether there is one to take */
