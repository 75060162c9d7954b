/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ctrl-C (SIGINT) and SIGTERM, for commands that finish something before they end. Once begun, the process ends by
 * itself if a signal is not taken within a few seconds. One per process.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* Starts counting. Returns a file descriptor that is readable while an interrupt is pending, or -errno. */
warn_unused int interrupts_begin(void);

/* How many arrived since the last call. */
unsigned interrupts_take(void);
bool interrupts_pending(void); /* does not take them */
