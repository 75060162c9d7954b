/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapdaemon -check -destinations: delivers a tiny file to each destination, without a daemon. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct config;

/* Prints a line for each destination, and what to do about one that fails. The number of those that failed, or a
 * negative errno with `err`. Blocks. */
warn_unused int destination_trial_run(const struct config *config, struct error *err);
