/* SPDX-License-Identifier: BSD-2-Clause */
/* Redis, and the fleet as it shows there. */
#pragma once

#include <stdbool.h>

struct config;
struct findings;
struct fleet_target;

/* `config`: the daemon's, if `target` is from it: its user's rights are judged; NULL: an operator's. Blocks. */
void doctor_redis(struct findings *findings, const struct fleet_target *target, const struct config *config);
