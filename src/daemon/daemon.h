/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon: starts the modules in order, runs the loop, and stops them in reverse. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct config;

#define DAEMON_GRACE_S 10 /* after SIGTERM, for captures to end and be delivered, and for Redis to take the events */
#define DAEMON_GRACE_SPOOL_S 5 /* with a spool, which then takes what is left */

/* Runs until SIGTERM or SIGINT. 0 after a clean stop, -errno with `err` if it could not start. */
warn_unused int daemon_run(const struct config *config, struct error *err);
