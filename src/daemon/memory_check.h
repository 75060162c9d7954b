/* SPDX-License-Identifier: BSD-2-Clause */
/* A warning of a configuration that exceeds the host's memory; and the daemon as the first process that the kernel ends
 * if memory runs out. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct config;
struct host_memory;

/* Whether all that the configuration may take is more than the host, or the cgroup's limit, has; then `warning` has the
 * figures. */
bool memory_check(const struct config *config, const struct host_memory *memory, struct error *warning);

/* The same for this host as it is now. */
bool memory_check_host(const struct config *config, struct error *warning);

/* Raises the score by which the kernel chooses the process to end when the host's memory runs out (oom_score_adj of
 * proc(5)) to this, at most 1000; 0 leaves it. Needs no privilege, but a dumpable process. Logs a failure. */
void memory_raise_oom_score(uint64_t score);
